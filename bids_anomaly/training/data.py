"""Endless random batches of healthy slabs of any modality, and of the same slabs with anomalies."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bids_anomaly.modalities import MODALITIES
from bids_anomaly.reconstruction.views import AXIAL
from bids_anomaly.synthesis.anomaly import Anatomy, insert_anomalies, where_seen
from bids_anomaly.synthesis.contrast import T1W, T1W_CSF, T1W_GREY, paint
from bids_anomaly.synthesis.draws import Draws, per_sample
from bids_anomaly.synthesis.scanner import REPEATED_SHARE, Scanner, miss_the_brain
from bids_anomaly.training.volumes import HealthyVolumes

# Of so many slabs of a batch that is not painted throughout one is of another kind.
ONE_IN = 4


@dataclass(frozen=True)
class Healthy:
    """Slabs of healthy people.

    Attributes
    ----------
    scan : (B, S, H, W) tensor
        White matter = 1, 0 outside the brain.
    pure : (B, S, H, W) tensor
        The same before it was scanned.
    scanner : Scanner
        That of `scan`.
    anatomy : Anatomy
        Of the same slabs.
    modality : (B,) tensor
        Index into :data:`bids_anomaly.modalities.MODALITIES`.
    covariates : (B, C) tensor
        Of the people, NaN where unknown.
    spacing : float
        Voxel size in mm.
    """

    scan: Tensor
    pure: Tensor
    scanner: Scanner
    anatomy: Anatomy
    modality: Tensor
    covariates: Tensor
    spacing: float

    @property
    def brain(self) -> Tensor:
        """1 inside the brain, (B, S, H, W)."""
        return self.anatomy.brain


@dataclass(frozen=True)
class Batch:
    """Slabs with anomalies: (B, S, H, W) `slab` and `brains`; else middle slices, (B, 1, H, W).

    `known` is 1 where `healthy` is known, and 0 in lesions of real scans, of which nobody knows
    what was there before. `modality` is (B,), an index into
    :data:`bids_anomaly.modalities.MODALITIES`.
    """

    slab: Tensor
    mirrored: Tensor
    level: Tensor
    healthy: Tensor
    lesion: Tensor
    brain: Tensor
    brains: Tensor
    known: Tensor
    modality: Tensor


def draw_healthy(
    volumes: HealthyVolumes,
    size: int,
    *,
    slices: int,
    modalities: Sequence[str],
    generator: Generator,
) -> Healthy:
    """Draw slabs at random places of random people, and vary them.

    Parameters
    ----------
    volumes : HealthyVolumes
        On the device where the batch is made.
    size : int
        Number of slabs.
    slices : int
        Slices a slab.
    modalities : sequence of str
        Which contrasts to draw, evenly; all but T1w are painted.
    generator : torch.Generator
        On the same device.
    """
    device = volumes.scans.device
    known = torch.tensor([MODALITIES.index(name) for name in modalities], device=device)
    modality = known[torch.randint(len(known), (size,), device=device, generator=generator)]
    person = torch.randint(len(volumes.scans), (size,), device=device, generator=generator)
    middle = _draw_slices(volumes, slices, size, generator)
    reach = torch.arange(slices, device=device) - slices // 2
    # The scanner repeats what it shows of a single slice; its brain mask has to be one too.
    repeated = torch.rand(size, device=device, generator=generator) < REPEATED_SHARE
    window = (person[:, None], middle[:, None] + reach * ~repeated[:, None])
    painted = modality != T1W
    t1w = torch.where(
        painted[:, None, None, None], volumes.filled[window], volumes.scans[window]
    ).float()
    anatomy, regions = _vary_anatomy(
        Anatomy(
            t1w,
            volumes.brains[window].float(),
            volumes.white_matter[middle],
            volumes.deep[middle],
        ),
        volumes.regions[middle],
        generator,
    )
    pure = anatomy.t1w
    chosen = painted.nonzero()[:, 0]
    if len(chosen):
        part = anatomy[chosen]
        other = paint(
            part.t1w,
            part.brain,
            part.deep,
            regions[chosen],
            modality[chosen],
            generator=generator,
        )
        pure = pure.index_copy(0, chosen, other)
    pure = vary_contrast(pure, painted, generator)
    pure, brain = miss_the_brain(pure, anatomy.brain, generator)
    anatomy = replace(anatomy, brain=brain, t1w=anatomy.t1w * brain)
    through = 1 if volumes.view == AXIAL else 2
    scanner = Scanner.draw(pure.shape, painted, repeated, generator, through=through)
    return Healthy(
        scanner.scan(pure, brain),
        pure,
        scanner,
        anatomy,
        modality,
        volumes.covariates[person],
        volumes.spacing,
    )


def draw_batch(
    volumes: HealthyVolumes, size: int, *, slices: int, generator: Generator, **options
) -> Batch:
    """Draw healthy slabs as :func:`draw_healthy` does, and make them anomalous."""
    drawn = draw_healthy(volumes, size, slices=slices, generator=generator, **options)
    device = drawn.scan.device
    level = torch.rand(size, device=device, generator=generator)
    anomalous = insert_anomalies(
        drawn.pure,
        drawn.anatomy,
        drawn.modality,
        level,
        spacing=volumes.spacing,
        generator=generator,
    )
    slab = drawn.scanner.scan(anomalous.scan, drawn.brain)
    middle = slice(slices // 2, slices // 2 + 1)
    mirrored = mirrored_or_not(slab[:, middle], generator)
    coverage = drawn.scanner.resolve(anomalous.coverage)
    return Batch(
        slab=slab,
        mirrored=mirrored,
        level=level,
        healthy=drawn.scan[:, middle],
        lesion=where_seen(slab, drawn.scan, coverage, drawn.modality)[:, middle],
        brain=drawn.brain[:, middle],
        brains=drawn.brain,
        known=torch.ones_like(drawn.brain[:, middle]),
        modality=drawn.modality,
    )


def draw_in_two_views(volumes: HealthyVolumes, size: int, **options) -> Batch:
    """Draw a batch as :func:`draw_batch` does, half of it of coronal slabs."""
    return _joined(
        [
            draw_batch(volumes, size - size // 2, **options),
            draw_batch(volumes.coronal, size // 2, **options),
        ]
    )


def _joined(parts: Sequence[Batch]) -> Batch:
    return Batch(
        **{name: torch.cat([vars(part)[name] for part in parts]) for name in vars(parts[0])}
    )


def draw_mixed(
    volumes: HealthyVolumes,
    size: int,
    *,
    draw: Callable[..., Batch] = draw_batch,
    others: Sequence[Callable[..., Batch]],
    slices: int,
    generator: Generator,
    **options,
) -> Batch:
    """Draw a batch as `draw` does, with one slab in :data:`ONE_IN` from elsewhere.

    Each of `others` gets a number of slabs, at random and alike over many batches, `slices` and
    `generator`; `size` is a multiple of :data:`ONE_IN`.
    """
    counts = [size // ONE_IN]
    if len(others) > 1:
        drawn = torch.randint(
            len(others), (size // ONE_IN,), device=generator.device, generator=generator
        )
        counts = torch.bincount(drawn, minlength=len(others)).tolist()
    return _joined(
        [
            draw(volumes, size - sum(counts), slices=slices, generator=generator, **options),
            *(
                other(count, slices=slices, generator=generator)
                for other, count in zip(others, counts, strict=True)
                if count
            ),
        ]
    )


def mirrored_or_not(slices: Tensor, generator: Generator) -> Tensor:
    """Return (B, 1, H, W) slices with left and right exchanged, half of them left out (0)."""
    shown = torch.rand(len(slices), 1, 1, 1, device=slices.device, generator=generator) < 0.5
    return slices.flip(-1) * shown


def draw_middles(
    areas: Sequence[Tensor], slices: int, size: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Draw volumes, all alike, and slices of them that a whole slab lies around.

    Slices are drawn by how much they hold of each of `areas`, (N, Z, Y, X) tensors that count
    alike.
    """
    reach = slices // 2
    depth = areas[0].shape[1]
    whole = slice(reach, depth - (slices - 1 - reach))
    weights = torch.zeros(areas[0].shape[:2], device=areas[0].device)
    for volumes in areas:
        area = volumes[:, whole].float().sum((2, 3))
        weights[:, whole] += area / area.sum(1, keepdim=True).clamp(min=1e-6)
    chosen = torch.multinomial(weights.flatten(), size, replacement=True, generator=generator)
    return chosen // depth, chosen % depth


def _draw_slices(volumes: HealthyVolumes, slices: int, size: int, generator: Generator) -> Tensor:
    """Draw slices by how much brain they hold; a fifth of the draws are even over the brain."""
    reach = slices // 2
    area = volumes.brain_area[reach : len(volumes.brain_area) - (slices - 1 - reach)]
    weights = area / area.sum() + 0.25 * (area > 0) / (area > 0).sum()
    return reach + torch.multinomial(weights, size, replacement=True, generator=generator)


def _vary_anatomy(
    anatomy: Anatomy, regions: Tensor, generator: Generator
) -> tuple[Anatomy, Tensor]:
    """Vary slabs as :func:`moves_in_plane` does, and widen their fluid.

    `regions` are (B, H, W) labels of the middle slices, which come back moved, as int64.
    """
    size, slices = anatomy.t1w.shape[:2]
    grid = moves_in_plane(size, anatomy.t1w.shape[-2:], generator)
    stacked = torch.cat(
        [anatomy.t1w, anatomy.brain, anatomy.white_matter[:, None], anatomy.deep[:, None]], dim=1
    )
    moved = F.grid_sample(stacked, grid, mode="bilinear", align_corners=True)
    brain = (moved[:, slices : 2 * slices] > 0.5).float()
    t1w = _widen_fluid(moved[:, :slices], brain, Draws(size, generator.device, generator))
    labels = F.grid_sample(regions[:, None].float(), grid, mode="nearest", align_corners=True)
    return Anatomy(t1w * brain, brain, moved[:, -2], moved[:, -1]), labels[:, 0].long()


def moves_in_plane(size: int, shape: Sequence[int], generator: Generator) -> Tensor:
    """Draw the variation of `size` slices of a `shape`, for ``grid_sample``: (B, H, W, 2).

    Half of the slices are mirrored, and all of them moved, turned, scaled and bent a little.
    """
    device = generator.device
    height, width = shape

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
    return grid + bend.permute(0, 2, 3, 1)


def _widen_fluid(t1w: Tensor, brain: Tensor, draw: Draws) -> Tensor:
    """Widen ventricles, cisterns and sulci by up to a voxel here and there, as age does."""
    inside = torch.where(brain > 0, t1w, 1)
    darkest = -F.max_pool2d(-inside, 3, stride=1, padding=1)
    beside_fluid = ((T1W_GREY - darkest) / (T1W_GREY - T1W_CSF)).clamp(0, 1)
    where = (draw.smooth_field(t1w.shape[-2:], 6) + 0.5).clamp(0, 1)
    amount = per_sample(draw.uniform(-0.6, 0.9).clamp(min=0))
    return t1w + amount * where * beside_fluid * (darkest - t1w).clamp(max=0)


def vary_contrast(healthy: Tensor, painted: Tensor, generator: Generator) -> Tensor:
    """Vary contrast by an exponent; white matter stays 1, and painted contrasts vary already."""
    draw = Draws(len(healthy), healthy.device, generator)
    gamma = torch.where(painted, draw.uniform(-0.1, 0.1), draw.uniform(-0.35, 0.35))
    return healthy.clamp(min=0) ** per_sample(torch.exp(gamma))
