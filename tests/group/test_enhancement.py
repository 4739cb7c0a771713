"""Threshold-free cluster enhancement, in a small head of noise."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, generate_binary_structure

from bids_anomaly.group.comparison import max_t_test
from bids_anomaly.group.enhancement import memory_gb, tfce_test

SHAPE, PEOPLE, PERMUTATIONS = (12, 12, 12), 20, 39
IS_CASE = np.arange(PEOPLE) % 2 == 1
HEAD = np.zeros(SHAPE, bool)
HEAD[1:-1, 1:-1, 2:-1] = True
LESION = np.zeros(SHAPE, bool)
LESION[3:7, 3:7, 4:8] = True


def draw(seed: int, lesion: float = 0) -> np.ndarray:
    """Return the smooth noise of people in the head, (M, V); cases have a lesion."""
    random = np.random.default_rng(seed)
    noise = np.array([gaussian_filter(random.normal(size=SHAPE), 1) for _ in range(PEOPLE)])
    noise /= noise.std()
    noise[IS_CASE] += lesion * LESION
    return noise[:, HEAD]


def compare(values: np.ndarray, covariates: np.ndarray | None = None, **options):
    covariates = np.empty((PEOPLE, 0)) if covariates is None else covariates
    options = {"seed": 0, "permutations": PERMUTATIONS} | options
    plain = max_t_test([values], IS_CASE, covariates, **options)
    return plain, tfce_test(values, HEAD, IS_CASE, covariates, t=plain.t, **options)


def test_a_planted_lesion_is_found_by_both_and_only_there():
    plain, enhanced = compare(draw(0, lesion=4))
    inside = LESION[HEAD]
    for p in (plain.p, enhanced.p):
        assert (p[inside] < 0.05).mean() > 0.5
    assert (plain.p[~inside] >= 0.05).all()
    # What touches the lesion is in its cluster too.
    found = np.zeros(SHAPE, bool)
    found[HEAD] = enhanced.p < 0.05
    assert (found & LESION).sum() > 0.5 * found.sum()
    assert (enhanced.score[inside & (enhanced.p < 0.05)] > 0).all()


def test_a_faint_and_wide_difference_is_found_more_fully_than_by_the_largest_t():
    found = np.array(
        [
            [(test.p[LESION[HEAD]] < 0.05).mean() for test in compare(draw(seed, lesion=1.6))]
            for seed in range(2)
        ]
    )
    plain, enhanced = found.mean(axis=0)
    assert enhanced > plain


def test_where_nothing_differs_neither_finds_anything():
    for test in compare(draw(5)):
        assert (test.p >= 0.05).all()


def test_the_score_is_that_of_nilearn_on_the_whole_image():
    from nilearn.mass_univariate._utils import calculate_tfce

    plain, enhanced = compare(draw(1, lesion=2), permutations=2)
    t = np.zeros(SHAPE)
    t[HEAD] = plain.t
    theirs = calculate_tfce(t[..., None], generate_binary_structure(3, 1))[HEAD][:, 0]
    np.testing.assert_allclose(enhanced.score, theirs, rtol=1e-5, atol=1e-6)


def test_the_same_seed_gives_the_same_answer():
    values, covariates = draw(2, lesion=2), np.random.default_rng(0).normal(size=(PEOPLE, 2))
    (_, one), (_, again) = (compare(values, covariates, permutations=9) for _ in range(2))
    np.testing.assert_array_equal(one.p, again.p)
    np.testing.assert_array_equal(one.score, again.score)


def test_exchanging_the_groups_changes_the_sign_only():
    values, none = draw(3, lesion=2), np.empty((PEOPLE, 0))
    plain, one = compare(values)
    other = tfce_test(values, HEAD, ~IS_CASE, none, t=-plain.t, seed=0, permutations=PERMUTATIONS)
    np.testing.assert_allclose(other.score, -one.score, rtol=1e-6, atol=1e-9)


def test_voxels_that_were_not_compared_stay_so():
    values = draw(4, lesion=3)
    values[0, 5] = np.nan
    values[:, 9] = 1
    _, enhanced = compare(values, permutations=19)
    assert np.flatnonzero(np.isnan(enhanced.score)).tolist() == [5, 9]
    assert np.flatnonzero(np.isnan(enhanced.p)).tolist() == [5, 9]
    nothing = tfce_test(
        values, HEAD, IS_CASE, np.empty((PEOPLE, 0)), t=np.full(HEAD.sum(), np.nan), seed=0
    )
    assert np.isnan(nothing.p).all()


def test_memory_grows_with_people_and_voxels():
    assert memory_gb(100, 235_375) == pytest.approx(1.05, abs=0.01)
    assert memory_gb(200, 235_375) == pytest.approx(2 * memory_gb(100, 235_375))
