"""Train the network of any method on healthy volumes."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from bids_anomaly.exceptions import DeviceUnavailableError, TrainingError
from bids_anomaly.training.checkpoint import (
    append_row,
    drop_rows_after,
    load_checkpoint,
    save_checkpoint,
)
from bids_anomaly.training.distributed import ONE_WORKER, Worker, average_gradients
from bids_anomaly.training.recipes import Recipe
from bids_anomaly.training.volumes import HealthyVolumes

EMA_DECAY = 0.999
OPTIMISER = {"lr": 5e-4, "weight_decay": 1e-4}
WARM_UP_STEPS = 300
# Over the last part of the training the learning rate falls linearly to zero.
COOL_DOWN_SHARE = 0.3
LOSSES, VALIDATION = "losses.csv", "validation.csv"


def train(
    volumes: HealthyVolumes,
    network: nn.Module,
    *,
    recipe: Recipe,
    modalities: Sequence[str],
    steps: int,
    batch_size: int,
    seed: int,
    device: torch.device,
    folder: Path,
    interval: int = 500,
    worker: Worker = ONE_WORKER,
    validate: Callable[[int, nn.Module], Mapping[str, float]] | None = None,
    on_step: Callable[[int, Mapping[str, float]], None] = lambda step, losses: None,
) -> nn.Module:
    """Train a network, or go on from the last checkpoint in `folder`.

    An interrupted training that goes on ends at the weights of one that was not interrupted, bit by
    bit on a CPU. Where the device computes in bfloat16, the network does.

    Parameters
    ----------
    volumes : HealthyVolumes
        Training people.
    network : torch.nn.Module
        Of the method; its weights are the start.
    recipe : Recipe
        What it learns, from which batches.
    modalities : sequence of str
        Contrasts to learn.
    steps : int
        Number of optimiser steps in all.
    batch_size : int
        Slabs a step, over all processes.
    seed : int
        For anomalies, variation and order.
    device : torch.device
        Where to train; volumes are moved there.
    folder : Path
        Gets ``checkpoint.pt``, ``losses.csv`` and ``validation.csv``.
    interval : int
        Steps from one checkpoint to the next; each comes with a row in the tables.
    worker : Worker
        Which of several processes this is.
    validate : callable, optional
        Gets the step and the averaged network at each checkpoint, and returns a row of
        ``validation.csv``.
    on_step : callable
        Called after each step with its number and the mean losses at the last checkpoint.

    Returns
    -------
    torch.nn.Module
        The exponential moving average of the weights, on the CPU.

    Raises
    ------
    DeviceUnavailableError
        If the batch does not fit into memory.
    TrainingError
        If a loss is not a number.
    UsageError
        If the batch cannot be shared out among the processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    share = worker.share(batch_size)
    three_dimensional = getattr(network, "dimensions", 2) == 3
    channels_last = torch.channels_last_3d if three_dimensional else torch.channels_last
    network = network.to(device, memory_format=channels_last)
    average = AveragedModel(network, multi_avg_fn=_average_early)
    optimizer = torch.optim.AdamW(network.parameters(), **{**OPTIMISER, **recipe.optimiser})
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    generator = torch.Generator(device).manual_seed(worker.seed(seed))
    parts = {"network": network, "average": average, "optimizer": optimizer, "scheduler": scheduler}
    step = load_checkpoint(folder, parts, generator, worker=worker)
    if worker.writes:
        for name in (LOSSES, VALIDATION):
            drop_rows_after(folder / name, step)
    means: dict[str, float] = {}
    sums: dict[str, Tensor] = {}
    counted, started = 0, time.monotonic()
    in_bfloat16 = computes_in_bfloat16(device, dimensions=getattr(network, "dimensions", 2))
    with _out_of_memory_explained(batch_size):
        volumes = volumes.to(device)
        while step < steps:
            batch = recipe.draw(
                volumes, share, slices=network.slices, modalities=modalities, generator=generator
            )
            with torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16):
                losses = recipe.losses(network, batch, generator=generator, step=step, steps=steps)
            optimizer.zero_grad(set_to_none=True)
            sum(losses.values()).backward()
            average_gradients(network, worker)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            average.update_parameters(network)
            step += 1
            counted += 1
            # Read only at checkpoints: reading waits for the GPU.
            sums = {name: sums.get(name, 0) + value.detach() for name, value in losses.items()}
            if step % interval == 0 or step == steps:
                means = {name: float(value) / counted for name, value in sums.items()}
                _check_finite(means, step)
                if worker.writes:
                    seconds = (time.monotonic() - started) / counted
                    row = {"step": step, **means, "seconds_per_step": seconds}
                    append_row(folder / LOSSES, row)
                    if validate is not None:
                        row = {"step": step, **validate(step, average.module)}
                        append_row(folder / VALIDATION, row)
                save_checkpoint(folder, parts, generator, step=step, worker=worker)
                sums, counted, started = {}, 0, time.monotonic()
            on_step(step, means)
    return average.module.to("cpu", memory_format=torch.contiguous_format)


def computes_in_bfloat16(device: torch.device, *, dimensions: int) -> bool:
    """Tell whether bfloat16 is a native format of a device, and thus faster than float32.

    On CPUs only for networks of two dimensions: gradients of three-dimensional convolutions in
    bfloat16 come out as NaN there now and then (torch 2.13).
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and dimensions == 2 and torch.cpu._is_avx512_bf16_supported()


@contextmanager
def _out_of_memory_explained(batch_size: int) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On a CPU torch has no class for it.
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or (
            "can't allocate memory" in str(error)
        ):
            raise DeviceUnavailableError(
                f"The device has too little free memory for batches of {batch_size} slabs. Lower "
                "--batch-size."
            ) from error
        raise


def _check_finite(losses: Mapping[str, float], step: int) -> None:
    """Stop before weights that are not numbers are written over the last good ones."""
    lost = [name for name, value in losses.items() if not math.isfinite(value)]
    if lost:
        raise TrainingError(
            f"The training diverged before step {step}: {', '.join(lost)} is not a number. The "
            "last checkpoint is as it was; look for scans with extreme intensities, or train with "
            "another --seed."
        )


def _average_early(averages: list[Tensor], weights: list[Tensor], count: Tensor) -> None:
    """Average over ever more steps, so that short trainings soon forget their random start."""
    decay = min(EMA_DECAY, (1 + int(count)) / (10 + int(count)))
    torch._foreach_lerp_(averages, weights, 1 - decay)


def _rate(step: int, steps: int) -> float:
    """Return the learning rate at a step as a share of the highest."""
    cool_down = max(1, int(COOL_DOWN_SHARE * steps))
    return min((step + 1) / WARM_UP_STEPS, 1.0, (steps - step) / cool_down)
