"""Diffusion of volumes, guided by the diseased scan and trained on fluid-driven anomalies.

After Lawry Aguila et al. 2025 ("Conditional diffusion models for guided anomaly detection in brain
images using fluid-driven anomaly randomization", arXiv 2506.10233) and UNA (Liu et al. 2025, CVPR,
"Unraveling normal anatomy via fluid-driven anomaly randomization"). Same: anomalies that a
divergence-free flow carries and diffusion blurs are put into healthy volumes; a three-dimensional
network denoises the healthy one given the diseased one; the residual is the score. Different: it
predicts the healthy volume as a change to the diseased one, in three deterministic steps from noise
alone; slabs of 2 mm, stitched; the seeds of the flow are random blobs only.
"""

from collections.abc import Callable, Sequence

from torch import Generator, Tensor

from bids_anomaly.reconstruction.diffusion import denoised, levels_down, noised
from bids_anomaly.reconstruction.networks import RepaintingNet
from bids_anomaly.reconstruction.result import Slabs
from bids_anomaly.synthesis.corrupt import KINDS


def build(**arguments) -> RepaintingNet:
    """Return a network that sees the scan, which it changes, and the noisy image beside it."""
    return RepaintingNet(inputs=2, dimensions=3, **arguments)


def guided(
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
    """Go from noise to the healthy volume that belongs to the scan."""
    start = max(levels)
    down = levels_down(start, steps)

    def evaluate(slab: Tensor, inside: Tensor, noise: Tensor) -> tuple[Tensor]:
        def predict(noisy: Tensor, level: Tensor) -> Tensor:
            return network(slab, level, beside=[noisy])

        return (denoised(predict, noised(slab, inside, noise, start), inside, down),)

    (healthy,) = run(evaluate, slabs, brain, KINDS[network.noise](slabs.shape, generator))
    return Slabs(pseudo_healthy=healthy, evaluations=len(down))
