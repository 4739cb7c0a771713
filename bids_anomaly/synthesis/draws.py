"""Random numbers and random fields for batches of slabs, all from one generator."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


class Draws:
    """Random numbers, one a sample, on one device."""

    def __init__(self, count: int, device: torch.device, generator: Generator):
        self.count, self.device, self.generator = count, device, generator

    def uniform(self, low: float, high: float) -> Tensor:
        """Draw (B,) numbers between two bounds."""
        unit = torch.rand(self.count, device=self.device, generator=self.generator)
        return low + (high - low) * unit

    def between(self, low: Tensor, high: Tensor) -> Tensor:
        """Draw (B,) numbers, each between bounds of its own."""
        return low + (high - low) * self.uniform(0, 1)

    def log_uniform(self, low: Tensor, high: Tensor) -> Tensor:
        """Draw (B,) numbers whose logarithm is uniform, each between bounds of its own."""
        return torch.exp(self.between(low.log(), high.log()))

    def normal(self, columns: int) -> Tensor:
        """Draw (B, columns) numbers of zero mean and unit variance."""
        return torch.randn(self.count, columns, device=self.device, generator=self.generator)

    def integers(self, low: int, high: int) -> Tensor:
        """Draw (B,) integers from `low` to `high` - 1."""
        return torch.randint(low, high, (self.count,), device=self.device, generator=self.generator)

    def chance(self, probability: float | Tensor) -> Tensor:
        """Draw (B,) booleans."""
        return self.uniform(0, 1) < probability

    def smooth_field(self, shape: tuple[int, int], knots: int) -> Tensor:
        """Draw (B, 1, H, W) smooth fields of unit variance at `knots` x `knots` points."""
        lattice = torch.randn(
            self.count, 1, knots, knots, device=self.device, generator=self.generator
        )
        return F.interpolate(lattice, size=shape, mode="bicubic", align_corners=True)


def per_sample(value: Tensor) -> Tensor:
    """Shape (B,) values so that they broadcast over (B, S, H, W)."""
    return value[:, None, None, None]
