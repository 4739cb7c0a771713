"""How unusual a score is among people without disease."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import norm

from bids_anomaly.exceptions import BadScanError

# Exceedance rates at which the healthy distribution is stored. Beyond them it is continued as a
# straight line in z.
RATES = np.concatenate(
    [1 - np.geomspace(1e-3, 0.5, 64, endpoint=False), np.geomspace(0.5, 2e-5, 192)]
)
# Share of people whose rates are left out as those of incidental findings; of this many people at
# least one.
INCIDENTAL_SHARE, MANY = 0.05, 10
# The upper tail is continued with its mean slope between these rates.
TAIL_RATES = (2e-3, 5e-5)


@dataclass(frozen=True)
class Calibration:
    """Scores of the brain voxels of healthy people.

    Attributes
    ----------
    score : (K,) array
        Thresholds, rising.
    exceedance : (K,) array
        Share of a person's brain voxels above each threshold, averaged over people but for the
        highest, see :func:`calibrate`; falling, between 0 and 1.
    people : int
        How many people it is from.
    """

    score: np.ndarray
    exceedance: np.ndarray
    people: int

    def zscore(self, score: np.ndarray) -> np.ndarray:
        """Return how unusual a score is, as standard deviations of a normal distribution.

        A z of 2.88 is exceeded by 0.2 % of the voxels of healthy people (a trimmed mean, see
        :func:`calibrate`), whatever the shape of the distribution of scores. Scores keep their
        order, also beyond all healthy ones.
        """
        z = norm.isf(self.exceedance)
        lower = (z[1] - z[0]) / (self.score[1] - self.score[0])
        tail_z = norm.isf(TAIL_RATES)
        tail_score = np.interp(tail_z, z, self.score)
        upper = (tail_z[1] - tail_z[0]) / max(tail_score[1] - tail_score[0], 1e-9)
        inside = np.interp(score, self.score, z)
        below = np.minimum(score - self.score[0], 0) * lower
        above = np.maximum(score - self.score[-1], 0) * upper
        return (inside + below + above).astype(np.float32)


def healthy_exceedance(z: np.ndarray) -> np.ndarray:
    """Return how often a voxel of a healthy person has a higher z than this."""
    return norm.sf(z)


def healthy_z(exceedance: float) -> float:
    """Return the z that a voxel of a healthy person exceeds as often as that."""
    return float(norm.isf(exceedance))


def calibrate(scores: Sequence[np.ndarray], scanners: Sequence[str] | None = None) -> Calibration:
    """Learn the distribution of scores of healthy people.

    Rates are averaged over people, since false positives sit in few scans and pooling voxels would
    let large brains speak for all. At each threshold the highest rate in twenty is left out, and of
    10 people or more at least one: controls can have incidental findings, and one person with very
    large ventricles would set the threshold for everybody. The mean over all of them is therefore
    above what is nominal.

    Parameters
    ----------
    scores : sequence of (V,) arrays
        The scores of all brain voxels of each person; at least one person.
    scanners : sequence of str, optional
        Where each person was scanned. Every scanner counts as much as every other, so that the
        threshold of the one with most people does not become that of all.

    Raises
    ------
    BadScanError
        If their scores do not vary.
    """
    ranked = [np.sort(person) for person in scores]
    # Candidate thresholds from the pooled scores; the mean rate at each is exact.
    thresholds = np.unique(np.quantile(np.concatenate(ranked), 1 - RATES).astype(np.float32))
    rates = np.array(
        [1 - np.searchsorted(person, thresholds, side="right") / len(person) for person in ranked]
    )
    place = np.array(["one"] * len(ranked) if scanners is None else list(scanners))
    exceedance = np.mean([_typical(rates[place == each]) for each in np.unique(place)], axis=0)
    # Rates are estimated from finite numbers of voxels: 0 and 1 would be infinite as z.
    known = (exceedance > 0) & (exceedance < 1)
    thresholds, first = thresholds[known], np.unique(-exceedance[known], return_index=True)[1]
    if len(first) < 2:
        raise BadScanError(
            "The scores of the people who calibrate do not vary. Look at their scans and masks."
        )
    return Calibration(thresholds[first], exceedance[known][first], len(scores))


def _typical(rates: np.ndarray) -> np.ndarray:
    """Return the mean rate at each threshold, (K,) array, without the highest of (P, K) rates."""
    people = len(rates)
    left_out = max(int(INCIDENTAL_SHARE * people), people >= MANY)
    return np.sort(rates, axis=0)[: people - left_out].mean(axis=0)


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration as a NumPy archive."""
    np.savez_compressed(
        path,
        score=calibration.score.astype(np.float32),
        exceedance=calibration.exceedance.astype(np.float64),
        people=calibration.people,
    )


def load_calibration(path: Path) -> Calibration:
    """Read what :func:`save_calibration` wrote.

    Raises
    ------
    OSError, ValueError, KeyError, TypeError, EOFError, zlib.error, zipfile.BadZipFile
        If it is not that.
    """
    with np.load(path, allow_pickle=False) as archive:
        calibration = Calibration(
            score=archive["score"].astype(np.float64),
            exceedance=archive["exceedance"].astype(np.float64),
            people=int(archive["people"]),
        )
    score, exceedance = calibration.score, calibration.exceedance
    if score.ndim != 1 or score.shape != exceedance.shape or len(score) < 2:
        raise ValueError(f"scores of shape {score.shape}, rates of shape {exceedance.shape}")
    # Written so that NaN is wrong too.
    if not ((np.diff(score) > 0).all() and (np.diff(exceedance) < 0).all()):
        raise ValueError("scores that do not rise, or rates that do not fall")
    if not (exceedance[-1] > 0 and exceedance[0] < 1 and np.isfinite(score).all()):
        raise ValueError("scores or rates out of range")
    return calibration
