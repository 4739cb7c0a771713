"""Evaluate a network on many slabs in batches that fit into memory."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from bids_anomaly.exceptions import DeviceUnavailableError

LOGGER = logging.getLogger("bids_anomaly")

CPU_BATCH = 16
LARGEST_BATCH = 128
# Measured on 80 x 96 slices with the packaged networks, with room to spare.
BYTES_PER_SLAB = 64 * 2**20


def batch_size_for(device: str) -> int:
    """Return how many slabs to evaluate at a time: what fits into half of the free GPU memory."""
    if not device.startswith("cuda"):
        return CPU_BATCH
    free, _ = torch.cuda.mem_get_info(device)
    return int(min(LARGEST_BATCH, max(1, free // 2 // BYTES_PER_SLAB)))


def in_batches(
    evaluate: Callable[[Tensor], tuple[Tensor, ...]], slabs: Tensor, batch_size: int
) -> tuple[Tensor, ...]:
    """Apply `evaluate` to batches of slabs; where memory runs out, to ever smaller ones.

    Parameters
    ----------
    evaluate : callable
        Takes (B, ...) slabs and returns a tuple of (B, ...) tensors on the CPU.
    slabs : (N, ...) tensor
        On the CPU.
    batch_size : int
        Where to start, at least 1.

    Returns
    -------
    tuple of (N, ...) tensors

    Raises
    ------
    DeviceUnavailableError
        If not even a single slab fits.
    """
    done: list[tuple[Tensor, ...]] = []
    start = 0
    while start < len(slabs):
        try:
            done.append(evaluate(slabs[start : start + batch_size]))
        except (torch.OutOfMemoryError, MemoryError) as error:
            if batch_size == 1:
                raise DeviceUnavailableError(
                    "The device has too little free memory for a single slice. Free some, or use "
                    "--device cpu."
                ) from error
            batch_size //= 2
            LOGGER.info("Out of memory: going on with batches of %d slices.", batch_size)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        else:
            start += batch_size
    return tuple(torch.cat(parts) for parts in zip(*done, strict=True))
