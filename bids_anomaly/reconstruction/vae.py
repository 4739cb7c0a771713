"""Variational autoencoder.

After Baur et al. (2021, doi 10.1016/j.media.2020.101952), as :mod:`bids_anomaly.reconstruction.ae`
but for the code, which is drawn from a normal distribution in training. Same: the mean of the code
is decoded at inference, the residual is the score. Different: as there; the divergence from the
prior is weighted so that l1 over the brain is the likelihood of a Laplace distribution.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from bids_anomaly.reconstruction.ae import Autoencoder
from bids_anomaly.reconstruction.result import Slabs

build = partial(Autoencoder, variational=True)


def vae(network: Autoencoder, slabs: Tensor, brain: Tensor, *, run: Callable, **_: object) -> Slabs:
    """Decode the mean of the code of each slice."""

    def evaluate(slab: Tensor) -> tuple[Tensor]:
        mean, _ = network.encoder(slab).chunk(2, dim=1)
        return (network.decoder(mean),)

    (healthy,) = run(evaluate, slabs)
    return Slabs(pseudo_healthy=healthy)
