"""What a forecast has to beat: the last value, and a linear mixed model."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from statsmodels.regression.mixed_linear_model import MixedLM

from bids_anomaly.trajectories.courses import Course


class Expected(NamedTuple):
    """Values to expect at T times, and the standard deviation of what will be measured."""

    value: np.ndarray
    spread: np.ndarray


def carried_forward(course: Course, years: np.ndarray) -> Expected:
    """Expect the last value; how sure that is, nobody says."""
    return Expected(np.full(years.shape, course.values[-1]), np.full(years.shape, np.nan))


class MixedModel(NamedTuple):
    """A linear mixed model with an own level and rate of each person (Laird and Ware 1982).

    Attributes
    ----------
    fixed : (6,) array
        Coefficients of :func:`_design`.
    own : (2, 2) array
        Covariance of own levels and rates.
    noise : float
        Variance of a measurement.
    spread : float
        Of the values; the others count in it.
    """

    fixed: np.ndarray
    own: np.ndarray
    noise: float
    spread: float

    def expect(self, course: Course, years: np.ndarray) -> Expected:
        """Forecast a person whom it need not have learned from, given the own sessions."""
        random, asked = _random(course.years), _random(years)
        variance = random @ self.own @ random.T + self.noise * np.eye(len(course.years))
        gain = np.linalg.solve(variance, random @ self.own @ asked.T)
        departures = course.values / self.spread - _design(course, course.years) @ self.fixed
        value = _design(course, years) @ self.fixed + gain.T @ departures
        remaining = (asked @ self.own * asked).sum(axis=1) - (
            gain * (random @ self.own @ asked.T)
        ).sum(axis=0)
        spread = np.sqrt(np.maximum(remaining, 0) + self.noise)
        return Expected(value * self.spread, spread * self.spread)


def learn_mixed_model(courses: Sequence[Course]) -> MixedModel:
    """Fit the mixed model by restricted maximum likelihood.

    Parameters
    ----------
    courses : sequence of Course
        Those with one session teach levels.
    """
    values = np.concatenate([course.values for course in courses])
    spread = float(values.std()) or 1.0
    design = np.concatenate([_design(course, course.years) for course in courses])
    told_apart = _independent(design)
    groups = np.repeat(np.arange(len(courses)), [len(course.years) for course in courses])
    random = np.concatenate([_random(course.years) for course in courses])
    with warnings.catch_warnings():
        # A variance at its limit of 0 is a fine answer to a forecast.
        warnings.simplefilter("ignore")
        model = MixedLM(values / spread, design[:, told_apart], groups=groups, exog_re=random)
        fitted = model.fit(reml=True, method=["lbfgs", "powell"], maxiter=200)
    fixed = np.zeros(design.shape[1])
    fixed[told_apart] = np.asarray(fitted.fe_params)
    return MixedModel(fixed, np.asarray(fitted.cov_re), float(fitted.scale), spread)


def _design(course: Course, years: np.ndarray) -> np.ndarray:
    """Return a row a time: constant, years, age, sex, and whether rates depend on either."""
    decades = np.full(years.shape, (course.age - 60) / 10)
    sex = np.full(years.shape, course.sex)
    return np.column_stack(
        [np.ones(years.shape), years, decades, sex, years * decades, years * sex]
    )


def _independent(design: np.ndarray) -> list[int]:
    """Return the columns that say more than those before; the sex of men alone says nothing."""
    kept: list[int] = []
    for column in range(design.shape[1]):
        if np.linalg.matrix_rank(design[:, [*kept, column]]) > len(kept):
            kept.append(column)
    return kept


def _random(years: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(years.shape), years])
