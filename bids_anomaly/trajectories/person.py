"""Two views of one person's course: as the population's, and as the own sessions alone say.

Both have the shape of the population's course. The first shifts it to the level of the person's
sessions; the second also tilts it to the person's own rate. They agree at the middle of the
sessions, so that what is shrunk between them is how fast this person changes.
"""

from typing import NamedTuple

import numpy as np

from bids_anomaly.trajectories.population import Outlook


class Views(NamedTuple):
    """Expected true values at T times, and the variances of their errors.

    Attributes
    ----------
    population, population_variance : (T,) arrays
        The population's course at the level of the person.
    person, person_variance : (T,) arrays
        The person's own line about it; NaN and infinite after one session, which has no rate.
    covariance : (T,) array
        Of the errors of both, which rest on the same sessions.
    noise : float
        Variance of one measurement, to be added for what will be measured.
    """

    population: np.ndarray
    population_variance: np.ndarray
    person: np.ndarray
    person_variance: np.ndarray
    covariance: np.ndarray
    noise: float


def views_of(outlook: Outlook, years: np.ndarray, values: np.ndarray) -> Views:
    """Return both views of a person.

    Parameters
    ----------
    outlook : Outlook
        At the years of the S sessions that are known, followed by the T that are asked for.
    years : (S + T,) array
        Since the first session, which is at 0.
    values : (S,) array
        Of the known sessions.
    """
    known = len(values)
    departures, asked = values - outlook.mean[:known], outlook.mean[known:]
    to_level = _level_weights(outlook, known)
    covariance, noise = outlook.covariance, outlook.noise
    measured = covariance[:known, :known] + noise * np.eye(known)
    population_variance = (
        np.diag(covariance)[known:]
        + to_level @ measured @ to_level
        - 2 * to_level @ covariance[:known, known:]
    )
    if known == 1:
        nothing = np.full(asked.shape, np.nan)
        person, person_variance, shared = nothing, np.full(asked.shape, np.inf), nothing
    else:
        to_line = _line_weights(years[:known], years[known:])
        person = asked + to_line @ departures
        person_variance = noise * (to_line**2).sum(axis=1)
        shared = noise * to_line @ to_level
    return Views(
        asked + to_level @ departures,
        # Rounding must not make a variance negative.
        np.maximum(population_variance, 1e-12),
        person,
        person_variance,
        shared,
        noise,
    )


def _level_weights(outlook: Outlook, known: int) -> np.ndarray:
    """Return what the (S,) departures weigh in the best linear prediction of the person's level.

    The first session has no say: the population knows its value already.
    """
    weights = np.zeros(known)
    later = slice(1, known)
    measured = outlook.covariance[later, later] + outlook.noise * np.eye(known - 1)
    weights[later] = outlook.level * np.linalg.solve(measured, np.ones(known - 1))
    return weights


def _line_weights(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return what (S,) departures weigh in their least-squares line at (T,) years, as (T, S)."""
    centre = known.mean()
    before, since = known - centre, asked - centre
    return 1 / len(known) + np.outer(since, before) / (before @ before)
