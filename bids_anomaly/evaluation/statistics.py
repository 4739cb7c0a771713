"""From figures of single people to intervals and comparisons: people are what is drawn anew."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

DRAWS = 2000
LEVEL = 0.95
SEED = 0
# The percentiles of draws of fewer people are little but their range.
FEWEST = 5

# Takes (D, N) weights, how often each of N people was drawn in each of D draws, and gives (D,)
# values.
Statistic = Callable[[np.ndarray], np.ndarray]


class Interval(NamedTuple):
    """An estimate and its bootstrap interval."""

    estimate: float
    low: float
    high: float


def mean_of(values: Sequence[float] | np.ndarray) -> Statistic:
    """Return the statistic that averages over people; those with NaN have no say.

    Parameters
    ----------
    values : (N,) array
        One a person.
    """
    values = np.asarray(values, dtype=float)
    known = np.isfinite(values)
    filled = np.where(known, values, 0)

    def mean(weights: np.ndarray) -> np.ndarray:
        people = weights @ known
        return np.divide(
            weights @ filled, people, out=np.full(len(weights), np.nan), where=people > 0
        )

    return mean


def difference_of(one: Statistic, other: Statistic) -> Statistic:
    """Return the statistic `one` minus `other` on the same draws of people, hence paired."""
    return lambda weights: one(weights) - other(weights)


def agreement_of(ratings: np.ndarray) -> Statistic:
    """Return the statistic that says how well raters agree: the intraclass correlation ICC(A,1).

    Two-way, absolute agreement, a single measurement (McGraw and Wong 1996; ICC(2,1) of Shrout and
    Fleiss 1979): 1 where all give one value; a rater who always gives more lowers it.

    Parameters
    ----------
    ratings : (N, K) array
        What each of K >= 2 raters says of each person, without NaN.

    Returns
    -------
    callable
        NaN where fewer than two people are drawn, or nothing varies.
    """
    ratings = np.asarray(ratings, dtype=float)
    # Of the order of the differences, so that squares keep their digits.
    ratings = ratings - ratings.mean()
    raters = ratings.shape[1]

    def agreement(weights: np.ndarray) -> np.ndarray:
        people = weights.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            of_raters = weights @ ratings / people[:, None]
            middle = of_raters.mean(axis=1)
            between_people = raters * (weights @ ratings.mean(axis=1) ** 2 - people * middle**2)
            between_raters = people * ((of_raters - middle[:, None]) ** 2).sum(axis=1)
            total = weights @ (ratings**2).sum(axis=1) - raters * people * middle**2
            error = (total - between_people - between_raters) / ((people - 1) * (raters - 1))
            between_people = between_people / (people - 1)
            between_raters = between_raters / (raters - 1)
            return (between_people - error) / (
                between_people + (raters - 1) * error + raters / people * (between_raters - error)
            )

    return agreement


def bootstrap(
    statistic: Statistic,
    people: int,
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = SEED,
) -> Interval:
    """Estimate a statistic with its percentile bootstrap interval (Efron 1979).

    Whole people are drawn with replacement, since voxels of one person are not independent.

    Parameters
    ----------
    statistic : callable
        From :func:`mean_of`, :func:`difference_of` or the like.
    people : int
        How many there are, at least 1.
    draws : int
        Number of bootstrap samples.
    level : float
        Coverage of the interval.
    seed : int
        The same seed draws the same people.

    Returns
    -------
    Interval
        NaN where the statistic is defined for nobody; with fewer than :data:`FEWEST` people there
        is no interval (low and high are NaN).
    """
    estimate = float(statistic(np.ones((1, people)))[0])
    if people < FEWEST:
        return Interval(estimate, np.nan, np.nan)
    drawn = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=draws)
    values = statistic(drawn.astype(float))
    values = values[np.isfinite(values)]
    if not values.size:
        return Interval(estimate, np.nan, np.nan)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high))


def paired_wilcoxon(one: np.ndarray, other: np.ndarray) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test.

    Parameters
    ----------
    one, other : (N,) arrays
        Figures of the same people; those with a NaN in either are left out.

    Returns
    -------
    float
        1 where nobody differs; NaN without people.
    """
    change = np.asarray(one, dtype=float) - np.asarray(other, dtype=float)
    change = change[np.isfinite(change)]
    if not change.size:
        return np.nan
    return float(wilcoxon(change).pvalue) if change.any() else 1.0


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjust p-values for the number of comparisons (Holm 1979); NaN stay NaN and do not count.

    Parameters
    ----------
    p_values : (K,) array

    Returns
    -------
    (K,) array
        In the same order.
    """
    p_values = np.asarray(p_values, dtype=float)
    adjusted = np.full(p_values.shape, np.nan)
    known = np.isfinite(p_values)
    if known.any():
        adjusted[known] = multipletests(p_values[known], method="holm")[1]
    return adjusted
