"""The default: a few-step restoration of synthetic anomalies.

One network, conditioned on a level of corruption, predicts the healthy slice from a corrupted one
and marks what was made anomalous. At inference the scan itself is the corrupted image. After
DISYRE (Naval Marimont et al. 2024, arXiv 2311.15453), pDDPM (Behrendt et al. 2023, arXiv
2303.03758) and denoising autoencoders (Kascenas et al. 2022); the weights, the generator of
anomalies and the second output are this project's own.
"""

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from bids_anomaly.reconstruction.batching import batch_size_for, in_batches
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.reconstruction.result import Reconstruction


def restore(
    bundle: Bundle,
    scan: np.ndarray,
    brain: np.ndarray,
    *,
    device: str,
    batch_size: int | None,
    steps: int | None,
    seed: int,
) -> Reconstruction:
    """Predict the healthy volume at several levels of corruption, as it is and mirrored.

    The mean of the predictions is the pseudo-healthy image, their standard deviation its spread,
    and the mean probability that a voxel was made anomalous the method's own score. Nothing is
    random. Parameters are those of :func:`bids_anomaly.reconstruction.registry.reconstruct`.
    """
    network = load_network(bundle).to(device)
    levels = _levels(bundle.description["levels"], steps)
    slabs = _slabs(torch.from_numpy(np.ascontiguousarray(scan, dtype=np.float32)), network.slices)
    size = batch_size or batch_size_for(device)
    predictions, lesion = [], 0.0
    for flip in (False, True):
        seen = slabs.flip(-1) if flip else slabs
        for level in levels:
            healthy, logit = in_batches(
                lambda slab, level=level: _evaluate(network, slab, level, device), seen, size
            )
            predictions.append(healthy.flip(-1) if flip else healthy)
            lesion = lesion + (logit.sigmoid().flip(-1) if flip else logit.sigmoid())
    stacked = torch.stack(predictions)

    def to_volume(slices: Tensor) -> np.ndarray:
        return slices[:, 0].permute(2, 1, 0).numpy() * brain

    return Reconstruction(
        pseudo_healthy=to_volume(stacked.mean(0)),
        spread=to_volume(stacked.std(0, correction=0)),
        anomaly=to_volume(lesion / len(predictions)),
        evaluations=len(predictions),
    )


def load_network(bundle: Bundle) -> RestorationNet:
    """Return the network of a bundle in single precision, ready for inference."""
    options = bundle.description["network"]
    network = RestorationNet(slices=options["slices"], channels=tuple(options["channels"]))
    network.load_state_dict(
        {name: value.float() for name, value in load_file(bundle.weights).items()}
    )
    return network.eval()


def _levels(default: list[float], steps: int | None) -> list[float]:
    """Return the levels of the bundle, or `steps` levels evenly spaced over their range."""
    if steps is None:
        return default
    return np.linspace(max(default), min(default), steps).tolist()


def _slabs(volume: Tensor, slices: int) -> Tensor:
    """Turn an (X, Y, Z) volume into (Z, S, Y, X) slabs; beyond its ends lies nothing."""
    reach = slices // 2
    padded = torch.nn.functional.pad(volume.permute(2, 1, 0), (0, 0, 0, 0, reach, reach))
    return padded.unfold(0, slices, 1).permute(0, 3, 1, 2).contiguous()


@torch.inference_mode()
def _evaluate(
    network: RestorationNet, slab: Tensor, level: float, device: str
) -> tuple[Tensor, Tensor]:
    slab = slab.to(device)
    middle = network.slices // 2
    mirrored = slab[:, middle : middle + 1].flip(-1)
    levels = torch.full((len(slab),), level, device=slab.device)
    healthy, logit = network(slab, mirrored, levels)
    return healthy.float().cpu(), logit.float().cpu()
