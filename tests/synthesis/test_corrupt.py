import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_anomaly.synthesis.corrupt import KINDS, simplex_octave

SHAPE = torch.Size((3, 5, 24, 20))
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    ),
]


def generator(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def half_width(kind):
    """Return the distance in voxels at which the correlation of a noise falls to one half."""
    noise = KINDS[kind](torch.Size((200, 1, 2, 60)), generator())[:, 0, 0]
    correlation = [(noise[:, :-d] * noise[:, d:]).mean() for d in range(1, 30)]
    return next(d for d, value in enumerate(correlation, start=1) if value < 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_has_zero_mean_and_unit_variance(kind):
    noise = KINDS[kind](torch.Size((600, 3, 12, 10)), generator())
    assert noise.mean() == pytest.approx(0, abs=0.05)
    assert noise.var() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_no_voxel_is_noisier_than_another(kind):
    noise = KINDS[kind](torch.Size((4000, 2, 9, 9)), generator())
    assert noise.mean(0).abs().max() < 0.08
    # Simplex noise has heavier tails, so that its variance is less well known.
    torch.testing.assert_close(noise.var(0), torch.ones(2, 9, 9), atol=0.2, rtol=0)


def test_coarse_noise_has_the_longest_grain_and_white_noise_none():
    widths = {kind: half_width(kind) for kind in KINDS}
    assert widths["gaussian"] == 1
    assert widths["gaussian"] < widths["coarse"]
    assert widths["pyramid"] < widths["coarse"]
    assert widths["simplex"] < widths["coarse"]


@pytest.mark.parametrize("kind", ["coarse", "simplex", "pyramid"])
def test_neighbouring_slices_hold_one_field(kind):
    noise = KINDS[kind](torch.Size((300, 2, 8, 8)), generator())
    across = (noise[:, 0] * noise[:, 1]).mean()
    along = (noise[..., 1:] * noise[..., :-1]).mean()
    assert across == pytest.approx(float(along), abs=0.1)
    assert across > 0.25


def test_simplex_noise_has_no_jumps_between_its_tetrahedra():
    # At the longest period a step of one voxel is short; other octaves are finer.
    field = simplex_octave(torch.Size((4, 1, 200, 200)), 200.0, generator())
    assert field.diff(dim=-1).abs().max() < 0.1
    assert field.diff(dim=-2).abs().max() < 0.1


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_noise_again_and_another_one_another(kind, device):
    first, again, other = (KINDS[kind](SHAPE, generator(seed, device)) for seed in (1, 1, 2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert (first - other).abs().max() > 0.1
    assert first.device.type == device
    assert first.shape == SHAPE


@pytest.mark.parametrize("kind", KINDS)
def test_scans_of_a_batch_do_not_share_their_noise(kind):
    noise = KINDS[kind](torch.Size((400, 2, 8, 8)), generator())
    assert (noise[::2] * noise[1::2]).mean().abs() < 0.08


@settings(max_examples=30)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    shape=st.tuples(*[st.integers(1, high) for high in (3, 5, 17, 13)]),
)
def test_a_slab_of_any_shape_has_noise(kind, shape):
    noise = KINDS[kind](torch.Size(shape), generator())
    assert noise.shape == shape
    assert noise.isfinite().all()
