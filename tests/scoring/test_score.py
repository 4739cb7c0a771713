import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        description,
        scan,
        brain,
        pseudo_healthy=pseudo_healthy,
        anomaly=anomaly,
        spacing=(2.0, 2.0, 2.0),
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


def test_the_surroundings_of_what_the_network_marked_count_as_well(brain):
    marked = with_spot(2) - 1
    weights = {"lesion_weight": 0.0, "surroundings_weight": 1.0, "surroundings_mm": 6.0}
    found = score("intensity_and_surroundings", ONES, brain, anomaly=marked, **weights)
    assert found[12, 12, 12] > found[12, 12, 16] > found[12, 12, 20] > 0.005
    assert not found[~brain].any()


def noisy(seed=0):
    return 1 + 0.1 * np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def test_thick_slices_are_smoothed_by_the_same_millimetres(brain):
    """Fewer voxels across slices, as many millimetres."""
    thin = score("bright_intensity", with_spot(2), brain)
    description = {"rule": "bright_intensity", "smoothing_mm": 1.2}
    thick = anomaly_score(
        description, with_spot(2)[:, :, ::2], brain[:, :, ::2],
        pseudo_healthy=None, anomaly=None, spacing=(2.0, 2.0, 4.0),
    )  # fmt: skip
    assert abs(thick[12, 12, 6] - thin[12, 12, 12]) < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_denoising_evens_tissue_and_leaves_thin_bright_strips(brain, seed):
    scan = noisy(seed)
    strip = np.zeros(SHAPE, bool)
    strip[11:13, 6:18, 6:18] = True
    scan[strip] += 0.8
    offset = np.indices(SHAPE) - 11.5
    # The rim of a brain against nothing fades a little.
    far = (np.linalg.norm(offset, axis=0) < 7) & (np.abs(offset[0]) > 3)
    left, by_gaussian = {}, {}
    for values, chosen in ((left, {"denoising_mm": 0.3}), (by_gaussian, {"smoothing_mm": 2.0})):
        found = score("bright_intensity", scan, brain, **{"smoothing_mm": 0.0, **chosen})
        values["noise"], values["strip"] = found[far].std(), found[strip].mean() - found[far].mean()
    assert left["noise"] < 0.5 * scan[far].std()
    assert left["strip"] > 0.5
    assert left["strip"] > by_gaussian["strip"] + 0.05


@pytest.mark.parametrize("times", [2, 3])
def test_denoising_in_finer_voxels_is_as_strong(brain, times):
    scan = ONES.copy()
    scan[8:16, 8:16, 8:16] = 2

    def lost(fold):
        """How much of a bright cube of 16 mm is taken away, in voxels of 2 mm over `fold`."""
        fine = [np.kron(image, np.ones((fold,) * 3)) for image in (scan, brain)]
        found = anomaly_score(
            {"rule": "bright_intensity", "smoothing_mm": 0.0, "denoising_mm": 0.1},
            fine[0].astype(np.float32), fine[1] > 0,
            pseudo_healthy=None, anomaly=None, spacing=(2.0 / fold,) * 3,
        )  # fmt: skip
        cube = (slice(8 * fold, 16 * fold),) * 3
        return 2 - found[cube].mean()

    assert lost(times) == pytest.approx(lost(1), rel=0.1)


def test_denoising_an_empty_brain_finds_nothing():
    nothing = np.zeros(SHAPE, bool)
    assert not score("bright_intensity", noisy(), nothing, denoising_mm=0.06).any()


@given(gain=st.floats(0.2, 5), offset=st.floats(-2, 2))
def test_a_scanner_with_another_contrast_has_the_same_scores(gain, offset):
    brain = np.sum((np.indices(SHAPE) - 11.5) ** 2, axis=0) < 9**2
    bulk = {"smoothing_mm": 0.0, "bulk": (0.5, 0.65)}
    one = score("bright_intensity", noisy(), brain, **bulk)
    other = score("bright_intensity", gain * noisy() + offset, brain, **bulk)
    np.testing.assert_allclose(other, one, atol=1e-2)


@pytest.mark.parametrize("seed", range(3))
def test_a_lesion_of_a_third_of_the_brain_does_not_hide_itself(brain, seed):
    scan = noisy(seed)
    lesion = brain & (np.indices(SHAPE)[0] < 9)
    assert 0.25 < lesion.sum() / brain.sum() < 1 / 3
    bulk = {"smoothing_mm": 0.0, "bulk": (0.5, 0.65)}
    healthy = score("bright_intensity", scan, brain, **bulk)
    ill = score("bright_intensity", scan + 1.0 * lesion, brain, **bulk)
    assert np.median(ill[lesion]) > 1.5 * np.quantile(healthy[brain], 0.998)


def test_a_score_of_one_value_is_no_finding(brain):
    flat = score("bright_intensity", ONES, brain, smoothing_mm=0.0, bulk=(0.5, 0.65))
    assert not flat.any()


def test_a_large_lesion_does_not_hide_itself_by_what_is_found_around_it(brain):
    """The surroundings of a third of a brain are most of it."""
    scan = noisy()
    lesion = brain & (np.indices(SHAPE)[0] < 9)
    scan[lesion] += 0.5
    found = {
        "anomaly": lesion.astype(np.float32),
        "lesion_weight": 0.2,
        "surroundings_weight": 2.0,
        "surroundings_mm": 14.0,
        "smoothing_mm": 0.0,
        "bulk": (0.5, 0.65),
    }
    by_score, by_intensity = (
        np.median(score("intensity_and_surroundings", scan, brain, **found, bulk_of=of)[lesion])
        for of in ("score", "intensity")
    )
    assert by_intensity > 2 * by_score
