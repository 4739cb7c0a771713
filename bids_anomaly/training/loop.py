"""Train a restoration network on healthy volumes."""

import csv
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss, SSIMLoss
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.training.data import Batch, HealthyVolumes, draw_batch

EMA_DECAY = 0.999
LEARNING_RATE = 5e-4
WARM_UP_STEPS = 300
# Over the last part of the training the learning rate falls linearly to zero.
COOL_DOWN_SHARE = 0.3


def train(
    volumes: HealthyVolumes,
    network: RestorationNet,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    device: torch.device,
    folder: Path,
    checkpoint_every: int = 500,
    on_progress: Callable[[int, dict[str, float]], None] = lambda step, losses: None,
) -> RestorationNet:
    """Train a network, or go on from the last checkpoint in `folder`.

    Parameters
    ----------
    volumes : HealthyVolumes
        Training people.
    network : RestorationNet
        Its weights are the start.
    steps : int
        Number of optimiser steps in all.
    batch_size : int
        Slabs a step.
    seed : int
        For anomalies, variation and order.
    device : torch.device
        Where to train; volumes are moved there.
    folder : Path
        Gets ``checkpoint.pt`` and ``losses.csv``.
    checkpoint_every : int
        Steps between two checkpoints.
    on_progress : callable
        Called with the step and the mean losses whenever a checkpoint is written.

    Returns
    -------
    RestorationNet
        The exponential moving average of the weights, on the CPU.
    """
    folder.mkdir(parents=True, exist_ok=True)
    volumes = volumes.to(device)
    network = network.to(device)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    generator = torch.Generator(device).manual_seed(seed)
    parts = {"network": network, "average": average, "optimizer": optimizer, "scheduler": scheduler}
    checkpoint = folder / "checkpoint.pt"
    step = _resume(checkpoint, parts, generator)
    loss_function = RestorationLoss().to(device)
    sums: dict[str, float] = {}
    started = time.monotonic()
    while step < steps:
        batch = draw_batch(volumes, batch_size, slices=network.slices, generator=generator)
        with torch.autocast(device.type, torch.bfloat16):
            healthy, lesion_logit = network(batch.slab, batch.mirrored, batch.level)
        losses = loss_function(healthy.float(), lesion_logit.float(), batch)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        average.update_parameters(network)
        step += 1
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        if step % checkpoint_every == 0 or step == steps:
            count = (step - 1) % checkpoint_every + 1
            means = {name: value / count for name, value in sums.items()}
            means["seconds_per_step"] = (time.monotonic() - started) / count
            _save(checkpoint, parts, generator, step)
            _log(folder / "losses.csv", step, means)
            on_progress(step, means)
            sums, started = {}, time.monotonic()
    return average.module.cpu()


class RestorationLoss(nn.Module):
    """How far a restored slice is from the healthy one, and the lesion output from the truth.

    l1 (three times heavier inside the anomaly) and SSIM for the image, cross-entropy and Dice for
    the lesion output; the weights follow Behrendt et al. 2024 (arXiv 2403.14262) for l1 and SSIM.
    """

    def __init__(self):
        super().__init__()
        self.ssim = SSIMLoss(spatial_dims=2, data_range=1.5, win_size=7, kernel_type="uniform")
        self.dice = DiceLoss(sigmoid=True, batch=True)

    def forward(self, healthy: Tensor, lesion_logit: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted terms; their sum is what training minimises."""
        weight = batch.brain * (1 + 2 * batch.lesion)
        error = (healthy - batch.healthy).abs()
        cross_entropy = F.binary_cross_entropy_with_logits(
            lesion_logit, batch.lesion, reduction="none"
        )
        inside = batch.brain.sum().clamp(min=1)
        return {
            "l1": 3 * (weight * error).sum() / weight.sum().clamp(min=1),
            "ssim": 0.5 * self.ssim(healthy * batch.brain, batch.healthy),
            "cross_entropy": (batch.brain * cross_entropy).sum() / inside,
            "dice": 0.5 * self.dice(lesion_logit - 20 * (1 - batch.brain), batch.lesion),
        }


def _rate(step: int, steps: int) -> float:
    """Return the learning rate at a step as a share of the highest."""
    cool_down = max(1, int(COOL_DOWN_SHARE * steps))
    return min((step + 1) / WARM_UP_STEPS, 1.0, (steps - step) / cool_down)


def _save(path: Path, parts: dict, generator: torch.Generator, step: int) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    temporary = path.with_suffix(".tmp")
    torch.save({**state, "generator": generator.get_state(), "step": step}, temporary)
    temporary.replace(path)


def _resume(path: Path, parts: dict, generator: torch.Generator) -> int:
    """Load a checkpoint if there is one; return the step to go on from."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    generator.set_state(state["generator"])
    return state["step"]


def _log(path: Path, step: int, means: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", *means])
        writer.writerow([step, *(f"{value:.5f}" for value in means.values())])
