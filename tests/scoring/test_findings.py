import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm

from bids_anomaly.scoring.findings import anomaly_mask, anomaly_probability, combined_zscore

BRAIN = np.ones((12, 12, 12), bool)
RATE = st.floats(1e-6, 0.5)


def mask_of(probability, brain=BRAIN, *, min_volume=0.0, voxel_volume=8.0):
    return anomaly_mask(probability, brain, min_volume=min_volume, voxel_volume=voxel_volume)


@given(exceedance=st.floats(0, 1), healthy_fpr=RATE)
def test_the_probability_is_above_one_half_exactly_where_fewer_healthy_voxels_score_as_high(
    exceedance, healthy_fpr
):
    assume(abs(exceedance / healthy_fpr - 1) > 1e-6)
    probability = anomaly_probability(np.array([exceedance]), healthy_fpr)
    assert 0 <= probability[0] <= 1
    assert (probability[0] > 0.5) == (exceedance < healthy_fpr)


@given(exceedances=st.lists(st.floats(0, 1), min_size=2, max_size=20), healthy_fpr=RATE)
def test_the_rarer_the_more_probable(exceedances, healthy_fpr):
    probability = anomaly_probability(np.sort(exceedances), healthy_fpr)
    assert (np.diff(probability) <= 0).all()


@pytest.mark.parametrize("modalities", [1, 2, 3])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("rate", [0.01, 0.002])
def test_more_modalities_give_no_more_false_positives(modalities, correlation, rate):
    random = np.random.default_rng(0)
    shared, own = random.normal(size=(200_000,)), random.normal(size=(modalities, 200_000))
    zscores = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    found = np.mean(combined_zscore(list(zscores)) > norm.isf(rate))
    assert found <= rate + 4 * np.sqrt(rate / 200_000)


Z = st.floats(-8, 40)


@given(z=Z)
def test_modalities_that_agree_say_what_each_of_them_says(z):
    one = np.array([z], np.float32)
    for several in ([one], [one, one], [one, one, one]):
        np.testing.assert_allclose(combined_zscore(several), one, rtol=1e-6)


@given(z=st.lists(Z, min_size=1, max_size=3), silent=st.integers(0, 3))
def test_who_says_nothing_does_not_count(z, silent):
    said = [np.array([value]) for value in z]
    nothing = [np.array([-np.inf])] * silent
    np.testing.assert_allclose(combined_zscore(nothing + said), combined_zscore(said))
    assert combined_zscore([np.array([-np.inf])] * (silent + 1))[0] == -np.inf


@given(z=st.lists(Z, min_size=2, max_size=3), more=st.floats(0.1, 10))
def test_the_more_unusual_one_scan_is_the_more_unusual_is_the_whole(z, more):
    before = combined_zscore([np.array([value]) for value in z])
    after = combined_zscore([np.array([z[0] + more]), *(np.array([value]) for value in z[1:])])
    assert after > before


def test_small_components_are_left_out_and_those_of_the_smallest_size_kept():
    probability = np.zeros(BRAIN.shape)
    probability[1, 1, 1:4] = 1  # 24 mm3
    probability[6, 6, 2:6] = 1  # 32 mm3
    found = mask_of(probability, min_volume=32.0)
    assert not found[1].any()
    assert found[6].sum() == 4
    assert mask_of(probability, min_volume=24.0).sum() == 7
    assert mask_of(probability, min_volume=24.1).sum() == 4


def test_voxels_that_touch_at_a_corner_are_one_component():
    probability = np.zeros(BRAIN.shape)
    for i in range(5):
        probability[i, i, i] = 0.9
    assert mask_of(probability, min_volume=40.0).sum() == 5
    assert mask_of(probability, min_volume=41.0).sum() == 0


def test_without_a_smallest_volume_every_voxel_counts():
    probability = np.zeros(BRAIN.shape)
    probability[3, 3, 3] = 0.51
    probability[5, 5, 5] = 0.5
    assert np.argwhere(mask_of(probability)).tolist() == [[3, 3, 3]]


def test_nothing_is_found_outside_the_brain():
    brain = BRAIN.copy()
    brain[6:] = False
    found = mask_of(np.ones(BRAIN.shape), brain, min_volume=100.0)
    np.testing.assert_array_equal(found, brain)


@pytest.mark.parametrize("brain", [BRAIN, ~BRAIN])
def test_no_anomaly_is_an_empty_mask(brain):
    found = mask_of(np.zeros(BRAIN.shape), brain, min_volume=50.0)
    assert found.dtype == bool
    assert not found.any()


def test_an_infinitely_large_smallest_volume_leaves_nothing():
    assert not mask_of(np.ones(BRAIN.shape), min_volume=1e9).any()
