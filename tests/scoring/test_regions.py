import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.preprocessing.atlas import Region
from bids_anomaly.scoring.regions import ELSEWHERE, measure_regions

LEFT = Region(3, "Putamen_L", "left", "deep grey")
RIGHT = Region(7, "Putamen_R", "right", "deep grey")
MIDDLE = Region(5, "BrainStem", "n/a", "brain stem")
ABSENT = Region(9, "Caudate_L", "left", "deep grey")
REGIONS = (LEFT, MIDDLE, RIGHT, ABSENT)
VOXEL = 2.5


def symmetric_labels():
    """Return a head whose left half mirrors its right half: first axis from left to right."""
    labels = np.full((10, 6, 6), -1)
    labels[1:9, 1:5, 1:5] = 0
    labels[1:4, 1:4, 1:4], labels[6:9, 1:4, 1:4] = LEFT.index, RIGHT.index
    labels[4:6, 1:4, 1:4] = MIDDLE.index
    return labels


LABELS = symmetric_labels()


def measure(mask, z=None):
    z = np.zeros(mask.shape) if z is None else z
    found = measure_regions(LABELS, REGIONS, mask=mask, z=z, voxel_volume=VOXEL)
    return {each.region.name: each for each in found}


@st.composite
def masks(draw):
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    return (random.random(LABELS.shape) < draw(st.floats(0, 1))) & (LABELS >= 0)


@given(masks())
def test_anomalous_volumes_add_up_to_that_of_the_mask(mask):
    found = measure(mask)
    total = sum(each.anomalous_volume for each in found.values())
    assert total == pytest.approx(mask.sum() * VOXEL)
    assert sum(each.volume for each in found.values()) == (LABELS >= 0).sum() * VOXEL


@given(masks())
def test_a_fraction_is_the_share_of_the_volume(mask):
    for each in measure(mask).values():
        if each.volume:
            assert 0 <= each.anomalous_fraction <= 1
            assert each.anomalous_fraction * each.volume == pytest.approx(each.anomalous_volume)


@given(masks())
def test_mirroring_turns_laterality_round(mask):
    found, mirrored = measure(mask), measure(mask[::-1])
    left, right = found[LEFT.name].laterality, found[RIGHT.name].laterality
    np.testing.assert_equal(left, right)
    np.testing.assert_allclose(mirrored[LEFT.name].laterality, -left)
    assert found[LEFT.name].anomalous_volume == mirrored[RIGHT.name].anomalous_volume


@pytest.mark.parametrize(("region", "laterality"), [(LEFT, 1.0), (RIGHT, -1.0)])
def test_anomalies_on_one_side_only_are_at_the_end_of_laterality(region, laterality):
    found = measure(region.index == LABELS)
    assert found[LEFT.name].laterality == found[RIGHT.name].laterality == laterality


def test_there_is_no_laterality_at_the_midline_without_a_counterpart_or_without_anomalies():
    found = measure(np.isin(LABELS, (MIDDLE.index,)))
    assert all(np.isnan(each.laterality) for each in found.values())


def test_scores_are_those_of_the_region():
    z = np.where(LEFT.index == LABELS, 2.0, -1.0)
    z[1, 1, 1] = 9.0
    z[LABELS < 0] = 50.0
    found = measure(np.zeros(LABELS.shape, bool), z)
    assert found[LEFT.name].z_max == 9.0
    assert found[LEFT.name].z_mean == pytest.approx((26 * 2 + 9) / 27)
    assert found[RIGHT.name].z_max == found[RIGHT.name].z_mean == -1.0
    assert found[ELSEWHERE.name].z_max == -1.0


def test_a_region_that_the_scan_does_not_show_is_empty():
    absent = measure(LABELS >= 0)[ABSENT.name]
    assert absent.volume == absent.anomalous_volume == 0
    assert np.isnan([absent.anomalous_fraction, absent.z_mean, absent.z_max]).all()


@given(masks(), st.integers(0, 10))
def test_what_a_scan_does_not_show_is_neither_normal_nor_anomalous(mask, end):
    # The field of view, and with it the brain mask, ends there, from left to right.
    shown = LABELS.copy()
    shown[end:], mask[end:] = -1, False
    z = np.full(LABELS.shape, 1.5)
    found = measure_regions(shown, REGIONS, mask=mask, z=z, voxel_volume=VOXEL)
    for each in found:
        voxels = each.region.index == shown
        assert each.volume == voxels.sum() * VOXEL
        if voxels.any():
            assert each.z_mean == each.z_max == 1.5
            assert each.anomalous_fraction == pytest.approx(mask[voxels].mean())
        else:
            assert np.isnan([each.anomalous_fraction, each.z_mean, each.z_max]).all()
