"""Convolutional autoencoder with a dense bottleneck.

After the autoencoders that Baur et al. compared (2021, doi 10.1016/j.media.2020.101952): what does
not pass through the bottleneck cannot be anomalous. Same: dense code of 128 numbers, l1, one slice
in and out, the residual as score. Different: one network for all contrasts it is trained on, and
slices of 2 mm in the grid of the template.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from bids_anomaly.reconstruction import dense
from bids_anomaly.reconstruction.result import Slabs


class Autoencoder(nn.Module):
    """Encodes slices as numbers, and decodes them.

    Parameters
    ----------
    shape : (H, W)
        Of the slices.
    channels : sequence of int
        See :func:`bids_anomaly.reconstruction.dense.encoder`.
    code : int
        Numbers in the bottleneck.
    variational : bool
        Whether the encoder also gives the logarithm of their variance.
    """

    slices = 1

    def __init__(
        self, shape: Sequence[int], channels: Sequence[int], code: int, variational: bool = False
    ):
        super().__init__()
        self.arguments = {"shape": list(shape), "channels": list(channels), "code": code}
        self.encoder = dense.encoder(shape, code * (1 + variational), channels)
        self.decoder = dense.decoder(shape, code, channels)


build = Autoencoder


def ae(network: Autoencoder, slabs: Tensor, brain: Tensor, *, run: Callable, **_: object) -> Slabs:
    """Encode and decode each slice."""
    (healthy,) = run(lambda slab: (network.decoder(network.encoder(slab)),), slabs)
    return Slabs(pseudo_healthy=healthy)
