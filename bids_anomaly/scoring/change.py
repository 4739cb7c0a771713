"""Say which lesions are new, gone, grown or shrunk between two scans of a person."""

from collections.abc import Sequence
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.scoring.lesions import label_lesions
from bids_anomaly.scoring.noise_floor import (
    NoiseFloor,
    matched,
    noise_floor,
    slope_of,
    unaffected,
)
from bids_anomaly.scoring.timepoints import Aligned

VERDICTS = ("new", "grown", "shrunk", "gone", "unchanged")
# A voxel has changed if its z-score differs by more than this many standard deviations of the
# noise floor, and by more than all but this share of unaffected voxels do. With normal noise both
# are the same; between real scans two voxels in a hundred are beyond three standard deviations.
LEAST_LIMIT, UNAFFECTED_RATE = 3.0, 0.0027
# It has not changed, however small the floor, by less than healthy people differ (z has a standard
# deviation of one): where scans are alike, a model that is unsure passes the floor by far.
LEAST_DIFFERENCE = 1.0
# A lesion has changed if, besides, this part of its mean volume in both sessions did.
LEAST_PART = 0.1
# Voxels of a scan that lie so near a lesion of the midpoint belong to it, mm.
REACH_MM = 3.0


class Changes(NamedTuple):
    """Where z-scores changed, and by how much they differ without change.

    Attributes
    ----------
    score : (X, Y, Z) array
        Difference of the matched z-scores, second minus first, over the noise floor.
    difference : (X, Y, Z) array
        The same in z.
    spread : (X, Y, Z) array
        The noise floor in z.
    floor : NoiseFloor
    limit : float
        Scores beyond it, with either sign, are a change.
    """

    score: np.ndarray
    difference: np.ndarray
    spread: np.ndarray
    floor: NoiseFloor
    limit: float


class LesionChange(NamedTuple):
    """A lesion of either scan, with what it overlaps of the other.

    Attributes
    ----------
    index : int
        Its label in the midpoint; 1 is the largest.
    verdict : str
        One of :data:`VERDICTS`.
    parts : pair of int
        How many lesions of each scan it consists of: 0 and 1 for a new one, 1 and 2 for one that
        fell apart.
    volumes : pair of float
        In each scan, in mm3, within the compared brain.
    gained, lost : float
        Volume in mm3 that changed by more than the noise floor.
    difference : float
        Mean difference of the matched z-scores over the lesion, second minus first.
    spread : float
        Mean noise floor of a voxel there, in z.
    """

    index: int  # type: ignore[assignment]  # a column of tables, not the method of tuples
    verdict: str
    parts: tuple[int, int]
    volumes: tuple[float, float]
    gained: float
    lost: float
    difference: float
    spread: float

    @property
    def change(self) -> float:
        """Second volume less first, in mm3."""
        return self.volumes[1] - self.volumes[0]

    @property
    def percent(self) -> float:
        """The same relative to the first volume; NaN where there was none."""
        return 100 * self.change / self.volumes[0] if self.volumes[0] else float("nan")


def measure_change(together: Aligned) -> Changes:
    """Compare the z-scores of two timepoints, voxel by voxel, with the noise floor.

    Raises
    ------
    ValueError
        If too little of the brain is without anomalies to know the floor.
    """
    spacing = float(together.grid.spacing[0])
    anomalous = (together.lesions[0] > 0) | (together.lesions[1] > 0)
    healthy = unaffected(together.compared, anomalous, spacing)
    first, second = matched(together.z, healthy, together.compared)
    difference = second - first
    slope = slope_of((first, second), together.compared, spacing)
    floor = noise_floor(difference, slope, healthy)
    spread = floor.at(slope) * together.compared
    score = np.where(together.compared, difference / np.maximum(spread, 1e-3), 0)
    tail = float(np.quantile(np.abs(score[healthy]), 1 - UNAFFECTED_RATE))
    limit = max(LEAST_LIMIT, tail)
    return Changes(score.astype(np.float32), difference, spread, floor, limit)


def label_together(together: Aligned) -> np.ndarray:
    """Give each connected component of the lesions of both timepoints a number, 1 for the largest.

    A lesion that falls apart or grows together with its neighbour is one component.
    """
    return label_lesions((together.lesions[0] > 0) | (together.lesions[1] > 0))


def judge_lesions(
    labels: np.ndarray,
    together: Aligned,
    changes: Changes,
    volumes: Sequence[np.ndarray],
    *,
    min_volume: float,
) -> list[LesionChange]:
    """Give every lesion its verdict.

    Parameters
    ----------
    labels : (X, Y, Z) int array
        From :func:`label_together`.
    together, changes
        Both timepoints, and where they differ.
    volumes : pair of arrays
        Of each lesion in each scan, from :func:`volumes_of`.
    min_volume : float
        Change of less, in mm3, is none.

    Returns
    -------
    list of LesionChange
        By index.
    """
    count = int(labels.max())
    if not count:
        return []
    indices = np.arange(1, count + 1)
    voxel = together.grid.voxel_volume
    there = [lesions > 0 for lesions in together.lesions]
    changed = (np.abs(changes.score) > changes.limit) & (
        np.abs(changes.difference) > LEAST_DIFFERENCE
    )
    more = there[1] & ~there[0] & changed & (changes.difference > 0)
    less = there[0] & ~there[1] & changed & (changes.difference < 0)
    gained, lost = (voxel * ndimage.sum_labels(where, labels, indices) for where in (more, less))
    difference = ndimage.mean(changes.difference, labels, indices)
    spread = ndimage.mean(changes.spread, labels, indices)
    parts = [_parts(labels, lesions, count) for lesions in together.lesions]
    judged = []
    for i in range(count):
        own = float(volumes[0][i]), float(volumes[1][i])
        numbers = int(parts[0][i]), int(parts[1][i])
        judged.append(
            LesionChange(
                index=i + 1,
                verdict=verdict(numbers, own, gained[i], lost[i], min_volume=min_volume),
                parts=numbers,
                volumes=own,
                gained=float(gained[i]),
                lost=float(lost[i]),
                difference=float(difference[i]),
                spread=float(spread[i]),
            )
        )
    return judged


def verdict(
    parts: tuple[int, int],
    volumes: tuple[float, float],
    gained: float,
    lost: float,
    *,
    min_volume: float,
) -> str:
    """Judge one lesion; to exchange the scans exchanges new and gone, and grown and shrunk.

    Parameters
    ----------
    parts : pair of int
        Lesions of each scan in it.
    volumes : pair of float
        In each scan, mm3.
    gained, lost : float
        Volumes in mm3 that changed by more than the noise floor.
    min_volume : float
        Change of less, in mm3, is none.
    """
    net = gained - lost
    if abs(net) < max(min_volume, LEAST_PART * sum(volumes) / 2):
        return "unchanged"
    if not parts[0]:
        return "new"
    if not parts[1]:
        return "gone"
    if net * (volumes[1] - volumes[0]) <= 0:
        return "unchanged"
    return "grown" if net > 0 else "shrunk"


def volumes_of(
    labels: np.ndarray,
    compared: np.ndarray,
    grid: Grid,
    lesions: nib.Nifti1Image,
    scan_from_midpoint: np.ndarray,
) -> np.ndarray:
    """Return the volume of each lesion of the midpoint in a scan, counted in voxels of the scan.

    Parameters
    ----------
    labels, compared : (X, Y, Z) arrays
        Lesions and compared brain in the midpoint. What lies outside the latter does not count.
    grid : Grid
        That of the midpoint.
    lesions : nibabel.Nifti1Image
        Labels of the lesions of the scan in its own grid.
    scan_from_midpoint : (4, 4) array
        From :func:`bids_anomaly.preprocessing.midpoint.register_midpoint`.

    Returns
    -------
    (L,) array
        In mm3, by index.
    """
    count = int(labels.max())
    voxels = np.argwhere(np.asanyarray(lesions.dataobj) > 0)
    if not count or not len(voxels):
        return np.zeros(count)
    places = nib.affines.apply_affine(np.linalg.inv(scan_from_midpoint) @ lesions.affine, voxels)
    at = np.rint(nib.affines.apply_affine(np.linalg.inv(grid.affine), places)).astype(int)
    inside = ((at >= 0) & (at < grid.shape)).all(axis=1)
    inside[inside] = compared[tuple(at[inside].T)]
    # The nearest lesion, since the centre of a large voxel may lie just outside.
    labelled = np.argwhere(labels)
    tree = KDTree(nib.affines.apply_affine(grid.affine, labelled))
    distance, nearest = tree.query(places[inside], distance_upper_bound=REACH_MM)
    found = labels[tuple(labelled[nearest[np.isfinite(distance)]].T)]
    return np.bincount(found, minlength=count + 1)[1:] * Grid.of(lesions).voxel_volume


def _parts(labels: np.ndarray, lesions: np.ndarray, count: int) -> np.ndarray:
    """Count the lesions of one scan in each lesion of the midpoint, (L,)."""
    inside = lesions > 0
    pairs = np.unique(np.stack([labels[inside], lesions[inside]]), axis=1)
    return np.bincount(pairs[0], minlength=count + 1)[1:]


def directions(judged: Sequence[LesionChange], labels: np.ndarray) -> np.ndarray:
    """Return 1 where a lesion is new or has grown, -1 where it is gone or has shrunk, 0 elsewhere.

    Parameters
    ----------
    judged : sequence of LesionChange
        By index.
    labels : (X, Y, Z) int array
        From :func:`label_together`.
    """
    signs = {"new": 1, "grown": 1, "gone": -1, "shrunk": -1, "unchanged": 0}
    return np.array([0, *(signs[lesion.verdict] for lesion in judged)], np.int8)[labels]
