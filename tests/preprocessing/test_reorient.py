import shutil

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from bids_anomaly.exceptions import BadScanError, MissingInputError
from bids_anomaly.preprocessing.reorient import reorient, reorient_scan, to_grid_of

SHAPE = (14, 13, 12)


def noise(shape=SHAPE):
    return np.random.default_rng(0).integers(0, 1000, shape).astype(np.int16)


@pytest.fixture
def write(tmp_path):
    """Write a NIfTI file and return its path."""

    def write(values=None, affine=None, name="sub-01_T1w.nii.gz", codes=(1, 1)):
        affine = np.diag([1.0, 1.1, 1.2, 1]) if affine is None else affine
        values = noise() if values is None else values
        image = nib.Nifti1Image(values, affine, dtype=values.dtype)
        image.set_sform(affine, codes[0])
        image.set_qform(affine, codes[1])
        image.header.set_xyzt_units("mm", "sec")
        image.to_filename(tmp_path / name)
        return tmp_path / name

    return write


def test_a_scan_comes_out_as_float32_in_ras_order_and_no_value_is_changed(write):
    values = noise()
    lps = np.diag([-1.0, -1.1, 1.2, 1])
    scan = reorient(write(values, lps))
    assert scan.get_data_dtype() == np.float32
    assert nib.aff2axcodes(scan.affine) == ("R", "A", "S")
    np.testing.assert_array_equal(scan.get_fdata(), values[::-1, ::-1])
    np.testing.assert_array_equal(scan.get_sform(), scan.get_qform())


@pytest.mark.parametrize("kind", ["u1", "i4", "i8", "u8", "f8"])
def test_whatever_numbers_a_file_holds_they_come_out_as_float32(write, kind):
    values = (noise() % 200).astype(kind)
    path = write(values)
    assert nib.load(path).get_data_dtype() == kind
    scan = reorient(path)
    assert scan.get_data_dtype() == np.float32
    np.testing.assert_array_equal(scan.get_fdata(), values)


def test_a_kind_of_number_that_cannot_be_read_is_told(write):
    path = write(name="sub-01_T1w.nii")
    content = bytearray(path.read_bytes())
    content[70:74] = (1536).to_bytes(2, "little") + (128).to_bytes(2, "little")  # 128-bit floats
    path.write_bytes(content)
    with pytest.raises(BadScanError, match=r"sub-01_T1w\.nii has a header .*1536"):
        reorient(path)


def test_axes_in_another_order_are_put_in_order(write):
    values = noise()
    sagittal = np.array([[0, 0, 2, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    scan = reorient(write(values, sagittal))
    np.testing.assert_array_equal(scan.get_fdata(), values.transpose(2, 0, 1))
    np.testing.assert_allclose(scan.header.get_zooms(), (2, 1, 1))


def test_a_voxel_stays_where_it_was_in_the_scanner(write):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (10, -20, 5), degrees=True).as_matrix() * -1.5
    affine[:3, 3] = (90, -30, 12)
    path = write(affine=affine)
    before, after = nib.load(path), reorient(path)
    position = nib.affines.apply_affine(before.affine, (3, 4, 5))
    voxel = nib.affines.apply_affine(np.linalg.inv(after.affine), position)
    np.testing.assert_allclose(voxel, voxel.round(), atol=1e-3)
    assert after.get_fdata()[tuple(voxel.round().astype(int))] == before.get_fdata()[3, 4, 5]


@pytest.mark.parametrize("axes", [(1,), (1, 1)])
def test_trailing_axes_of_length_one_are_dropped(write, axes):
    values = noise()
    scan = reorient(write(values.reshape(*SHAPE, *axes)))
    np.testing.assert_array_equal(scan.get_fdata(), values)


def test_a_shear_too_small_to_see_is_made_orthogonal_and_given_back(write):
    affine = np.diag([1.0, 1.1, 1.2, 1])
    affine[0, 1] = 0.02
    path = write(affine=affine, codes=(1, 0))
    scan = reorient(path)
    axes = scan.affine[:3, :3] / nib.affines.voxel_sizes(scan.affine)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    np.testing.assert_array_equal(to_grid_of(scan, path).affine, nib.load(path).affine)


@pytest.mark.parametrize("code", [0, 1])
def test_beside_an_sform_a_quaternion_may_hold_anything(write, code):
    affine = np.diag([-1.0, 1.1, 1.2, 1])
    path = write(affine=affine, name="sub-01_T1w.nii", codes=(1, code))
    content = bytearray(path.read_bytes())
    content[256:268] = np.array([1, 1, 1], "<f4").tobytes()  # its length must not exceed 1
    path.write_bytes(content)
    back, file = to_grid_of(reorient(path), path), nib.load(path)
    np.testing.assert_array_equal(back.affine, file.affine)
    np.testing.assert_array_equal(back.get_fdata(), file.get_fdata())
    back.to_filename(path)
    assert int(nib.load(path).header["qform_code"]) == 0


def with_background(value):
    """Return noise in a box, and a value around it."""
    values = np.full(SHAPE, value, np.float32)
    values[3:9, 2:13, 3:8] = noise((6, 11, 5)) + 1
    return values


def test_nan_around_what_is_shown_becomes_zero(write):
    np.testing.assert_array_equal(
        reorient(write(with_background(np.nan))).get_fdata(), with_background(0)
    )


def with_slices_of_nan():
    values = noise().astype(np.float32)
    values[:, 5:7] = np.nan
    return values


def with_nan_inside():
    values = with_background(np.nan)
    values[5, 6, 5] = np.nan
    return values


def with_one(value):
    values = noise().astype(np.float32)
    values[3, 4, 5] = value
    return values


SHEARED = np.diag([1.0, 1, 1, 1])
SHEARED[1, 2] = 0.4


@pytest.mark.parametrize(
    ("scan", "complaint"),
    [
        ({"values": noise((*SHAPE, 2))}, "4 dimensions"),
        ({"values": with_one(np.nan)}, "NaN"),
        ({"values": with_one(np.inf)}, "infinite"),
        ({"values": with_nan_inside()}, "NaN"),
        ({"values": with_slices_of_nan()}, "NaN"),
        ({"values": with_background(-np.inf)}, "infinite"),
        ({"values": np.full(SHAPE, np.nan, np.float32)}, "NaN"),
        ({"values": np.full(SHAPE, 7, np.int16)}, "single value 7"),
        ({"values": noise((14, 13, 3))}, "14x13x3"),
        ({"values": noise((14, 13))}, "2 dimensions|14x13"),
        ({"codes": (0, 0)}, "left and right"),
        ({"affine": SHEARED, "codes": (1, 0)}, "sheared"),
    ],
    ids=[
        "time series",
        "NaN",
        "infinite",
        "NaN inside and around",
        "slices of NaN",
        "infinite around",
        "NaN only",
        "constant",
        "three slices",
        "one slice",
        "no orientation",
        "sheared",
    ],
)
def test_what_cannot_be_a_brain_scan_is_refused_by_name(write, scan, complaint):
    path = write(name="sub-07_FLAIR.nii.gz", **scan)
    with pytest.raises(BadScanError, match=complaint) as error:
        reorient(path)
    assert "sub-07_FLAIR.nii.gz" in str(error.value)
    assert error.value.exit_code == 65


def test_a_colour_image_is_refused_by_name(write):
    colours = np.zeros(SHAPE, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    colours["R"] = noise() % 255
    path = write(colours, name="sub-07_T1w.nii.gz")
    with pytest.raises(BadScanError, match=r"sub-07_T1w\.nii\.gz"):
        reorient(path)


@pytest.mark.parametrize("size", [0, 60, 1000, -300])
def test_a_copy_that_broke_off_is_called_damaged(write, size):
    path = write()
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BadScanError, match=r"sub-01_T1w\.nii\.gz is damaged"):
        reorient(path)


def test_a_copy_that_broke_off_without_compression_is_called_damaged(write):
    path = write(name="sub-01_T1w.nii")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BadScanError, match=r"sub-01_T1w\.nii is damaged"):
        reorient(path)


@pytest.mark.parametrize("name", ["sub-01_T1w.nii", "sub-01_T1w.nii.gz"])
def test_something_else_with_the_name_of_a_scan_is_called_damaged(tmp_path, name):
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\n" * 20)
    with pytest.raises(BadScanError, match=f"{name} is damaged"):
        reorient(tmp_path / name)


def test_a_missing_file_is_missing_input_and_the_reason_is_said(tmp_path):
    path = tmp_path / "sub-01_T1w.nii.gz"
    with pytest.raises(MissingInputError, match=str(path)) as error:
        reorient(path)
    assert "None" not in str(error.value)
    assert error.value.exit_code == 66


def test_content_that_was_not_fetched_is_missing_input_and_how_to_fetch_it_is_said(tmp_path):
    link, pointer, folder = tmp_path / "link.nii.gz", tmp_path / "unlocked.nii", tmp_path / "data"
    link.symlink_to(".git/annex/objects/Xg/0P/MD5E-s9--0.nii.gz/MD5E-s9--0.nii.gz")
    pointer.write_text("/annex/objects/MD5E-s9--0.nii\n")
    folder.symlink_to(tmp_path)
    for path in (link, pointer, folder / link.name, folder / pointer.name):
        with pytest.raises(MissingInputError, match=f"{path} is not here: .*datalad get {path}"):
            reorient(path)


def test_a_link_to_nothing_is_missing_input(tmp_path):
    path = tmp_path / "sub-01_T1w.nii.gz"
    path.symlink_to("../elsewhere/sub-01_T1w.nii.gz")
    with pytest.raises(MissingInputError, match="cannot be opened: No such file"):
        reorient(path)


def test_a_folder_is_no_scan(tmp_path):
    (tmp_path / "sub-01_T1w.nii.gz").mkdir()
    with pytest.raises((BadScanError, MissingInputError), match=r"sub-01_T1w\.nii\.gz"):
        reorient(tmp_path / "sub-01_T1w.nii.gz")


def test_a_link_to_a_scan_is_followed(write, tmp_path):
    path = write()
    (tmp_path / "store").mkdir()
    moved = shutil.move(path, tmp_path / "store" / "content.nii.gz")
    path.symlink_to(moved)
    np.testing.assert_array_equal(reorient(path).get_fdata(), noise())


@settings(max_examples=25)
@given(
    order=st.permutations(range(3)),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    angles=st.tuples(*[st.floats(-25, 25)] * 3),
    zooms=st.tuples(*[st.floats(0.4, 6)] * 3),
    origin=st.tuples(*[st.floats(-150, 150)] * 3),
    codes=st.sampled_from([(1, 1), (1, 0), (0, 1), (2, 1), (4, 0)]),
)
def test_whatever_the_orientation_a_result_goes_back_voxel_for_voxel(
    tmp_path_factory, order, flips, angles, zooms, origin, codes
):
    path = tmp_path_factory.mktemp("scan") / "sub-01_T1w.nii"
    affine = np.eye(4)
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] = rotation @ np.eye(3)[:, order] * flips * np.array(zooms)
    affine[:3, 3] = origin
    image = nib.Nifti1Image(noise(), affine)
    image.set_sform(affine, codes[0])
    image.set_qform(affine, codes[1])
    image.to_filename(path)

    scan = reorient(path)
    assert nib.aff2axcodes(scan.affine) == ("R", "A", "S")
    back, file = to_grid_of(scan, path), nib.load(path)
    assert back.shape == file.shape
    np.testing.assert_array_equal(back.get_fdata(), file.get_fdata())
    # A file without sform gains one, in single precision.
    np.testing.assert_allclose(back.affine, file.affine, atol=1e-5 if codes[0] == 0 else 0)


@pytest.mark.parametrize(
    ("thickness", "is_told"), [(3.0, False), (4.0, False), (5.0, True), (7.0, True)]
)
@pytest.mark.parametrize("axis", [0, 2])
def test_what_thick_slices_cost_is_told(write, thickness, is_told, axis):
    zooms = np.ones(4)
    zooms[axis] = thickness
    reoriented = reorient_scan(write(noise((40, 40, 40)), np.diag(zooms)))
    told = [remark for remark in reoriented.remarks if "slices are" in remark]
    assert len(told) == (thickness > 4)
    for remark in told:
        assert f"{thickness:g} mm apart" in remark
        assert f"one of {thickness / 2:g} mm keeps half of its contrast at most" in remark


@pytest.mark.parametrize("seed", range(40))
def test_an_orientation_half_way_between_two_axes_goes_back_all_the_same(write, seed):
    random = np.random.default_rng(seed)
    angles = random.choice([-135, -45, 45, 135], 3) * (np.arange(3) == random.integers(3))
    affine = np.eye(4)
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    turned = np.eye(3)[:, random.permutation(3)] * random.choice([-1, 1], 3)
    affine[:3, :3] = rotation @ turned * random.uniform(0.5, 3, 3)
    affine[:3, 3] = random.uniform(-100, 100, 3)
    path = write(noise((12, 12, 12)), affine)
    back, file = to_grid_of(reorient(path), path), nib.load(path)
    np.testing.assert_array_equal(back.get_fdata(), file.get_fdata())
