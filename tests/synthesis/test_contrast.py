import numpy as np
import pytest

from bids_anomaly.synthesis.contrast import T1W_TISSUES, paint_t2w

CSF, GREY, WHITE = T1W_TISSUES


@pytest.fixture
def tissues():
    """A T1w scan with a block of each tissue, partial volume between, and air around."""
    scan = np.zeros((8, 8, 12), np.float32)
    scan[1:-1, 1:-1, 1:-1] = np.linspace(CSF, WHITE, 10)
    return scan, scan > 0


def paint(tissues, seed=0):
    return paint_t2w(*tissues, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(10))
def test_fluid_is_brightest_and_white_matter_darkest(seed):
    scan = np.array([[[CSF, GREY, WHITE]]])
    csf, grey, white = paint((scan, np.ones_like(scan, bool)), seed)[0, 0]
    assert 2 <= csf <= 3.5
    assert 1.3 <= grey <= 1.8
    assert white == pytest.approx(1, abs=0.03)


def test_partial_volume_stays_between_its_tissues(tissues):
    painted = paint(tissues)[4, 4, 1:-1]
    assert (np.diff(painted) < 0).all()


def test_outside_the_brain_is_nothing(tissues):
    painted = paint(tissues)
    assert painted.dtype == np.float32
    assert painted.shape == tissues[0].shape
    assert not painted[~tissues[1]].any()
    assert np.isfinite(painted).all()


def test_the_same_seed_paints_the_same_scan_and_another_one_another(tissues):
    np.testing.assert_array_equal(paint(tissues, 3), paint(tissues, 3))
    assert np.abs(paint(tissues, 3) - paint(tissues, 4)).max() > 0.01


@pytest.mark.parametrize("value", [-0.5, 0.0, 3.0])
def test_values_that_no_tissue_has_stay_in_range(value):
    scan = np.full((1, 1, 1), value)
    assert 0 <= paint((scan, scan == scan)).item() <= 3.5
