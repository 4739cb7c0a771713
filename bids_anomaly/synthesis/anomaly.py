"""Procedural anomalies: what disease could do to a healthy scan, without a rater's mask.

Three kinds are painted into slabs of T1w slices: small white matter lesions, territorial strokes
and masses. They need not look real; they must be so varied that real lesions lie among them
(Naval Marimont et al. 2024, DISYRE; Lawry Aguila et al. 2025). Everything works on batches on the
device of its input and draws from one generator.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

# Shares of the kinds among anomalous T1w samples, and how many lesions a sample can have.
SMALL, TERRITORIAL, MASS = 0, 1, 2
KIND_SHARES = (0.40, 0.35, 0.25)
MOST_SMALL_LESIONS = 5
# Radii in mm (log-uniform); 1.25 mm is one voxel of 8 mm3, 29 mm is 100 ml.
RADII_MM = {SMALL: (1.25, 7.0), TERRITORIAL: (8.0, 32.0), MASS: (6.0, 29.0)}
# Target intensities on T1w relative to white matter.
LEVELS = {SMALL: (0.50, 0.95), TERRITORIAL: (0.20, 0.70), MASS: (0.40, 0.90)}
BRIGHT_MASS_SHARE = 0.10
BRIGHT_MASS_LEVELS = (1.1, 1.6)
CLEAN_SHARE = 0.15
# A change below this cannot be told from noise and is not called anomalous.
VISIBLE_CHANGE = 0.04


@dataclass(frozen=True)
class Anomalous:
    """Scans with anomalies, and the truth about them.

    Attributes
    ----------
    scan : (B, S, H, W) tensor
        The corrupted slabs.
    lesion : (B, S, H, W) tensor
        1 where a voxel was visibly changed, else 0.
    """

    scan: Tensor
    lesion: Tensor


def insert_anomalies(
    healthy: Tensor,
    brain: Tensor,
    white_matter: Tensor,
    level: Tensor,
    *,
    spacing: float,
    generator: Generator,
) -> Anomalous:
    """Paint random anomalies into slabs of healthy T1w slices.

    Parameters
    ----------
    healthy : (B, S, H, W) tensor
        Slabs of S neighbouring axial slices, white matter = 1, 0 outside the brain.
    brain : (B, S, H, W) tensor
        1 inside the brain, else 0.
    white_matter : (B, H, W) tensor
        Where small lesions may be centred, in the middle slices; any scale.
    level : (B,) tensor
        Severity from 0 to 1: the opacity of the anomalies goes from .3 to 1.
    spacing : float
        Voxel size in mm.
    generator : torch.Generator
        On the device of `healthy`.

    Returns
    -------
    Anomalous
        In the same space. 15 % of the slabs come back unchanged.
    """
    draw = _Draws(healthy.shape[0], healthy.device, generator)
    kind = torch.multinomial(
        torch.tensor(KIND_SHARES, device=healthy.device),
        len(healthy),
        replacement=True,
        generator=generator,
    )
    anomalous = draw.uniform(0, 1) >= CLEAN_SHARE
    opacity = (0.3 + 0.7 * level) * anomalous
    count = torch.where(kind == SMALL, draw.integers(1, MOST_SMALL_LESIONS + 1), 1)

    scan = healthy
    coverage = torch.zeros_like(healthy)
    for lesion in range(MOST_SMALL_LESIONS):
        chosen = (anomalous & (lesion < count)).nonzero()[:, 0]
        if not len(chosen):
            break
        scan = scan.index_copy(
            0,
            chosen,
            _insert_one(
                scan[chosen],
                coverage,
                chosen,
                brain[chosen],
                white_matter[chosen],
                kind[chosen],
                opacity[chosen],
                spacing=spacing,
                generator=generator,
            ),
        )
    lesion_mask = (coverage > 0.25) & ((scan - healthy).abs() > VISIBLE_CHANGE)
    return Anomalous(scan=scan, lesion=lesion_mask.to(healthy.dtype))


def _insert_one(
    scan: Tensor,
    coverage: Tensor,
    chosen: Tensor,
    brain: Tensor,
    white_matter: Tensor,
    kind: Tensor,
    opacity: Tensor,
    *,
    spacing: float,
    generator: Generator,
) -> Tensor:
    """Insert one anomaly into each of the slabs; adds its extent to `coverage[chosen]`."""
    draw = _Draws(len(scan), scan.device, generator)
    radius = draw.log_uniform(*_by_kind(RADII_MM, kind))
    target = draw.between(*_by_kind(LEVELS, kind))
    bright = (kind == MASS) & (draw.uniform(0, 1) < BRIGHT_MASS_SHARE)
    target = torch.where(bright, draw.uniform(*BRIGHT_MASS_LEVELS), target)

    offset = _offsets_mm(scan.shape, _centres(brain, white_matter, kind, generator), spacing)
    # The section through a lesion is rarely at its equator.
    middle_offset = draw.uniform(-1, 1) * (radius - spacing / 2).clamp(min=0)
    offset = offset + F.pad(middle_offset[:, None], (2, 0))[:, :, None, None, None]

    push = draw.uniform(0, 0.35)
    masses = (kind == MASS).nonzero()[:, 0]
    if len(masses):
        displaced = _push_away(scan[masses], offset[masses], radius[masses], push[masses], spacing)
        scan = scan.index_copy(0, masses, displaced * brain[masses])

    shape = _random_shape(
        offset, radius, draw.uniform(0.15, 0.6), draw.uniform(0.05, 0.35), generator
    )
    shape = shape * brain
    content = _volume(target) * (1 + _structure(offset, radius, target, kind, generator))
    # Some of the tissue shows through, so that borders between grey and white can survive.
    content = content + _volume(draw.uniform(0, 0.5)) * (
        scan - scan.mean((1, 2, 3), keepdim=True)
    ) * (_volume(target))
    # Tissue that is as dark as CSF is not made brighter by a lesion of tissue.
    content = torch.where(_volume(bright), content, torch.minimum(content, scan))
    alpha = _volume(opacity) * shape
    coverage[chosen] = torch.maximum(coverage[chosen], alpha)
    return (scan + alpha * (content - scan)) * brain


def _structure(
    offset: Tensor, radius: Tensor, target: Tensor, kind: Tensor, generator: Generator
) -> Tensor:
    """Return how the inside of strokes and masses differs from its level: texture and a core.

    Half of them have a core; that of a stroke is a cavity as dark as CSF. Small lesions are even,
    as no structure shows in a few voxels.
    """
    relative = torch.zeros(len(offset), *offset.shape[2:], device=offset.device)
    large = (kind != SMALL).nonzero()[:, 0]
    if not len(large):
        return relative
    offset, radius, target, kind = offset[large], radius[large], target[large], kind[large]
    draw = _Draws(len(large), offset.device, generator)
    inner = _random_shape(
        offset, 0.6 * radius, draw.uniform(0.1, 0.5), draw.uniform(0.1, 0.4), generator
    )
    level = torch.where(kind == TERRITORIAL, draw.uniform(0.15, 0.4), draw.uniform(0.25, 1.0))
    has_core = (draw.uniform(0, 1) < 0.5).float()
    core = _volume(has_core * (level / target - 1)) * inner
    texture = _volume(draw.uniform(0, 0.12)) * _smooth_noise(offset, draw.uniform(3, 12), generator)
    return relative.index_copy(0, large, (1 + core) * (1 + texture) - 1)


def _centres(brain: Tensor, white_matter: Tensor, kind: Tensor, generator: Generator) -> Tensor:
    """Draw the centre (row, column) of a lesion in the middle slice of each slab."""
    middle = brain[:, brain.shape[1] // 2]
    weights = torch.where((kind == SMALL)[:, None, None], white_matter * middle, middle)
    empty = weights.flatten(1).sum(1) == 0
    weights = weights.flatten(1) + empty[:, None]
    index = torch.multinomial(weights.float(), 1, generator=generator)[:, 0]
    return torch.stack([index // middle.shape[-1], index % middle.shape[-1]], dim=1)


def _offsets_mm(shape: torch.Size, centre: Tensor, spacing: float) -> Tensor:
    """Return each voxel's offset from the centre, (B, 3, S, H, W) in mm; column, row, slice."""
    _, slices, height, width = shape
    device = centre.device
    slice_, row, column = torch.meshgrid(
        torch.arange(slices, device=device) - slices // 2,
        torch.arange(height, device=device),
        torch.arange(width, device=device),
        indexing="ij",
    )
    voxel = torch.stack([column, row, slice_])[None].float()
    middle = F.pad(centre.flip(1).float(), (0, 1))[:, :, None, None, None]
    return (voxel - middle) * spacing


def _random_shape(
    offset: Tensor, radius: Tensor, roughness: Tensor, softness: Tensor, generator: Generator
) -> Tensor:
    """Return a blob of about `radius` mm around offset 0, (B, S, H, W) from 0 to 1.

    The border wanders by smooth noise whose grain grows with the radius.
    """
    stretch = torch.exp(
        0.25 * torch.randn(len(offset), 3, device=offset.device, generator=generator)
    )
    distance = _length(offset * stretch[:, :, None, None, None]) / _volume(radius)
    noise = _smooth_noise(offset, 0.7 * radius, generator)
    signed = 1 - distance + _volume(roughness) * noise
    return torch.sigmoid(signed / _volume(0.25 * softness))


def _smooth_noise(offset: Tensor, grain: Tensor, generator: Generator) -> Tensor:
    """Return smooth noise with standard deviation about 1 and a correlation of `grain` mm."""
    lattice = torch.randn(len(offset), 1, 12, 12, 12, device=offset.device, generator=generator)
    # The lattice spans 11 grains to a period; its coordinates run from -1 to 1 and are reflected.
    position = offset / (5.5 * _volume(grain)[:, None])
    sampled = F.grid_sample(
        lattice,
        position.permute(0, 2, 3, 4, 1),
        mode="bilinear",
        padding_mode="reflection",
        align_corners=True,
    )
    return 1.6 * sampled[:, 0]


def _push_away(
    scan: Tensor, offset: Tensor, radius: Tensor, strength: Tensor, spacing: float
) -> Tensor:
    """Displace the tissue around a mass outwards, in plane, by up to `strength` radii."""
    distance = _length(offset)
    direction = offset[:, :2] / (distance[:, None] + spacing)
    amount = _volume(strength * radius) * torch.exp(-((distance / _volume(1.6 * radius)) ** 2))
    shift_voxels = direction * amount[:, None] / spacing
    height, width = scan.shape[-2:]
    theta = torch.eye(2, 3, device=scan.device).expand(len(scan), 2, 3)
    identity = F.affine_grid(theta, [len(scan), 1, height, width], align_corners=True)
    to_unit = torch.tensor([2 / (width - 1), 2 / (height - 1)], device=scan.device)
    grid = identity[:, None] - shift_voxels.permute(0, 2, 3, 4, 1) * to_unit
    flat = F.grid_sample(
        scan.flatten(0, 1)[:, None], grid.flatten(0, 1), mode="bilinear", align_corners=True
    )
    return flat[:, 0].unflatten(0, scan.shape[:2])


def _length(vectors: Tensor) -> Tensor:
    """Return the Euclidean length along axis 1 (torch's own norm is ten times slower there)."""
    return vectors.square().sum(dim=1).sqrt()


def _by_kind(ranges: dict[int, tuple[float, float]], kind: Tensor) -> tuple[Tensor, Tensor]:
    table = torch.tensor([ranges[k] for k in sorted(ranges)], device=kind.device)
    return table[kind, 0], table[kind, 1]


def _volume(value: Tensor) -> Tensor:
    """Shape (B,) values so that they broadcast over (B, S, H, W)."""
    return value[:, None, None, None]


class _Draws:
    """Random numbers, one a sample."""

    def __init__(self, count: int, device: torch.device, generator: Generator):
        self.count, self.device, self.generator = count, device, generator

    def uniform(self, low: float, high: float) -> Tensor:
        unit = torch.rand(self.count, device=self.device, generator=self.generator)
        return low + (high - low) * unit

    def between(self, low: Tensor, high: Tensor) -> Tensor:
        return low + (high - low) * self.uniform(0, 1)

    def log_uniform(self, low: Tensor, high: Tensor) -> Tensor:
        return torch.exp(self.between(low.log(), high.log()))

    def integers(self, low: int, high: int) -> Tensor:
        return torch.randint(low, high, (self.count,), device=self.device, generator=self.generator)
