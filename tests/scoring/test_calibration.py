import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.scoring.calibration import (
    calibrate,
    healthy_exceedance,
    load_calibration,
    save_calibration,
)

DISTRIBUTIONS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "skewed": lambda rng, n: rng.lognormal(sigma=0.8, size=n),
    "bounded": lambda rng, n: rng.uniform(-3, 2, size=n),
    "heavy-tailed": lambda rng, n: rng.standard_t(4, size=n),
    "mostly zero": lambda rng, n: np.maximum(rng.normal(-0.7, 1, size=n), 0),
}


def people(distribution, count, voxels=20_000, seed=0):
    rng = np.random.default_rng(seed)
    return [DISTRIBUTIONS[distribution](rng, voxels) for _ in range(count)]


@pytest.fixture(scope="module")
def calibration():
    return calibrate(people("normal", 5))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_new_healthy_people_exceed_a_z_as_often_as_it_says(distribution):
    calibration = calibrate(people(distribution, 20))
    z = np.concatenate([calibration.zscore(p) for p in people(distribution, 20, seed=1)])
    for rate in (0.1, 0.01, 0.002):
        assert np.mean(healthy_exceedance(z) < rate) == pytest.approx(rate, rel=0.12)


def test_a_z_of_2_88_is_the_nominal_rate():
    assert healthy_exceedance(np.array(2.878)) == pytest.approx(0.002, rel=0.01)


def test_normal_scores_are_their_own_z(calibration):
    score = np.linspace(-2.5, 3.5, 50)
    np.testing.assert_allclose(calibration.zscore(score), score, atol=0.15)


def test_a_person_counts_as_one_whatever_the_size_of_the_brain():
    rng = np.random.default_rng(0)
    calm, restless = rng.normal(size=100_000), rng.normal(size=2000) + 4
    z = calibrate([calm, restless]).zscore(np.array([2.0]))
    expected = (norm.sf(2) + norm.sf(-2)) / 2
    assert healthy_exceedance(z)[0] == pytest.approx(expected, rel=0.05)


def test_a_scanner_counts_as_one_whatever_the_number_of_its_people():
    rng = np.random.default_rng(0)
    calm, restless = [rng.normal(size=20_000) for _ in range(8)], [rng.normal(size=20_000) + 2]
    calibration = calibrate([*calm, *restless], ["calm"] * 8 + ["restless"])
    expected = (norm.sf(2.5) + norm.sf(0.5)) / 2
    rate = healthy_exceedance(calibration.zscore(np.array([2.5])))[0]
    assert rate == pytest.approx(expected, rel=0.05)
    assert calibration.people == 9


@settings(max_examples=60)
@given(
    distribution=st.sampled_from(sorted(DISTRIBUTIONS)),
    scores=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30),
)
def test_the_higher_score_never_has_the_lower_z(distribution, scores):
    calibration = calibrate(people(distribution, 3, voxels=2000))
    z = calibration.zscore(np.sort(scores))
    assert np.isfinite(z).all()
    assert (np.diff(z) >= -1e-5 * np.abs(z[1:])).all()


def test_scores_beyond_all_healthy_ones_still_differ(calibration):
    z = calibration.zscore(np.array([6.0, 8.0, 12.0]))
    assert z[0] > 4.5
    assert (np.diff(z) > 0.5).all()


@pytest.mark.parametrize("scores", [[np.zeros(100)], [np.full(10, 2.0), np.full(20, 2.0)]])
def test_without_variation_there_is_nothing_to_learn(scores):
    with pytest.raises(BadScanError, match="do not vary"):
        calibrate(scores)


@pytest.mark.parametrize(("count", "kept_out"), [(3, False), (10, True), (28, True)])
def test_one_person_of_many_does_not_set_the_threshold(count, kept_out):
    controls = people("normal", count)
    calibration = calibrate(controls)
    odd = calibrate([*controls[:-1], controls[-1] + 3])
    score = np.array([2.5])
    raised = odd.zscore(score) < calibration.zscore(score) - 0.3
    assert raised != kept_out


def test_what_is_saved_is_loaded(calibration, tmp_path):
    path = tmp_path / "calibration.npz"
    save_calibration(calibration, path)
    loaded = load_calibration(path)
    score = np.linspace(-4, 6, 100)
    np.testing.assert_allclose(loaded.zscore(score), calibration.zscore(score), atol=1e-4)
    assert loaded.people == 5


def test_thresholds_rise_and_rates_fall(calibration):
    assert (np.diff(calibration.score) > 0).all()
    assert (np.diff(calibration.exceedance) < 0).all()
    assert calibration.exceedance.min() > 0
    assert calibration.exceedance.max() < 1
