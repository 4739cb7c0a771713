"""The way to noise and back that the diffusion methods share."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.reconstruction.diffusion import denoised, levels_down, noised

SHAPE = (3, 2, 24, 20)


@pytest.fixture
def slab():
    """A scan, the brain in it, and noise."""
    random = torch.Generator().manual_seed(0)
    scan = torch.rand(SHAPE, generator=random)
    brain = torch.zeros(SHAPE)
    brain[:, :, 4:-4, 4:-4] = 1
    return scan, brain, torch.randn(SHAPE, generator=random)


def test_level_zero_is_nearly_the_scan_and_level_one_nearly_noise(slab):
    scan, brain, noise = slab
    mixed = noised(scan, brain, noise, torch.tensor([0.0, 0.5, 1.0]))
    inside = brain > 0
    torch.testing.assert_close(mixed[0], scan[0], atol=0.05, rtol=0)
    torch.testing.assert_close(mixed[2][inside[2]], noise[2][inside[2]], atol=0.05, rtol=0)
    torch.testing.assert_close(mixed[~inside], scan[~inside], atol=0, rtol=0)


def test_one_level_for_all_is_that_level_for_each(slab):
    everywhere = noised(*slab, torch.full((3,), 0.3))
    torch.testing.assert_close(noised(*slab, 0.3), everywhere, atol=0, rtol=0)


@pytest.mark.parametrize("steps", [1, 4, 50])
def test_a_network_that_knows_the_healthy_image_leads_there(steps, slab):
    scan, brain, noise = slab
    asked = []

    def predict(noisy, level):
        asked.append(level[0].item())
        return scan

    down = levels_down(0.6, steps)
    healthy = denoised(predict, noised(scan, brain, noise, 0.6), brain, down)
    torch.testing.assert_close(healthy, scan * brain)
    assert asked == pytest.approx(down)


def test_between_steps_the_image_keeps_its_own_noise(slab):
    """Deterministic steps: what a perfect network is asked at a level is the scan noised to it."""
    scan, brain, noise = slab
    seen = {}

    def predict(noisy, level):
        seen[level[0].item()] = noisy
        return scan

    denoised(predict, noised(scan, brain, noise, 0.6), brain, levels_down(0.6, 3))
    for level, noisy in seen.items():
        expected = noised(scan, brain, noise, level)
        inside = brain > 0
        torch.testing.assert_close(noisy[inside], expected[inside], atol=1e-4, rtol=1e-4)


@given(start=st.floats(0.01, 1), steps=st.integers(1, 300))
def test_levels_fall_evenly_and_end_above_zero(start, steps):
    levels = levels_down(start, steps)
    assert levels[0] == start
    assert len(levels) == steps
    assert levels[-1] > 0
    assert all(a > b for a, b in pairwise(levels))
