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

    The mean of the predictions is the pseudo-healthy image, their standard deviation its spread,
    and the mean probability that a voxel was made anomalous the method's own score. Nothing is
    random. Parameters are those of :func:`bids_anomaly.reconstruction.registry.reconstruct_slabs`.
    """
    middle = network.slices // 2

    def evaluate(slab: Tensor, level: float) -> tuple[Tensor, Tensor]:
        mirrored = slab[:, middle : middle + 1].flip(-1)
        healthy, logit = network(slab, mirrored, slab.new_full((len(slab),), level))
        return healthy, logit.sigmoid()

    predictions, lesion = [], torch.zeros(())
    for flip in (False, True):
        seen = slabs.flip(-1) if flip else slabs
        for level in _levels(levels, steps):
            healthy, probability = run(lambda slab, level=level: evaluate(slab, level), seen)
            predictions.append(healthy.flip(-1) if flip else healthy)
            lesion = lesion + (probability.flip(-1) if flip else probability)
    stacked = torch.stack(predictions)
    return Slabs(
        pseudo_healthy=stacked.mean(0),
        spread=stacked.std(0, correction=0),
        anomaly=lesion / len(predictions),
        evaluations=len(predictions),
    )


def _levels(own: Sequence[float], steps: int) -> Sequence[float]:
    """Return the levels of the bundle, or another number of them evenly spaced over their range."""
    if steps == len(own):
        return own
    return np.linspace(max(own), min(own), steps).tolist()
