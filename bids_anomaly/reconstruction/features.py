"""Features of a network trained here, compared with those of healthy people.

After PatchCore (Roth et al. 2022, CVPR), as the feature-modelling methods that Lagogiannis et al.
compared on brain scans (2023, "Unsupervised pathology detection: a deep dive into the state of the
art", arXiv 2303.00609). Same: features at several resolutions, brought to one grid; a memory of
healthy ones; the distance to the nearest of them as score. Different: the features are those of a
denoising autoencoder (:mod:`bids_anomaly.reconstruction.dae`) trained on the healthy scans instead
of a network trained on photographs; the mean of the three nearest; where in its slice a voxel lies
is a feature too, after PaDiM, which knows the place alone; the memory is drawn at random, since a
greedy core set is mostly made of outliers. Gives no image.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bids_anomaly.reconstruction.networks import RepaintingNet
from bids_anomaly.reconstruction.result import Slabs

# Features a cell; the finer resolutions, as PatchCore takes.
RESOLUTIONS = 3
# How many nearest neighbours are averaged.
NEIGHBOURS = 3
# A quarter of the width of a slice away counts as one standard deviation of all other features.
PLACE_WEIGHT = 4.0


class FeatureNet(RepaintingNet):
    """A denoising autoencoder that remembers the features of healthy slices.

    Parameters
    ----------
    channels : sequence of int
        See :class:`UNet`.
    noise : str
        What it was trained with.
    remembered : int
        How many cells it remembers.
    """

    mean: Tensor
    deviation: Tensor
    memory: Tensor
    usual: Tensor

    def __init__(self, channels: Sequence[int], noise: str, remembered: int):
        super().__init__(channels, noise=noise)
        self.arguments["remembered"] = remembered
        size = sum(channels[:RESOLUTIONS])
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        self.register_buffer("memory", torch.zeros(remembered, size + 2))
        # The distance that is usual among healthy people.
        self.register_buffer("usual", torch.ones(()))

    def features(self, slab: Tensor) -> Tensor:
        """Return (B, C, H/2, W/2) features of (B, 1, H, W) slices."""
        found = self.encode(slab, self.condition(slab.new_zeros(len(slab))))[:RESOLUTIONS]
        finest = found[0].shape[2:]
        found = [F.avg_pool2d(part, 3, stride=1, padding=1) for part in found]
        return torch.cat(
            [F.interpolate(part, finest, mode="bilinear") for part in found], dim=1
        ).float()

    def described(self, slab: Tensor) -> Tensor:
        """Return (B, C + 2, H/2, W/2) features of equal weight, and where in the slice they are."""
        features = (self.features(slab) - self.mean[:, None, None]) / self.deviation[:, None, None]
        features = features / len(self.mean) ** 0.5
        height, width = features.shape[2:]
        rows, columns = torch.meshgrid(
            torch.arange(height, device=slab.device),
            torch.arange(width, device=slab.device),
            indexing="ij",
        )
        place = torch.stack([rows, columns]) * PLACE_WEIGHT / width
        return torch.cat([features, place.expand(len(slab), -1, -1, -1)], dim=1)

    def distance(self, slab: Tensor, brain: Tensor) -> Tensor:
        """Return (B, 1, H/2, W/2) distances of the cells of the brain to their nearest memories."""
        described = self.described(slab)
        inside = cells_of(brain)
        distance = described.new_zeros(inside.shape)
        cells = described.movedim(1, -1)[inside]
        if len(cells):
            nearest = torch.cdist(cells, self.memory).topk(NEIGHBOURS, largest=False).values
            distance[inside] = nearest.mean(-1)
        return distance[:, None]


def cells_of(brain: Tensor) -> Tensor:
    """Return (B, H/2, W/2) booleans: which cells hold some of the (B, 1, H, W) brain."""
    return F.max_pool2d(brain, 2)[:, 0] > 0


build = FeatureNet


def features(
    network: FeatureNet, slabs: Tensor, brain: Tensor, *, run: Callable, **_: object
) -> Slabs:
    """Score how far the features of each cell are from those of healthy people, 0 as usual."""

    def evaluate(slab: Tensor, inside: Tensor) -> tuple[Tensor]:
        unusual = network.distance(slab, inside) / network.usual - 1
        return (F.interpolate(unusual, scale_factor=2, mode="bilinear"),)

    (anomaly,) = run(evaluate, slabs, brain)
    return Slabs(anomaly=anomaly * brain)
