"""Groups of few people are told apart, and nobody has a say in where they belong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestCentroid

from bids_anomaly.group.prototypes import (
    NO_GROUP,
    balanced,
    distances,
    evidence,
    make_prototypes,
    probabilities,
    profiles_of,
    recognise,
)


def people(seed: int, *, effect: float = 0.0, each: int = 6, lost: float = 0.0):
    """Three groups, two of which are raised in two values each."""
    random = np.random.default_rng(seed)
    groups = np.repeat([0, 1, 2], each)
    values = random.normal(size=(len(groups), 40))
    values[groups == 1, :2] += effect
    values[groups == 2, 10:12] += effect
    values[random.random(values.shape) < lost] = np.nan
    return values, np.repeat([0, 1], 20), groups


def far(values, blocks, groups):
    profiles = profiles_of(values, blocks, groups)
    return distances(profiles, make_prototypes(profiles, groups))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 17), st.sampled_from([0.0, 0.2]))
def test_who_is_left_out_is_told_as_somebody_without_a_group(seed, who, lost):
    values, blocks, groups = people(seed, effect=2, lost=lost)
    alone = groups.copy()
    alone[who] = NO_GROUP
    np.testing.assert_allclose(
        far(values, blocks, groups)[who], far(values, blocks, alone)[who], rtol=1e-6
    )


def test_it_is_the_nearest_shrunken_centroid_of_scikit_learn():
    values, blocks, groups = people(3, effect=2, each=12)
    found = far(values, blocks, groups).argmin(axis=1)
    same = [
        NearestCentroid(shrink_threshold=1)
        .fit(np.delete(values, who, axis=0), np.delete(groups, who))
        .predict(values[[who]])[0]
        == found[who]
        for who in range(len(groups))
    ]
    # It adds the median of spreads, and this the mean.
    assert np.mean(same) > 0.9


def test_groups_that_differ_are_told_apart_and_by_what_differs():
    values, blocks, groups = people(0, effect=5)
    profiles = profiles_of(values, blocks, groups)
    found = recognise(profiles, groups, seed=0, permutations=50)
    assert found.accuracy.estimate > 0.9
    assert found.p < 0.05
    assert found.confusion.sum() == len(groups)
    speaks = evidence(profiles, make_prototypes(profiles, groups), groups)
    # That a value is not raised speaks for a group too.
    assert {*np.argsort(-speaks[1])[:2], *np.argsort(-speaks[2])[:2]} <= {0, 1, 10, 11}


def test_groups_that_do_not_differ_are_told_by_chance():
    found = [
        recognise(profiles_of(*people(seed)), people(seed)[2], seed=seed, permutations=39)
        for seed in range(20)
    ]
    assert np.mean([one.accuracy.estimate for one in found]) == pytest.approx(1 / 3, abs=0.08)
    assert np.mean([one.p < 0.05 for one in found]) <= 0.2


def test_probabilities_add_up_and_are_never_sure():
    values, blocks, groups = people(1, effect=20)
    likely = probabilities(far(values, blocks, groups), groups)
    np.testing.assert_allclose(likely.sum(axis=1), 1)
    assert 0.8 < likely.max() < 0.95


def test_values_that_tell_groups_without_error_or_do_not_vary_are_no_trouble():
    groups = np.repeat([0, 1], 6)
    values = np.column_stack([groups, np.ones(12), np.where(groups, 1e6, 0)]).astype(float)
    found = far(values, np.arange(3), groups)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found.argmin(axis=1), groups)


def test_many_people_are_left_out_in_parts():
    values, blocks, groups = people(0, each=40)
    profiles = profiles_of(values, blocks, np.where(np.arange(120) < 3, NO_GROUP, groups))
    assert len(profiles.parts) == 41
    assert sorted(np.concatenate(profiles.parts)) == list(range(120))


def test_each_group_counts_alike():
    right, groups = np.array([True] * 9 + [False]), np.array([0] * 9 + [1])
    assert balanced(right, groups)(np.ones((1, 10)))[0] == 0.5
