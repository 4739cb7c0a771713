"""What a trained network still has to learn about healthy people, from one look at many."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from bids_anomaly.reconstruction import cadd
from bids_anomaly.reconstruction.features import FeatureNet, cells_of
from bids_anomaly.reconstruction.methods import METHODS
from bids_anomaly.synthesis.corrupt import KINDS
from bids_anomaly.training.data import Healthy

# Batches that are looked at: of painted contrasts no two are alike, and the memory needs many.
LOOKS, SOLID_LOOKS = 64, 6
# Share of the voxels of a healthy brain that may be doubtful.
DOUBTFUL_SHARE = 0.02
# Quantiles of more values are slow and no better.
MOST_VALUES = 1_000_000


@torch.no_grad()
def remember(network: FeatureNet, draw: Callable[[], Healthy], generator: Generator) -> None:
    """Fill the memory of a network with the features of healthy slices.

    Parameters
    ----------
    network : FeatureNet
        On any device; trained.
    draw : callable
        Gives batches of healthy slices on the same device.
    generator : torch.Generator
        On the same device.
    """
    batch = draw()
    cells = _cells(network.features(batch.scan), batch.brain)
    network.mean.copy_(cells.mean(0))
    network.deviation.copy_(cells.std(0).clamp(min=1e-3))
    share = -(-len(network.memory) // LOOKS)
    parts = []
    for _ in range(LOOKS):
        batch = draw()
        cells = _cells(network.described(batch.scan), batch.brain)
        chosen = torch.randint(len(cells), (share,), device=cells.device, generator=generator)
        parts.append(cells[chosen])
    network.memory.copy_(torch.cat(parts)[: len(network.memory)])
    batch = draw()
    distance = network.distance(batch.scan, batch.brain)
    network.usual.copy_(distance[distance > 0].mean())


@torch.no_grad()
def doubt(
    network: cadd.NormativeNet, draw: Callable[[], Healthy], generator: Generator, *, start: float
) -> None:
    """Find out how much a first pass from a level changes healthy scans."""
    changes = []
    for _ in range(SOLID_LOOKS):
        batch = draw()
        noise = KINDS[network.noise](batch.scan.shape, generator)
        healthy = cadd.first_pass(
            network,
            batch.scan,
            batch.brain,
            noise,
            batch.covariates,
            start=start,
            steps=METHODS["cadd"].steps,
        )
        change = cadd.difference(batch.scan, healthy, batch.brain)[batch.brain > 0]
        changes.append(change[:: 1 + len(change) * SOLID_LOOKS // MOST_VALUES])
    network.doubtful.copy_(torch.cat(changes).quantile(1 - DOUBTFUL_SHARE))


def _cells(described: Tensor, brain: Tensor) -> Tensor:
    """Return (N, C) features of the cells in the brain."""
    return described.movedim(1, -1)[cells_of(brain)]
