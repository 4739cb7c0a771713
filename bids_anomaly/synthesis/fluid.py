"""Anomalies in volumes that a flow has shaped.

After UNA (Liu et al. 2025, "Unraveling normal anatomy via fluid-driven anomaly randomization"): a
random shape is carried along a divergence-free field and blurred on the way, so that it stays of a
piece and of about its volume while it takes any form.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bids_anomaly.synthesis.corrupt import lattice_noise
from bids_anomaly.synthesis.draws import Draws, per_sample
from bids_anomaly.synthesis.recipes import column, of_kind
from bids_anomaly.synthesis.shapes import random_shape

CLEAN_SHARE = 0.15
# A volume has room for several, and a network learns more from it then.
ANOMALIES = 4
RADII_MM = (4.0, 25.0)
EDDY_MM = 24.0
FLOW_STEPS = 4


def insert_fluid_anomalies(
    healthy: Tensor, brain: Tensor, modality: Tensor, *, spacing: float, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Paint anomalies of one kind into each of some volumes.

    Parameters
    ----------
    healthy, brain : (B, Z, H, W) tensors
        White matter = 1 and 0 outside the brain, and 1 inside the brain.
    modality : (B,) tensor
        Index into :data:`bids_anomaly.modalities.MODALITIES`.
    spacing : float
        Voxel size in mm.
    generator : torch.Generator
        On the device of `healthy`.

    Returns
    -------
    scan, share : (B, Z, H, W) tensors
        The scan with its anomalies, and how much of them is in each voxel. 15 % have none.
    """
    draw = Draws(len(healthy), healthy.device, generator)
    low, high = (torch.full_like(modality, mm, dtype=torch.float32) for mm in RADII_MM)
    shapes = [
        random_shape(
            _offsets_mm(brain, spacing, generator),
            draw.log_uniform(low, high),
            draw.uniform(0.15, 0.6),
            draw.uniform(0.05, 0.35),
            generator,
        )
        for _ in range(ANOMALIES)
    ]
    drift = draw.uniform(0.0, 0.5) * EDDY_MM / spacing
    shape = carried(torch.stack(shapes).amax(0), drift, EDDY_MM / spacing, generator)
    kind = torch.multinomial(column("shares", modality), 1, generator=generator)[:, 0]
    target = per_sample(draw.between(*of_kind(column("levels", modality), kind).unbind(1)))
    content = torch.where(
        per_sample(column("brightens", modality)),
        torch.maximum(target, healthy),
        torch.minimum(target, healthy),
    )
    opacity = draw.uniform(0.3, 1.0) * ~draw.chance(CLEAN_SHARE)
    share = per_sample(opacity) * shape * brain
    return healthy + share * (content - healthy), share


def carried(shape: Tensor, distance: Tensor, eddy: float, generator: Generator) -> Tensor:
    """Let shapes drift along a random divergence-free field, and diffuse a little.

    Parameters
    ----------
    shape : (B, Z, H, W) tensor
        From 0 to 1.
    distance : (B,) tensor
        How far the flow carries on average, in voxels.
    eddy : float
        Size of its eddies, in voxels.
    generator : torch.Generator
        On the device of `shape`.
    """
    x, y, z = (lattice_noise(shape.shape, (eddy,) * 3, generator) for _ in "xyz")

    def slope(field: Tensor, axis: str) -> Tensor:
        return torch.gradient(field, dim={"z": 1, "y": 2, "x": 3}[axis])[0]

    # The curl of any field has no divergence.
    flow = torch.stack(
        [
            slope(z, "y") - slope(y, "z"),
            slope(x, "z") - slope(z, "x"),
            slope(y, "x") - slope(x, "y"),
        ],
        dim=-1,
    )
    flow = flow / flow.square().sum(-1, keepdim=True).mean((1, 2, 3), keepdim=True).sqrt()
    sides = torch.tensor(shape.shape[:0:-1], device=shape.device)
    step = (distance / FLOW_STEPS)[:, None, None, None, None] * flow * 2 / (sides - 1)
    theta = torch.eye(3, 4, device=shape.device).expand(len(shape), 3, 4)
    volumes = shape[:, None]
    origin = F.affine_grid(theta, list(volumes.shape), align_corners=True) - step
    for _ in range(FLOW_STEPS):
        volumes = F.grid_sample(volumes, origin, align_corners=True)
        volumes = (volumes + F.avg_pool3d(volumes, 3, stride=1, padding=1)) / 2
    return volumes[:, 0]


def _offsets_mm(brain: Tensor, spacing: float, generator: Generator) -> Tensor:
    """Return each voxel's (B, 3, Z, H, W) offset from a random voxel of the brain."""
    chosen = torch.multinomial(brain.flatten(1) + 1e-6, 1, generator=generator)[:, 0]
    centre = torch.stack(torch.unravel_index(chosen, brain.shape[1:])[::-1], dim=1)
    axes = [torch.arange(side, device=brain.device) for side in brain.shape[1:]]
    voxel = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1])
    return (voxel - centre[:, :, None, None, None]) * spacing
