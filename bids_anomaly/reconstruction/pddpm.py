"""Patched diffusion: each patch is noised alone, and restored from its surroundings.

After pDDPM (Behrendt et al. 2023, MIDL, arXiv 2303.03758). Same: four overlapping patches of 5/8
of each side, noised one by one up to time 400 of 1,000, the healthy image predicted in one step,
the patches stitched by averaging where they overlap, simplex noise, l1 on the patch alone in
training, the residual as score. Different: the network learns the levels up to the one of
inference, has no attention, and sees slices of 2 mm.
"""

from collections.abc import Callable, Sequence

from torch import Generator, Tensor

from bids_anomaly.reconstruction.batching import places, stitched
from bids_anomaly.reconstruction.diffusion import noised
from bids_anomaly.reconstruction.networks import RepaintingNet
from bids_anomaly.reconstruction.result import Slabs
from bids_anomaly.synthesis.corrupt import KINDS

build = RepaintingNet
PATCHES_A_SIDE = 2


def pddpm(
    network: RepaintingNet,
    slabs: Tensor,
    brain: Tensor,
    *,
    run: Callable,
    levels: Sequence[float],
    generator: Generator,
    **_: object,
) -> Slabs:
    """Noise and restore each patch in turn."""
    level = max(levels)
    rows, columns = (
        places(side, patch, PATCHES_A_SIDE)
        for side, patch in zip(slabs.shape[2:], patch_shape(slabs), strict=True)
    )
    patches = [(..., row, column) for row in rows for column in columns]

    def evaluate(slab: Tensor, inside: Tensor, noise: Tensor) -> tuple[Tensor]:
        noisy = noised(slab, inside, noise, level)
        times = slab.new_full((len(slab),), level)
        parts = []
        for patch in patches:
            seen = slab.clone()
            seen[patch] = noisy[patch]
            parts.append((patch, network(seen, times)[patch]))
        return (stitched(parts, slab.shape),)

    (healthy,) = run(evaluate, slabs, brain, KINDS[network.noise](slabs.shape, generator))
    return Slabs(pseudo_healthy=healthy, evaluations=len(patches))


def patch_shape(slabs: Tensor) -> list[int]:
    """Return height and width of a patch of (B, S, H, W) slabs."""
    return [5 * side // 8 for side in slabs.shape[2:]]
