import numpy as np
import pytest
from scipy import ndimage

from bids_anomaly.preprocessing.blur import blur, missing_blur, resolution
from bids_anomaly.preprocessing.template import Grid

TURN = np.eye(4)
TURN[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
THIN = Grid.isotropic((8, 8, 8), (0, 0, 0), 1.0)
THICK = Grid((8, 8, 8), np.diag([1.0, 1.0, 4.0, 1.0]))
CORONAL = Grid((8, 8, 8), np.diag([1.0, 4.0, 1.0, 1.0]))


def test_it_is_the_gaussian_of_scipy_along_axes():
    values = np.random.default_rng(0).normal(size=(30, 28, 26))
    sigma = np.array([2.0, 2.0, 4.0])
    expected = ndimage.gaussian_filter(values, sigma / 2, mode="constant", truncate=8)
    np.testing.assert_allclose(blur(values, np.diag(sigma**2), 2.0), expected, atol=5e-3)


def test_a_blur_along_a_slanted_direction_spreads_that_way():
    values = np.zeros((31, 31, 31))
    values[15, 15, 15] = 1
    direction = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
    spread = blur(values, 9 * np.outer(direction, direction) + 0.5 * np.eye(3), 1.0)
    assert spread.sum() == pytest.approx(1, abs=0.01)
    assert spread[18, 18, 15] > 20 * abs(spread[18, 12, 15])


def test_no_blur_is_none():
    values = np.random.default_rng(0).normal(size=(5, 5, 5)).astype(np.float32)
    np.testing.assert_array_equal(blur(values, np.zeros((3, 3)), 1.0), values)


@pytest.mark.parametrize("turn", [np.eye(4), TURN])
@pytest.mark.parametrize(("one", "other"), [(THIN, THICK), (THICK, CORONAL), (THICK, THICK)])
def test_both_have_one_resolution_after_each_got_what_it_lacks(one, other, turn):
    own, others = resolution(one, np.eye(4)), resolution(other, turn)
    lacking, theirs = missing_blur(own, others), missing_blur(others, own)
    np.testing.assert_allclose(own + lacking, others + theirs)
    for part in (lacking, theirs):
        assert np.linalg.eigvalsh(part).min() > -1e-9


def test_thin_voxels_get_the_blur_and_thick_ones_none():
    thin, thick = resolution(THIN, np.eye(4)), resolution(THICK, np.eye(4))
    np.testing.assert_allclose(missing_blur(thick, thin), 0, atol=1e-9)
    np.testing.assert_allclose(np.diag(missing_blur(thin, thick)), [0, 0, (16 - 1) / 4])
