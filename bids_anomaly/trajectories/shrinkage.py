"""How much of a forecast is the population's, and how wide its interval has to be.

Adaptive shrinkage estimation after Tassopoulou et al. 2025 (arXiv 2504.08840), with a logistic
model in place of their boosted trees, which tens of people cannot teach.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from bids_anomaly.trajectories.person import Views

# Of intervals, as shares of values that should lie within.
LEVELS = (0.5, 0.8, 0.9, 0.95)
# Without evidence the weight is the one with the least variance: the odds are the ratio of what
# both views do not know, and nothing else counts. That many people weigh as much as this.
START = np.array([0.0, 1.0, 0.0, 0.0])
PEOPLE_OF_START = 5.0
# Misses below this share of what is expected are as good as none; keeps their size smooth.
NEAR = 0.1
# What weighs as much as the ratio of variances: a session more than two, a year of reach.
USUAL_SESSIONS, USUAL_REACH = 2, 1.0


class Known(NamedTuple):
    """What a forecast was made from: how many sessions, and years from the first to the last."""

    sessions: int
    reach: float


class HeldOut(NamedTuple):
    """What is known of one person at some time, and the later values that were held out.

    Attributes
    ----------
    person : int
        Number of the person; each person counts once, however many sessions there are.
    known : Known
    views : Views
        At the T held-out times.
    values : (T,) array
    """

    person: int
    known: Known
    views: Views
    values: np.ndarray


class Forecast(NamedTuple):
    """Values to expect at T times, and how sure that is.

    Attributes
    ----------
    value : (T,) array
    spread : (T,) array
        Standard deviation of what will be measured, before the intervals are calibrated.
    weight : (T,) array
        Of the population, 0 to 1; the rest is the person's own.
    """

    value: np.ndarray
    spread: np.ndarray
    weight: np.ndarray


class Shrinkage(NamedTuple):
    """Learned from held-out sessions.

    Attributes
    ----------
    coefficients : (4,) array
        Of the logit of the population's weight: constant, log of the ratio of what is not known of
        the person's line to what is not known of the population's, log sessions, log reach.
    widths : mapping of float to float
        For each of :data:`LEVELS`, half the width of the interval in spreads.
    """

    coefficients: np.ndarray
    widths: dict[float, float]

    def combine(self, views: Views, known: Known) -> Forecast:
        """Return the forecast between both views of a person."""
        return _combine(self.coefficients, views, known)

    def interval(self, forecast: Forecast, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the interval that holds a share of what will be measured."""
        half = self.widths[level] * forecast.spread
        return forecast.value - half, forecast.value + half


def learn_shrinkage(held_out: Sequence[HeldOut]) -> Shrinkage:
    """Learn weight and widths from sessions that the population model has not seen.

    Parameters
    ----------
    held_out : sequence of HeldOut
        Of people whom the model that gave the views did not learn from.
    """
    counts = np.bincount([one.person for one in held_out], [one.values.size for one in held_out])
    shares = np.concatenate([np.full(one.values.size, 1 / counts[one.person]) for one in held_out])
    # After one session there is nothing to weigh.
    weighed = [one for one in held_out if one.known.sessions > 1]

    def loss(coefficients: np.ndarray) -> float:
        total = PEOPLE_OF_START * float(((coefficients - START) ** 2).sum())
        for one in weighed:
            forecast = _combine(coefficients, one.views, one.known)
            expected = one.views.population_variance + one.views.noise
            # Far ahead all miss by more, which must not drown what is near.
            misses = np.sqrt((one.values - forecast.value) ** 2 / expected + NEAR**2)
            total += float(misses.sum()) / counts[one.person]
        return total

    coefficients = minimize(loss, START, method="BFGS").x if weighed else START
    misses = np.concatenate([_miss(coefficients, one) for one in held_out])
    return Shrinkage(
        coefficients, {level: _weighted_quantile(misses, shares, level) for level in LEVELS}
    )


def _combine(coefficients: np.ndarray, views: Views, known: Known) -> Forecast:
    if known.sessions == 1:
        spread = np.sqrt(views.population_variance + views.noise)
        return Forecast(views.population, spread, np.ones(views.population.shape))
    ratio = np.log(_apart(views.person_variance, views)) - np.log(
        _apart(views.population_variance, views)
    )
    weight = expit(
        coefficients[0]
        + coefficients[1] * ratio
        + coefficients[2] * np.log(known.sessions / USUAL_SESSIONS)
        + coefficients[3] * np.log(known.reach / USUAL_REACH)
    )
    value = weight * views.population + (1 - weight) * views.person
    # The paper takes both errors for independent; here it is known how much they share.
    variance = (
        weight**2 * views.population_variance
        + (1 - weight) ** 2 * views.person_variance
        + 2 * weight * (1 - weight) * views.covariance
    )
    return Forecast(value, np.sqrt(variance + views.noise), weight)


def _apart(variance: np.ndarray, views: Views) -> np.ndarray:
    """Return the part of a view's variance that the other does not share."""
    return np.maximum(variance - views.covariance, 1e-3 * variance)


def _miss(coefficients: np.ndarray, one: HeldOut) -> np.ndarray:
    """Return how many spreads held-out values lie from their forecasts."""
    forecast = _combine(coefficients, one.views, one.known)
    return np.abs(one.values - forecast.value) / forecast.spread


def _weighted_quantile(values: np.ndarray, weights: np.ndarray, level: float) -> float:
    """Return the value that a share of the weight does not exceed."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(np.searchsorted(reached, level), values.size - 1)])
