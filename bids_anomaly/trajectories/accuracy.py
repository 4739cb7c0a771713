"""How far forecasts miss, beside what they have to beat, in people who were not learned from."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from bids_anomaly.evaluation.statistics import Interval, bootstrap, difference_of, mean_of
from bids_anomaly.trajectories.baselines import (
    Expected,
    MixedModel,
    carried_forward,
    learn_mixed_model,
)
from bids_anomaly.trajectories.courses import Course
from bids_anomaly.trajectories.forecast import Outcome, folds_of, forecast, learn
from bids_anomaly.trajectories.shrinkage import LEVELS

FOLDS = 5
SHRINKAGE, POPULATION, PERSON, LAST, MIXED = (
    "shrinkage",
    "population",
    "person",
    "last value",
    "mixed model",
)
METHODS = (SHRINKAGE, POPULATION, PERSON, LAST, MIXED)
# How many sessions were known, as the rows of a table; the last is open.
ALL, SEEN = "all", ("1", "2", "3 or more")


class Trial(NamedTuple):
    """One later session of a person, forecast from the first ones.

    Attributes
    ----------
    participant : str
    sessions : int
        How many were known.
    ahead : float
        Years from the last of them.
    errors : mapping of str to float
        Absolute error of each method that has a forecast.
    inside : mapping of (str, float) to bool
        Whether the value lies in the interval of a method, of one of
        :data:`bids_anomaly.trajectories.shrinkage.LEVELS`; absent where it has none.
    """

    participant: str
    sessions: int
    ahead: float
    errors: Mapping[str, float]
    inside: Mapping[tuple[str, float], bool]


class Figure(NamedTuple):
    """A method over people, who count alike, with 95 % bootstrap intervals over them.

    Attributes
    ----------
    method : str
    seen : str
        Sessions that were known.
    people, forecasts : int
    error : Interval
        Mean absolute error.
    coverage : mapping of float to Interval
        Share of values inside the interval, by its level; empty where it has none.
    gain : Interval or None
        Error of the shrinkage minus that of the method, in the same people.
    """

    method: str
    seen: str
    people: int
    forecasts: int
    error: Interval
    coverage: Mapping[float, Interval]
    gain: Interval | None


def cross_validate(
    courses: Sequence[Course], *, seed: int = 0, tell: Callable[[str], None] = lambda _: None
) -> list[Trial]:
    """Forecast every later session of everybody by models that have not seen the person.

    Parameters
    ----------
    courses : sequence of Course
        Those with one session teach the linear mixed model levels.
    seed : int
        Of the folds and of the models.
    tell : callable
        Is told of baselines that could not be fitted.
    """
    repeated = [course for course in courses if len(course.years) > 1]
    single = [course for course in courses if len(course.years) == 1]
    tests: list[Trial] = []
    for left_out, seen in folds_of(repeated, FOLDS, seed):
        tests += forecast_errors(
            [repeated[number] for number in left_out], [*seen, *single], seed=seed, tell=tell
        )
    return tests


def forecast_errors(
    people: Sequence[Course],
    seen: Sequence[Course],
    *,
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Trial]:
    """Forecast the later sessions of people after having learned from others.

    Parameters
    ----------
    people, seen : sequences of Course
        Whom to forecast, and whom to learn from.
    seed, tell
        As in :func:`cross_validate`.
    """
    model = learn(seen, seed=seed)
    mixed: MixedModel | None = None
    try:
        mixed = learn_mixed_model(seen)
    except np.linalg.LinAlgError as error:
        tell(f"The linear mixed model could not be fitted ({error}), and is not compared with.")
    parts = [(course, count) for course in people for count in range(1, len(course.years))]
    known = [course.first(count) for course, count in parts]
    years = [course.years[count:] for course, count in parts]
    tests = []
    for (course, count), now, when, outcome in zip(
        parts, known, years, forecast(model, known, years), strict=True
    ):
        expected = _expected(outcome, model.shrinkage.widths)
        expected[LAST] = _with_normal(carried_forward(now, when))
        if mixed:
            expected[MIXED] = _with_normal(mixed.expect(now, when))
        tests += _tests(course, count, expected)
    return tests


def figures(tests: Sequence[Trial]) -> list[Figure]:
    """Sum up by method and number of known sessions.

    Parameters
    ----------
    tests : sequence of Trial
        Of :func:`cross_validate`; people are told apart by their names.
    """
    found = []
    for seen in (ALL, *SEEN):
        chosen = [one for one in tests if seen in (ALL, _seen(one.sessions))]
        found += [
            _figure(method, seen, [one for one in chosen if method in one.errors])
            for method in METHODS
            if any(method in one.errors for one in chosen)
        ]
    return found


def _expected(
    outcome: Outcome, widths: Mapping[float, float]
) -> dict[str, tuple[np.ndarray, dict[float, np.ndarray]]]:
    """Return the values that the model's three views expect, and half widths of intervals."""
    own, views = outcome.forecast, outcome.views
    half = {level: widths[level] * own.spread for level in LEVELS}
    expected = {SHRINKAGE: (own.value, half)}
    for name, value, variance in (
        (POPULATION, views.population, views.population_variance),
        (PERSON, views.person, views.person_variance),
    ):
        if np.isfinite(value).all():
            expected[name] = _with_normal(Expected(value, np.sqrt(variance + views.noise)))
    return expected


def _with_normal(expected: Expected) -> tuple[np.ndarray, dict[float, np.ndarray]]:
    if np.isnan(expected.spread).any():
        return expected.value, {}
    halves = {level: norm.ppf((1 + level) / 2) * expected.spread for level in LEVELS}
    return expected.value, halves


def _tests(
    course: Course,
    count: int,
    expected: Mapping[str, tuple[np.ndarray, Mapping[float, np.ndarray]]],
) -> Iterable[Trial]:
    for place, value in enumerate(course.values[count:]):
        errors = {name: abs(value - one[place]) for name, (one, _) in expected.items()}
        yield Trial(
            course.participant,
            count,
            float(course.years[count + place] - course.years[count - 1]),
            errors,
            {
                (name, level): bool(errors[name] <= half[place])
                for name, (_, halves) in expected.items()
                for level, half in halves.items()
            },
        )


def _seen(sessions: int) -> str:
    return SEEN[min(sessions, len(SEEN)) - 1]


def _figure(method: str, seen: str, tests: Sequence[Trial]) -> Figure:
    errors = _by_person(tests, lambda one: one.errors[method])
    coverage = {
        level: _mean(_by_person(tests, lambda one, level=level: one.inside[method, level]))
        for level in LEVELS
        if (method, level) in tests[0].inside
    }
    gain = None
    if method != SHRINKAGE:
        ours = _by_person(tests, lambda one: one.errors[SHRINKAGE])
        gain = bootstrap(difference_of(mean_of(ours), mean_of(errors)), len(errors))
    return Figure(method, seen, len(errors), len(tests), _mean(errors), coverage, gain)


def _by_person(tests: Sequence[Trial], of: Callable[[Trial], float]) -> list[float]:
    """Return the mean over the sessions of each person."""
    values: dict[str, list[float]] = {}
    for one in tests:
        values.setdefault(one.participant, []).append(float(of(one)))
    return [float(np.mean(theirs)) for theirs in values.values()]


def _mean(values: Sequence[float]) -> Interval:
    return bootstrap(mean_of(values), len(values))
