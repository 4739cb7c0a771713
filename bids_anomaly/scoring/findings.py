"""From healthy exceedance rates to the probability of an anomaly, and to a mask."""

from collections.abc import Sequence

import numpy as np
from skimage.morphology import remove_small_objects


def anomaly_probability(exceedance: np.ndarray, healthy_fpr: float) -> np.ndarray:
    """Turn the healthy exceedance rate q of a voxel into f / (f + q).

    It is above one half exactly where fewer than a share f of healthy voxels score as high.

    Parameters
    ----------
    exceedance : array
        Rate q, from 0 to 1.
    healthy_fpr : float
        Nominal false positive rate f.
    """
    return (healthy_fpr / (healthy_fpr + exceedance)).astype(np.float32)


def combined_zscore(zscores: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean z over the modalities that say something of a voxel.

    The mean of normal variables with a standard deviation of 1 has one of 1 at most, however they
    depend on each other, so that more modalities give no more false positives, and fewer where they
    depend little. What several of them see counts for more than what a single one sees (Stouffer's
    combination, without its gain for independent tests, which modalities of one brain are not). The
    smallest exceedance rate, corrected for their number, ranked voxels worse
    (``benchmarks/modalities.py``).

    Parameters
    ----------
    zscores : sequence of arrays
        One a modality, all of one shape; -inf where a modality says nothing.

    Returns
    -------
    array
        -inf where none says anything; of one modality its own.
    """
    said = np.isfinite(zscores)
    total = np.sum(np.where(said, zscores, 0), axis=0)
    count = said.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), -np.inf).astype(np.float32)


def anomaly_mask(
    probability: np.ndarray, brain: np.ndarray, *, min_volume: float, voxel_volume: float
) -> np.ndarray:
    """Return where an anomaly is more likely than not, without tiny components.

    Parameters
    ----------
    probability : (X, Y, Z) array
        From :func:`anomaly_probability`.
    brain : (X, Y, Z) bool array
        Brain mask.
    min_volume : float
        Components (26-connected) smaller than this, in mm3, are left out.
    voxel_volume : float
        Volume of a voxel in mm3.

    Returns
    -------
    (X, Y, Z) bool array
    """
    mask = (probability > 0.5) & brain
    smallest = int(np.ceil(min_volume / voxel_volume))
    if smallest <= 1 or not mask.any():
        return mask
    return remove_small_objects(mask, max_size=smallest - 1, connectivity=3)
