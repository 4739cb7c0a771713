import numpy as np
import pytest

from bids_anomaly.scoring.score import anomaly_score

SHAPE = (24, 24, 24)
ONES = np.ones(SHAPE, np.float32)


@pytest.fixture
def brain():
    """A ball."""
    offset = np.indices(SHAPE) - 11.5
    return np.sum(offset**2, axis=0) < 9**2


def score(rule, scan, brain, *, pseudo_healthy=None, anomaly=None, smoothing_mm=1.2, **parameters):
    description = {"rule": rule, "smoothing_mm": smoothing_mm, **parameters}
    return anomaly_score(
        description, scan, brain, pseudo_healthy=pseudo_healthy, anomaly=anomaly, spacing=2.0
    )


def with_spot(value):
    scan = ONES.copy()
    scan[10:14, 10:14, 10:14] = value
    return scan


def test_on_flair_and_t2w_bright_is_anomalous(brain):
    assert score("bright_intensity", with_spot(2), brain)[12, 12, 12] > 1.5
    assert score("bright_intensity", with_spot(0.3), brain)[12, 12, 12] < 0.7


def test_on_t1w_dark_is_anomalous(brain):
    normal = score("dark_intensity", ONES, brain)[12, 12, 12]
    assert score("dark_intensity", with_spot(0.3), brain)[12, 12, 12] > normal + 0.4
    assert score("dark_intensity", with_spot(2), brain)[12, 12, 12] < normal - 0.4


def darkening(scan, brain, anomaly=None, weight=1.0):
    return score(
        "lesion_and_darkening",
        scan,
        brain,
        pseudo_healthy=ONES,
        anomaly=np.zeros(SHAPE, np.float32) if anomaly is None else anomaly,
        residual_weight=weight,
    )


def test_darker_than_healthy_is_anomalous_and_brighter_is_not(brain):
    assert darkening(with_spot(0.3), brain)[12, 12, 12] > 0.4
    assert not darkening(with_spot(2), brain).any()
    assert not darkening(ONES, brain).any()


def test_what_the_network_marked_is_anomalous_and_both_add_up(brain):
    marked = with_spot(2) - 1
    alone = darkening(ONES, brain, anomaly=marked)
    assert alone[12, 12, 12] > 0.5
    np.testing.assert_allclose(
        darkening(with_spot(0.3), brain, anomaly=marked),
        alone + darkening(with_spot(0.3), brain),
        atol=1e-5,
    )


def test_the_weight_scales_the_residual(brain):
    np.testing.assert_allclose(
        darkening(with_spot(0.3), brain, weight=2.0),
        2 * darkening(with_spot(0.3), brain),
        atol=1e-5,
    )


@pytest.mark.parametrize("rule", ["bright_intensity", "dark_intensity"])
def test_nothing_is_scored_outside_the_brain(rule, brain):
    scan = np.where(brain, 1, 50).astype(np.float32)
    result = score(rule, scan, brain)
    assert result.dtype == np.float32
    assert not result[~brain].any()
    # Nor does what lies outside reach in.
    np.testing.assert_allclose(np.abs(result[brain]), 1, atol=1e-4)


def test_smoothing_does_not_darken_the_edge_of_the_brain(brain):
    np.testing.assert_allclose(score("bright_intensity", ONES, brain)[brain], 1, atol=1e-4)


def test_smoothing_is_in_millimetres_and_evens_out_noise(brain):
    noise = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    rough = score("bright_intensity", noise, brain, smoothing_mm=0.5)[brain].std()
    smooth = score("bright_intensity", noise, brain, smoothing_mm=4.0)[brain].std()
    assert smooth < 0.25 * rough


def test_on_flair_brightness_and_the_lesion_output_add_up(brain):
    values = score("intensity_and_lesion", 1.5 * ONES, brain, anomaly=0.4 * ONES, lesion_weight=2)
    np.testing.assert_allclose(values[brain], 0.5 + 2 * 0.4, rtol=1e-4)


@pytest.mark.parametrize(("scan", "healthy", "expected"), [(2, 1.5, 0.4), (1, 1.5, 0), (3, 2.5, 0)])
def test_on_t2w_brightening_counts_in_lesions_and_not_in_fluid(brain, scan, healthy, expected):
    values = score(
        "brightening_in_lesion",
        scan * ONES,
        brain,
        pseudo_healthy=healthy * ONES,
        anomaly=0.8 * ONES,
        fluid_level=1.8,
    )
    np.testing.assert_allclose(values[brain], expected, atol=1e-4)
