"""What counts as an anomaly: from z-scores to probabilities, and to a mask."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from skimage.morphology import remove_small_objects

from bids_anomaly.scoring.calibration import healthy_exceedance, healthy_z
from bids_anomaly.settings import Settings


@dataclass(frozen=True)
class Threshold:
    """From where on voxels are called anomalous; by default as the app presets it.

    Attributes
    ----------
    healthy_fpr : float
        Nominal false positive rate, between 0 and 0.5.
    min_lesion_volume : float
        Smallest lesion that is kept, in mm3.
    """

    healthy_fpr: float = Settings.healthy_fpr
    min_lesion_volume: float = Settings.min_lesion_volume

    @property
    def z(self) -> float:
        """The z-score from which on voxels are anomalous."""
        return healthy_z(self.healthy_fpr)


class Findings(NamedTuple):
    """What was found, in one grid.

    Attributes
    ----------
    z : (X, Y, Z) array
        How unusual each voxel is; 0 outside the brain.
    probability : (X, Y, Z) array
        Of an anomaly, see :func:`anomaly_probability`.
    mask : (X, Y, Z) bool array
        Where it is above one half, without small components.
    """

    z: np.ndarray
    probability: np.ndarray
    mask: np.ndarray


def find(
    z: np.ndarray, brain: np.ndarray, threshold: Threshold, *, voxel_volume: float
) -> Findings:
    """Find what is anomalous in a scan.

    Parameters
    ----------
    z : (X, Y, Z) array
        In healthy standard deviations; what lies outside the brain does not matter.
    brain : (X, Y, Z) bool array
        Brain mask.
    threshold : Threshold
    voxel_volume : float
        In mm3.

    Examples
    --------
    >>> z = np.zeros((8, 8, 8))
    >>> z[2:4, 2:4, 2:4] = 4  # 64 mm3, unusual
    >>> z[6, 6, 6] = 4  # one voxel
    >>> brain = np.ones(z.shape, bool)
    >>> found = find(z, brain, Threshold(0.002, min_lesion_volume=24), voxel_volume=8)
    >>> int(found.mask.sum()), bool(found.mask[6, 6, 6])
    (8, False)
    """
    z = z * brain
    probability = anomaly_probability(healthy_exceedance(z), threshold.healthy_fpr) * brain
    mask = anomaly_mask(
        probability, brain, min_volume=threshold.min_lesion_volume, voxel_volume=voxel_volume
    )
    return Findings(z, probability, mask)


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
