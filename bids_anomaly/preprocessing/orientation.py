"""Where the voxels of a file lie, where its header says it twice, wrongly or in other units."""

from typing import NamedTuple

import nibabel as nib
import numpy as np

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.preprocessing.template import corner_shift

# sform and qform may differ by this much at a corner before it is said: files round them.
LARGEST_DISAGREEMENT_MM = 0.5
# Cosine of the angle up to which two orientations agree on what is left and right.
SAME_SIDES = 0.5
# A volume smaller than this share of that of a box with the same edges is flat.
FLAT = 1e-3
# By their codes in NIfTI headers, in which the three lowest bits are the unit of length.
MM_PER_UNIT = {1: ("meter", 1000.0), 3: ("micron", 0.001)}
# The longest edge of a field of view that can hold a brain.
POSSIBLE_EDGE_MM = (40.0, 2000.0)
# Headers keep positions as float32, which is exact to 0.03 mm up to here.
FARTHEST_MM = 1e6


class Orientation(NamedTuple):
    """Where the voxels of a file lie.

    Attributes
    ----------
    affine : (4, 4) array
        From voxels to mm in RAS+.
    remarks : tuple of str
        What a user should know of how it was found, a sentence each.
    """

    affine: np.ndarray
    remarks: tuple[str, ...] = ()


def has_orientation(image: nib.Nifti1Image) -> bool:
    """Tell whether a file says how its voxels lie; what nibabel assumes else may be mirrored."""
    return bool(int(image.header["sform_code"]) or int(image.header["qform_code"]))


def orientation_of(image: nib.Nifti1Image, name: str) -> Orientation:
    """Return where the voxels of a file lie: by its sform, else by its qform, in mm.

    Parameters
    ----------
    image : nibabel.Nifti1Image
        As it was read.
    name : str
        Of its file, for messages.

    Raises
    ------
    BadScanError
        If neither says it, or they say that left is at different sides, or what they say cannot
        be the field of view of a head, or lies kilometres away.
    """
    if not has_orientation(image):
        raise BadScanError(
            f"The scan {name} has no orientation: its sform and qform codes are both 0, so that "
            "left and right cannot be told apart. Convert it again from DICOM."
        )
    by_sform, by_qform = sform_of(image.header), qform_of(image.header)
    affine = by_qform if by_sform is None else by_sform
    if affine is None:
        raise BadScanError(
            f"The scan {name} has an orientation matrix without a volume: neither its sform nor "
            "its qform says where its voxels lie. Convert it again from DICOM."
        )
    affine, remarks = _in_mm(affine, image, name)
    distance = np.abs(affine[:3, 3]).max()
    if distance > FARTHEST_MM:
        raise BadScanError(
            f"The scan {name} lies {distance:.2g} mm from the origin, too far to tell where its "
            "voxels are. Convert it again from DICOM."
        )
    if by_sform is None and int(image.header["sform_code"]):
        remarks += (
            f"{name}: its sform says nothing (zeros or no numbers), so its qform was used. Check "
            "in the report that left is left",
        )
    if by_sform is not None and by_qform is not None:
        remarks += _disagreement(by_sform, by_qform, image.shape, name)
    return Orientation(affine, tuple(f"{remark}." for remark in remarks))


def sform_of(header: nib.Nifti1Header) -> np.ndarray | None:
    """Return the sform of a header; None where it does not count or has no volume."""
    affine = header.get_sform(coded=True)[0]
    return affine if _has_volume(affine) else None


def qform_of(header: nib.Nifti1Header) -> np.ndarray | None:
    """Return the qform of a header; None where it does not count or has no volume."""
    try:
        affine = header.get_qform(coded=True)[0]
    except ValueError:  # its quaternion is none
        return None
    return affine if _has_volume(affine) else None


def _has_volume(affine: np.ndarray | None) -> bool:
    if affine is None or not np.isfinite(affine).all():
        return False
    box = nib.affines.voxel_sizes(affine).prod()
    return bool(box > 0 and abs(np.linalg.det(affine[:3, :3])) > FLAT * box)


def _in_mm(
    affine: np.ndarray, image: nib.Nifti1Image, name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return an affine in mm, and what was converted."""
    edges = nib.affines.voxel_sizes(affine) * image.shape[:3]
    code = int(image.header["xyzt_units"]) % 8
    low, high = POSSIBLE_EDGE_MM
    if code in MM_PER_UNIT:
        unit, factor = MM_PER_UNIT[code]
        if low <= edges.max() * factor <= high:
            scaled = affine.copy()
            scaled[:3] *= factor
            return scaled, (f"{name}: its header is in {unit}s, which were converted to mm",)
        if low <= edges.max() <= high:
            said = f"{name}: its header says {unit}s, but only mm are possible, and were taken"
            return affine, (said,)
    elif edges.max() >= high or edges.max() < 1:
        raise BadScanError(
            f"The scan {name} has a field of view whose longest edge is {edges.max():.3g} mm, "
            "which no head has. Correct the voxel sizes or the unit in its header."
        )
    return affine, ()


def _disagreement(
    by_sform: np.ndarray, by_qform: np.ndarray, shape: tuple[int, ...], name: str
) -> tuple[str, ...]:
    """Say how far sform and qform are apart; raise where sides differ."""
    shift = corner_shift(by_sform, by_qform, shape)
    if shift <= LARGEST_DISAGREEMENT_MM:
        return ()
    # What the qform calls right, in the words of the sform.
    between = by_sform[:3, :3] @ np.linalg.inv(by_qform[:3, :3])
    mirrored = np.linalg.det(between) < 0
    if mirrored or between[0, 0] / np.linalg.norm(between[:, 0]) < SAME_SIDES:
        raise BadScanError(
            f"The scan {name} has an sform and a qform that differ by up to {shift:.0f} mm and do "
            "not agree on which side is left. Convert it again from DICOM, or delete the wrong one "
            "(set its code to 0)."
        )
    said = f"{name}: its sform and qform differ by up to {shift:.1f} mm; the sform was used"
    return (said,)
