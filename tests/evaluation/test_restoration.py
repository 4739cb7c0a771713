"""The restoration indices have their ends where they say, and say when they are not defined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import sqrtm
from skimage.metrics import structural_similarity

from bids_anomaly.evaluation.metrics import ssim, ssim_map
from bids_anomaly.evaluation.restoration import (
    Moments,
    ahi,
    caci,
    contrast_removed,
    frechet_distance,
    group_ahi,
    rqi,
    texture,
)

SHAPE = (24, 24, 24)
BRAIN = np.zeros(SHAPE, bool)
BRAIN[3:-3, 3:-3, 3:-3] = True
LESION = np.zeros(SHAPE, bool)
LESION[8:13, 8:13, 8:13] = True
SPACING = np.full(3, 2.0)


def scan_of(person: int, grain: float = 0.1) -> np.ndarray:
    return 1 + grain * np.random.default_rng(person).standard_normal(SHAPE)


def indices(scan, reconstruction):
    similarity = ssim_map(scan, reconstruction, BRAIN, data_range=1.0)
    healthy = BRAIN & ~LESION
    return (
        rqi(scan, reconstruction, similarity, healthy, data_range=1.0),
        caci(similarity, LESION, healthy),
    )


def test_a_copy_of_the_scan_keeps_everything_and_corrects_nothing():
    scan = scan_of(0)
    quality, change = indices(scan, scan)
    assert quality == pytest.approx(1)
    assert change == pytest.approx(0)


def test_an_empty_image_keeps_nothing():
    quality, change = indices(scan_of(0), np.zeros(SHAPE))
    assert quality < 0.05
    assert change < 0.1


def test_correcting_the_lesion_alone_is_better_than_keeping_it_and_than_changing_all():
    healthy = scan_of(0)
    scan = np.where(LESION, 2 + scan_of(1), healthy)
    _, corrected = indices(scan, healthy)
    _, copied = indices(scan, scan)
    _, other = indices(scan, scan_of(5, grain=1.0))
    assert corrected > 0.6 > other > copied


def test_indices_without_lesion_or_healthy_tissue_are_not_defined():
    nothing = np.zeros(SHAPE, bool)
    similarity = np.ones(SHAPE)
    scan = scan_of(0)
    assert np.isnan(caci(similarity, nothing, BRAIN))
    assert np.isnan(caci(similarity, BRAIN, nothing))
    assert np.isnan(rqi(scan, scan, similarity, nothing, data_range=1.0))
    assert np.isnan(ahi(scan, scan, scan, nothing))
    assert np.isnan(ahi(scan, scan, scan, LESION))


@given(arrays(float, (4, 4, 4), elements=st.floats(-1, 1)), arrays(bool, (4, 4, 4)))
def test_caci_stays_between_0_and_1(similarity, lesion):
    value = caci(similarity, lesion, ~lesion)
    assert np.isnan(value) or 0 <= value <= 1


@given(st.floats(-1, 2))
def test_ahi_is_the_share_of_the_way_to_the_healthy_scan(share):
    healthy = scan_of(0)
    scan = healthy + 0.5 * LESION
    reconstruction = scan + share * (healthy - scan)
    assert ahi(scan, reconstruction, healthy, LESION) == pytest.approx(1 - abs(1 - share))


def test_similarity_counts_only_the_brain_and_is_that_of_scikit_image():
    scan, other = scan_of(0).astype(np.float32), scan_of(1).astype(np.float32)
    everywhere = np.ones(SHAPE, bool)
    _, expected = structural_similarity(scan, other, data_range=1.0, full=True)
    np.testing.assert_allclose(ssim_map(scan, other, everywhere, data_range=1.0), expected)
    disturbed = np.where(BRAIN, scan, 7)
    assert ssim(disturbed, other, BRAIN, data_range=1.0) == ssim(scan, other, BRAIN, data_range=1.0)


def test_the_frechet_distance_is_that_of_the_matrix_square_root():
    random = np.random.default_rng(0)
    one, other = (random.standard_normal((200, 3)) @ random.standard_normal((3, 3)) for _ in "ab")
    (mean, cov), (other_mean, other_cov) = (
        (values.mean(axis=0), np.cov(values.T, bias=True)) for values in (one, other)
    )
    expected = ((mean - other_mean) ** 2).sum() + np.trace(
        cov + other_cov - 2 * sqrtm(cov @ other_cov).real
    )
    moments = [Moments(np.float64(200), v.sum(axis=0), v.T @ v) for v in (one, other)]
    assert frechet_distance(*(m.gaussian() for m in moments)) == pytest.approx(expected)
    assert frechet_distance(moments[0].gaussian(), moments[0].gaussian()) == pytest.approx(0)


def test_reconstructions_like_healthy_scans_have_a_group_index_near_one():
    def added(people, grain):
        found = [texture(scan_of(person, grain), BRAIN, SPACING) for person in people]
        return Moments(*(sum(parts) for parts in zip(*map(vars_of, found), strict=True)))

    def vars_of(moments):
        return moments.count, moments.total, moments.products

    healthy, unseen = added(range(5), 0.1), added(range(5, 10), 0.1)
    ill, restored = added(range(10, 15), 0.3), added(range(15, 20), 0.1)
    assert group_ahi(ill, restored, healthy, unseen) == pytest.approx(1, abs=0.02)
    assert group_ahi(ill, ill, healthy, unseen) == pytest.approx(0)
    halfway = added(range(10, 15), 0.2)
    assert 0.3 < group_ahi(ill, halfway, healthy, unseen) < 0.95
    assert np.isnan(group_ahi(unseen, restored, healthy, unseen))


@given(share=st.floats(-0.5, 1.5), lesion=st.sampled_from([0.4, 1.6]))
def test_the_contrast_that_is_removed_is_that_of_large_lesions_alone(share, lesion):
    brain = np.zeros((40, 40, 40), bool)
    brain[2:38, 2:38, 2:38] = True
    large, small = np.zeros_like(brain), np.zeros_like(brain)
    large[10:16, 10:16, 10:16] = True  # 1.7 ml
    small[28:30, 28:30, 28:30] = True
    scan = np.where(large, lesion, np.where(small, 3.0, 1.0)) * brain
    healed = scan + share * large * (1 - lesion)
    removed = contrast_removed(scan, healed, large | small, brain, (2.0, 2.0, 2.0))
    assert removed == pytest.approx(share, abs=1e-6)
    assert np.isnan(contrast_removed(scan, healed, small, brain, (2.0, 2.0, 2.0)))
