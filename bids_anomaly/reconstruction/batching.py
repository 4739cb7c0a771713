"""Cut a volume into slabs, evaluate a network on many of them, and put the parts together."""

import logging
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from bids_anomaly.exceptions import DeviceUnavailableError

LOGGER = logging.getLogger("bids_anomaly")

CPU_BATCH = 16
LARGEST_BATCH = 128
# Measured on 80 x 96 slices with the packaged networks, with room to spare.
BYTES_PER_SLAB = 64 * 2**20


def batch_size_for(device: str | torch.device, *, thickness: int = 1) -> int:
    """Return how many slabs to evaluate at a time: what fits into half of the free GPU memory.

    `thickness` is the number of slices of a slab that a network restores at once.
    """
    slices = CPU_BATCH
    if torch.device(device).type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        slices = int(min(LARGEST_BATCH, max(1, free // 2 // BYTES_PER_SLAB)))
    return max(1, slices // thickness)


def in_batches(
    evaluate: Callable[..., tuple[Tensor, ...]],
    *slabs: Tensor,
    batch_size: int,
    device: str | torch.device = "cpu",
) -> tuple[Tensor, ...]:
    """Apply `evaluate` to batches of slabs; where memory runs out, to ever smaller ones.

    Parameters
    ----------
    evaluate : callable
        Takes as many (B, ...) tensors on the device and returns a tuple of (B, ...) tensors.
    *slabs : (N, ...) tensors
        On the CPU.
    batch_size : int
        Where to start, at least 1.
    device : str or torch.device
        Where to evaluate.

    Returns
    -------
    tuple of (N, ...) tensors
        Single precision, on the CPU.

    Raises
    ------
    DeviceUnavailableError
        If not even a single slab fits.
    """
    done: list[tuple[Tensor, ...]] = []
    start = 0
    while start < len(slabs[0]):
        try:
            batch = (part[start : start + batch_size].to(device) for part in slabs)
            with torch.inference_mode():
                done.append(tuple(part.float().cpu() for part in evaluate(*batch)))
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


def slabs_around(volume: Tensor, slices: int) -> Tensor:
    """Turn a (Z, Y, X) volume into (Z, S, Y, X) slabs around each slice; beyond its ends is 0."""
    reach = slices // 2
    padded = F.pad(volume, (0, 0, 0, 0, reach, reach))
    return padded.unfold(0, slices, 1).permute(0, 3, 1, 2).contiguous()


def places(length: int, size: int, count: int) -> list[slice]:
    """Return `count` slices of `size` that cover `length` evenly."""
    starts = torch.linspace(0, length - size, count).round().int().tolist()
    return [slice(start, start + size) for start in starts]


def stitched(parts: Iterable[tuple[tuple, Tensor]], shape: torch.Size) -> Tensor:
    """Put overlapping parts, each with its place, into a whole; where they overlap, their mean."""
    total, count = torch.zeros(shape), torch.zeros(shape)
    for place, part in parts:
        total, count = total.to(part.device), count.to(part.device)
        total[place] += part
        count[place] += 1
    return total / count.clamp(min=1)
