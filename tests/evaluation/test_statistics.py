"""Intervals and p-values are those of independent implementations."""

import numpy as np
import pytest
from scipy import stats

from bids_anomaly.evaluation.statistics import (
    FEWEST,
    agreement_of,
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


def icc(ratings) -> float:
    """Return the intraclass correlation of (N, K) ratings."""
    ratings = np.asarray(ratings, dtype=float)
    return float(agreement_of(ratings)(np.ones((1, len(ratings))))[0])


# Table 2 of Shrout and Fleiss (1979): six targets, four judges.
SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]


def test_the_agreement_is_that_of_the_published_example():
    assert round(icc(SHROUT_FLEISS), 2) == 0.29


def test_the_agreement_does_not_depend_on_units_or_on_where_zero_is():
    ratings = np.array(SHROUT_FLEISS)
    assert icc(1000 * ratings + 1e6) == pytest.approx(icc(ratings), abs=1e-6)


def test_raters_who_say_the_same_agree_completely_and_an_offset_lowers_it():
    same = np.column_stack([VALUES, VALUES])
    assert icc(same) == pytest.approx(1)
    offsets = [icc(same + np.array([0, offset])) for offset in (0.5, 1, 3)]
    assert 1 > offsets[0] > offsets[1] > offsets[2] > 0


def test_agreement_needs_people_who_differ():
    assert np.isnan(icc([[1.0, 1.0]] * 6))
    assert np.isnan(icc([[1.0, 2.0]]))


def test_a_person_who_is_drawn_twice_counts_as_two():
    ratings = np.array(SHROUT_FLEISS, dtype=float)
    weights = np.array([[2, 1, 0, 1, 1, 1]])
    expected = icc(np.repeat(ratings, weights[0], axis=0))
    assert agreement_of(ratings)(weights.astype(float))[0] == pytest.approx(expected)
