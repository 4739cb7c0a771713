"""Noise for denoising methods: four kinds of random fields.

Every kind is a stationary random field over the three axes of a slab with zero mean and unit
variance at every voxel, so that kinds differ in grain only. Coarse noise, simplex noise and
pyramids hide anomalies from a denoiser that white noise leaves recognisable (Kascenas et al. 2022,
Wyatt et al. 2022). Everything works on batches and draws from one generator.
"""

import math
from collections.abc import Callable
from types import MappingProxyType

import torch
from torch import Generator, Size, Tensor

# Kascenas et al. 2022 spread 16 x 16 values over an image of 128 x 128, about 15 mm a value.
COARSE_GRAIN_VOXELS = 8.0
# Wyatt et al. 2022 begin at a period of 64 pixels of about 1 mm; voxels here have 2 mm.
SIMPLEX_PERIOD_VOXELS = 32.0
SIMPLEX_OCTAVES = 6
SIMPLEX_PERSISTENCE = 0.8
# Grains of 2, 4, ... 32 voxels on top of white noise, each weaker by the discount.
PYRAMID_GRAINS_VOXELS = (2.0, 4.0, 8.0, 16.0, 32.0)
PYRAMID_DISCOUNT = 0.8

# Kernels of simplex noise vanish at this squared distance, the height of a simplex squared, so
# that the field is continuous.
SIMPLEX_REACH = 0.5
SKEW, UNSKEW = 1 / 3, 1 / 6
HASH_SIZE = 256


def gaussian_noise(shape: Size, generator: Generator) -> Tensor:
    """Draw white Gaussian noise.

    Parameters
    ----------
    shape : (B, S, H, W)
        Of the result; the same for all kinds of noise.
    generator : torch.Generator
        On the device of the result.
    """
    return torch.randn(shape, device=generator.device, generator=generator)


def coarse_noise(shape: Size, generator: Generator) -> Tensor:
    """Draw Gaussian noise on a lattice of 8 voxels and interpolate it (Kascenas et al. 2022)."""
    return lattice_noise(shape, (COARSE_GRAIN_VOXELS,) * 3, generator)


def pyramid_noise(shape: Size, generator: Generator) -> Tensor:
    """Draw a sum of Gaussian noise of many grains, from a voxel to 32 (Frotscher et al. 2023)."""
    total = gaussian_noise(shape, generator)
    for step, grain in enumerate(PYRAMID_GRAINS_VOXELS, start=1):
        total += PYRAMID_DISCOUNT**step * lattice_noise(shape, (grain,) * 3, generator)
    return total / _total_deviation(PYRAMID_DISCOUNT, 1 + len(PYRAMID_GRAINS_VOXELS))


def simplex_noise(shape: Size, generator: Generator) -> Tensor:
    """Draw octaves of simplex noise, 64 mm down to 2 mm in period (Wyatt et al. 2022)."""
    total = torch.zeros(shape, device=generator.device)
    for octave in range(SIMPLEX_OCTAVES):
        period = SIMPLEX_PERIOD_VOXELS / 2**octave
        total += SIMPLEX_PERSISTENCE**octave * simplex_octave(shape, period, generator)
    return total / _total_deviation(SIMPLEX_PERSISTENCE, SIMPLEX_OCTAVES)


# Each takes the shape (B, S, H, W) of the result and a generator on its device.
KINDS: MappingProxyType[str, Callable[[Size, Generator], Tensor]] = MappingProxyType(
    {
        "gaussian": gaussian_noise,
        "coarse": coarse_noise,
        "simplex": simplex_noise,
        "pyramid": pyramid_noise,
    }
)


def _total_deviation(ratio: float, count: int) -> float:
    """Return the standard deviation of a sum of independent fields with deviations ratio^k."""
    return math.sqrt(sum(ratio ** (2 * k) for k in range(count)))


def lattice_noise(shape: Size, grains: tuple[float, float, float], generator: Generator) -> Tensor:
    """Interpolate Gaussian noise linearly from a lattice at a random offset.

    Parameters
    ----------
    shape : (B, S, H, W)
        Of the result.
    grains : triple of float
        Spacing of the lattice along S, H and W, in voxels.
    generator : torch.Generator
        On the device of the result.
    """
    batch, *lengths = shape
    device = generator.device
    sizes = [math.ceil(length / grain) + 2 for length, grain in zip(lengths, grains, strict=True)]
    noise = torch.randn(batch, *sizes, device=device, generator=generator)
    weights = []
    for length, size, grain in zip(lengths, sizes, grains, strict=True):
        offset = torch.rand(batch, 1, 1, device=device, generator=generator)
        position = torch.arange(length, device=device)[:, None] / grain + offset
        hat = (1 - (position - torch.arange(size, device=device)).abs()).clamp(min=0)
        # Averages vary less than their terms; rows of unit length undo that.
        weights.append(hat / hat.square().sum(-1, keepdim=True).sqrt())
    return torch.einsum("bijk,bzi,byj,bxk->bzyx", noise, *weights)


def simplex_octave(shape: Size, period: float, generator: Generator) -> Tensor:
    """Evaluate 3-D simplex noise at a random place (Perlin 2001), with a variance of 1.

    Space is cut into tetrahedra by skewing a cubic lattice; each corner contributes a random
    gradient times a kernel that ends before the opposite face.
    """
    batch, *lengths = shape
    device = generator.device
    offset = HASH_SIZE * torch.rand(batch, 3, 1, 1, 1, device=device, generator=generator)
    axes = [torch.arange(length, device=device) for length in lengths]
    point = torch.stack(torch.meshgrid(*axes, indexing="ij")) / period + offset
    gradients = torch.randn(batch, HASH_SIZE, 3, device=device, generator=generator)
    gradients = gradients / gradients.square().sum(-1, keepdim=True).sqrt()
    order = torch.rand(batch, HASH_SIZE, device=device, generator=generator).argsort(dim=1)

    cell = (point + SKEW * point.sum(1, keepdim=True)).floor()
    inside = point - _unskewed(cell)
    # The tetrahedron is found by walking from the cell's origin along the longest axes first.
    z_y, y_x, x_z = (inside >= inside.roll(-1, dims=1)).unbind(1)
    rank = torch.stack([~z_y + x_z.int(), ~y_x + z_y.int(), ~x_z + y_x.int()], dim=1)
    noise = torch.zeros(shape, device=device)
    for corner in range(4):
        step = (rank < corner).to(point.dtype)
        from_corner = inside - _unskewed(step)
        kernel = (SIMPLEX_REACH - from_corner.square().sum(1)).clamp(min=0) ** 4
        noise += kernel * _slope(cell + step, from_corner, order, gradients)
    return noise / math.sqrt(_simplex_variance())


def _unskewed(lattice: Tensor) -> Tensor:
    return lattice - UNSKEW * lattice.sum(1, keepdim=True)


def _slope(corner: Tensor, from_corner: Tensor, order: Tensor, gradients: Tensor) -> Tensor:
    """Return the random gradient of each lattice point times the way from it."""
    batch = len(corner)
    index = torch.zeros_like(corner[:, 0], dtype=torch.long).flatten(1)
    for axis in corner.long().flatten(2).unbind(1):
        index = order.gather(1, (index + axis) % HASH_SIZE)
    chosen = gradients.gather(1, index[..., None].expand(batch, -1, 3))
    return (chosen * from_corner.flatten(2).transpose(1, 2)).sum(-1).view_as(corner[:, 0])


def _simplex_variance() -> float:
    """Return the variance of simplex noise with unit gradients, averaged over space.

    Corners lie two to a unit volume (the unskewing matrix has a determinant of 1/2), and each
    contributes kernel^2 r^2 / 3 at a distance of r.
    """
    beta = math.gamma(2.5) * math.gamma(9) / math.gamma(11.5)
    return 2 * (4 * math.pi / 3) * 0.5 * SIMPLEX_REACH**10.5 * beta
