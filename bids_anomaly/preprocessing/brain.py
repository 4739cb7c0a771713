"""Find the brain in a scan of a head."""

import nibabel as nib
import numpy as np
from scipy import ndimage

from bids_anomaly.exceptions import BrainExtractionError
from bids_anomaly.preprocessing.template import Grid

# Intracranial volumes of adults lie between 0.9 and 2.0 litres.
PLAUSIBLE_LITRES = (0.6, 2.3)


def extract_brain(scan: nib.Nifti1Image, *, use_gpu: bool) -> nib.Nifti1Image:
    """Find the intracranial space with deepbet's network, which comes with its weights.

    The method is deepbet (Fisch et al. 2024, doi 10.1016/j.compbiomed.2024.108845).

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        Whole head, T1w (T2w and FLAIR work too), RAS+.
    use_gpu : bool
        Whether the network may run on the GPU.

    Returns
    -------
    nibabel.Nifti1Image
        uint8 mask in the grid of `scan`, one connected component without holes.

    Raises
    ------
    BrainExtractionError
        If no brain of a plausible size is found.
    """
    from deepbet.bet import BrainExtraction

    try:
        _, mask, _ = BrainExtraction(no_gpu=not use_gpu).run(scan)
    except AssertionError as error:  # deepbet's way to say that it saw no brain at all
        raise BrainExtractionError(
            "The brain extraction saw no brain in the scan. Look at the scan; one without skull "
            "needs --brain-extraction none."
        ) from error
    return _plausible(Grid.of(scan).image(np.asanyarray(mask.dataobj).astype(np.uint8)))


def strip_mask(scan: nib.Nifti1Image) -> nib.Nifti1Image | None:
    """Return the brain mask of a scan whose skull was already taken away, else None.

    Such a scan has one constant background value in most of its volume, and what is left has the
    size of a brain rather than that of a head.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        RAS+.

    Returns
    -------
    nibabel.Nifti1Image or None
        uint8 mask in the grid of `scan`, holes filled.
    """
    values = scan.get_fdata(dtype=np.float32)
    background = values[0, 0, 0]
    foreground = ndimage.binary_fill_holes(_largest_component(values != background))
    background_is_constant = np.mean(values[~foreground] == background) > 0.99
    litres = foreground.sum() * Grid.of(scan).spacing.prod() / 1e6
    if not background_is_constant or not PLAUSIBLE_LITRES[0] <= litres <= PLAUSIBLE_LITRES[1]:
        return None
    return Grid.of(scan).image(foreground.astype(np.uint8))


def _largest_component(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    return labels == 1 + np.argmax(ndimage.sum_labels(mask, labels, np.arange(1, count + 1)))


def _plausible(mask: nib.Nifti1Image) -> nib.Nifti1Image:
    litres = np.asanyarray(mask.dataobj).sum() * Grid.of(mask).spacing.prod() / 1e6
    low, high = PLAUSIBLE_LITRES
    if not low <= litres <= high:
        raise BrainExtractionError(
            f"The brain extraction found {litres:.2f} litres of brain, where {low} to {high} are "
            "possible. Look at the scan; a scan without skull needs --brain-extraction none."
        )
    return mask


from typing import NamedTuple  # noqa: E402


class BrainMask(NamedTuple):
    mask: nib.Nifti1Image
    method: str


def brain_mask(scan: nib.Nifti1Image, *, method: str, use_gpu: bool) -> BrainMask:
    stripped = strip_mask(scan)
    if stripped is not None:
        return BrainMask(stripped, "already stripped")
    return BrainMask(extract_brain(scan, use_gpu=use_gpu), "deepbet")
