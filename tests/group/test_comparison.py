import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.mass_univariate import permuted_ols

from bids_anomaly.group import comparison
from bids_anomaly.group.comparison import blocks_of, max_t_test

PEOPLE, PLACES = 14, 60
IS_CASE = np.arange(PEOPLE) % 2 == 1


def draw(seed: int, places: int = PLACES) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(PEOPLE, places)), random.normal(size=(PEOPLE, 2))


def test_a_planted_difference_is_found_and_nothing_else():
    values, covariates = draw(0)
    values[IS_CASE, 7] += 6
    test = max_t_test([values], IS_CASE, covariates, seed=0)
    assert np.flatnonzero(test.p < 0.05).tolist() == [7]
    assert test.t[7] > 0


@pytest.mark.parametrize("covariates", [0, 2])
def test_without_a_difference_anything_is_found_as_rarely_as_stated(covariates):
    random = np.random.default_rng(covariates)
    tests = [
        max_t_test(
            [random.normal(size=(PEOPLE, PLACES))],
            IS_CASE,
            random.normal(size=(PEOPLE, covariates)),
            seed=seed,
            permutations=19,
        )
        for seed in range(400)
    ]
    # 5 %, and three standard deviations of a binomial of 400.
    assert np.mean([test.p.min() <= 0.05 for test in tests]) < 0.083


@settings(max_examples=15)
@given(st.lists(st.integers(1, PLACES - 1), max_size=5), st.integers(0, 100))
def test_blocks_change_nothing(cuts, seed):
    values, covariates = draw(seed)
    whole = max_t_test([values], IS_CASE, covariates, seed=seed, permutations=50)
    cut = max_t_test(
        np.split(values, sorted(set(cuts)), axis=1), IS_CASE, covariates, seed=seed, permutations=50
    )
    np.testing.assert_allclose(cut.t, whole.t)
    np.testing.assert_allclose(cut.p, whole.p)


def test_the_answer_is_that_of_nilearn():
    values, covariates = draw(3)
    values[IS_CASE, :5] += 3
    test = max_t_test([values], IS_CASE, covariates, seed=1, permutations=200)
    theirs = permuted_ols(
        IS_CASE.astype(float)[:, None],
        values,
        confounding_vars=covariates,
        n_perm=200,
        random_state=1,
        output_type="dict",
    )
    np.testing.assert_allclose(test.t, theirs["t"][0])
    np.testing.assert_allclose(-np.log10(test.p), theirs["logp_max_t"][0], atol=1e-6)


def test_groups_that_are_told_apart_without_error_have_a_t_however_it_is_rounded():
    random = np.random.default_rng(0)
    for _ in range(30):
        covariates = random.normal(size=(PEOPLE, 2)) * random.uniform(1, 50, size=2)
        low, high = random.normal(size=2)
        values = np.where(IS_CASE, low, high)[:, None]
        test = max_t_test([values], IS_CASE, covariates, seed=0, permutations=100)
        assert np.sign(test.t[0]) == np.sign(low - high)
        assert abs(test.t[0]) > 1e5
        assert test.p[0] < 0.05


def test_exchanging_the_groups_changes_the_sign_only():
    values, covariates = draw(5)
    one = max_t_test([values], IS_CASE, covariates, seed=0, permutations=50)
    other = max_t_test([values], ~IS_CASE, covariates, seed=0, permutations=50)
    np.testing.assert_allclose(one.t, -other.t)
    np.testing.assert_allclose(one.p, other.p)


def test_a_difference_that_age_explains_is_not_found():
    values, covariates = draw(8)
    covariates[:, 0] = IS_CASE * 5 + np.random.default_rng(1).normal(size=PEOPLE)
    values[:, 3] = 4 * covariates[:, 0] + values[:, 3]
    assert max_t_test([values], IS_CASE, np.empty((PEOPLE, 0)), seed=0).p[3] < 0.01
    assert max_t_test([values], IS_CASE, covariates, seed=0).p[3] > 0.05


def test_places_that_say_nothing_are_not_compared():
    values, covariates = draw(9)
    values[:, 0] = 1.5
    values[2, 1] = np.nan
    test = max_t_test([values], IS_CASE, covariates, seed=0, permutations=20)
    assert np.isnan(test.t[:2]).all()
    assert np.isnan(test.p[:2]).all()
    assert np.isfinite(test.p[2:]).all()


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_voxels_outside_the_brain_of_one_in_twenty_are_not_compared(block, monkeypatch):
    monkeypatch.setattr(comparison, "BLOCK_SIZE", block)
    monkeypatch.setattr(comparison, "FEWEST_PLACES", 1)
    values, _ = draw(2, places=10)
    values[0, 4] = 0
    rows = np.array([0, 1, 2, 5])
    gathered = np.concatenate(list(blocks_of(values, rows)), axis=1)
    assert np.isnan(gathered[:, 4]).all()
    np.testing.assert_array_equal(np.delete(gathered, 4, 1), np.delete(values[rows], 4, 1))
