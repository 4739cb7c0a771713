"""Metrics agree with independent implementations, and say when they are not defined."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_roc_auc,
)
from scipy.spatial.distance import dice as dice_dissimilarity
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve

from bids_anomaly.evaluation import metrics

EMPTY = np.zeros((6, 6, 6), bool)
MASKS = arrays(bool, (5, 4, 3))


def cube(start, size, shape=(20, 20, 20)):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(begin, begin + size) for begin in start)] = True
    return mask


@given(MASKS, MASKS)
def test_dice_is_that_of_scipy(found, truth):
    if found.any() or truth.any():
        expected = 1 - dice_dissimilarity(found.ravel(), truth.ravel())
        assert metrics.dice(found, truth) == pytest.approx(expected)


@given(MASKS, MASKS)
def test_dice_is_that_of_monai_where_there_is_a_lesion(found, truth):
    if truth.any():
        tensors = (torch.from_numpy(mask)[None, None].float() for mask in (found, truth))
        assert metrics.dice(found, truth) == pytest.approx(float(compute_dice(*tensors)))


@given(MASKS, MASKS, st.tuples(*[st.sampled_from([0.5, 1.0, 3.0])] * 3))
def test_distances_of_surfaces_are_those_of_monai(found, truth, spacing):
    distances = metrics.surface_distances(found, truth, spacing)
    if not found.any() or not truth.any():
        assert np.isnan(distances).all()
        return
    tensors = [torch.from_numpy(mask)[None, None].float() for mask in (found, truth)]
    hd95 = compute_hausdorff_distance(*tensors, percentile=95, spacing=spacing)
    mean = compute_average_surface_distance(*tensors, symmetric=True, spacing=spacing)
    assert distances.hd95 == pytest.approx(float(hd95), abs=1e-4)
    assert distances.mean == pytest.approx(float(mean), abs=1e-4)


def test_a_shifted_cube_is_as_far_away_as_it_was_shifted():
    here, there = cube((4, 4, 4), 5), cube((4, 4, 7), 5)
    assert metrics.surface_distances(here, here, (1, 1, 1)) == (0, 0)
    assert metrics.surface_distances(here, there, (1, 1, 2)).hd95 == 6


def test_two_empty_masks_have_no_dice_rather_than_a_perfect_one():
    assert np.isnan(metrics.dice(EMPTY, EMPTY))


def test_finding_something_in_a_person_without_lesions_has_a_dice_of_zero():
    assert metrics.dice(~EMPTY, EMPTY) == 0


@given(
    arrays(np.int64, 30, elements=st.integers(0, 6)),
    arrays(bool, 30),
)
def test_the_best_dice_is_that_of_the_best_of_all_thresholds(score, truth):
    if truth.any():
        expected = max(f1_score(truth, score >= level) for level in np.unique(score))
        assert metrics.dice_best(score.astype(float), truth) == pytest.approx(expected)


def test_areas_under_curves_need_a_lesion():
    score, nothing = np.arange(8.0), np.zeros(8, bool)
    assert np.isnan(metrics.auprc(score, nothing))
    assert np.isnan(metrics.auroc(score, nothing))
    assert np.isnan(metrics.dice_best(score, nothing))


def test_where_all_is_lesion_precision_is_one_and_there_is_no_roc():
    score, all_ = np.arange(8.0), np.ones(8, bool)
    assert metrics.auprc(score, all_) == 1
    assert metrics.dice_best(score, all_) == 1
    assert np.isnan(metrics.auroc(score, all_))


@given(arrays(np.int64, 40, elements=st.integers(0, 5)), arrays(bool, 40))
def test_average_precision_is_the_area_under_the_steps_of_the_curve(score, truth):
    if truth.any():
        precision, recall, _ = precision_recall_curve(truth, score)
        expected = -np.sum(np.diff(recall) * precision[:-1])
        assert metrics.auprc(score.astype(float), truth) == pytest.approx(expected)


@given(arrays(np.int64, 40, elements=st.integers(0, 5)), arrays(bool, 40))
def test_the_roc_is_the_chance_that_a_lesion_voxel_scores_higher(score, truth):
    if truth.any() and not truth.all():
        pairs = score[truth][:, None] - score[~truth][None, :]
        expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
        assert metrics.auroc(score.astype(float), truth) == pytest.approx(expected)


@given(arrays(np.int64, 40, elements=st.integers(0, 5)), arrays(bool, 40))
def test_the_roc_is_that_of_monai(score, truth):
    if truth.any() and not truth.all():
        expected = compute_roc_auc(torch.from_numpy(score), torch.from_numpy(truth).long())
        assert metrics.auroc(score.astype(float), truth) == pytest.approx(expected)


@given(arrays(np.int64, 60, elements=st.integers(0, 9)), arrays(bool, 60))
def test_counted_voxels_have_the_average_precision_of_single_ones(score, truth):
    lesion, healthy = (np.bincount(score[kind], minlength=10) for kind in (truth, ~truth))
    area = metrics.auprc_of_counts(lesion[None], healthy[None])
    if truth.any():
        assert area[0] == pytest.approx(average_precision_score(truth, score))
    else:
        assert np.isnan(area[0])


def test_lesions_are_counted_by_their_own_size():
    # At 2 mm: one voxel is 8 mm3, 2 x 2 x 2 is 64, 4 x 4 x 4 is 512, 6 x 6 x 6 is 1728 mm3.
    lesions = [cube((0, 0, 0), 1), cube((0, 0, 4), 2), cube((0, 8, 0), 4), cube((12, 12, 12), 6)]
    truth = np.any(lesions, axis=0)
    found = lesions[0] | lesions[3] | cube((0, 0, 18), 2)
    counts = metrics.lesionwise(found, truth, voxel_volume=8.0)
    assert [count.lesions for count in counts] == [1, 1, 1, 1]
    assert [count.detected for count in counts] == [1, 0, 0, 1]
    assert [count.components for count in counts] == [1, 1, 0, 1]
    assert [count.correct for count in counts] == [1, 0, 0, 1]
    assert counts[0].f1 == 1
    assert counts[1].f1 == 0
    assert np.isnan(counts[2].precision)
    assert counts[2].sensitivity == 0


def test_touching_a_lesion_is_not_finding_it():
    truth, corner = cube((4, 4, 4), 5), cube((3, 3, 3), 2)
    (counts,) = metrics.lesionwise(corner, truth, voxel_volume=8.0, bins=((8, np.inf),))
    assert counts.detected == 0  # one voxel of 125
    assert counts.correct == 1  # one voxel of the 8 marked


def test_marking_the_whole_brain_finds_all_lesions_with_no_precision():
    truth = cube((2, 2, 2), 3)
    (counts,) = metrics.lesionwise(
        np.ones_like(truth), truth, voxel_volume=8.0, bins=((8, np.inf),)
    )
    assert (counts.sensitivity, counts.precision, counts.f1) == (1, 0, 0)


def test_lesions_that_meet_at_a_corner_are_one():
    truth = EMPTY.copy()
    truth[1, 1, 1] = truth[2, 2, 2] = True
    (counts,) = metrics.lesionwise(truth, truth, voxel_volume=1.0, bins=((2, 3),))
    assert counts.lesions == 1


def test_a_map_without_lesions_and_findings_has_no_lesionwise_figures():
    for counts in metrics.lesionwise(EMPTY, EMPTY, voxel_volume=8.0):
        assert np.isnan([counts.sensitivity, counts.precision, counts.f1]).all()


def test_false_positives_are_a_rate_of_healthy_voxels_a_volume_and_a_count():
    healthy = cube((0, 0, 0), 10)
    found = cube((0, 0, 0), 2) | cube((6, 6, 6), 2) | cube((15, 15, 15), 3)
    wrong = metrics.false_positives(found, healthy, voxel_volume=8.0)
    assert wrong.voxel_rate == pytest.approx(16 / 1000)
    assert wrong.volume_ml == pytest.approx(16 * 8 / 1000)
    assert wrong.components == 2


def test_without_healthy_voxels_there_is_no_false_positive_rate():
    assert np.isnan(metrics.false_positives(EMPTY, EMPTY, voxel_volume=8.0).voxel_rate)


def test_what_surrounds_the_brain_changes_neither_l1_nor_ssim():
    rng = np.random.default_rng(0)
    brain = cube((4, 4, 4), 12)
    scan = rng.random(brain.shape)
    other = scan + 0.1 * rng.standard_normal(brain.shape)
    skull = np.where(brain, other, 50 * rng.random(brain.shape))
    expected = np.mean([abs(scan[v] - other[v]) for v in zip(*np.nonzero(brain), strict=True)])
    assert metrics.l1(scan, skull, brain) == pytest.approx(expected)
    similarity = metrics.ssim(scan, skull, brain, data_range=1.0)
    assert similarity == pytest.approx(metrics.ssim(scan, other, brain, data_range=1.0))


def test_structural_similarity_is_that_of_its_formula():
    rng = np.random.default_rng(1)
    brain = np.zeros((9, 9, 9), bool)
    brain[4, 4, 4] = True
    scan, other = rng.random((2, 9, 9, 9)) * brain
    x, y = (values[1:8, 1:8, 1:8].ravel() for values in (scan, other))
    c1, c2 = 0.01**2, 0.03**2
    expected = (
        (2 * x.mean() * y.mean() + c1)
        * (2 * np.cov(x, y)[0, 1] + c2)
        / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (x.var(ddof=1) + y.var(ddof=1) + c2))
    )
    assert metrics.ssim(scan, other, brain, data_range=1.0) == pytest.approx(expected, rel=1e-4)


def test_an_image_is_like_itself():
    brain = cube((4, 4, 4), 12)
    scan = np.random.default_rng(2).random(brain.shape)
    assert metrics.l1(scan, scan, brain) == 0
    assert metrics.ssim(scan, scan, brain, data_range=1.0) == pytest.approx(1)
