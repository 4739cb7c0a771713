"""Courses of people who do not exist, with known truth: rates, noise, visits, dropout, sites."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from bids_anomaly.trajectories.courses import Course

# Visits are planned once a year, come some months early or late, and are missed at times.
PLANNED_VISITS, LATE_YEARS, MISSED = 7, 0.25, 0.15
# Of staying away for good at a visit; faster loss doubles it.
DROPOUT = 0.1
SITE_SHIFT = 0.3


class Person(NamedTuple):
    """What was measured of somebody, and what is true.

    Attributes
    ----------
    course : Course
        What was measured.
    truth : callable
        From (T,) years since the first session to true values.
    site : int
        0 or 1; the second site measures everybody higher.
    """

    course: Course
    truth: Callable[[np.ndarray], np.ndarray]
    site: int


def straight(random: np.random.Generator, age: float, sex: float) -> Callable:
    """Return a course as a linear mixed model assumes it: normal levels and rates."""
    level = random.normal(7 - 0.03 * (age - 65) + 0.2 * sex, 0.5)
    rate = random.normal(-0.12 - 0.004 * (age - 65), 0.08)
    return lambda years: level + rate * years


def accelerating(random: np.random.Generator, age: float, sex: float) -> Callable:
    """Return a course that is slow in most, and in a third turns downwards at some age."""
    level = random.normal(7 + 0.2 * sex, 0.5)
    rate = random.normal(-0.04, 0.015)
    falls = random.random() < 1 / 3
    onset = random.normal(72, 5)

    def truth(years: np.ndarray) -> np.ndarray:
        now = age + years
        loss = 2.5 / (1 + np.exp(-(now - onset - 4) / 2)) if falls else 0.0
        return level + rate * (now - 65) - loss

    return truth


def growing(random: np.random.Generator, age: float, sex: float) -> Callable:
    """Return log(1 + ml) of a volume that grows by a share of itself each year, as lesions may."""
    volume = np.exp(random.normal(0.8 + 0.03 * (age - 65), 0.8))
    share = np.exp(random.normal(-2.2, 0.6))
    return lambda years: np.log1p(volume * np.exp(share * years))


COURSES: Mapping[str, Callable] = {
    "straight": straight,
    "accelerating": accelerating,
    "growing": growing,
}


def simulate(kind: str, people: int, *, noise: float, seed: int) -> list[Person]:
    """Simulate people.

    Parameters
    ----------
    kind : str
        A key of :data:`COURSES`.
    people : int
        How many, half of them of each site.
    noise : float
        Standard deviation of one measurement; values are about 7, changes about 0.1 a year.
    seed : int
    """
    random = np.random.default_rng(seed)
    return [_person(kind, number, noise, random) for number in range(people)]


def _person(kind: str, number: int, noise: float, random: np.random.Generator) -> Person:
    age, sex, site = random.uniform(55, 82), float(random.choice([-1, 1])), number % 2
    course = COURSES[kind](random, age, sex)
    start = course(np.zeros(1))

    def truth(years: np.ndarray) -> np.ndarray:
        return course(np.asarray(years, dtype=float)) + SITE_SHIFT * site

    visits = [0.0]
    for planned in range(1, PLANNED_VISITS):
        year = planned + random.uniform(-LATE_YEARS, LATE_YEARS)
        loses = float((start - course(np.array([year])))[0]) / year > 0.15
        if random.random() < DROPOUT * (1 + loses):
            break
        if random.random() > MISSED:
            visits.append(year)
    years = np.array(visits)
    return Person(
        Course(
            f"sub-{number:03}",
            tuple(f"ses-{one + 1}" for one in range(len(years))),
            years,
            truth(years) + random.normal(0, noise, years.size),
            age,
            sex,
        ),
        truth,
        site,
    )
