import numpy as np

from bids_anomaly.synthesis.hypointensities import fill_hypointensities


def brain():
    """White matter with a ventricle in it, in cortex, in air."""
    t1w = np.zeros((24, 24, 24), np.float32)
    t1w[2:-2, 2:-2, 2:-2] = 0.7
    t1w[4:-4, 4:-4, 4:-4] = 1.0
    t1w[10:14, 10:14, 10:14] = 0.2
    white_matter = np.zeros_like(t1w)
    white_matter[4:-4, 4:-4, 4:-4] = 1.0
    white_matter[9:15, 9:15, 9:15] = 0.0
    return t1w, white_matter


def test_a_dark_island_in_white_matter_is_filled():
    t1w, white_matter = brain()
    lesioned = t1w.copy()
    lesioned[6:8, 6:8, 6:8] = 0.6
    np.testing.assert_allclose(fill_hypointensities(lesioned, white_matter), t1w)


def test_ventricle_cortex_and_air_stay_as_they_are():
    t1w, white_matter = brain()
    np.testing.assert_array_equal(fill_hypointensities(t1w, white_matter), t1w)


def test_nothing_becomes_darker_or_brighter_than_white_matter():
    t1w, white_matter = brain()
    noisy = t1w + np.random.default_rng(0).normal(0, 0.05, t1w.shape).astype(np.float32) * (t1w > 0)
    filled = fill_hypointensities(noisy, white_matter)
    assert (filled >= noisy).all()
    raised = filled > noisy
    assert filled[raised].max() <= 1.0
