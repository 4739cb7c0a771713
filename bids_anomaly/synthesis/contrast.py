"""Paint FLAIR and T2w scans from real T1w scans.

A random piecewise-linear tone curve over CSF, grey and white matter keeps real folding, partial
volume and atrophy. What makes healthy tissue look unusual on these contrasts is painted too, so
that it is learnt as healthy: caps around the ventricles, flow in CSF, uneven cortex and what brain
extraction leaves at the surface.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bids_anomaly.synthesis.draws import Draws, per_sample
from bids_anomaly.synthesis.regions import tones

# The index of a modality in tensors.
T1W, FLAIR, T2W = range(3)

# T1w intensities relative to white matter between which tissues mix, as IXI has them.
T1W_CSF, T1W_GREY = 0.25, 0.70
# From here on T1w voxels are more tissue than CSF.
T1W_TISSUE = 0.45


@dataclass(frozen=True)
class Tones:
    """What tissues look like relative to white matter; ranges are drawn from evenly.

    Attributes
    ----------
    csf, grey : (low, high)
        Pure CSF, and cortex as it shows at 2 mm.
    bright_fluid : float
        Share of samples in which CSF flow shows bright.
    uneven_cortex : float
        By how much cortex varies over the brain at most, as a share.
    """

    csf: tuple[float, float]
    grey: tuple[float, float]
    bright_fluid: float
    uneven_cortex: float


# In the joint histogram of FLAIR and T1w of six elderly people (SBIA 2017, 2 mm), grey matter is at
# .95 to 1.0 and CSF at .05 to .3; at higher resolution cortex is brighter. On real T2w of 16 people
# of three scanners grey matter is at 1.2 to 1.45, and fluid at 1.4 to 3.2, darkest in thick slices.
TONES = {
    FLAIR: Tones(csf=(0.03, 0.35), grey=(0.90, 1.4), bright_fluid=0.4, uneven_cortex=0.15),
    T2W: Tones(csf=(1.4, 3.5), grey=(1.15, 1.8), bright_fluid=0.0, uneven_cortex=0.25),
}
UNSUPPRESSED_SHARE, UNSUPPRESSED_CSF = 0.3, (0.35, 0.9)


def paint(
    t1w: Tensor,
    brain: Tensor,
    deep: Tensor,
    regions: Tensor,
    modality: Tensor,
    *,
    generator: Generator,
) -> Tensor:
    """Turn slabs of healthy T1w slices into FLAIR- or T2w-like ones.

    Parameters
    ----------
    t1w : (B, S, H, W) tensor
        White matter = 1, 0 outside the brain.
    brain : (B, S, H, W) tensor
        1 inside the brain, else 0.
    deep : (B, H, W) tensor
        1 where the template is far from the surface of the brain, in the middle slices: CSF there
        is that of the ventricles.
    regions : (B, H, W) integer tensor
        Of the middle slices, see :func:`bids_anomaly.training.loading.regions_in_grid`.
    modality : (B,) tensor
        FLAIR or T2W for each slab.
    generator : torch.Generator
        On the device of `t1w`.

    Returns
    -------
    (B, S, H, W) tensor
        White matter = 1, 0 outside the brain.
    """
    draw = Draws(len(t1w), t1w.device, generator)
    flair = modality == FLAIR
    csf, grey = (
        torch.where(
            flair,
            draw.uniform(*getattr(TONES[FLAIR], tissue)),
            draw.uniform(*getattr(TONES[T2W], tissue)),
        )
        for tissue in ("csf", "grey")
    )
    # On T2w it is the brightest.
    csf = torch.where(flair, csf, torch.maximum(csf, grey + 0.1))
    # Where fluid is suppressed badly, it is nearly as bright as tissue.
    unsuppressed = flair & draw.chance(UNSUPPRESSED_SHARE)
    csf = torch.where(unsuppressed, draw.uniform(*UNSUPPRESSED_CSF), csf)
    grey_knot = T1W_GREY + draw.uniform(-0.05, 0.05)
    one = torch.ones_like(csf)
    # Deep grey matter lies between cortex and white matter, on some scanners as bright as cortex.
    # Narrow fluid spaces are mixed with tissue on T1w; scans that show them sharper have them pure.
    knots = [0 * one, 0.1 * one, T1W_CSF + draw.uniform(-0.05, 0.20), grey_knot]
    values = [0.3 * csf, csf, csf, grey]
    knots += [grey_knot + 0.6 * (1 - grey_knot), one, 1.4 * one]
    values += [1 + draw.uniform(0.1, 0.7) * (grey - 1), one, draw.uniform(0.85, 1.05)]
    painted = _tone_curve(t1w, knots, values)

    tissue = ((t1w - T1W_CSF) / (T1W_GREY - T1W_CSF)).clamp(0, 1)
    uneven = torch.where(flair, TONES[FLAIR].uneven_cortex, TONES[T2W].uneven_cortex)
    painted = painted * (1 + _uneven_cortex(t1w, uneven, draw)) * (1 + _mottle(t1w, draw) * tissue)
    painted = painted * (1 + _tones_of_regions(t1w, regions, flair, draw) * tissue)
    painted = painted * (1 + _uneven_fluid(1 - tissue, draw))
    painted = painted + per_sample(flair.float()) * _caps(t1w, brain, deep, draw)
    painted = painted + per_sample(flair & draw.chance(TONES[FLAIR].bright_fluid)) * (
        _bright_fluid(1 - tissue, draw)
    )
    painted = painted * (1 + _surface(brain, draw))
    return painted.clamp(min=0) * brain


def ventricle_neighbourhood(t1w: Tensor, deep: Tensor, reach: int) -> Tensor:
    """Return tissue that lies within `reach` voxels, in plane, of the ventricles.

    Parameters
    ----------
    t1w : (B, S, H, W) tensor
        Healthy T1w slabs, white matter = 1.
    deep : (B, H, W) tensor
        See :func:`paint`.
    reach : int
        In voxels.

    Returns
    -------
    (B, S, H, W) tensor
        1 there, else 0.
    """
    near = F.max_pool2d(ventricles(t1w, deep), 2 * reach + 1, stride=1, padding=reach)
    return near * (t1w > T1W_TISSUE)


def ventricles(t1w: Tensor, deep: Tensor) -> Tensor:
    """Return CSF far from the surface of the brain, 1 there and else 0, of (B, S, H, W) slabs."""
    return (t1w < T1W_TISSUE).float() * (t1w > 0) * deep[:, None]


def _tone_curve(scan: Tensor, knots: list[Tensor], values: list[Tensor]) -> Tensor:
    """Map intensities through a piecewise-linear curve of each sample's own."""
    result = per_sample(values[0]).expand_as(scan)
    for left, right, low, high in zip(knots, knots[1:], values, values[1:], strict=False):
        width = right - left
        inside = (scan - per_sample(left)).clamp(min=0)
        result = result + per_sample((high - low) / width) * torch.minimum(
            inside, per_sample(width)
        )
    return result


def _uneven_cortex(t1w: Tensor, most: Tensor, draw: Draws) -> Tensor:
    """Return the relative change of grey matter that varies over the brain (insula, cingulate).

    On real T2w scans of a person with MS (3 T, Ljubljana) the mean of cortex within a few mm varies
    over the brain by a standard deviation of 10 %.
    """
    greyness = torch.exp(-(((t1w - T1W_GREY) / 0.15) ** 2))
    amount = per_sample(most * draw.uniform(0, 1))
    return amount * draw.smooth_field(t1w.shape[-2:], 8) * greyness


def _tones_of_regions(t1w: Tensor, regions: Tensor, flair: Tensor, draw: Draws) -> Tensor:
    """Return the relative change of regions that have tones of their own, (B, 1, H, W)."""
    known = torch.tensor([tones("FLAIR"), tones("T2w")], device=t1w.device)
    mean, deviation = torch.where(flair[:, None, None], *known).unbind(-1)
    drawn = mean + deviation * draw.normal(mean.shape[1])
    change = drawn.gather(1, regions.flatten(1)).view_as(regions)[:, None]
    return F.avg_pool2d(change, 3, stride=1, padding=1)


def _mottle(t1w: Tensor, draw: Draws) -> Tensor:
    """Return the faint relative change of tissue that a tone curve cannot give."""
    coarse, fine = (draw.smooth_field(t1w.shape[-2:], knots) for knots in (12, 30))
    return per_sample(draw.uniform(0, 0.05)) * coarse + per_sample(draw.uniform(0, 0.05)) * fine


def _caps(t1w: Tensor, brain: Tensor, deep: Tensor, draw: Draws) -> Tensor:
    """Return thin bright caps and bands beside the ventricles, in two thirds of the samples."""
    amount = per_sample(draw.uniform(-0.15, 0.3).clamp(min=0))
    where = (draw.smooth_field(t1w.shape[-2:], 10) + 0.3).clamp(0, 1)
    return amount * where * ventricle_neighbourhood(t1w, deep, reach=1) * brain


def _uneven_fluid(fluid: Tensor, draw: Draws) -> Tensor:
    """Return the relative change of CSF from one fluid space to the next, as by flow."""
    return per_sample(draw.uniform(0, 0.2)) * draw.smooth_field(fluid.shape[-2:], 7) * fluid


def _bright_fluid(fluid: Tensor, draw: Draws) -> Tensor:
    """Return patches in CSF that flow, protein or choroid plexus make bright."""
    patches = (2 * draw.smooth_field(fluid.shape[-2:], 12) - 2.2).clamp(0, 1)
    return per_sample(draw.uniform(0.2, 0.9)) * patches * fluid


def _surface(brain: Tensor, draw: Draws) -> Tensor:
    """Return the relative change of the outermost voxels: dura and fat, or partial volume."""
    inner = 1 - F.max_pool2d(1 - brain, 3, stride=1, padding=1)
    where = draw.smooth_field(brain.shape[-2:], 10).clamp(0, 1.5)
    return per_sample(draw.uniform(-0.3, 0.5)) * where * (brain - inner)
