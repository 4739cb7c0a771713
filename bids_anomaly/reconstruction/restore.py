"""The default: a few-step restoration of synthetic anomalies.

One network, conditioned on a level of corruption, predicts the healthy slice from a corrupted one
and marks what was made anomalous. At inference the scan itself is the corrupted image. After
DISYRE (Naval Marimont et al. 2024, arXiv 2311.15453), pDDPM (Behrendt et al. 2023, arXiv
2303.03758) and denoising autoencoders (Kascenas et al. 2022); the weights, the generator of
anomalies and the second output are this project's own.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.reconstruction.result import Slabs

build = RestorationNet
# Told to expect the faintest anomalies, the network finds most; told to expect the strongest, it
# takes most of a lesion away.
STRONGEST = 1.0


def restore(
    network: RestorationNet,
    slabs: Tensor,
    brain: Tensor,
    *,
    run: Callable,
    levels: Sequence[float],
    steps: int,
    **_: object,
) -> Slabs:
    """Predict the healthy slices at several levels of corruption, as they are and mirrored.

    The mean probability that a voxel was made anomalous is the method's own score, and the standard
    deviation of the predictions their spread. The pseudo-healthy image is their mean where nothing
    is anomalous, and as far as something is, what is predicted at the strongest level of all.
    Nothing is random. Parameters are those of
    :func:`bids_anomaly.reconstruction.registry.reconstruct_slabs`.
    """
    middle = network.slices // 2

    def evaluate(slab: Tensor, level: float) -> tuple[Tensor, Tensor]:
        mirrored = slab[:, middle : middle + 1].flip(-1)
        healthy, logit = network(slab, mirrored, slab.new_full((len(slab),), level))
        return healthy, logit.sigmoid()

    def both_ways(level: float) -> list[tuple[Tensor, Tensor]]:
        as_they_are, mirrored = (
            run(lambda slab: evaluate(slab, level), seen) for seen in (slabs, slabs.flip(-1))
        )
        return [as_they_are, tuple(part.flip(-1) for part in mirrored)]

    predictions = [pair for level in _levels(levels, steps) for pair in both_ways(level)]
    healthy, probability = (torch.stack(parts) for parts in zip(*predictions, strict=True))
    strongest = both_ways(STRONGEST)
    restored = torch.stack([image for image, _ in strongest]).mean(0)
    anomaly = probability.mean(0)
    return Slabs(
        pseudo_healthy=torch.lerp(healthy.mean(0), restored, anomaly),
        spread=healthy.std(0, correction=0),
        anomaly=anomaly,
        evaluations=len(predictions) + len(strongest),
    )


def _levels(own: Sequence[float], steps: int) -> Sequence[float]:
    """Return the levels of the bundle, or another number of them evenly spaced over their range."""
    if steps == len(own):
        return own
    return np.linspace(max(own), min(own), steps).tolist()
