"""Make scans of any contrast from label maps of people (Billot et al. 2023, SynthSeg).

Each tissue gets a mean and a texture; the picture is then seen through a scanner: blurred, averaged
over voxels twice as large as those of the labels, shaded and noisy. Doi
10.1016/j.media.2023.102789.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bids_anomaly.preprocessing.intensity import SURE_WHITE_MATTER, white_matter_level
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid, template_white_matter
from bids_anomaly.synthesis.corrupt import lattice_noise, pyramid_noise
from bids_anomaly.synthesis.label_maps import FINER, tissues_in_grid
from bids_anomaly.synthesis.tissues import CONTRASTS, TISSUES, VALUES

# Billot et al. 2023 draw means up to 255; white matter must stay clear of 0, as it is divided by.
RANDOM_MEANS = (0.0, 255.0)
RANDOM_WHITE_MATTER = (80.0, 255.0)
# Standard deviation within a tissue relative to its mean. Vessels and membranes cross the fluid in
# sulci, and label maps do not tell apart what lies between parts of the brain.
TEXTURE = (0.02, 0.09)
UNEVEN_TEXTURE = (0.1, 0.3)
UNEVEN = ("sulcal fluid", "choroid plexus", "other")
TEXTURE_MM = 16.0
# Standard deviations in mm of the blur along each axis; slices may be thick.
BLUR_MM = (0.2, 0.9)
THICK_BLUR_MM = (1.0, 2.0)
THICK_SHARE = 0.3
BIAS = (0.0, 0.06)
BIAS_MM = 60.0
NOISE = (0.005, 0.03)
# Folia run from left to right; label maps show the cerebellum without them. The fissures between
# them let the fluid shine through.
FOLIA_MM = (4.0, 5.0, 25.0)
FOLIA_THICKNESS = 0.35
FLUID_IN_FOLIA = (0.2, 0.8)


class Contrast(NamedTuple):
    """How bright each tissue is, white matter about 1.

    Attributes
    ----------
    means, deviations : (B, K + 1) tensor
        Mean and standard deviation at each of the
        :data:`~bids_anomaly.synthesis.tissues.VALUES` of the K tissues; 0 is outside.
    """

    means: Tensor
    deviations: Tensor


def draw_contrast(name: str, count: int, generator: Generator) -> Contrast:
    """Draw means of tissues as a contrast has them.

    Parameters
    ----------
    name : {'T1w', 'FLAIR', 'T2w'}
        Key of :data:`bids_anomaly.synthesis.tissues.CONTRASTS`.
    count : int
        Number of scans.
    generator : torch.Generator
        On the device of the result.
    """
    device = generator.device
    low, high = torch.tensor([CONTRASTS[name][tissue] for tissue in TISSUES], device=device).T
    # Tissues follow the sequence together, and each a little on its own.
    shared, own = (
        torch.rand(count, columns, device=device, generator=generator)
        for columns in (1, len(TISSUES))
    )
    return _with_texture(low + (high - low) * (shared + own) / 2, generator)


def random_contrast(count: int, generator: Generator) -> Contrast:
    """Draw the means of all tissues at random, as in :func:`draw_contrast` but for the ranges."""
    low, high = RANDOM_MEANS
    unit = torch.rand(count, len(TISSUES) + 1, device=generator.device, generator=generator)
    white = RANDOM_WHITE_MATTER[0] + (RANDOM_WHITE_MATTER[1] - RANDOM_WHITE_MATTER[0]) * unit[:, :1]
    means = (low + (high - low) * unit[:, 1:]) / white
    means[:, TISSUES.index("white matter")] = 1
    # What touches the ventricles is mostly white matter as elsewhere.
    means[:, TISSUES.index("periventricular white matter")] = 0.9 + 0.2 * unit[:, -1]
    return _with_texture(means, generator)


def _with_texture(means: Tensor, generator: Generator) -> Contrast:
    unit = torch.rand(means.shape, device=means.device, generator=generator)
    low, high = torch.tensor(
        [UNEVEN_TEXTURE if name in UNEVEN else TEXTURE for name in TISSUES], device=means.device
    ).T
    deviations = means * (low + (high - low) * unit)
    return Contrast(F.pad(means, (1, 0)), F.pad(deviations, (1, 0)))


def paint_labels(
    tissues: Tensor, contrast: Contrast, *, spacing: float, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Make a scan of each label map.

    Parameters
    ----------
    tissues : (B, 2S, 2H, 2W) integer tensor
        Values of tissues, 0 outside the brain, see
        :func:`bids_anomaly.synthesis.label_maps.tissues_in_grid`.
    contrast : Contrast
        For B scans.
    spacing : float
        Voxel size of the scans in mm, twice that of the label maps.
    generator : torch.Generator
        On the same device as the rest.

    Returns
    -------
    scan : (B, S, H, W) tensor
        White matter about 1, 0 outside the brain.
    brain : (B, S, H, W) tensor
        1 where at least half of the voxel is brain, else 0.
    """
    picture = _textured(tissues, contrast, spacing / FINER, generator)
    scan = _scanned(picture, spacing, generator)
    brain = F.avg_pool3d((tissues > 0).to(scan.dtype)[:, None], FINER)[:, 0] >= 0.5
    return scan * brain, brain.to(scan.dtype)


def _textured(tissues: Tensor, contrast: Contrast, spacing: float, generator: Generator) -> Tensor:
    """Give tissues their means, fissures between folia, and texture."""
    index = tissues.long().flatten(1)
    means, deviations = (column.gather(1, index).view(tissues.shape) for column in contrast)
    fluid = contrast.means[:, VALUES["sulcal fluid"], None, None, None]
    folia = lattice_noise(tissues.shape, tuple(grain / spacing for grain in FOLIA_MM), generator)
    fissures = torch.exp(-((folia / FOLIA_THICKNESS) ** 2))
    fissures = fissures * (tissues == VALUES["cerebellar cortex"])
    means = means + _uniform(means, FLUID_IN_FOLIA, 1, 1, 1, generator=generator) * fissures * (
        fluid - means
    )
    fine = pyramid_noise(tissues.shape, generator)
    coarse = lattice_noise(tissues.shape, (TEXTURE_MM / spacing,) * 3, generator)
    return means + deviations * (fine + coarse) / math.sqrt(2)


def _scanned(picture: Tensor, spacing: float, generator: Generator) -> Tensor:
    """Blur, average over the voxels of a scan, shade, and add noise."""
    blur = _uniform(picture, BLUR_MM, 3, generator=generator)
    thick = _uniform(picture, (0, 1), generator=generator) < THICK_SHARE
    thick_blur = _uniform(picture, THICK_BLUR_MM, generator=generator)
    blur[:, 0] = torch.where(thick, thick_blur, blur[:, 0])
    scan = _seen_through_voxels(picture, blur * FINER / spacing)
    field = lattice_noise(scan.shape, (BIAS_MM / spacing,) * 3, generator)
    scan = scan * torch.exp(_uniform(scan, BIAS, 1, 1, 1, generator=generator) * field)
    noise = torch.randn(scan.shape, device=scan.device, generator=generator)
    return (scan + _uniform(scan, NOISE, 1, 1, 1, generator=generator) * noise).clamp(min=0)


def _uniform(
    like: Tensor, bounds: tuple[float, float], *shape: int, generator: Generator
) -> Tensor:
    """Draw (B, *shape) uniform numbers for a batch on its device."""
    low, high = bounds
    unit = torch.rand(len(like), *shape, device=like.device, generator=generator)
    return low + (high - low) * unit


def _seen_through_voxels(fine: Tensor, blur: Tensor) -> Tensor:
    """Blur (B, Z, Y, X) volumes by `blur`, (B, 3) in fine voxels, and average over large voxels."""
    weights = []
    for axis, length in enumerate(fine.shape[1:]):
        centre = torch.arange(length, device=fine.device) + 0.5
        edge = FINER * torch.arange(length // FINER + 1, device=fine.device)[:, None]
        below = torch.special.ndtr((edge - centre) / blur[:, axis, None, None])
        share = below[:, 1:] - below[:, :-1]
        weights.append(share / share.sum(-1, keepdim=True))
    return torch.einsum("bijk,bzi,byj,bxk->bzyx", fine, *weights)


def volumes_from_labels(
    paths: Sequence[Path], *, contrast: str, draws: int, grid: Grid, seed: int
) -> Iterator[tuple[nib.Nifti1Image, nib.Nifti1Image]]:
    """Make scans from label maps, in the form that ``--stage preprocess`` gives real ones.

    Parameters
    ----------
    paths : sequence of Path
        Label maps, see :func:`bids_anomaly.synthesis.label_maps.tissues_in_grid`.
    contrast : {'T1w', 'FLAIR', 'T2w', 'random'}
        Of the scans.
    draws : int
        Scans a label map.
    grid : Grid
        The model grid.
    seed : int
        Of contrasts, textures and registrations.

    Yields
    ------
    scan, brain : nibabel.Nifti1Image
        float32 with white matter at 1 and 0 outside the brain, and uint8, in the model grid.
    """
    generator = torch.Generator().manual_seed(seed)
    likely_white = resample(template_white_matter(1), grid).get_fdata() > SURE_WHITE_MATTER
    for path in paths:
        fine = torch.from_numpy(tissues_in_grid(path, grid, seed=seed).transpose(2, 1, 0).copy())
        for _ in range(draws):
            if contrast == "random":
                drawn = random_contrast(1, generator)
            else:
                drawn = draw_contrast(contrast, 1, generator)
            scan, brain = (
                volume[0].numpy().transpose(2, 1, 0)
                for volume in paint_labels(
                    fine[None], drawn, spacing=float(grid.spacing[0]), generator=generator
                )
            )
            level = white_matter_level(scan, likely_white & (brain > 0))
            yield grid.image(scan / level), grid.image(brain.astype(np.uint8))
