"""Diffusion conditioned on a code of the scan.

After cDDPM (Behrendt et al. 2023, "Guided reconstruction with conditioned diffusion models for
unsupervised anomaly detection in brain MRIs", arXiv 2312.04215): an encoder tells the denoiser
what the scan was like, so that intensities survive more noise than the anatomy would. Same: one
code beside the time embedding, simplex noise, the healthy image predicted in one step at the times
250, 500 and 750 of 1,000 and averaged, the residual as score. Different: a small encoder that is
trained together with the denoiser instead of a ResNet that is pretrained by masking; slices of
2 mm. The standard deviation over the three times is the spread.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from bids_anomaly.reconstruction import dense
from bids_anomaly.reconstruction.diffusion import noised
from bids_anomaly.reconstruction.networks import RepaintingNet
from bids_anomaly.reconstruction.result import Slabs
from bids_anomaly.synthesis.corrupt import KINDS


class ConditionedNet(nn.Module):
    """A U-Net whose context is a code of the clean slice.

    Parameters
    ----------
    shape : (H, W)
        Of the slices.
    channels : sequence of int
        Of the U-Net.
    encoder_channels : sequence of int
        See :func:`bids_anomaly.reconstruction.dense.encoder`.
    noise : str
        What it was trained with.
    """

    slices = 1

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int],
        encoder_channels: Sequence[int],
        noise: str,
    ):
        super().__init__()
        self.noise = noise
        self.arguments = {
            "shape": list(shape),
            "channels": list(channels),
            "encoder_channels": list(encoder_channels),
            "noise": noise,
        }
        self.unet = RepaintingNet(channels)
        self.encoder = dense.encoder(shape, self.unet.context_size, encoder_channels)

    def forward(self, noisy: Tensor, level: Tensor, scan: Tensor) -> Tensor:
        """Predict (B, 1, H, W) healthy slices from `noisy` ones and the clean `scan`."""
        return self.unet(noisy, level, self.encoder(scan))


build = ConditionedNet


def cddpm(
    network: ConditionedNet,
    slabs: Tensor,
    brain: Tensor,
    *,
    run: Callable,
    levels: Sequence[float],
    generator: Generator,
    **_: object,
) -> Slabs:
    """Noise the slices to each of the levels, restore them in one step, and average."""
    predictions = []
    for level in levels:

        def evaluate(
            slab: Tensor, inside: Tensor, noise: Tensor, level: float = level
        ) -> tuple[Tensor]:
            times = slab.new_full((len(slab),), level)
            return (network(noised(slab, inside, noise, level), times, slab),)

        noise = KINDS[network.noise](slabs.shape, generator)
        predictions += run(evaluate, slabs, brain, noise)
    stacked = torch.stack(predictions)
    return Slabs(
        pseudo_healthy=stacked.mean(0),
        spread=stacked.std(0, correction=0),
        evaluations=len(levels),
    )
