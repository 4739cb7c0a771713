"""Diffusion with simplex noise to a partial level and back.

After AnoDDPM (Wyatt et al. 2022, CVPR Workshops): structured noise up to a quarter of the way hides
anomalies of all sizes and leaves the anatomy. Same: simplex noise in octaves (or Gaussian noise,
their baseline), a linear schedule of 1,000 times, from time 250 back, the residual as score.
Different: the network predicts the healthy image instead of the noise and learns the levels up to
the one that inference starts from; by default ten deterministic steps lead back (DDIM), `steps` of
1 to 250 as many; a network without attention and slices of 2 mm.
"""

from collections.abc import Callable, Sequence

from torch import Generator, Tensor

from bids_anomaly.reconstruction.diffusion import denoised, levels_down, noised
from bids_anomaly.reconstruction.networks import RepaintingNet
from bids_anomaly.reconstruction.result import Slabs
from bids_anomaly.synthesis.corrupt import KINDS

build = RepaintingNet


def anoddpm(
    network: RepaintingNet,
    slabs: Tensor,
    brain: Tensor,
    *,
    run: Callable,
    levels: Sequence[float],
    steps: int,
    generator: Generator,
    **_: object,
) -> Slabs:
    """Add noise up to the highest of the levels, and remove it."""
    start = max(levels)
    down = levels_down(start, steps)

    def evaluate(slab: Tensor, inside: Tensor, noise: Tensor) -> tuple[Tensor]:
        return (denoised(network, noised(slab, inside, noise, start), inside, down),)

    (healthy,) = run(evaluate, slabs, brain, KINDS[network.noise](slabs.shape, generator))
    return Slabs(pseudo_healthy=healthy, evaluations=len(down))
