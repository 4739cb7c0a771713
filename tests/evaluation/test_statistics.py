"""Intervals and p-values are those of independent implementations."""

import numpy as np
import pytest
from scipy import stats

from bids_anomaly.evaluation.statistics import (
    FEWEST,
    bootstrap,
    difference_of,
    holm,
    mean_of,
    paired_wilcoxon,
)

VALUES = np.random.default_rng(0).gamma(2, size=24)


def test_the_interval_is_that_of_a_bootstrap_of_people():
    interval = bootstrap(mean_of(VALUES), len(VALUES))
    expected = stats.bootstrap(
        (VALUES,), np.mean, n_resamples=20000, method="percentile", rng=1
    ).confidence_interval
    assert interval.estimate == pytest.approx(VALUES.mean())
    assert interval.low == pytest.approx(expected.low, abs=0.05)
    assert interval.high == pytest.approx(expected.high, abs=0.05)


def test_the_same_seed_gives_the_same_interval():
    assert bootstrap(mean_of(VALUES), 24) == bootstrap(mean_of(VALUES), 24)
    assert bootstrap(mean_of(VALUES), 24) != bootstrap(mean_of(VALUES), 24, seed=1)


def test_people_without_a_figure_have_no_say():
    some = np.append(VALUES, [np.nan, np.nan])
    assert bootstrap(mean_of(some), 26).estimate == pytest.approx(VALUES.mean())


def test_where_nobody_has_a_figure_there_is_none():
    assert np.isnan(bootstrap(mean_of([np.nan, np.nan]), 2)).all()


@pytest.mark.parametrize("people", range(1, FEWEST))
def test_a_few_people_have_no_interval(people):
    interval = bootstrap(mean_of(VALUES[:people]), people)
    assert interval.estimate == pytest.approx(VALUES[:people].mean())
    assert np.isnan([interval.low, interval.high]).all()


def test_a_constant_gain_has_an_interval_without_width():
    interval = bootstrap(difference_of(mean_of(VALUES + 0.1), mean_of(VALUES)), len(VALUES))
    assert interval == pytest.approx((0.1, 0.1, 0.1))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        interval = bootstrap(mean_of(rng.standard_normal(40)), 40, draws=500)
        covered += interval.low <= 0 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_the_paired_test_leaves_out_people_without_a_figure():
    other = VALUES + np.random.default_rng(1).normal(0.2, 0.5, 24)
    expected = stats.wilcoxon(other, VALUES).pvalue
    with_missing = (np.append(other, np.nan), np.append(VALUES, 1.0))
    assert paired_wilcoxon(*with_missing) == pytest.approx(expected)


def test_equal_figures_do_not_differ():
    assert paired_wilcoxon(VALUES, VALUES) == 1
    assert np.isnan(paired_wilcoxon(np.array([np.nan]), np.array([1.0])))


def test_holm_is_worked_out_by_hand():
    adjusted = holm([0.01, 0.04, np.nan, 0.03, 0.005])
    assert adjusted[[0, 1, 3, 4]] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert np.isnan(adjusted[2])
    assert holm([0.6, 0.7]).tolist() == [1.0, 1.0]
