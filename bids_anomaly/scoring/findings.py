"""From healthy exceedance rates to the probability of an anomaly, and to a mask."""

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
