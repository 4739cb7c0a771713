"""Whatever the header of a scan holds: it is refused in a sentence, or comes out in its grid."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.preprocessing.orientation import orientation_of
from bids_anomaly.preprocessing.reorient import Reoriented, reorient_scan, to_grid_of

SHAPE = (24, 24, 24)
FIELDS = nib.Nifti1Header.template_dtype.fields
# What else than random bytes is written: limits of the types, and what divides, multiplies or
# counts nothing.
ODD = (
    0, 1, -1, 2, 3, 4, 7, 8, 16, 24, 127, 128, 255, 256, 348, 352, 32767, -32768, 65535, 2**31 - 1,
    1e-30, 0.5, 1e30, float("nan"), float("inf"), -float("inf"),
)  # fmt: skip


def cube() -> bytes:
    """Return the file of a ball in a cube, in mm, whose sform and qform agree."""
    random = np.random.default_rng(0)
    distance = np.linalg.norm(np.moveaxis(np.indices(SHAPE), 0, -1) - 11.5, axis=-1)
    values = np.where(distance < 8, 800.0, 0.0) + 100 * (distance < 5)
    values += np.abs(random.normal(0, 5, SHAPE))
    affine = np.diag([8.0, 8.0, 8.0, 1.0])
    affine[:3, 3] = -92
    image = nib.Nifti1Image(values.astype(np.int16), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    return image.to_bytes()


CUBE = cube()


@st.composite
def changes(draw) -> tuple[int, bytes]:
    """Draw the place of a number in the header, and other bytes for it."""
    kind, place = FIELDS[draw(st.sampled_from(sorted(FIELDS)))][:2]
    number, shape = kind.subdtype or (kind, ())
    place += number.itemsize * draw(st.integers(0, int(np.prod(shape)) - 1))
    raw = st.binary(min_size=number.itemsize, max_size=number.itemsize)
    if number.kind != "S":
        with np.errstate(all="ignore"):
            odd = [np.array(value).astype(number.newbyteorder("<")).tobytes() for value in ODD]
        raw = st.one_of(raw, st.sampled_from(odd))
    return place, draw(raw)


def changed(parts: list[tuple[int, bytes]], extension: bytes) -> bytes:
    """Return the cube with other numbers in its header, and bytes in front of its voxels."""
    content = bytearray(CUBE)
    for place, raw in parts:
        content[place : place + len(raw)] = raw
    if extension:
        content[348] = 1
        content[352:352] = extension
    return bytes(content)


def whole(number: int, field: str) -> tuple[int, bytes]:
    """Return the change that sets the first number of a field."""
    kind, place = FIELDS[field][:2]
    return place, np.array(number).astype((kind.subdtype or (kind,))[0]).tobytes()


def reoriented_or_complaint(path: Path) -> Reoriented | str:
    try:
        return reorient_scan(path)
    except BadScanError as error:
        return str(error)


def assert_refused_or_in_its_grid(path: Path) -> None:
    reoriented = reoriented_or_complaint(path)
    if isinstance(reoriented, str):
        assert path.name in reoriented
        assert reoriented.endswith(".")
        return
    file = nib.load(path)
    assert np.isfinite(reoriented.scan.get_fdata()).all()
    # Stored, because only a stored header is as exact as its numbers.
    back = path.with_name("back.nii")
    to_grid_of(reoriented.scan, path).to_filename(back)
    result = nib.load(back)
    assert result.shape == file.shape[:3]
    there = orientation_of(file, path.name).affine
    np.testing.assert_allclose(result.affine, there, rtol=1e-4, atol=0.05)
    if not reoriented.remarks:
        values = np.asanyarray(file.dataobj).reshape(file.shape[:3])
        np.testing.assert_allclose(np.asanyarray(result.dataobj), values, rtol=1e-5)


def check(examples: int) -> Callable:
    """Return the test with so many draws."""

    @settings(max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(parts=st.lists(changes(), min_size=1, max_size=6), extension=st.just(b""))
    # What such draws have found: units that there are not, voxels in the header, beyond the file or
    # fewer than there are, a quaternion without numbers beside a good sform.
    @example(parts=[whole(7, "xyzt_units")], extension=b"")
    @example(parts=[whole(0, "vox_offset")], extension=b"")
    @example(parts=[whole(2**31, "vox_offset")], extension=b"")
    @example(parts=[(FIELDS["vox_offset"][1], np.float32(np.inf).tobytes())], extension=b"")
    @example(parts=[(FIELDS["dim"][1] + 2, np.int16(12).tobytes())], extension=b"")
    @example(parts=[(FIELDS["dim"][1] + 4, np.int16(-24).tobytes())], extension=b"")
    @example(parts=[(FIELDS["quatern_d"][1], np.float32(np.nan).tobytes())], extension=b"")
    @example(parts=[(FIELDS["srow_x"][1] + 12, np.float32(1e12).tobytes())], extension=b"")
    @example(parts=[whole(512, "datatype")], extension=bytes([40, 0, 0, 0]) + b"x" * 12)
    def test(tmp_path, parts, extension):
        path = tmp_path / "sub-01_T1w.nii"
        path.write_bytes(changed(parts, extension))
        assert_refused_or_in_its_grid(path)

    return test


test_a_scan_of_any_header_is_refused_or_keeps_its_grid = check(100)
test_a_scan_of_any_header_of_many = pytest.mark.slow(check(4000))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(extension=st.binary(min_size=8, max_size=64))
def test_voxels_that_an_extension_shifts_are_refused(tmp_path, extension):
    path = tmp_path / "sub-01_T1w.nii"
    path.write_bytes(changed([], extension))
    with pytest.raises(BadScanError, match=r"damaged|header"):
        reorient_scan(path)


def test_an_extension_with_room_changes_nothing(tmp_path):
    image = nib.Nifti1Image.from_bytes(CUBE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 100))
    path = tmp_path / "sub-01_T1w.nii.gz"
    image.to_filename(path)
    reoriented = reorient_scan(path)
    np.testing.assert_array_equal(reoriented.scan.get_fdata(), np.asanyarray(image.dataobj))
    image.header.extensions.clear()
    image.to_filename(path)
    assert reoriented.remarks == reorient_scan(path).remarks


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(0, len(CUBE) - 1))
def test_a_scan_that_is_cut_anywhere_is_refused(tmp_path, size):
    path = tmp_path / "sub-01_T1w.nii"
    path.write_bytes(CUBE[:size])
    with pytest.raises(BadScanError):
        reorient_scan(path)
