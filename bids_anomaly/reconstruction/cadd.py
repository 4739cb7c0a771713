"""Diffusion of volumes, conditioned on age and sex, that repaints only what is doubtful.

After CADD (Lawry Aguila et al. 2025, "CADD: Context aware disease deviations via restoration of
brain images using normative conditional diffusion models"). Same: a three-dimensional diffusion
model learns what healthy brains of an age and a sex look like; at inference what a first pass
changes by more than it changes healthy brains is painted anew while the rest is held to the scan
at each step. Different: the network predicts the healthy volume instead of the noise, few
deterministic steps lead back, and age and sex, where unknown, have learned values of their own,
which are also shown in a part of the training; what is doubtful is decided by one bound of the
smoothed difference, taken from healthy scans at the end of the training; slabs of 2 mm, stitched.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bids_anomaly.reconstruction.covariates import COVARIATES
from bids_anomaly.reconstruction.diffusion import denoised, levels_down, noised
from bids_anomaly.reconstruction.networks import Covariates, RepaintingNet
from bids_anomaly.reconstruction.result import Slabs
from bids_anomaly.synthesis.corrupt import KINDS

SMOOTHED_VOXELS = 3
# What surrounds a doubtful voxel is painted anew too.
MARGIN_VOXELS = 1


class NormativeNet(nn.Module):
    """A three-dimensional U-Net whose context is age and sex.

    Parameters
    ----------
    channels : sequence of int
        Of the U-Net.
    slices : int
        Height of a slab.
    noise : str
        What it was trained with.
    """

    dimensions = 3
    doubtful: Tensor

    def __init__(self, channels: Sequence[int], slices: int, noise: str):
        super().__init__()
        self.slices, self.noise = slices, noise
        self.arguments = {"channels": list(channels), "slices": slices, "noise": noise}
        self.unet = RepaintingNet(channels, slices=slices, dimensions=3)
        self.covariates = Covariates(COVARIATES, self.unet.context_size)
        # Larger smoothed differences than this are doubtful.
        self.register_buffer("doubtful", torch.tensor(0.1))

    def forward(self, noisy: Tensor, level: Tensor, covariates: Tensor) -> Tensor:
        """Predict (B, S, H, W) healthy slabs of people with (B, C) `covariates`."""
        return self.unet(noisy, level, self.covariates(covariates))


build = NormativeNet


def cadd(
    network: NormativeNet,
    slabs: Tensor,
    brain: Tensor,
    *,
    run: Callable,
    levels: Sequence[float],
    steps: int,
    covariates: Tensor,
    generator: Generator,
    **_: object,
) -> Slabs:
    """Find out what is doubtful from the lower of two levels, and repaint it from the higher."""
    low, high = sorted(levels)

    def evaluate(slab: Tensor, inside: Tensor, noise: Tensor, known: Tensor) -> tuple[Tensor]:
        first = first_pass(network, slab, inside, noise, known, start=low, steps=steps)
        doubtful = difference(slab, first, inside) > network.doubtful
        doubtful = F.max_pool3d(
            doubtful[:, None].float(), 2 * MARGIN_VOXELS + 1, stride=1, padding=MARGIN_VOXELS
        )[:, 0]

        def hold(noisy: Tensor, level: float) -> Tensor:
            return torch.where(doubtful > 0, noisy, noised(slab, inside, noise, level))

        painted = denoised(
            lambda noisy, level: network(noisy, level, known),
            noised(slab, inside, noise, high),
            inside,
            levels_down(high, steps),
            after_step=hold,
        )
        return (torch.where(doubtful > 0, painted, slab),)

    noise = KINDS[network.noise](slabs.shape, generator)
    (healthy,) = run(evaluate, slabs, brain, noise, covariates)
    return Slabs(pseudo_healthy=healthy, evaluations=2 * steps)


def first_pass(
    network: NormativeNet,
    slab: Tensor,
    brain: Tensor,
    noise: Tensor,
    covariates: Tensor,
    *,
    start: float,
    steps: int,
) -> Tensor:
    """Noise slabs to a level, and go back to healthy ones; each of the two passes has `steps`."""
    return denoised(
        lambda noisy, level: network(noisy, level, covariates),
        noised(slab, brain, noise, start),
        brain,
        levels_down(start, steps),
    )


def difference(scan: Tensor, healthy: Tensor, brain: Tensor) -> Tensor:
    """Return the absolute value of the smoothed difference of (B, S, H, W) slabs."""
    inside = torch.stack([(scan - healthy) * brain, brain], dim=1)
    smooth = F.avg_pool3d(inside, SMOOTHED_VOXELS, stride=1, padding=SMOOTHED_VOXELS // 2)
    return (smooth[:, 0] / smooth[:, 1].clamp(min=1e-3)).abs() * brain
