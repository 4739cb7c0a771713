"""Adversarial networks with an encoder.

After f-AnoGAN (Schlegl et al. 2019, doi 10.1016/j.media.2019.01.010): a generator learns to draw
healthy slices that a critic takes for real, then an encoder learns to find the code of a given
slice, so that one evaluation restores it. Same: Wasserstein loss with a penalty on the critic's
gradient, five critic steps for one of the generator, the encoder trained afterwards with both
frozen on images and on features of the critic (izi_f). Different: whole slices of 2 mm instead of
patches, a generator and critic without batch norm, the absolute difference of images where the
paper squares it, and the residual alone as score of a voxel: the critic's features would score
whole slices.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from bids_anomaly.reconstruction import dense
from bids_anomaly.reconstruction.result import Slabs


class AdversarialNet(nn.Module):
    """Generator, critic and encoder.

    Parameters
    ----------
    shape : (H, W)
        Of the slices.
    channels : sequence of int
        See :func:`bids_anomaly.reconstruction.dense.encoder`; of all three.
    code : int
        Numbers that the generator draws from.
    """

    slices = 1

    def __init__(self, shape: Sequence[int], channels: Sequence[int], code: int):
        super().__init__()
        self.code = code
        self.arguments = {"shape": list(shape), "channels": list(channels), "code": code}
        self.generator = dense.decoder(shape, code, channels)
        self.critic = dense.encoder(shape, 1, channels)
        self.encoder = dense.encoder(shape, code, channels)


build = AdversarialNet


def fanogan(
    network: AdversarialNet, slabs: Tensor, brain: Tensor, *, run: Callable, **_: object
) -> Slabs:
    """Generate slices from the codes that the encoder finds."""
    (healthy,) = run(lambda slab: (network.generator(network.encoder(slab)),), slabs)
    return Slabs(pseudo_healthy=healthy)
