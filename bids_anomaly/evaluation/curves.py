"""What changes with the threshold, kept of each scan in arrays of a fixed size.

Thresholds are z-scores, the same for all scans, so that the counts of scans can be added up.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from bids_anomaly.evaluation.metrics import LEAST_OVERLAP, SIZE_BINS, label_components

# Edges of the bins in which voxels are counted.
Z_EDGES = np.concatenate([[-np.inf], np.linspace(-4, 40, 881), [np.inf]])
# From one voxel in ten of healthy people to far beyond all of them.
FROC_Z = np.array([1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.25, 3.5, 4, 4.5, 5, 6, 8, 11, 15, 20])
NOMINAL_RATES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
SMALLEST_LESION = SIZE_BINS[0][0]


@dataclass(frozen=True)
class Curves:
    """Counts of one scan.

    Attributes
    ----------
    lesion, healthy : (K,) arrays
        Voxels of the brain that are lesion, and that are not, by bins of z between
        :data:`Z_EDGES`.
    lesions : int
        Lesions of at least 8 mm3.
    found, false : (T,) arrays
        How many of them are found at each of :data:`FROC_Z`, and how many components are false.
    observed, sensitivity : (R,) arrays
        Shares of the lesion-free voxels, and of the lesion voxels, that are more unusual than
        each of :data:`NOMINAL_RATES`; NaN without such voxels.
    """

    lesion: np.ndarray
    healthy: np.ndarray
    lesions: int
    found: np.ndarray
    false: np.ndarray
    observed: np.ndarray
    sensitivity: np.ndarray


def curves_of(
    z: np.ndarray,
    truth: np.ndarray,
    *,
    brain: np.ndarray,
    lesion_free: np.ndarray,
    voxel_volume: float,
    min_volume: float,
) -> Curves:
    """Count the voxels and components of a scan at all thresholds.

    Parameters
    ----------
    z : (X, Y, Z) array
        Higher is more unusual; a z is exceeded by :func:`scipy.stats.norm.sf` of the healthy.
    truth, brain : (X, Y, Z) bool arrays
        Lesions, and the brain. A lesion outside of the brain counts as one that is not found; its
        voxels are not counted.
    lesion_free : (X, Y, Z) bool array
        The brain away from lesions, on which the rate is observed.
    voxel_volume, min_volume : float
        In mm3; smaller components are left out, as in the mask of the app.
    """
    found, false = froc_counts(
        z,
        truth,
        brain=brain,
        thresholds=FROC_Z,
        voxel_volume=voxel_volume,
        min_volume=min_volume,
    )
    sizes = np.bincount(label_components(truth)[0][truth])
    limits = norm.isf(NOMINAL_RATES)
    return Curves(
        lesion=np.histogram(z[brain & truth], Z_EDGES)[0],
        healthy=np.histogram(z[brain & ~truth], Z_EDGES)[0],
        lesions=int((sizes * voxel_volume >= SMALLEST_LESION).sum()),
        found=found,
        false=false,
        observed=_shares_above(z[lesion_free], limits),
        sensitivity=_shares_above(z[brain & truth], limits),
    )


def froc_counts(
    score: np.ndarray,
    truth: np.ndarray,
    *,
    brain: np.ndarray,
    thresholds: np.ndarray,
    voxel_volume: float,
    min_volume: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Count found lesions and false components at each threshold (FROC, Bunch et al. 1977).

    A lesion of at least 8 mm3 is found if a tenth of it is marked; a component is false if less
    than a tenth of it is lesion.

    Parameters
    ----------
    score : (X, Y, Z) array
        Higher is more anomalous.
    truth, brain : (X, Y, Z) bool arrays
    thresholds : (T,) array
        What is above is marked.
    voxel_volume, min_volume : float
        In mm3; smaller components are left out.

    Returns
    -------
    (T,) int array, (T,) int array
        Found lesions, false components.
    """
    inside = score[brain]
    lesions, count = label_components(truth)
    lesion_sizes = np.bincount(lesions.ravel(), minlength=count + 1)
    countable = np.flatnonzero(lesion_sizes * voxel_volume >= SMALLEST_LESION)
    countable = countable[countable > 0]
    marked = np.zeros(score.shape, bool)
    found, false = [], []
    for threshold in thresholds:
        marked[brain] = inside > threshold
        components, count = label_components(marked)
        sizes = np.bincount(components.ravel(), minlength=count + 1)
        correct = np.bincount(components[truth], minlength=count + 1)
        kept = sizes * voxel_volume >= min_volume
        kept[0] = False
        overlaps = np.bincount(lesions[kept[components]], minlength=len(lesion_sizes))
        shares = overlaps[countable] / lesion_sizes[countable]
        found.append((shares >= LEAST_OVERLAP).sum())
        false.append((correct[kept] / sizes[kept] < LEAST_OVERLAP).sum())
    return np.array(found), np.array(false)


def precision_and_recall(lesion: np.ndarray, healthy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall of counted voxels, for thresholds from the highest down.

    Parameters
    ----------
    lesion, healthy : (K,) arrays
        Counts by rising score; at least one voxel of a lesion.
    """
    hits = np.cumsum(lesion[::-1], dtype=float)
    marked = hits + np.cumsum(healthy[::-1], dtype=float)
    some = marked > 0
    return hits[some] / marked[some], hits[some] / hits[-1]


def _shares_above(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    if not values.size:
        return np.full(len(limits), np.nan)
    return np.array([(values > limit).mean() for limit in limits])
