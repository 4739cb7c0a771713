"""Find the brain in a scan, whether its skull is still there or not."""

from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage

from bids_anomaly.exceptions import BrainExtractionError, UsageError
from bids_anomaly.preprocessing.brain_finders import deepbet_mask, hd_bet_mask, template_mask
from bids_anomaly.preprocessing.template import Grid

# Intracranial volumes of adults lie between 0.9 and 2.0 litres.
PLAUSIBLE_LITRES = (0.6, 2.3)
# The widest axial section of the intracranial space has 141 to 212 cm2 in 161 adults of IXI, that
# of the head 221 cm2 and more. It tells brains from heads of which the lower half was not scanned.
LARGEST_SECTION_CM2 = 220.0
# Interpolation leaves ripples of this share of the brain's brightness in a constant background.
RIPPLE = 0.01
# Eyes or nerves that a skull-stripping left beside the brain, as a share of the brain.
LARGEST_REMAINDER = 0.05


class BrainMask(NamedTuple):
    """A brain mask, and how it was found.

    Attributes
    ----------
    mask : nibabel.Nifti1Image
        uint8, 0 or 1, in the grid of the scan: one connected component without holes.
    method : {'deepbet', 'hd-bet', 'template', 'none', 'already stripped'}
        What gave the mask; 'none' and 'already stripped' both mean the scan's own foreground.
    """

    mask: nib.Nifti1Image
    method: str


def brain_mask(scan: nib.Nifti1Image, *, method: str, use_gpu: bool) -> BrainMask:
    """Return the brain mask of a scan; one whose skull is gone already keeps its own.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        RAS+; T1w, T2w or FLAIR.
    method : {'deepbet', 'hd-bet', 'template', 'none'}
        How to find the brain in a scan of a whole head; 'none' says that it is not one.
    use_gpu : bool
        Whether a network runs on the GPU; else it does not touch it.

    Returns
    -------
    BrainMask
        With a mask of plausible volume.

    Raises
    ------
    UsageError
        If the method is unknown or its package is not installed.
    BrainExtractionError
        If what was found cannot be a brain.
    """
    stripped = strip_mask(scan)
    if stripped is not None:
        return BrainMask(stripped, "already stripped")
    if method == "none":
        return BrainMask(_foreground_as_brain(scan), method)
    return BrainMask(extract_brain(scan, method=method, use_gpu=use_gpu), method)


def extract_brain(
    scan: nib.Nifti1Image, *, method: str = "deepbet", use_gpu: bool
) -> nib.Nifti1Image:
    """Find the intracranial space in the scan of a whole head.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        RAS+; T1w, T2w or FLAIR.
    method : {'deepbet', 'hd-bet', 'template'}
        See :mod:`bids_anomaly.preprocessing.brain_finders`.
    use_gpu : bool
        Whether a network runs on the GPU; else it does not touch it.

    Returns
    -------
    nibabel.Nifti1Image
        uint8 mask in the grid of `scan`, one connected component without holes.

    Raises
    ------
    UsageError
        If the method is unknown or its package is not installed.
    BrainExtractionError
        If no brain of a plausible size is found.
    """
    match method:
        case "deepbet":
            found = deepbet_mask(scan, use_gpu=use_gpu)
        case "hd-bet":
            found = hd_bet_mask(scan, use_gpu=use_gpu)
        case "template":
            found = template_mask(scan)
        case _:
            raise UsageError(
                "The --brain-extraction parameter must be deepbet, hd-bet, template or none. Got "
                f"{method!r} instead."
            )
    brain = _as_one_piece(found)
    litres = _litres(brain, scan)
    low, high = PLAUSIBLE_LITRES
    if not low <= litres <= high:
        raise BrainExtractionError(
            f"The brain extraction ({method}) found {litres:.2f} litres of brain, where {low} to "
            f"{high} are possible. Look at the scan; try another --brain-extraction, or none if "
            "its skull is already gone."
        )
    return Grid.of(scan).image(brain.astype(np.uint8))


def strip_mask(scan: nib.Nifti1Image) -> nib.Nifti1Image | None:
    """Return the brain mask of a scan whose skull was already taken away, else None.

    Such a scan has a constant background, of any value, and what is left has the size of a brain
    rather than that of a head. Ripples in the background, as interpolation leaves them, and a few
    remains beside the brain do not matter.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        RAS+.

    Returns
    -------
    nibabel.Nifti1Image or None
        uint8 mask in the grid of `scan`, one connected component without holes.
    """
    contrast = _contrast_with_background(scan)
    brain = _foreground(contrast)
    low, high = PLAUSIBLE_LITRES
    if not low <= _litres(brain, scan) <= high:
        return None
    section_cm2 = brain.sum(axis=(0, 1)).max() * Grid.of(scan).spacing[:2].prod() / 100
    if section_cm2 > LARGEST_SECTION_CM2:
        return None
    remainder = np.count_nonzero(contrast[~brain] > _ripple(contrast))
    if remainder > LARGEST_REMAINDER * brain.sum():
        return None
    return Grid.of(scan).image(brain.astype(np.uint8))


def _foreground_as_brain(scan: nib.Nifti1Image) -> nib.Nifti1Image:
    """Return what differs from the background, which the user says is the brain."""
    brain = _foreground(_contrast_with_background(scan))
    litres = _litres(brain, scan)
    low, high = PLAUSIBLE_LITRES
    if not low <= litres <= high:
        raise BrainExtractionError(
            "--brain-extraction none takes all that differs from the background for the brain, "
            f"but that has {litres:.2f} litres, where {low} to {high} are possible: the skull is "
            "still there, or the background is not constant. Use --brain-extraction deepbet."
        )
    return Grid.of(scan).image(brain.astype(np.uint8))


def _contrast_with_background(scan: nib.Nifti1Image) -> np.ndarray:
    """Return how far each voxel is from the value that most of the scan's outer faces have."""
    values = scan.get_fdata(dtype=np.float32)
    faces = [values.take(end, axis).ravel() for axis in range(3) for end in (0, -1)]
    return np.abs(values - np.median(np.concatenate(faces)))


def _foreground(contrast: np.ndarray) -> np.ndarray:
    """Return all that differs from the background, less a rim of ripples if there is one."""
    exact = _as_one_piece(contrast > 0)
    beyond_ripples = _as_one_piece(contrast > _ripple(contrast))
    return exact if exact.sum() < 1.05 * beyond_ripples.sum() else beyond_ripples


def _ripple(contrast: np.ndarray) -> float:
    differing = contrast[contrast > 0]
    return RIPPLE * float(np.percentile(differing, 95)) if differing.size else 0.0


def _as_one_piece(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected component of a mask, with its holes filled."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    if sizes.size == 1:
        return mask.astype(bool)
    sizes[0] = 0
    # Much faster than binary_fill_holes: all that the outside does not reach belongs to it.
    piece = np.pad(labels == sizes.argmax(), 1)
    outside, _ = ndimage.label(~piece)
    return (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]


def _litres(mask: np.ndarray, scan: nib.Nifti1Image) -> float:
    return float(mask.sum() * Grid.of(scan).spacing.prod() / 1e6)
