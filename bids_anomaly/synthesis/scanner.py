"""What scanners and brain extraction make of slabs: sharpness, shading, noise, bad masks.

A healthy slab and the same slab with anomalies go through one scanner, so that lesions are as
blurred and as noisy as the tissue around them.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bids_anomaly.synthesis.draws import Draws, per_sample

# Share of scans that are blurred along the slices, as thick slices are after resampling.
THICK_SHARE, THICK_SHARE_PAINTED = 0.2, 0.6
# Share of slabs that are one slice over and over: of a scan that is a single slice, and nearly so
# of slices that are as thick as the slab.
REPEATED_SHARE = 0.08
# Share of brain masks that are too tight, and too wide, in places.
TIGHT_SHARE, WIDE_SHARE = 0.25, 0.25
# What lies outside a brain, such as dura, marrow and fat, relative to white matter.
OUTSIDE = (0.1, 1.3)


@dataclass(frozen=True)
class Scanner:
    """How a scanner shows each slab of a batch.

    Attributes
    ----------
    blur : (B, 1, 1, 1) tensor
        From the slice as it is (0) to its mean over 3 x 3 voxels (1).
    thick : (B, 1, 1, 1) tensor
        Share of each of the neighbouring axial slices that shows.
    through : int
        Axis of slabs that runs through axial slices: 1, or 2 in coronal slabs.
    repeated : (B, 1, 1, 1) bool tensor
        Whether all slices are the middle one.
    shading : (B, 1, H, W) tensor
        Factor that bias correction has left.
    noise : (B, S, H, W) tensor
        Relative to white matter.
    """

    blur: Tensor
    thick: Tensor
    through: int
    repeated: Tensor
    shading: Tensor
    noise: Tensor

    @classmethod
    def draw(
        cls,
        shape: torch.Size,
        painted: Tensor,
        repeated: Tensor,
        generator: Generator,
        *,
        through: int = 1,
    ) -> "Scanner":
        """Draw scanners for (B, S, H, W) slabs, some of them `painted` or `repeated`, (B,)."""
        draw = Draws(shape[0], painted.device, generator)
        blur = torch.where(painted, draw.uniform(-0.3, 1.0), draw.uniform(-0.3, 0.8))
        share = torch.where(painted, THICK_SHARE_PAINTED, THICK_SHARE)
        # Some shading is stronger than what correction usually leaves.
        strength = torch.where(draw.chance(0.15), draw.uniform(0.08, 0.15), draw.uniform(0, 0.08))
        # Painting flattens the noise of the T1w scan where its tone curve is flat.
        amount = torch.where(painted, draw.uniform(0.005, 0.06), draw.uniform(-0.02, 0.05))
        amount = torch.where(draw.chance(0.15), draw.uniform(0.05, 0.1), amount)
        noise = torch.randn(shape, device=painted.device, generator=generator)
        # Scans in large voxels are interpolated, and their noise with them.
        grain = per_sample(draw.uniform(-0.5, 1).clamp(min=0))
        noise = noise + grain * (2 * F.avg_pool2d(noise, 3, stride=1, padding=1) - noise)
        repeated = per_sample(repeated)
        return cls(
            blur=per_sample(blur.clamp(min=0)),
            thick=per_sample(draw.chance(share) * draw.uniform(0.1, 0.33)),
            through=through,
            repeated=repeated,
            shading=1 + per_sample(strength) * draw.smooth_field(shape[-2:], 4),
            noise=per_sample(amount.clamp(min=0)) * _repeat_middle(noise, repeated),
        )

    def resolve(self, slab: Tensor) -> Tensor:
        """Show (B, S, H, W) slabs as sharply as the scanner can."""
        smooth = F.avg_pool2d(slab, 3, stride=1, padding=1)
        slab = slab + self.blur * (smooth - slab)
        above, below = (_neighbour(slab, step, self.through) for step in (1, -1))
        slab = slab + self.thick * (above + below - 2 * slab)
        return _repeat_middle(slab, self.repeated)

    def scan(self, slab: Tensor, brain: Tensor) -> Tensor:
        """Scan (B, S, H, W) slabs inside the brain."""
        return (self.resolve(slab) * self.shading + self.noise) * brain


def miss_the_brain(scan: Tensor, brain: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Let brain masks be too tight or too wide by a voxel or two, here and there.

    Parameters
    ----------
    scan, brain : (B, S, H, W) tensors
        White matter = 1, 0 outside the brain; and 1 inside it.
    generator : torch.Generator
        On their device.

    Returns
    -------
    scan, brain : (B, S, H, W) tensors
        What is in a mask that is too wide is as bright as dura, marrow or fat.
    """
    draw = Draws(len(scan), scan.device, generator)
    shape = scan.shape[-2:]
    kind = draw.uniform(0, 1)
    tight = per_sample(kind < TIGHT_SHARE) & (draw.smooth_field(shape, 8) > 0)
    wide = per_sample(kind > 1 - WIDE_SHARE) & (draw.smooth_field(shape, 8) > 0.5)
    inner = 1 - F.max_pool2d(1 - brain, 3, stride=1, padding=1)
    outer = F.max_pool2d(brain, 3, stride=1, padding=1)
    missed = torch.where(tight, inner, torch.where(wide, outer, brain))
    level = per_sample(draw.uniform(*OUTSIDE)) * (1 + 0.3 * draw.smooth_field(shape, 16))
    shown = torch.where(brain > 0, scan, level.clamp(min=0))
    return shown * missed, missed


def _repeat_middle(slab: Tensor, chosen: Tensor) -> Tensor:
    """Return slabs of which the chosen ones are their middle slice over and over."""
    middle = slab.shape[1] // 2
    return torch.where(chosen, slab[:, middle : middle + 1], slab)


def _neighbour(slab: Tensor, step: int, axis: int) -> Tensor:
    """Return the neighbour of each slice along an axis; the outermost slices are their own."""
    last = slab.shape[axis] - 1
    index = (torch.arange(last + 1, device=slab.device) + step).clamp(0, last)
    return slab.index_select(axis, index)
