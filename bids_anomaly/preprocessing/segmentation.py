"""Take the brain of a scan from what FreeSurfer or FastSurfer have segmented in it."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHImage
from scipy import ndimage

from bids_anomaly.exceptions import BadScanError, BrainExtractionError, MissingInputError
from bids_anomaly.preprocessing.annex import require_content
from bids_anomaly.preprocessing.brain import (
    MASK_FROM,
    BrainMask,
    named_with_skull,
    require_plausible_volume,
)
from bids_anomaly.preprocessing.foreground import as_one_piece
from bids_anomaly.preprocessing.images import UNREADABLE
from bids_anomaly.preprocessing.resample import isotropic_grid, resample, resample_mask
from bids_anomaly.preprocessing.template import Grid

# Label maps leave out the fluid between gyri, which masks of models hold. Gaps of up to twice that
# width are filled.
CLOSED_MM = 4.0
# What of a brain may lie beyond the field of view of its scan: rounding, and what filling adds.
MOST_BEYOND = 0.05
# Details of a scan correlate with those of itself by 0.76 or more at 2 mm apart, by 0.62 or less at
# 4 mm, and with those of another person by 0.38 or less (benchmarks/segmentations.py).
LEAST_CORRELATION = 0.65
COMPARED_MM = 3.0
DETAIL_MM = 4.0
ADVICE = "Look whether it was made of this scan, or leave --fs-subjects-dir out."


def load_mgh(path: Path) -> nib.Nifti1Image:
    """Read an image of FreeSurfer wholly.

    Parameters
    ----------
    path : Path
        An ``.mgz`` or ``.mgh`` file.

    Returns
    -------
    nibabel.Nifti1Image
        3-D, RAS+, in mm of the scanner; values as they are in the file.

    Raises
    ------
    MissingInputError
        If it is not there, may not be read, or its content was not fetched.
    BadScanError
        If it is damaged, or no such image.
    """
    require_content(path)
    try:
        path.open("rb").close()  # nibabel does not tell missing rights from damage
        image: Any = nib.load(path)
        values = np.asanyarray(image.dataobj)
    except (FileNotFoundError, PermissionError) as error:
        raise MissingInputError(
            f"The file {path} cannot be opened: {error.strerror or 'no such file'}. Check the path "
            "and its rights."
        ) from error
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise BadScanError(
            f"The file {path} is damaged ({reason}). Make it again, or leave --fs-subjects-dir out."
        ) from error
    if not isinstance(image, MGHImage) or values.ndim != 3:
        raise BadScanError(
            f"The file {path} is not one 3-D image of FreeSurfer. Make it again, or leave "
            "--fs-subjects-dir out."
        )
    return nib.as_closest_canonical(Grid(values.shape, image.affine).image(values))


def segmented_mask(
    scan: nib.Nifti1Image,
    segmentation: nib.Nifti1Image,
    picture: nib.Nifti1Image | None,
    *,
    above: int,
    pipeline: str,
) -> BrainMask:
    """Return the brain of a scan by a segmentation in another grid.

    The brain is all that has a label, with the gaps between gyri and all holes filled. It reaches
    the scan by the two affines alone, and a voxel belongs to it if half of it does.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        RAS+.
    segmentation : nibabel.Nifti1Image
        Labels, or intensities of the brain alone; in mm of the same scanner space.
    picture : nibabel.Nifti1Image or None
        The scan as it was segmented, in that space too, by which is told whether the two are of
        the same head in the same place.
    above : int
        Values above it are brain.
    pipeline : str
        What the segmentation is from.

    Returns
    -------
    BrainMask

    Raises
    ------
    BrainExtractionError
        If the segmentation cannot be a brain, or does not lie over the scan.
    """
    own = Grid.of(segmentation)
    filled = as_one_piece(_closed(np.asanyarray(segmentation.dataobj) > above, own.spacing))
    require_plausible_volume(filled, segmentation, f"The segmentation of {pipeline}", ADVICE)
    mask = resample_mask(own.image(filled.astype(np.uint8)), Grid.of(scan))
    brain = np.asanyarray(mask.dataobj) > 0
    inside = brain.sum() * Grid.of(scan).voxel_volume / (filled.sum() * own.voxel_volume)
    if inside < 1 - MOST_BEYOND:
        raise BrainExtractionError(
            f"The segmentation of {pipeline} does not lie over its scan: "
            f"{100 * (1 - inside):.0f} % of it is beyond the field of view. {ADVICE}"
        )
    if picture is not None:
        likeness = correlation_within(mask, scan, picture)
        if likeness < LEAST_CORRELATION:
            raise BrainExtractionError(
                f"The segmentation of {pipeline} does not lie over its scan: details of the image "
                f"that it was made of correlate with those of the scan by {likeness:.2f}, where "
                f"{LEAST_CORRELATION} and more are expected. {ADVICE}"
            )
    piece = as_one_piece(brain).astype(np.uint8)
    return BrainMask(Grid.of(scan).image(piece), named_with_skull(f"{MASK_FROM}{pipeline}", scan))


def correlation_within(
    mask: nib.Nifti1Image, scan: nib.Nifti1Image, picture: nib.Nifti1Image
) -> float:
    """Correlate the details of two images of one contrast within a brain.

    Each is divided by its mean nearby, so that bias fields and what all brains have in common, such
    as white matter in the middle, do not count.

    Parameters
    ----------
    mask, scan : nibabel.Nifti1Image
        In one grid.
    picture : nibabel.Nifti1Image
        In any grid of the same space.

    Returns
    -------
    float
        From -1 to 1; 0 where one of them is constant within the brain.
    """
    grid = isotropic_grid(scan, COMPARED_MM)
    within = np.asanyarray(resample_mask(mask, grid).dataobj) > 0
    one, other = (_details(resample(image, grid), within) for image in (scan, picture))
    if not (one.std() and other.std()):
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _details(image: nib.Nifti1Image, within: np.ndarray) -> np.ndarray:
    """Return intensities within a mask, divided by their mean nearby within it."""
    values = image.get_fdata(dtype=np.float32) * within
    reach = DETAIL_MM / COMPARED_MM
    total = ndimage.gaussian_filter(values, reach)[within]
    share = ndimage.gaussian_filter(within.astype(np.float32), reach)[within]
    nearby = total / share
    # A constant image has no details, not those of rounding.
    return np.where(nearby > 0, values[within] / np.maximum(nearby, 1e-6), 1).round(4)


def _closed(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Fill the gaps of a mask that no ball of the radius CLOSED_MM fits into."""
    if not mask.any():
        return mask
    margins = np.ceil(CLOSED_MM / spacing).astype(int) + 1
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    part = np.pad(mask[box], [(margin, margin) for margin in margins])
    grown = ndimage.distance_transform_edt(~part, sampling=spacing) <= CLOSED_MM
    closed = ndimage.distance_transform_edt(grown, sampling=spacing) > CLOSED_MM
    filled = np.zeros_like(mask)
    filled[box] = closed[tuple(slice(margin, -margin) for margin in margins)]
    return filled
