"""Simulated people are irregular, drop out, and have a truth that is known."""

import importlib
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def module():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        return importlib.import_module("shared.simulated_courses")


@pytest.mark.parametrize("kind", ["straight", "accelerating", "growing"])
def test_measurements_are_the_truth_with_noise(module, kind):
    people = module.simulate(kind, 200, noise=0.1, seed=0)
    errors = [person.course.values - person.truth(person.course.years) for person in people]
    assert np.concatenate(errors).std() == pytest.approx(0.1, rel=0.1)
    again = module.simulate(kind, 200, noise=0.1, seed=0)
    np.testing.assert_array_equal(people[7].course.values, again[7].course.values)


def test_visits_are_irregular_and_people_drop_out(module):
    people = module.simulate("straight", 300, noise=0.1, seed=1)
    assert len({len(person.course.years) for person in people}) > 4
    steps = np.concatenate([np.diff(person.course.years) for person in people])
    assert steps.min() < 0.8
    assert steps.max() > 1.8


def test_the_second_site_measures_higher(module):
    first, second = (
        np.mean([p.course.values[0] for p in module.simulate("straight", 2000, noise=0.1, seed=2)
                 if p.site == site])
        for site in (0, 1)
    )  # fmt: skip
    assert second - first == pytest.approx(module.SITE_SHIFT, abs=0.1)
