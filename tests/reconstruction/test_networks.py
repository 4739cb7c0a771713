import pytest
import torch

from bids_anomaly.reconstruction.networks import RestorationNet


def slabs(count=2, slices=5, height=32, width=48):
    return torch.rand(count, slices, height, width, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return RestorationNet(slices=5, channels=(16, 32)).eval()


@pytest.fixture
def awake(network):
    """The same with weights in its last layer, as if trained."""
    with torch.no_grad():
        torch.nn.init.normal_(network.leave[-1].weight, std=0.05)
    return network


@torch.no_grad()
def test_an_untrained_network_gives_the_scan_back(network):
    slab = slabs()
    healthy, logit = network(slab, slab[:, 2:3].flip(-1), torch.tensor([0.2, 0.9]))
    torch.testing.assert_close(healthy, slab[:, 2:3])
    torch.testing.assert_close(logit, torch.zeros_like(logit))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (80, 96), (96, 80), (32, 112)])
@pytest.mark.parametrize("slices", [1, 3, 5])
@torch.no_grad()
def test_a_slice_comes_out_as_large_as_it_went_in(slices, height, width):
    network = RestorationNet(slices=slices, channels=(8, 16, 16, 24)).eval()
    slab = slabs(3, slices, height, width)
    for output in network(slab, slab[:, :1], torch.zeros(3)):
        assert output.shape == (3, 1, height, width)


@pytest.mark.parametrize("level", [-1.0, 0.0, 1e-6, 0.5, 1.0, 1000.0])
@torch.no_grad()
def test_any_level_gives_finite_values(awake, level):
    slab = slabs()
    for output in awake(slab, torch.zeros_like(slab[:, :1]), torch.full((2,), level)):
        assert torch.isfinite(output).all()


@torch.no_grad()
def test_the_level_matters(awake):
    slab, nothing = slabs(1), torch.zeros(1, 1, 32, 48)
    low, _ = awake(slab, nothing, torch.tensor([0.1]))
    high, _ = awake(slab, nothing, torch.tensor([0.9]))
    assert (low - high).abs().max() > 1e-4


@torch.no_grad()
def test_the_neighbouring_slices_and_the_mirrored_one_matter(awake):
    slab, mirrored, level = slabs(1), slabs(1)[:, 1:2], torch.tensor([0.5])
    before, _ = awake(slab, mirrored, level)
    other = slab.clone()
    other[:, 0] = 0
    assert (awake(other, mirrored, level)[0] - before).abs().max() > 1e-4
    assert (awake(slab, torch.zeros_like(mirrored), level)[0] - before).abs().max() > 1e-4


@torch.no_grad()
def test_a_slab_does_not_depend_on_the_others_of_its_batch(awake):
    slab, level = slabs(4), torch.tensor([0.1, 0.4, 0.6, 0.9])
    together, _ = awake(slab, slab[:, 2:3].flip(-1), level)
    for i in range(4):
        alone, _ = awake(slab[i : i + 1], slab[i : i + 1, 2:3].flip(-1), level[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], atol=1e-5, rtol=1e-4)


def test_every_weight_learns(awake):
    slab = slabs()
    healthy, logit = awake(slab, slab[:, 2:3].flip(-1), torch.tensor([0.2, 0.9]))
    (healthy.sum() + logit.square().sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in awake.parameters())
