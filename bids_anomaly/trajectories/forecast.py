"""Learn from people with several sessions, and forecast anybody with at least one."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bids_anomaly.trajectories.courses import Course
from bids_anomaly.trajectories.person import Views, views_of
from bids_anomaly.trajectories.population import Outlook, Population
from bids_anomaly.trajectories.shrinkage import (
    Forecast,
    HeldOut,
    Known,
    Shrinkage,
    learn_shrinkage,
)

# Of people, so that each is forecast by a model that has not seen them.
FOLDS = 3


class Model(NamedTuple):
    """What was learned of one value."""

    population: Population
    shrinkage: Shrinkage


class Outcome(NamedTuple):
    """The forecast of one person, and the two views between which it lies."""

    forecast: Forecast
    views: Views


def learn(courses: Sequence[Course], *, seed: int = 0) -> Model:
    """Learn how a value changes, and how much of it is each person's own.

    The weight is learned on later sessions of people whom the population model has not seen.

    Parameters
    ----------
    courses : sequence of Course
        At least :data:`FOLDS` with two sessions or more.
    seed : int
        The same seed and courses give the same model.
    """
    repeated = [course for course in courses if len(course.years) > 1]
    held_out: list[HeldOut] = []
    for left_out, seen in folds_of(repeated, FOLDS, seed):
        people = [repeated[number] for number in left_out]
        outlooks = Population(seen, seed=seed).outlooks(people, [one.years for one in people])
        for number, course, outlook in zip(left_out, people, outlooks, strict=True):
            held_out += _held_out(number, course, outlook)
    return Model(Population(repeated, seed=seed), learn_shrinkage(held_out))


def forecast(model: Model, courses: Sequence[Course], years: Sequence[np.ndarray]) -> list[Outcome]:
    """Forecast people.

    Parameters
    ----------
    model : Model
    courses : sequence of Course
        What is known of each person.
    years : sequence of (T,) arrays
        For each person, when; since the first session.
    """
    times = [np.concatenate([c.years, when]) for c, when in zip(courses, years, strict=True)]
    outlooks = model.population.outlooks(courses, times)
    outcomes = []
    for course, when, outlook in zip(courses, times, outlooks, strict=True):
        views = views_of(outlook, when, course.values)
        outcomes.append(Outcome(model.shrinkage.combine(views, known_of(course)), views))
    return outcomes


def known_of(course: Course) -> Known:
    """Return how many sessions a person has, and how far they reach."""
    return Known(len(course.years), float(course.years[-1]))


def folds_of(
    people: Sequence[Course], folds: int, seed: int
) -> Iterator[tuple[list[int], list[Course]]]:
    """Yield who is left out in each fold, by number, and the others; everybody is out once."""
    order = np.random.default_rng(seed).permutation(len(people))
    for part in np.array_split(order, folds):
        left_out = sorted(map(int, part))
        yield left_out, [one for number, one in enumerate(people) if number not in left_out]


def _held_out(number: int, course: Course, outlook: Outlook) -> Iterator[HeldOut]:
    """Yield what was known after each session but the last, with all that came later."""
    for count in range(1, len(course.years)):
        known = course.first(count)
        views = views_of(outlook, course.years, known.values)
        yield HeldOut(number, known_of(known), views, course.values[count:])
