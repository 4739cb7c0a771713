"""Forecasts lie where the truth of simulated people says, between the population and the person."""

import numpy as np
import pytest

pytest.importorskip("gpytorch")

from bids_anomaly.trajectories.accuracy import (
    ALL,
    FOLDS,
    LAST,
    MIXED,
    POPULATION,
    SHRINKAGE,
    cross_validate,
    figures,
    forecast_errors,
)
from bids_anomaly.trajectories.baselines import learn_mixed_model
from bids_anomaly.trajectories.courses import Course
from bids_anomaly.trajectories.forecast import folds_of, forecast, learn


def person(years, values, age=70.0) -> Course:
    names = tuple(f"ses-{number}" for number in range(len(years)))
    return Course("sub-x", names, np.array(years, float), np.array(values, float), age, 1.0)


def ahead(model, course: Course, years: float = 2.0):
    (outcome,) = forecast(model, [course], [np.array([course.years[-1] + years])])
    return outcome


def test_one_visit_goes_with_the_population(model):
    outcome = ahead(model, person([0], [6.9]))
    np.testing.assert_allclose(outcome.forecast.weight, 1)
    np.testing.assert_allclose(outcome.forecast.value, outcome.views.population)
    # At 70, people of this simulation lose 0.14 a year.
    assert outcome.forecast.value[0] == pytest.approx(6.9 - 2 * 0.14, abs=0.12)


def test_two_visits_close_in_time_say_nothing_of_the_rate(model):
    outcome = ahead(model, person([0, 0.1], [6.9, 6.8]))
    assert outcome.forecast.weight[0] > 0.9
    assert outcome.views.person[0] < 5.5
    assert outcome.forecast.value[0] > 6.3


def test_many_visits_go_with_the_person(model):
    years = np.arange(9.0)
    outcome = ahead(model, person(years, 6.9 - 0.3 * years))
    assert outcome.forecast.weight[0] < 0.15
    assert outcome.forecast.value[0] == pytest.approx(6.9 - 0.3 * 10, abs=0.15)
    assert outcome.views.population[0] > outcome.forecast.value[0]


def test_more_visits_make_surer(model):
    years = np.arange(6.0)
    spreads = [
        ahead(model, person(years[:count], 6.9 - 0.14 * years[:count])).forecast.spread[0]
        for count in (1, 3, 6)
    ]
    assert spreads[0] > spreads[1] > spreads[2]


def test_noise_of_a_measurement_is_that_of_the_simulation(model):
    outcome = ahead(model, person([0], [7.0]))
    assert np.sqrt(outcome.views.noise) == pytest.approx(0.05, rel=0.5)


def test_wider_intervals_hold_more(model):
    widths = list(model.shrinkage.widths.values())
    assert widths == sorted(widths)
    outcome = ahead(model, person([0, 1], [7.0, 6.8]))
    low, high = model.shrinkage.interval(outcome.forecast, 0.95)
    assert low < outcome.forecast.value < high


def test_the_same_seed_gives_the_same_forecast(model, straight):
    again = learn([one.course for one in straight[0]])
    course = person([0, 1, 2], [7.0, 6.8, 6.7])
    np.testing.assert_array_equal(
        ahead(again, course).forecast.value, ahead(model, course).forecast.value
    )


def test_new_people_are_forecast_better_than_by_population_or_last_value(straight):
    known, others = ([one.course for one in part] for part in straight)
    found = {one.method: one for one in figures(forecast_errors(others, known)) if one.seen == ALL}
    assert found[POPULATION].gain.high < 0
    assert found[LAST].gain.high < 0
    # The simulation is what the mixed model assumes.
    assert found[SHRINKAGE].error.estimate < 1.2 * found[MIXED].error.estimate
    assert 0.85 < found[SHRINKAGE].coverage[0.95].estimate <= 1
    assert found[LAST].coverage == {}


def test_people_with_one_session_teach_the_mixed_model_levels(straight):
    known = [one.course for one in straight[0] if len(one.course.years) > 1][:10]
    once = [one.course.first(1) for one in straight[1]]
    left_out, seen = next(folds_of(known, FOLDS, 0))
    person = known[left_out[0]]
    expected = learn_mixed_model([*seen, *once]).expect(person.first(1), person.years[1:]).value
    errors = [
        trial.errors[MIXED]
        for trial in cross_validate([*known, *once])
        if (trial.participant, trial.sessions) == (person.participant, 1)
    ]
    assert errors == pytest.approx(abs(person.values[1:] - expected))


def test_the_mixed_model_finds_the_rates_of_the_simulation(straight):
    found = learn_mixed_model([one.course for part in straight for one in part])
    # -0.12 at 65 and 0.04 faster each decade, in a design around 60; own rates vary by 0.08.
    assert found.fixed[1] * found.spread == pytest.approx(-0.10, abs=0.04)
    assert np.sqrt(found.own[1, 1]) * found.spread == pytest.approx(0.08, abs=0.03)
    assert np.sqrt(found.noise) * found.spread == pytest.approx(0.05, abs=0.01)


def test_men_alone_can_be_learned_from(straight):
    courses = [one.course for one in straight[0]]
    men = [Course(c.participant, c.sessions, c.years, c.values, c.age, 1.0) for c in courses]
    assert np.isfinite(learn_mixed_model(men).fixed).all()
