"""Find the brain in a scan, whether its skull is still there or not."""

from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage

from bids_anomaly.exceptions import BrainExtractionError, UsageError
from bids_anomaly.preprocessing.brain_finders import FINDERS
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.preprocessing.foreground import as_one_piece, foreground
from bids_anomaly.preprocessing.resample import isotropic_grid, resample, resample_mask
from bids_anomaly.preprocessing.template import Grid, same_grid, voxels_apart
from bids_anomaly.preprocessing.transforms import Chain

# Intracranial volumes of adults lie between 0.9 and 2.0 litres.
PLAUSIBLE_LITRES = (0.6, 2.3)
# The widest axial section of the intracranial space has 141 to 212 cm2 in 161 adults of IXI, that
# of the head 221 cm2 and more. It tells brains from heads of which the lower half was not scanned.
LARGEST_SECTION_CM2 = 220.0
# Eyes or nerves that a skull-stripping left beside the brain, as a share of the brain.
LARGEST_REMAINDER = 0.05
# What lies further than that, and than a voxel, beyond the brain of the reference scan is skull or
# scalp. A mask that would lose more than that share of its brain is left alone.
TRIM_MM = 2.0
MOST_TRIMMED = 0.2
ALREADY_STRIPPED = "already stripped"
PREPARED_BY = "prepared by "
MASK_FROM = "brain mask from "


class BrainMask(NamedTuple):
    """A brain mask, and how it was found.

    Attributes
    ----------
    mask : nibabel.Nifti1Image
        uint8, 0 or 1, in the grid of the scan: one connected component without holes.
    method : str
        What gave the mask: deepbet, hd-bet, template; none or already stripped, which both mean the
        scan's own foreground; or "prepared by" (the scan too) or "brain mask from" and what made
        it, after "already stripped, " for a scan without skull.
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
        If the method is unknown.
    BrainExtractionError
        If what was found cannot be a brain.
    """
    stripped = strip_mask(scan)
    if stripped is not None:
        return BrainMask(stripped, ALREADY_STRIPPED)
    if method == "none":
        return BrainMask(_foreground_as_brain(scan), method)
    return BrainMask(extract_brain(scan, method=method, use_gpu=use_gpu), method)


def read_mask(
    scan: nib.Nifti1Image, mask: nib.Nifti1Image, *, pipeline: str, is_prepared: bool
) -> BrainMask:
    """Return the brain mask that others made of a scan, after checking that it can be.

    Parameters
    ----------
    scan, mask : nibabel.Nifti1Image
        RAS+; brain where the mask is above one half.
    pipeline : str
        What made the mask.
    is_prepared : bool
        Whether it prepared the scan too; else the scan is raw.

    Raises
    ------
    BrainExtractionError
        If the mask has another grid than the scan, or cannot be a brain.
    """
    prefix, option = (PREPARED_BY, "--derivatives") if is_prepared else (MASK_FROM, "--mask")
    checked = _checked(scan, mask, f"The brain mask from {pipeline}", option=option)
    return BrainMask(checked, named_with_skull(f"{prefix}{pipeline}", scan))


def trim_brain(brain: nib.Nifti1Image, reference: nib.Nifti1Image, chain: Chain) -> nib.Nifti1Image:
    """Leave out of a brain mask what lies beyond the brain of the reference scan.

    Brain extraction has learned from T1w scans, and on others takes bright scalp for brain here and
    there, which is then called anomalous.

    Parameters
    ----------
    brain, reference : nibabel.Nifti1Image
        Masks of a scan and of the reference scan of its session, each in its own grid.
    chain : Chain
        From the space of the scan to that of the reference scan.

    Returns
    -------
    nibabel.Nifti1Image
        uint8, in the grid of `brain`: 0 further than 2 mm, and than a voxel of the reference scan,
        from its brain. Beyond its field of view the mask stays as it was; so does all of it if the
        two do not fit.
    """
    coarse = isotropic_grid(reference, TRIM_MM)
    outside = np.asanyarray(resample_mask(reference, coarse).dataobj) == 0
    distance = ndimage.distance_transform_edt(outside, sampling=TRIM_MM).astype(np.float32)
    # Beyond the field of view of the reference scan it is 0, which trims nothing.
    margin = max(TRIM_MM, float(Grid.of(reference).spacing.max()))
    grid, own = Grid.of(brain), np.asanyarray(brain.dataobj) > 0
    beyond = resample(coarse.image(distance), grid, chain).get_fdata(dtype=np.float32) > margin
    kept = as_one_piece(own & ~beyond)
    if kept.sum() < (1 - MOST_TRIMMED) * own.sum():
        return brain
    return grid.image(kept.astype(np.uint8))


def is_exact(method: str) -> bool:
    """Tell from the method of a :class:`BrainMask` whether it was not found here by a tool."""
    return had_no_skull(method) or method.startswith((PREPARED_BY, MASK_FROM))


def had_no_skull(method: str) -> bool:
    """Tell from the method of a :class:`BrainMask` whether the scan came without skull."""
    return method.startswith(("none", ALREADY_STRIPPED))


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
        If the method is unknown.
    BrainExtractionError
        If no brain of a plausible size is found.
    """
    if method not in FINDERS:
        raise UsageError(
            f"The --brain-extraction parameter must be one of {', '.join(BRAIN_TOOLS)}. Got "
            f"{method!r} instead."
        )
    options = {"use_gpu": use_gpu} if BRAIN_TOOLS[method].is_network else {}
    brain = as_one_piece(FINDERS[method](scan, **options))
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
    tissue = foreground(scan.get_fdata(dtype=np.float32))
    brain = as_one_piece(tissue)
    low, high = PLAUSIBLE_LITRES
    if not low <= _litres(brain, scan) <= high:
        return None
    section_cm2 = brain.sum(axis=(0, 1)).max() * Grid.of(scan).spacing[:2].prod() / 100
    if section_cm2 > LARGEST_SECTION_CM2:
        return None
    if np.count_nonzero(tissue & ~brain) > LARGEST_REMAINDER * brain.sum():
        return None
    return Grid.of(scan).image(brain.astype(np.uint8))


def _checked(
    scan: nib.Nifti1Image, mask: nib.Nifti1Image, subject: str, *, option: str
) -> nib.Nifti1Image:
    """Return the mask of others as one piece, if it has the grid of the scan and a brain's size."""
    advice = f"Look at the brain mask, or leave {option} out."
    if not same_grid(Grid.of(scan), Grid.of(mask)):
        apart = (
            f"which lies up to {voxels_apart(Grid.of(scan), Grid.of(mask)):.2g} voxels off"
            if mask.shape == scan.shape
            else f"{'x'.join(map(str, mask.shape))} voxels, not {'x'.join(map(str, scan.shape))}"
        )
        raise BrainExtractionError(f"{subject} has another grid than its scan, {apart}. {advice}")
    brain = as_one_piece(mask.get_fdata(dtype=np.float32) > 0.5)
    require_plausible_volume(brain, scan, subject, advice)
    return Grid.of(scan).image(brain.astype(np.uint8))


def named_with_skull(method: str, scan: nib.Nifti1Image) -> str:
    """Return the method of a mask that others made, which also says if the scan has no skull."""
    return method if strip_mask(scan) is None else f"{ALREADY_STRIPPED}, {method}"


def _foreground_as_brain(scan: nib.Nifti1Image) -> nib.Nifti1Image:
    """Return what differs from the background, which the user says is the brain."""
    tissue = foreground(scan.get_fdata(dtype=np.float32))
    litres = _litres(tissue, scan)
    low, high = PLAUSIBLE_LITRES
    if not low <= litres <= high:
        raise BrainExtractionError(
            "--brain-extraction none takes all that differs from the background for the brain, "
            f"but that has {litres:.2f} litres, where {low} to {high} are possible: the skull is "
            "still there, or the background is not constant. Use --brain-extraction deepbet."
        )
    return Grid.of(scan).image(as_one_piece(tissue).astype(np.uint8))


def require_plausible_volume(
    brain: np.ndarray, scan: nib.Nifti1Image, subject: str, advice: str
) -> None:
    """Raise unless a mask has the volume of a brain.

    Parameters
    ----------
    brain : (X, Y, Z) bool array
        In the grid of `scan`.
    scan : nibabel.Nifti1Image
        Any image in that grid.
    subject, advice : str
        What the sentence begins with, and what it says to do.

    Raises
    ------
    BrainExtractionError
        If it has not.
    """
    litres = _litres(brain, scan)
    low, high = PLAUSIBLE_LITRES
    if not low <= litres <= high:
        raise BrainExtractionError(
            f"{subject} has {litres:.2f} litres, where {low} to {high} are possible. {advice}"
        )


def _litres(mask: np.ndarray, scan: nib.Nifti1Image) -> float:
    return float(mask.sum() * Grid.of(scan).voxel_volume / 1e6)
