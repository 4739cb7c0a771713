"""Where voxels lie is taken from what is right in a header; contradictions are told."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.preprocessing.orientation import orientation_of
from bids_anomaly.preprocessing.reorient import reorient_scan, to_grid_of
from bids_anomaly.preprocessing.template import corner_shift

SHAPE = (40, 44, 42)
NAME = "sub-01_T1w.nii"
VALUES = np.random.default_rng(0).integers(0, 1000, SHAPE).astype(np.int16)


def affine_of(angles=(0, 0, 0), zooms=(2.0, 2.0, 2.0), flips=(1, 1, 1), origin=(0, 0, 0)):
    affine = np.eye(4)
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] = rotation * np.array(flips) * np.array(zooms)
    affine[:3, 3] = origin
    return affine


def image_of(sform, qform, *, codes=(1, 1), units="mm"):
    image = nib.Nifti1Image(VALUES, qform)
    image.set_qform(qform, codes[1])
    image.header["sform_code"] = codes[0]
    for row, name in zip(sform, ("srow_x", "srow_y", "srow_z"), strict=False):
        image.header[name] = row
    image.header.set_xyzt_units(units, "sec")
    # As it is when it was read.
    return nib.Nifti1Image.from_bytes(_bytes(image))


def _bytes(image):
    header = image.header.copy()
    header["vox_offset"], header["magic"] = 352, b"n+1"
    return header.binaryblock + bytes(4) + VALUES.tobytes(order="F")


GOOD = affine_of((5, -8, 3), flips=(-1, 1, 1), origin=(80, -60, -40))


def bad_sforms():
    zero_row, nan = GOOD.copy(), GOOD.copy()
    zero_row[1] = 0
    nan[0, 3] = np.nan
    flat = GOOD.copy()
    flat[:, 2] = flat[:, 1]
    return {"zeros": np.zeros((4, 4)), "NaN": nan, "one zero row": zero_row, "flat": flat}


@pytest.mark.parametrize("kind", bad_sforms())
def test_an_sform_that_says_nothing_leaves_it_to_the_qform_and_it_is_told(kind, tmp_path):
    image = image_of(bad_sforms()[kind], GOOD)
    path = tmp_path / NAME
    path.write_bytes(_bytes(image))
    reoriented = reorient_scan(path)
    assert "its qform was used" in " ".join(reoriented.remarks)
    assert nib.aff2axcodes(reoriented.scan.affine) == ("R", "A", "S")
    back = to_grid_of(reoriented.scan, path)
    np.testing.assert_allclose(back.affine, GOOD, atol=1e-3)
    np.testing.assert_array_equal(back.get_fdata(), VALUES)


@pytest.mark.parametrize("kind", bad_sforms())
def test_where_no_orientation_is_good_the_scan_is_refused(kind):
    with pytest.raises(BadScanError, match=f"{NAME} has an orientation matrix without a volume"):
        orientation_of(image_of(bad_sforms()[kind], GOOD, codes=(1, 0)), NAME)


@given(
    angles=st.tuples(*[st.floats(-25, 25)] * 3),
    axis=st.integers(0, 2),
    origin=st.tuples(*[st.floats(-100, 100)] * 3),
)
def test_a_qform_that_is_mirrored_is_refused_whatever_the_axis(angles, axis, origin):
    qform = affine_of(angles, origin=origin)
    sform = qform.copy()
    sform[:3, axis] *= -1
    with pytest.raises(BadScanError, match="do not agree on which side is left"):
        orientation_of(image_of(sform, qform), NAME)


@pytest.mark.parametrize("axes", ["y", "z"])
def test_half_a_turn_swaps_sides_too(axes):
    turned = affine_of() @ affine_of(**{"angles": {"y": (0, 180, 0), "z": (0, 0, 180)}[axes]})
    with pytest.raises(BadScanError, match="do not agree on which side is left"):
        orientation_of(image_of(turned, affine_of()), NAME)


@given(
    shift=st.tuples(*[st.floats(-40, 40)] * 3),
    angles=st.tuples(*[st.floats(-15, 15)] * 3),
)
def test_how_far_sform_and_qform_are_apart_is_told(shift, angles):
    sform = affine_of(angles, origin=shift)
    image = image_of(sform, affine_of())
    found = orientation_of(image, NAME)
    np.testing.assert_allclose(found.affine, sform, atol=1e-4)
    apart = corner_shift(sform, affine_of(), SHAPE)
    if apart > 0.51:
        assert f"differ by up to {apart:.1f} mm" in found.remarks[0]
    if apart < 0.49:
        assert found.remarks == ()


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1e-3), ("micron", 1e3)])
def test_other_units_are_converted_and_told(unit, factor):
    scaled = GOOD.copy()
    scaled[:3] *= factor
    found = orientation_of(image_of(scaled, scaled, units=unit), NAME)
    np.testing.assert_allclose(found.affine, GOOD, rtol=1e-4)
    assert f"is in {unit}s" in found.remarks[0]


def test_a_unit_that_is_impossible_is_not_believed_and_it_is_told():
    found = orientation_of(image_of(GOOD, GOOD, units="meter"), NAME)
    np.testing.assert_allclose(found.affine, GOOD, atol=1e-3)
    assert "only mm are possible" in found.remarks[0]


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_head_of_impossible_size_is_refused(factor):
    scaled = GOOD.copy()
    scaled[:3] *= factor
    with pytest.raises(BadScanError, match="which no head has"):
        orientation_of(image_of(scaled, scaled), NAME)
