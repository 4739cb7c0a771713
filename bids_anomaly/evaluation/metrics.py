"""How well a map of anomalies agrees with the truth, and how quiet it is without any.

Every function takes the voxels of one person. What is not defined for a person (the Dice of two
empty masks, the precision of a map that finds nothing) is NaN, never 1: means over people leave
it out, and say how many people are left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import (
    binary_erosion,
    distance_transform_edt,
    generate_binary_structure,
    label,
)
from skimage.metrics import structural_similarity
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

# Lesions by volume in mm3; the first bin begins at one voxel of 2 mm.
SIZE_BINS = ((8.0, 30.0), (30.0, 100.0), (100.0, 1000.0), (1000.0, np.inf))
# Share of a lesion that has to be marked for it to count as found, and the share of a marked
# component that has to be lesion for it not to count as false: touching a lesion is not finding it.
LEAST_OVERLAP = 0.1


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the Dice overlap of two masks; NaN where both are empty.

    Parameters
    ----------
    found, truth : bool arrays of one shape

    Returns
    -------
    float
        From 0 to 1. A map that finds something in a person without lesions has 0; one that
        rightly finds nothing has no Dice, and false positives are counted by
        :func:`false_positives`.
    """
    size = np.count_nonzero(found) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(found & truth) / size if size else np.nan


class SurfaceDistances(NamedTuple):
    """How far the surfaces of two masks are apart, in mm."""

    hd95: float
    mean: float


def surface_distances(
    found: np.ndarray, truth: np.ndarray, spacing: Sequence[float]
) -> SurfaceDistances:
    """Measure how far the surfaces of two masks are apart.

    Surfaces are the voxels of a mask that touch, by a face, what is not in it. ``hd95`` is the
    larger of the 95th percentiles of the distances from either surface to the other (the Hausdorff
    distance without its outliers), ``mean`` the average symmetric surface distance: the mean over
    both surfaces (Taha and Hanbury 2015, doi 10.1186/s12880-015-0068-x).

    Parameters
    ----------
    found, truth : (X, Y, Z) bool arrays
    spacing : sequence of float
        Voxel size in mm.

    Returns
    -------
    SurfaceDistances
        NaN where either mask is empty.
    """
    if not found.any() or not truth.any():
        return SurfaceDistances(np.nan, np.nan)
    # Nothing beyond a voxel around both is nearer to either surface.
    window = tuple(
        slice(max(places.min() - 1, 0), places.max() + 2) for places in np.nonzero(found | truth)
    )
    surfaces = [mask[window] & ~binary_erosion(mask[window]) for mask in (found, truth)]
    ways = [
        distance_transform_edt(~other, sampling=spacing)[one]
        for one, other in (surfaces, surfaces[::-1])
    ]
    return SurfaceDistances(
        hd95=float(max(np.percentile(way, 95) for way in ways)),
        mean=float(np.concatenate(ways).mean()),
    )


def dice_best(score: np.ndarray, truth: np.ndarray) -> float:
    """Return the highest Dice that any threshold on the score reaches.

    The threshold is chosen on the truth itself, so this is a bound, and no accuracy that a user
    will see.

    Parameters
    ----------
    score : (V,) array
        Higher is more anomalous.
    truth : (V,) bool array

    Returns
    -------
    float
        NaN without a lesion.
    """
    if not truth.any():
        return np.nan
    precision, recall, _ = precision_recall_curve(truth, score)
    either = precision + recall
    return float((2 * precision * recall / np.where(either > 0, either, 1)).max())


def auprc(score: np.ndarray, truth: np.ndarray) -> float:
    """Return the area under the precision-recall curve, as average precision.

    Parameters
    ----------
    score : (V,) array
        All voxels of the brain; higher is more anomalous.
    truth : (V,) bool array

    Returns
    -------
    float
        By chance the prevalence of lesion voxels; NaN without a lesion.
    """
    return float(average_precision_score(truth, score)) if truth.any() else np.nan


def auroc(score: np.ndarray, truth: np.ndarray) -> float:
    """Return the area under the receiver operating characteristic.

    Parameters are those of :func:`auprc`; NaN where all voxels are lesion, or none is.
    """
    return float(roc_auc_score(truth, score)) if truth.any() and not truth.all() else np.nan


def auprc_of_counts(lesion: np.ndarray, healthy: np.ndarray) -> np.ndarray:
    """Return the average precision of counted voxels, such as those of many people together.

    Parameters
    ----------
    lesion, healthy : (..., K) arrays
        How many voxels have the K scores, rising.

    Returns
    -------
    (...) array
        NaN without a lesion.
    """
    hits = np.cumsum(lesion[..., ::-1], axis=-1, dtype=float)
    marked = hits + np.cumsum(healthy[..., ::-1], axis=-1, dtype=float)
    total = hits[..., -1]
    precision = np.divide(hits, marked, out=np.zeros_like(hits), where=marked > 0)
    area = (precision * lesion[..., ::-1]).sum(axis=-1)
    return np.divide(area, total, out=np.full_like(total, np.nan), where=total > 0)


@dataclass(frozen=True)
class LesionCounts:
    """Lesions and marked components of one range of volumes.

    Attributes
    ----------
    lesions, detected : int
        Lesions of the truth in this range, and how many of them were found.
    components, correct : int
        Marked components in this range, and how many of them are lesion.
    """

    lesions: int
    detected: int
    components: int
    correct: int

    @property
    def sensitivity(self) -> float:
        """Share of the lesions that were found; NaN without lesions."""
        return self.detected / self.lesions if self.lesions else np.nan

    @property
    def precision(self) -> float:
        """Share of the marked components that are lesion; NaN without components."""
        return self.correct / self.components if self.components else np.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of sensitivity and precision; NaN with neither lesion nor component."""
        if not self.lesions and not self.components:
            return np.nan
        if not self.detected or not self.correct:
            return 0.0
        return 2 / (1 / self.sensitivity + 1 / self.precision)


def lesionwise(
    found: np.ndarray,
    truth: np.ndarray,
    *,
    voxel_volume: float,
    bins: Sequence[tuple[float, float]] = SIZE_BINS,
) -> list[LesionCounts]:
    """Count found, missed and false lesions by size.

    A lesion is a 26-connected component. It is found if a tenth of it is marked; a marked
    component is correct if a tenth of it is lesion. Lesions are sorted by their own volume, marked
    components by theirs.

    Parameters
    ----------
    found, truth : (X, Y, Z) bool arrays
    voxel_volume : float
        In mm3.
    bins : sequence of (low, high)
        Volumes in mm3, low <= volume < high.

    Returns
    -------
    list of LesionCounts
        One a bin.
    """
    lesion_sizes, lesion_overlaps = _components(truth, found)
    component_sizes, component_overlaps = _components(found, truth)
    counts = []
    for low, high in bins:
        lesions = _between(lesion_sizes * voxel_volume, low, high)
        components = _between(component_sizes * voxel_volume, low, high)
        counts.append(
            LesionCounts(
                lesions=int(lesions.sum()),
                detected=int((lesion_overlaps[lesions] >= LEAST_OVERLAP).sum()),
                components=int(components.sum()),
                correct=int((component_overlaps[components] >= LEAST_OVERLAP).sum()),
            )
        )
    return counts


@dataclass(frozen=True)
class FalsePositives:
    """What was marked where there is no lesion.

    Attributes
    ----------
    voxel_rate : float
        Share of the healthy voxels that are marked (a rate, not the false discovery rate); NaN
        without healthy voxels.
    volume_ml : float
        Their volume.
    components : int
        Number of 26-connected components among them.
    """

    voxel_rate: float
    volume_ml: float
    components: int


def false_positives(
    found: np.ndarray, healthy: np.ndarray, *, voxel_volume: float
) -> FalsePositives:
    """Measure what is marked among healthy voxels.

    Parameters
    ----------
    found : (X, Y, Z) bool array
    healthy : (X, Y, Z) bool array
        The brain of a healthy person, or what of a patient's brain is far from any lesion.
    voxel_volume : float
        In mm3.
    """
    wrong = found & healthy
    size = np.count_nonzero(healthy)
    return FalsePositives(
        voxel_rate=np.count_nonzero(wrong) / size if size else np.nan,
        volume_ml=np.count_nonzero(wrong) * voxel_volume / 1000,
        components=label_components(wrong)[1],
    )


def l1(scan: np.ndarray, reconstruction: np.ndarray, brain: np.ndarray) -> float:
    """Return the mean absolute difference inside the brain, in the units of the scan.

    Parameters
    ----------
    scan, reconstruction : (X, Y, Z) arrays
        White matter = 1.
    brain : (X, Y, Z) bool array
        Not empty; the background, which is easy, does not count.
    """
    return float(np.abs(scan - reconstruction)[brain].mean())


def ssim_map(
    scan: np.ndarray, reconstruction: np.ndarray, brain: np.ndarray, *, data_range: float
) -> np.ndarray:
    """Return the structural similarity around each voxel (Wang et al. 2004), as an array.

    Parameters
    ----------
    scan, reconstruction : (X, Y, Z) or (X, Y) arrays
        At least 7 voxels along each axis.
    brain : bool array
        Outside of it both images are set to 0, so that what surrounds the brain says nothing.
    data_range : float
        Span of the intensities of a brain, which sets the constants of the measure.
    """
    _, similarity = structural_similarity(
        np.where(brain, scan, 0).astype(np.float32),
        np.where(brain, reconstruction, 0).astype(np.float32),
        data_range=data_range,
        full=True,
    )
    return similarity


def ssim(
    scan: np.ndarray, reconstruction: np.ndarray, brain: np.ndarray, *, data_range: float
) -> float:
    """Return the mean of :func:`ssim_map` inside the brain, which is not empty."""
    return float(ssim_map(scan, reconstruction, brain, data_range=data_range)[brain].mean())


def label_components(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the parts of a mask numbered from 1, which touch by faces, edges or corners."""
    return label(mask, generate_binary_structure(mask.ndim, mask.ndim))


def _components(mask: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels of each component of a mask, and the share that lies in the other."""
    labels, count = label_components(mask)
    sizes = np.bincount(labels[mask], minlength=count + 1)[1:]
    overlaps = np.bincount(labels[mask & other], minlength=count + 1)[1:]
    return sizes, overlaps / np.maximum(sizes, 1)


def _between(volumes: np.ndarray, low: float, high: float) -> np.ndarray:
    return (volumes >= low) & (volumes < high)
