"""What is counted at many thresholds agrees with masks made at each of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics.froc import compute_froc_curve_data
from scipy.stats import norm
from sklearn.metrics import average_precision_score, precision_recall_curve

from bids_anomaly.evaluation.curves import (
    NOMINAL_RATES,
    Z_EDGES,
    curves_of,
    froc_counts,
    precision_and_recall,
)
from bids_anomaly.evaluation.metrics import lesionwise
from bids_anomaly.evaluation.summary import froc, sensitivity_at
from bids_anomaly.scoring.findings import anomaly_mask

SHAPE = (7, 6, 5)
BRAIN = np.ones(SHAPE, bool)


@settings(max_examples=60)
@given(
    arrays(np.int64, SHAPE, elements=st.integers(0, 4)),
    arrays(bool, SHAPE),
    st.sampled_from([0.0, 8.0, 30.0]),
)
def test_at_each_threshold_the_counts_are_those_of_the_mask(score, truth, min_volume):
    thresholds = np.array([0.5, 1.5, 2.5, 3.5, 9.0])
    found, false = froc_counts(
        score.astype(float),
        truth,
        brain=BRAIN,
        thresholds=thresholds,
        voxel_volume=8.0,
        min_volume=min_volume,
    )
    for threshold, detected, wrong in zip(thresholds, found, false, strict=True):
        mask = anomaly_mask(score > threshold, BRAIN, min_volume=min_volume, voxel_volume=8.0)
        (counts,) = lesionwise(mask, truth, voxel_volume=8.0, bins=[(8.0, np.inf)])
        assert (detected, wrong) == (counts.detected, counts.components - counts.correct)


def test_a_lesion_and_a_false_finding_are_counted_by_hand():
    truth, score = np.zeros((12, 12, 12), bool), np.zeros((12, 12, 12))
    truth[1:4, 1:4, 1:4] = True  # found up to 3
    truth[8:10, 8:10, 8:10] = True  # found up to 1
    score[1:4, 1:4, 1:4], score[8:10, 8:10, 8:10], score[1:3, 8:10, 1:3] = 3.5, 1.5, 2.5
    found, false = froc_counts(
        score,
        truth,
        brain=np.ones_like(truth),
        thresholds=np.array([1.0, 2.0, 3.0, 4.0]),
        voxel_volume=1.0,
        min_volume=0.0,
    )
    assert found.tolist() == [2, 1, 1, 0]
    assert false.tolist() == [1, 1, 0, 0]
    sensitivity, false_a_scan = froc(found, false, np.array(2), np.array(1))
    assert sensitivity_at(sensitivity, false_a_scan, 0) == 0.5
    assert sensitivity_at(sensitivity, false_a_scan, 1) == 1.0


def test_the_froc_is_that_of_monai_where_lesions_are_single_detections():
    # MONAI takes one probability a lesion and a false finding.
    true_scores, false_scores = np.array([0.9, 0.6, 0.4, 0.3]), np.array([0.7, 0.5, 0.2])
    score, truth = np.zeros((21, 5, 5)), np.zeros((21, 5, 5), bool)
    for place, value in enumerate([*true_scores, *false_scores]):
        score[3 * place : 3 * place + 2, :2, :2] = value
        truth[3 * place : 3 * place + 2, :2, :2] = place < len(true_scores)
    thresholds = np.sort([*true_scores, *false_scores])[::-1] - 0.01
    found, false = froc_counts(
        score,
        truth,
        brain=np.ones_like(truth),
        thresholds=thresholds,
        voxel_volume=1.0,
        min_volume=0.0,
    )
    sensitivity, false_a_scan = froc(found, false, np.array(4), np.array(2))
    expected_false, expected = compute_froc_curve_data(
        fp_probs=false_scores, tp_probs=true_scores, num_targets=4, num_images=2
    )
    ours = set(zip(false_a_scan.round(6), sensitivity.round(6), strict=True))
    theirs = set(zip(np.round(expected_false, 6), np.round(expected, 6), strict=True))
    # MONAI leaves out the lowest threshold and adds a point where nothing is marked.
    assert theirs - {(0.0, 0.0)} == ours - {(false_a_scan.max().round(6), 1.0)}


def test_without_lesions_there_is_no_sensitivity():
    sensitivity, false_a_scan = froc(np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1), np.ones(1))
    assert np.isnan(sensitivity_at(sensitivity, false_a_scan, 5)).all()


def test_counted_voxels_have_the_curve_of_scikit_learn():
    random = np.random.default_rng(0)
    truth = random.random(4000) < 0.1
    z = np.round(random.standard_normal(4000) + 2 * truth, 2) + 0.001
    lesion, healthy = (np.histogram(z[kind], Z_EDGES)[0] for kind in (truth, ~truth))
    precision, recall = precision_and_recall(lesion, healthy)
    area = np.sum(np.diff(recall, prepend=0) * precision)
    # Bins of 0.05 cost little.
    assert area == pytest.approx(average_precision_score(truth, z), abs=0.01)
    expected, at, _ = precision_recall_curve(truth, z)
    known = np.interp(np.linspace(0.1, 0.9, 9), at[::-1], expected[::-1])
    np.testing.assert_allclose(
        np.interp(np.linspace(0.1, 0.9, 9), recall, precision), known, atol=0.02
    )


def test_a_calibrated_score_realises_its_nominal_rates():
    random = np.random.default_rng(1)
    shape = (80, 80, 80)
    brain = np.ones(shape, bool)
    truth = np.zeros(shape, bool)
    truth[:10] = True
    z = random.standard_normal(shape) + 10 * truth
    curves = curves_of(z, truth, brain=brain, lesion_free=~truth, voxel_volume=8.0, min_volume=24.0)
    np.testing.assert_allclose(curves.observed, NOMINAL_RATES, rtol=0.1)
    assert (curves.sensitivity > 0.999).all()
    assert (curves.lesion.sum(), curves.healthy.sum()) == (truth.sum(), (~truth).sum())
    nothing = curves_of(
        z, ~brain, brain=brain, lesion_free=brain, voxel_volume=8.0, min_volume=24.0
    )
    assert np.isnan(nothing.sensitivity).all()
    assert nothing.lesions == 0
    assert norm.isf(NOMINAL_RATES[2]) == pytest.approx(2.878, abs=1e-3)
