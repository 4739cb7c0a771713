"""Train in several processes, one a GPU, on one machine or several.

``torchrun`` starts the processes and tells each its rank by environment variables. Each holds the
whole network and draws its own share of every batch; gradients are averaged, so that all take the
same step.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from bids_anomaly.exceptions import UsageError


@dataclass(frozen=True)
class Worker:
    """Which of the processes this is.

    Attributes
    ----------
    rank : int
        From 0; process 0 writes all files.
    world_size : int
        Number of processes.
    """

    rank: int = 0
    world_size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def share(self, batch_size: int) -> int:
        """Return how much of a batch this process draws.

        Raises
        ------
        UsageError
            If the batch cannot be shared out evenly.
        """
        if batch_size % self.world_size:
            raise UsageError(
                f"The --batch-size {batch_size} cannot be shared out evenly among "
                f"{self.world_size} processes. Use a multiple of {self.world_size}."
            )
        return batch_size // self.world_size

    def seed(self, seed: int) -> int:
        """Return a seed of this process alone; that of the first process is `seed`."""
        return seed + self.rank * 1_000_003


ONE_WORKER = Worker()


def launched_with(environ: Mapping[str, str] = os.environ) -> tuple[Worker, int]:
    """Return the rank that ``torchrun`` gave to this process, and its number on this machine."""
    worker = Worker(int(environ.get("RANK", 0)), int(environ.get("WORLD_SIZE", 1)))
    return worker, int(environ.get("LOCAL_RANK", 0))


@contextmanager
def connected(worker: Worker, device: str) -> Iterator[None]:
    """Connect the processes with each other while the context lasts; `device` is of this one."""
    if worker.world_size == 1:
        yield
        return
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield
        # A process that leaves while others still talk to it takes them down.
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def average_gradients(network: nn.Module, worker: Worker) -> None:
    """Average gradients over all processes, so that all take the same step.

    Not torch's DistributedDataParallel, which knows no losses that train parts of a network in
    turn, nor penalties on gradients.
    """
    gradients = [part.grad for part in network.parameters() if part.grad is not None]
    if worker.world_size == 1 or not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= worker.world_size
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, averaged in zip(gradients, parts, strict=True):
        gradient.copy_(averaged.view_as(gradient))


def summed(values: Tensor) -> Tensor:
    """Add up a tensor over all processes; gradients flow back to each.

    With a loss that is a function of such sums, averaged gradients are those of the loss of the
    whole batch, which is not the mean of the losses of its parts.
    """
    return _Sum.apply(values) if distributed.is_initialized() else values


class _Sum(torch.autograd.Function):
    """A sum over processes; the gradient of each term is the sum of what all make of the result."""

    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def gathered(value: Any, worker: Worker) -> list[Any]:
    """Return a small object of each process, in the order of their ranks."""
    if worker.world_size == 1:
        return [value]
    values: list[Any] = [None] * worker.world_size
    distributed.all_gather_object(values, value)
    return values
