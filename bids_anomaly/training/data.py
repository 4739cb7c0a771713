"""Endless random batches of healthy slabs, and of the same slabs with anomalies.

Volumes lie in memory as half-precision tensors with axes (slice, row, column) = (z, y, x), so that
the last axis runs from left to right and flipping it mirrors the brain.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bids_anomaly.synthesis.anomaly import insert_anomalies


@dataclass(frozen=True)
class HealthyVolumes:
    """Healthy scans in the model grid.

    Attributes
    ----------
    scans : (N, Z, Y, X) tensor, float16
        White matter = 1, 0 outside the brain.
    brains : (N, Z, Y, X) tensor, bool
    white_matter : (Z, Y, X) tensor, float32
        Probability of white matter in the template.
    spacing : float
        Voxel size in mm.
    """

    scans: Tensor
    brains: Tensor
    white_matter: Tensor
    spacing: float

    def to(self, device: torch.device) -> "HealthyVolumes":
        """Return the same volumes on another device."""
        return HealthyVolumes(
            self.scans.to(device),
            self.brains.to(device),
            self.white_matter.to(device),
            self.spacing,
        )


@dataclass(frozen=True)
class Batch:
    """What a restoration network learns from; all (B, ., H, W), middle slices but for `slab`."""

    slab: Tensor
    mirrored: Tensor
    level: Tensor
    healthy: Tensor
    lesion: Tensor
    brain: Tensor


def slices_first(values: np.ndarray) -> np.ndarray:
    """Turn a volume with axes (x, y, z) to (z, y, x), or back."""
    return values.transpose(2, 1, 0)


def load_volumes(
    scans: Sequence[nib.Nifti1Image], brains: Sequence[nib.Nifti1Image], white_matter: np.ndarray
) -> HealthyVolumes:
    """Stack preprocessed scans in the model grid; `white_matter` is (X, Y, Z)."""
    return HealthyVolumes(
        torch.stack(
            [torch.from_numpy(slices_first(s.get_fdata(dtype=np.float32))).half() for s in scans]
        ),
        torch.stack([torch.from_numpy(slices_first(np.asanyarray(b.dataobj)) > 0) for b in brains]),
        torch.from_numpy(slices_first(white_matter).astype(np.float32)),
        float(scans[0].header.get_zooms()[0]),
    )


def draw_batch(volumes: HealthyVolumes, size: int, *, slices: int, generator: Generator) -> Batch:
    """Draw slabs at random places of random people, vary them, and make them anomalous.

    Parameters
    ----------
    volumes : HealthyVolumes
        On the device where the batch is made.
    size : int
        Number of slabs.
    slices : int
        Slices a slab, odd.
    generator : torch.Generator
        On the same device.
    """
    device = volumes.scans.device
    person = torch.randint(len(volumes.scans), (size,), device=device, generator=generator)
    reach = slices // 2
    # Slices are drawn by how much brain they hold; a fifth of the draws are even over the brain.
    area = volumes.brains[:, reach : volumes.brains.shape[1] - reach].sum((2, 3)).float().mean(0)
    weights = area / area.sum() + 0.25 * (area > 0) / (area > 0).sum()
    middle = reach + torch.multinomial(weights, size, replacement=True, generator=generator)
    window = middle[:, None] + torch.arange(-reach, reach + 1, device=device)
    healthy = volumes.scans[person[:, None], window].float()
    brain = volumes.brains[person[:, None], window].float()
    white_matter = volumes.white_matter[middle]

    healthy, brain, white_matter = _vary_anatomy(healthy, brain, white_matter, generator)
    healthy = _vary_scanner(healthy, brain, generator)

    level = torch.rand(size, device=device, generator=generator)
    anomalous = insert_anomalies(
        healthy, brain, white_matter, level, spacing=volumes.spacing, generator=generator
    )
    mirrored = anomalous.scan[:, reach : reach + 1].flip(-1)
    shown = torch.rand(size, 1, 1, 1, device=device, generator=generator) < 0.5
    return Batch(
        slab=anomalous.scan,
        mirrored=mirrored * shown,
        level=level,
        healthy=healthy[:, reach : reach + 1],
        lesion=anomalous.lesion[:, reach : reach + 1],
        brain=brain[:, reach : reach + 1],
    )


def _vary_anatomy(
    healthy: Tensor, brain: Tensor, white_matter: Tensor, generator: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Mirror half of the slabs, and move, turn, scale and bend all of them a little, in plane."""
    size, slices, height, width = healthy.shape
    device = healthy.device

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device, generator=generator)

    angle = normal(size) * math.radians(3)
    scale = 1 + 0.04 * normal(size, 2)
    mirror = 1 - 2 * (torch.rand(size, device=device, generator=generator) < 0.5).float()
    theta = torch.zeros(size, 2, 3, device=device)
    theta[:, 0, 0] = angle.cos() * scale[:, 0] * mirror
    theta[:, 0, 1] = -angle.sin()
    theta[:, 1, 0] = angle.sin() * mirror
    theta[:, 1, 1] = angle.cos() * scale[:, 1]
    theta[:, :, 2] = 0.02 * normal(size, 2)
    grid = F.affine_grid(theta, [size, 1, height, width], align_corners=True)
    bend = F.interpolate(
        0.015 * normal(size, 2, 7, 6), size=(height, width), mode="bicubic", align_corners=True
    )
    grid = grid + bend.permute(0, 2, 3, 1)
    stacked = torch.cat([healthy, brain, white_matter[:, None]], dim=1)
    moved = F.grid_sample(stacked, grid, mode="bilinear", align_corners=True)
    brain = (moved[:, slices : 2 * slices] > 0.5).float()
    return moved[:, :slices] * brain, brain, moved[:, -1]


def _vary_scanner(healthy: Tensor, brain: Tensor, generator: Generator) -> Tensor:
    """Vary contrast (white matter stays 1), bias field, sharpness and noise."""
    size = len(healthy)
    device = healthy.device

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(size, 1, 1, 1, device=device, generator=generator)

    varied = healthy.clamp(min=0) ** torch.exp(uniform(-0.35, 0.35))
    coarse = torch.randn(size, 1, 4, 4, device=device, generator=generator)
    field = F.interpolate(coarse, size=healthy.shape[-2:], mode="bicubic", align_corners=True)
    varied = varied * (1 + uniform(0, 0.06) * field)
    smooth = F.avg_pool2d(varied, 3, stride=1, padding=1)
    varied = varied + uniform(-0.3, 0.6).clamp(min=0) * (smooth - varied)
    noise = torch.randn(healthy.shape, device=device, generator=generator)
    varied = varied + uniform(-0.02, 0.05).clamp(min=0) * noise
    return varied * brain
