"""How far a prediction is from the truth, over the whole batch of all processes."""

import torch
import torch.nn.functional as F
from monai.losses import SSIMLoss
from torch import Tensor

from bids_anomaly.training.data import Batch
from bids_anomaly.training.distributed import summed

SSIM = SSIMLoss(spatial_dims=2, data_range=1.5, win_size=7, kernel_type="uniform", reduction="sum")


def restoration_loss(healthy: Tensor, lesion_logit: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Compare restored slices with the healthy ones, and the lesion output with the truth.

    Where nobody knows the healthy slice, the image is not compared.

    l1 (three times heavier inside the anomaly) and SSIM for the image, cross-entropy and Dice for
    the lesion output; the weights follow Behrendt et al. 2024 (arXiv 2403.14262) for l1 and SSIM.
    All terms are functions of sums over the batch, which are taken over all processes.

    Returns
    -------
    dict
        The weighted terms; their sum is what training minimises.
    """
    brain, lesion = batch.brain, batch.lesion
    seen = brain * batch.known
    weight = seen * (1 + 2 * lesion)
    cross_entropy = F.binary_cross_entropy_with_logits(lesion_logit, lesion, reduction="none")
    probability = brain * lesion_logit.sigmoid()
    sums = [
        (weight * (healthy - batch.healthy).abs()).sum(),
        weight.sum(),
        SSIM(healthy * seen, batch.healthy * batch.known),
        brain.new_tensor(len(brain)),
        (brain * cross_entropy).sum(),
        brain.sum(),
        (probability * lesion).sum(),
        (probability + lesion).sum(),
    ]
    error, weights, dissimilar, slabs, surprise, voxels, overlap, sizes = summed(torch.stack(sums))
    return {
        "l1": 3 * error / weights.clamp(min=1),
        "ssim": 0.5 * dissimilar / slabs,
        "cross_entropy": surprise / voxels.clamp(min=1),
        "dice": 0.5 * (1 - (2 * overlap + 1e-5) / (sizes + 1e-5)),
    }


def weighted_l1(prediction: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Return the mean absolute difference, weighted by voxels such as those of the brain."""
    error = (weight * (prediction.float() - truth).abs()).sum()
    error, weights = summed(torch.stack([error, weight.sum()]))
    return error / weights.clamp(min=1)
