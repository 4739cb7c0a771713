"""Denoising autoencoder.

After Kascenas et al. (2022, MIDL, "Denoising autoencoders for unsupervised anomaly detection in
brain MRI"): a U-Net removes coarse noise that was added to healthy slices, and at inference what
is anomalous in a slice without noise. Same: noise of one value for about 15 mm, interpolated, added
inside the brain; one evaluation; the residual as score. Different: one contrast at a time instead
of four together, l1 instead of l2, and the strength of the noise is varied.
"""

from collections.abc import Callable

from torch import Tensor

from bids_anomaly.reconstruction.networks import RepaintingNet
from bids_anomaly.reconstruction.result import Slabs

build = RepaintingNet


def dae(
    network: RepaintingNet, slabs: Tensor, brain: Tensor, *, run: Callable, **_: object
) -> Slabs:
    """Take the slices for noisy ones."""
    (healthy,) = run(lambda slab: (network(slab, slab.new_zeros(len(slab))),), slabs)
    return Slabs(pseudo_healthy=healthy)
