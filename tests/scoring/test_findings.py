import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bids_anomaly.scoring.findings import anomaly_mask, anomaly_probability

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
