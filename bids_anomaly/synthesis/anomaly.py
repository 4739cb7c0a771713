"""Procedural anomalies: what disease could do to a healthy scan, without a rater's mask.

Three kinds are painted into slabs of slices: small lesions, most of them in white matter and beside
the ventricles, territorial strokes, and masses. They need not look real; they must be so varied
that real lesions lie among them (Naval Marimont et al. 2024, DISYRE; Lawry Aguila et al. 2025).
Everything works on batches on the device of its input and draws from one generator.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bids_anomaly.synthesis.contrast import (
    FLAIR,
    T1W_TISSUE,
    ventricle_neighbourhood,
    ventricles,
)
from bids_anomaly.synthesis.draws import Draws, per_sample
from bids_anomaly.synthesis.recipes import MASS, RADII_MM, SMALL, column, of_kind
from bids_anomaly.synthesis.shapes import (
    offsets_mm,
    push_away,
    random_shape,
    smooth_noise,
    stirred,
)

MOST_SMALL_LESIONS = 8
CLEAN_SHARE = 0.15
# Where small lesions are centred: beside the ventricles, elsewhere in white matter, anywhere.
PLACE_SHARES = (0.375, 0.375, 0.25)
BESIDE_VENTRICLES_MM = 6.0
# Some small lesions are bands along the wall of a ventricle: how many, how long (the radius in mm
# of what is kept of the band), and how thick. Healthy bands are thinner and fainter (contrast.py).
BAND_SHARE = 0.2
BAND_RADII_MM = (4.0, 14.0)
BAND_MM = (2.0, 7.0)
# Many diseases come on both sides, which must not look healthy to a network that sees the mirrored
# slice.
SYMMETRIC_SHARE = 0.3
STIRRED_SHARE = 0.5
RIM_SHARE = 0.3
# Small lesions end within this many of their largest radii.
SMALL_REACH = 2.5
# Opacity from which on a voxel counts as painted.
PAINTED = 0.25


@dataclass(frozen=True)
class Anatomy:
    """Where things are in a batch of slabs.

    Attributes
    ----------
    t1w : (B, S, H, W) tensor
        The healthy T1w slabs, white matter = 1, 0 outside the brain.
    brain : (B, S, H, W) tensor
        1 inside the brain, else 0.
    white_matter : (B, H, W) tensor
        How likely the middle slices are white matter; any scale.
    deep : (B, H, W) tensor
        1 where the middle slices are far from the surface of the brain, so that CSF is ventricle.
    """

    t1w: Tensor
    brain: Tensor
    white_matter: Tensor
    deep: Tensor

    def __getitem__(self, chosen: Tensor) -> "Anatomy":
        """Return some of the slabs."""
        return Anatomy(
            self.t1w[chosen], self.brain[chosen], self.white_matter[chosen], self.deep[chosen]
        )


@dataclass(frozen=True)
class Anomalous:
    """Scans with anomalies, and the truth about them.

    Attributes
    ----------
    scan : (B, S, H, W) tensor
        The corrupted slabs.
    coverage : (B, S, H, W) tensor
        Opacity of what was painted in each voxel, from 0 to 1.
    lesion : (B, S, H, W) tensor
        See :func:`where_seen`.
    """

    scan: Tensor
    coverage: Tensor
    lesion: Tensor


def insert_anomalies(
    healthy: Tensor,
    anatomy: Anatomy,
    modality: Tensor,
    level: Tensor,
    *,
    spacing: float,
    generator: Generator,
) -> Anomalous:
    """Paint random anomalies into slabs of healthy slices.

    Parameters
    ----------
    healthy : (B, S, H, W) tensor
        Slabs of S neighbouring axial slices, white matter = 1, 0 outside the brain.
    anatomy : Anatomy
        Of the same slabs.
    modality : (B,) tensor
        Index into :data:`bids_anomaly.modalities.MODALITIES`.
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
    draw = Draws(healthy.shape[0], healthy.device, generator)
    kind = torch.multinomial(column("shares", modality), 1, generator=generator)[:, 0]
    anomalous = ~draw.chance(CLEAN_SHARE)
    opacity = (0.3 + 0.7 * level) * anomalous
    symmetric = (kind == SMALL) & draw.chance(SYMMETRIC_SHARE)
    count = torch.where(kind == SMALL, draw.integers(1, MOST_SMALL_LESIONS + 1), 1)

    scan = healthy
    places = _places(anatomy, spacing)
    coverage = torch.zeros_like(healthy)
    for lesion in range(MOST_SMALL_LESIONS):
        chosen = (anomalous & (lesion < count)).nonzero()[:, 0]
        if not len(chosen):
            break
        changed, alpha = _insert_one(
            scan[chosen],
            anatomy[chosen],
            places[chosen],
            modality[chosen],
            kind[chosen],
            symmetric[chosen],
            opacity[chosen],
            spacing=spacing,
            generator=generator,
        )
        scan = scan.index_copy(0, chosen, changed)
        coverage[chosen] = torch.maximum(coverage[chosen], alpha)
    return Anomalous(scan, coverage, where_seen(scan, healthy, coverage, modality))


def where_seen(scan: Tensor, healthy: Tensor, coverage: Tensor, modality: Tensor) -> Tensor:
    """Return where anomalies can be seen: the truth that a network learns.

    Parameters
    ----------
    scan, healthy, coverage : (B, S, H, W) tensors
        With and without anomalies, with the same noise, and the opacity of the anomalies.
    modality : (B,) tensor
        Index into :data:`bids_anomaly.modalities.MODALITIES`.

    Returns
    -------
    (B, S, H, W) tensor
        1 where an anomaly was painted by more than a quarter and changes the scan by more than
        noise does, else 0; tissue that a mass displaced is not lesion.
    """
    visible = (scan - healthy).abs() > per_sample(column("visible_change", modality))
    return ((coverage > PAINTED) & visible).to(healthy.dtype)


def _insert_one(
    scan: Tensor,
    anatomy: Anatomy,
    places: Tensor,
    modality: Tensor,
    kind: Tensor,
    symmetric: Tensor,
    opacity: Tensor,
    *,
    spacing: float,
    generator: Generator,
) -> tuple[Tensor, Tensor]:
    """Insert one anomaly into each of the slabs; return them and its opacity in each voxel."""
    draw = Draws(len(scan), scan.device, generator)
    band = (kind == SMALL) & draw.chance(BAND_SHARE)
    radii = torch.tensor((*RADII_MM, BAND_RADII_MM), device=scan.device)
    radius = draw.log_uniform(*radii[torch.where(band, len(RADII_MM), kind)].unbind(1))
    target = draw.between(*of_kind(column("levels", modality), kind).unbind(1))
    opposite = draw.chance(of_kind(column("opposite_shares", modality), kind))
    target = torch.where(
        opposite, draw.between(*column("opposite_levels", modality).unbind(1)), target
    )
    brightens = column("brightens", modality) ^ opposite

    centre = _centres(places, kind, band, generator)
    offset = offsets_mm(scan.shape, centre, spacing)
    # The section through a lesion is rarely at its equator.
    middle_offset = draw.uniform(-1, 1) * (radius - spacing / 2).clamp(min=0)
    offset = offset + F.pad(middle_offset[:, None], (2, 0))[:, :, None, None, None]

    push = draw.uniform(0, 0.35)
    masses = (kind == MASS).nonzero()[:, 0]
    if len(masses):
        displaced = push_away(scan[masses], offset[masses], radius[masses], push[masses], spacing)
        scan = scan.index_copy(0, masses, displaced * anatomy.brain[masses])
    stir = ((kind != SMALL) & draw.chance(STIRRED_SHARE)).nonzero()[:, 0]
    strength = draw.uniform(0.2, 0.8)
    if len(stir):
        carried = stirred(offset[stir], radius[stir], strength[stir], generator)
        offset = offset.index_copy(0, stir, carried)

    shape = _shapes(
        offset,
        centre,
        radius,
        draw.uniform(0.15, 0.6),
        draw.uniform(0.05, 0.35),
        small=kind == SMALL,
        spacing=spacing,
        generator=generator,
    )
    shape = torch.where(per_sample(symmetric), torch.maximum(shape, shape.flip(-1)), shape)
    thickness = draw.uniform(*BAND_MM)
    bands = band.nonzero()[:, 0]
    if len(bands):
        along = _along_ventricles(anatomy[bands], thickness[bands], spacing)
        shape = shape.index_copy(0, bands, shape[bands] * along)
    shape = shape * anatomy.brain * _lesionable(anatomy, modality, kind)
    # Some of the tissue shows through, so that borders between grey and white can survive. The mean
    # counts the air around the brain, which makes lesions brighter where a slab holds little brain;
    # that of the brain alone was tried, and found no more (docs/models.md).
    contrast = (scan - scan.mean((1, 2, 3), keepdim=True)).clamp(-0.6, 0.6)
    content = per_sample(target) * (1 + per_sample(draw.uniform(0, 0.5)) * contrast)
    # Tissue that is as dark as CSF is not made brighter by a dark lesion, and the other way round.
    content = torch.where(
        per_sample(brightens), torch.maximum(content, scan), torch.minimum(content, scan)
    )
    content = _with_structure(content, offset, radius, modality, kind, generator)
    alpha = per_sample(opacity) * shape
    return (scan + alpha * (content - scan)) * anatomy.brain, alpha


def _with_structure(
    content: Tensor,
    offset: Tensor,
    radius: Tensor,
    modality: Tensor,
    kind: Tensor,
    generator: Generator,
) -> Tensor:
    """Give strokes and masses texture, and some of them a core with a rim."""
    large = (kind != SMALL).nonzero()[:, 0]
    if not len(large):
        return content
    inside, offset, radius = content[large], offset[large], radius[large]
    modality, kind = modality[large], kind[large]
    draw = Draws(len(large), offset.device, generator)
    core = random_shape(
        offset, 0.6 * radius, draw.uniform(0.1, 0.5), draw.uniform(0.1, 0.4), generator
    ) * per_sample(draw.chance(of_kind(column("core_shares", modality), kind)).float())
    level = draw.between(*of_kind(column("core_levels", modality), kind).unbind(1))
    inside = inside + core * (per_sample(level) - inside)
    rim = per_sample(draw.chance(RIM_SHARE) * draw.uniform(-0.3, 0.5)) * 4 * core * (1 - core)
    texture = per_sample(draw.uniform(0, 0.12)) * smooth_noise(
        offset, draw.uniform(3, 12), generator
    )
    return content.index_copy(0, large, inside * (1 + rim) * (1 + texture))


def _lesionable(anatomy: Anatomy, modality: Tensor, kind: Tensor) -> Tensor:
    """Return how much of each voxel can become a lesion: on FLAIR, all but CSF.

    On T1w and T2w lesions go in the direction of CSF, which therefore does not change anyway.
    Masses displace CSF instead.
    """
    tissue = ((anatomy.t1w - 0.35) / 0.25).clamp(0, 1)
    spared = per_sample(((modality == FLAIR) & (kind != MASS)).float())
    return 1 - spared * (1 - tissue)


def _along_ventricles(anatomy: Anatomy, thickness: Tensor, spacing: float) -> Tensor:
    """Return how much of each voxel lies in a band of tissue along the ventricles, from 0 to 1.

    Parameters
    ----------
    anatomy : Anatomy
    thickness : (B,) tensor
        Of the band, in mm.
    spacing : float
        Voxel size in mm.
    """
    near = ventricles(anatomy.t1w, anatomy.deep)
    band = torch.zeros_like(near)
    for voxels in range(math.ceil(BAND_MM[1] / spacing)):
        near = F.max_pool2d(near, 3, stride=1, padding=1)
        # The outermost voxel is covered in part.
        covered = (thickness / spacing - voxels).clamp(0, 1)
        band = torch.maximum(band, per_sample(covered) * near)
    return band * (anatomy.t1w > T1W_TISSUE)


def _places(anatomy: Anatomy, spacing: float) -> Tensor:
    """Return how likely each voxel of the middle slices is the centre of a lesion, by place.

    (B, 3, H, W), in the order of :data:`PLACE_SHARES`.
    """
    middle = anatomy.brain.shape[1] // 2
    brain = anatomy.brain[:, middle]
    t1w = anatomy.t1w[:, middle : middle + 1]
    reach = max(1, round(BESIDE_VENTRICLES_MM / spacing))
    beside = ventricle_neighbourhood(t1w, anatomy.deep, reach)[:, 0]
    choices = [beside * anatomy.white_matter, anatomy.white_matter, torch.ones_like(brain)]
    return torch.stack(choices, dim=1) * brain[:, None]


def _centres(places: Tensor, kind: Tensor, band: Tensor, generator: Generator) -> Tensor:
    """Draw the centre (row, column) of a lesion in the middle slice of each slab."""
    shares = torch.tensor(PLACE_SHARES, device=places.device).expand(len(kind), 3)
    place = torch.multinomial(shares, 1, generator=generator)[:, 0]
    place = torch.where(kind == SMALL, torch.where(band, 0, place), 2)
    weights = of_kind(places, place)
    # Where there is nothing of the kind in a slice, anywhere in the brain; else anywhere at all.
    brain = places[:, 2]
    for other in (brain, torch.ones_like(brain)):
        empty = (weights.flatten(1).sum(1) == 0)[:, None, None]
        weights = torch.where(empty, other, weights)
    index = torch.multinomial(weights.flatten(1).float(), 1, generator=generator)[:, 0]
    width = brain.shape[-1]
    return torch.stack([index // width, index % width], dim=1)


def _shapes(
    offset: Tensor,
    centre: Tensor,
    radius: Tensor,
    roughness: Tensor,
    softness: Tensor,
    *,
    small: Tensor,
    spacing: float,
    generator: Generator,
) -> Tensor:
    """Draw the shape of each lesion; of small ones only near their centre, which saves most time.

    Parameters are those of :func:`random_shape`; `centre` is (B, 2) and `small` (B,).
    """
    shape = offset.new_zeros(len(offset), *offset.shape[2:])
    whole, part = ((~small).nonzero()[:, 0], small.nonzero()[:, 0])
    if len(whole):
        shape[whole] = random_shape(
            offset[whole], radius[whole], roughness[whole], softness[whole], generator
        )
    if len(part):
        reach = math.ceil(SMALL_REACH * RADII_MM[SMALL][1] / spacing)
        rows, columns = (
            _window(centre[part, axis], reach, side) for axis, side in enumerate(shape.shape[-2:])
        )
        window = (part[:, None, None], rows[:, :, None], columns[:, None, :])
        near = offset.permute(0, 3, 4, 1, 2)[window].permute(0, 3, 4, 1, 2)
        drawn = random_shape(near, radius[part], roughness[part], softness[part], generator)
        shape.permute(0, 2, 3, 1)[window] = drawn.permute(0, 2, 3, 1)
    return shape


def _window(centre: Tensor, reach: int, side: int) -> Tensor:
    """Return the (B, n) places along an axis that lie within `reach` of a centre, all n inside."""
    length = min(2 * reach + 1, side)
    start = (centre - reach).clamp(0, side - length)
    return start[:, None] + torch.arange(length, device=centre.device)
