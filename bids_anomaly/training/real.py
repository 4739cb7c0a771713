"""Real scans without disease of contrasts that are otherwise painted, learned from beside those.

What a scanner really shows of healthy cortex, rims of ventricles and tracts is in no tone curve.
Anomalies are painted into real scans as into painted ones. Where a scan may be diseased, nothing
is learned from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bids_anomaly.bids.naming import suffix_of
from bids_anomaly.exceptions import NothingFoundError
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.synthesis.anomaly import Anatomy, insert_anomalies, where_seen
from bids_anomaly.synthesis.scanner import REPEATED_SHARE, Scanner
from bids_anomaly.training.data import (
    Batch,
    draw_middles,
    mirrored_or_not,
    moves_in_plane,
    vary_contrast,
)
from bids_anomaly.training.loading import template_maps
from bids_anomaly.training.people import Preprocessed
from bids_anomaly.training.volumes import stack

# How far neighbours drift, as a share of half the field of view.
DRIFT = 0.012


@dataclass(frozen=True)
class RealVolumes:
    """Real scans of one contrast in a part of the model grid.

    Attributes
    ----------
    scans : (N, Z, Y, X) tensor, float16
        White matter = 1, 0 outside the brain.
    t1w : (N, Z, Y, X) tensor, float16
        What T1w shows at the same place: dark where there is CSF.
    brains : (N, Z, Y, X) tensor, bool
    healthy : (N, Z, Y, X) tensor, bool
        Where the scan is known to be healthy.
    white_matter, deep : (Z, Y, X) tensors, float32
        See :class:`bids_anomaly.training.volumes.HealthyVolumes`.
    modality : int
        Index into :data:`bids_anomaly.modalities.MODALITIES`.
    spacing : float
        Voxel size in mm.
    single : bool
        Whether each is one slice over and over. Its neighbours are made up, see :func:`_drifting`.
    """

    scans: Tensor
    t1w: Tensor
    brains: Tensor
    healthy: Tensor
    white_matter: Tensor
    deep: Tensor
    modality: int
    spacing: float
    single: bool = False

    def to(self, device: torch.device) -> "RealVolumes":
        """Return the same volumes on another device."""
        own = {part.name: getattr(self, part.name) for part in fields(self)}
        moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in own.items()}
        return RealVolumes(**moved)


def real_volumes(scans: Sequence[Preprocessed], t1w: Sequence[Preprocessed]) -> RealVolumes:
    """Stack real scans of one contrast of people who are healthy everywhere.

    Parameters
    ----------
    scans, t1w : sequence of Preprocessed
        In the same model grid. A scan goes with the first T1w scan of its session.

    Raises
    ------
    NothingFoundError
        If no scan has a T1w scan of the same session.
    """
    t1w_of = {one.path.parent: one.scan for one in reversed(t1w)}
    chosen = [one for one in scans if one.path.parent in t1w_of]
    if not chosen:
        raise NothingFoundError(
            "Nobody who is trained on has a real scan of another contrast beside a T1w scan of the "
            "same session. Preprocess both, or train without real scans."
        )
    grid = Grid.of(chosen[0].scan)
    white_matter, deep = template_maps(grid)
    brains = stack([np.asanyarray(one.brain.dataobj) > 0 for one in chosen])
    values, anatomy = (
        stack([image.get_fdata(dtype=np.float32) for image in images]).half()
        for images in zip(*((one.scan, t1w_of[one.path.parent]) for one in chosen), strict=True)
    )
    return RealVolumes(
        scans=values,
        t1w=anatomy,
        brains=brains,
        healthy=torch.ones_like(brains),
        white_matter=white_matter,
        deep=deep,
        modality=MODALITIES.index(suffix_of(chosen[0].path)),
        spacing=float(grid.spacing[0]),
    )


def draw_real(real: RealVolumes, size: int, *, slices: int, generator: Generator) -> Batch:
    """Draw slabs of real scans, vary them and paint anomalies into them.

    Parameters
    ----------
    real : RealVolumes
        On the device of the generator.
    size : int
        Number of slabs.
    slices : int
        Slices a slab.
    generator : torch.Generator
    """
    device = generator.device
    person, middle = draw_middles([real.brains], slices, size, generator)
    reach = torch.arange(slices, device=device) - slices // 2
    repeated = torch.rand(size, device=device, generator=generator) < REPEATED_SHARE
    window = (person[:, None], middle[:, None] + reach * ~repeated[:, None])
    stacked = torch.cat(
        [
            *(part[window].float() for part in (real.scans, real.t1w, real.brains)),
            real.healthy[person, middle][:, None].float(),
            real.white_matter[middle][:, None],
            real.deep[middle][:, None],
        ],
        dim=1,
    )
    grid = moves_in_plane(size, stacked.shape[-2:], generator)
    moved = F.grid_sample(stacked, grid, mode="bilinear", align_corners=True)
    parts = moved[:, : 3 * slices].unflatten(1, (3, slices))
    if real.single:
        parts = torch.where(repeated[:, None, None, None, None], parts, _drifting(parts, generator))
    scan, t1w, brain = parts.unbind(1)
    brain = (brain > 0.5).float()
    anatomy = Anatomy(t1w * brain, brain, moved[:, -2], moved[:, -1])
    modality = torch.full((size,), real.modality, device=device)
    varied = torch.ones(size, dtype=torch.bool, device=device)
    pure = vary_contrast(scan, varied, generator) * brain
    level = torch.rand(size, device=device, generator=generator)
    anomalous = insert_anomalies(
        pure, anatomy, modality, level, spacing=real.spacing, generator=generator
    )
    # Noise and blur of a scanner are in the scan already, so that little more comes on top.
    scanner = Scanner.draw(pure.shape, ~varied, repeated, generator)
    healthy, slab = (scanner.scan(part, brain) for part in (pure, anomalous.scan))
    within = slice(slices // 2, slices // 2 + 1)
    coverage = scanner.resolve(anomalous.coverage)
    known = (moved[:, -3:-2] > 0.99).float()
    learned = brain[:, within] * known
    lesion = where_seen(slab, healthy, coverage, modality)[:, within]
    return Batch(
        slab=slab,
        mirrored=mirrored_or_not(slab[:, within], generator),
        level=level,
        healthy=healthy[:, within],
        lesion=lesion * learned,
        brain=learned,
        brains=brain,
        known=known,
        modality=modality,
    )


def _drifting(parts: Tensor, generator: Generator) -> Tensor:
    """Bend (B, C, S, H, W) slabs of one slice the more the further a slice lies from the middle.

    Between neighbouring slices of 2 mm, borders of tissue move by a voxel or so. A network that
    never saw neighbours differ in real scans would learn to tell these from painted ones by it.
    """
    size, channels, slices, height, width = parts.shape
    step = torch.randn(size, 2, 9, 8, device=parts.device, generator=generator)
    step = F.interpolate(DRIFT * step, size=(height, width), mode="bicubic", align_corners=True)
    away = torch.arange(slices, device=parts.device) - slices // 2
    drift = away[None, :, None, None, None] * step.permute(0, 2, 3, 1)[:, None]
    still = torch.eye(2, 3, device=parts.device).expand(size * slices, 2, 3)
    grid = F.affine_grid(still, [size * slices, channels, height, width], align_corners=True)
    bent = F.grid_sample(
        parts.transpose(1, 2).flatten(0, 1),
        grid + drift.flatten(0, 1),
        mode="bilinear",
        align_corners=True,
    )
    return bent.unflatten(0, (size, slices)).transpose(1, 2)
