"""Random shapes in slabs, and the tissue that they push away."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bids_anomaly.synthesis.draws import per_sample

FLOW_STEPS = 3


def offsets_mm(shape: torch.Size, centre: Tensor, spacing: float) -> Tensor:
    """Return each voxel's offset from a centre in the middle slice.

    Parameters
    ----------
    shape : (B, S, H, W)
        Of the slabs.
    centre : (B, 2) tensor
        Row and column.
    spacing : float
        Voxel size in mm.

    Returns
    -------
    (B, 3, S, H, W) tensor
        Along columns, rows and slices, in mm.
    """
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


def random_shape(
    offset: Tensor, radius: Tensor, roughness: Tensor, softness: Tensor, generator: Generator
) -> Tensor:
    """Return a blob of about `radius` mm around offset 0, (B, S, H, W) from 0 to 1.

    The border wanders by smooth noise whose grain grows with the radius.
    """
    stretch = torch.exp(
        0.25 * torch.randn(len(offset), 3, device=offset.device, generator=generator)
    )
    distance = _length(offset * stretch[:, :, None, None, None]) / per_sample(radius)
    noise = smooth_noise(offset, 0.7 * radius, generator)
    signed = 1 - distance + per_sample(roughness) * noise
    return torch.sigmoid(signed / per_sample(0.25 * softness))


def smooth_noise(offset: Tensor, grain: Tensor, generator: Generator) -> Tensor:
    """Return smooth noise with standard deviation about 1 and a correlation of `grain` mm."""
    lattice = torch.randn(len(offset), 1, 12, 12, 12, device=offset.device, generator=generator)
    # The lattice spans 11 grains to a period; its coordinates run from -1 to 1 and are reflected.
    position = offset / (5.5 * per_sample(grain)[:, None])
    sampled = F.grid_sample(
        lattice,
        position.permute(0, 2, 3, 4, 1),
        mode="bilinear",
        padding_mode="reflection",
        align_corners=True,
    )
    return 1.6 * sampled[:, 0]


def stirred(offset: Tensor, radius: Tensor, strength: Tensor, generator: Generator) -> Tensor:
    """Carry offsets along a random divergence-free flow, in plane, so that shapes get arms.

    The flow is the curl of a smooth stream function, followed for a few steps (after Lawry Aguila
    et al. 2025, who let a shape drift in such a flow by advection and diffusion).

    Parameters
    ----------
    offset : (B, 3, S, H, W) tensor
        See :func:`offsets_mm`.
    radius : (B,) tensor
        Size of the shape in mm; eddies are about as large.
    strength : (B,) tensor
        How far the flow carries, in radii.
    generator : torch.Generator
        On the device of `offset`.

    Returns
    -------
    (B, 3, S, H, W) tensor
        The offsets where what is now at each voxel came from, in mm.
    """
    stream = torch.randn(len(offset), 1, 10, 10, device=offset.device, generator=generator)
    stream = F.interpolate(stream, size=(40, 40), mode="bicubic", align_corners=True)
    along_row, along_column = torch.gradient(stream, dim=(2, 3))
    flow = torch.cat([along_row, -along_column], dim=1)
    flow = flow / flow.square().sum(1, keepdim=True).mean((2, 3), keepdim=True).sqrt()
    step = (strength * radius / FLOW_STEPS)[:, None, None, None, None]
    # The field spans nine eddies of about one radius.
    extent = 4.5 * radius[:, None, None, None, None]
    size, _, slices, height, width = offset.shape
    for _ in range(FLOW_STEPS):
        where = (
            (offset[:, :2] / extent).permute(0, 2, 3, 4, 1).reshape(size, slices * height, width, 2)
        )
        velocity = F.grid_sample(flow, where, padding_mode="reflection", align_corners=True)
        velocity = velocity.reshape(size, 2, slices, height, width)
        offset = torch.cat([offset[:, :2] - step * velocity, offset[:, 2:]], dim=1)
    return offset


def push_away(
    scan: Tensor, offset: Tensor, radius: Tensor, strength: Tensor, spacing: float
) -> Tensor:
    """Displace the tissue around a mass outwards, in plane, by up to `strength` radii."""
    distance = _length(offset)
    direction = offset[:, :2] / (distance[:, None] + spacing)
    amount = per_sample(strength * radius) * torch.exp(
        -((distance / per_sample(1.6 * radius)) ** 2)
    )
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
