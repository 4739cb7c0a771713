"""Smooth random fields, and solids given by their depth below the surface.

A depth is positive inside a solid and negative outside, in mm near the surface.
"""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from scipy import ndimage
from scipy.special import expit

# Axes of a grid in mm, each shaped so that the three broadcast to the grid.
Axes = tuple[np.ndarray, np.ndarray, np.ndarray]


class RandomField(NamedTuple):
    """A random field over a box, which can be evaluated on any grid within the box.

    Attributes
    ----------
    lattice : (I, J, K) array
        Weights of Gaussian bumps.
    start : (3,) array
        Place of the first bump, in mm.
    step : float
        Distance between neighbouring bumps, in mm.
    """

    lattice: np.ndarray
    start: np.ndarray
    step: float

    @classmethod
    def smooth(cls, box: np.ndarray, grain: float, random: Generator) -> "RandomField":
        """Draw a field with standard deviation 1 whose features are about `grain` mm wide.

        `box` holds the lowest and the highest coordinates in mm, (2, 3).
        """
        return cls(random.standard_normal(_bumps(box, grain)), box[0] - 2 * grain, grain)

    @classmethod
    def labyrinth(cls, box: np.ndarray, wavelength: float, random: Generator) -> "RandomField":
        """Draw a field with standard deviation 1 that rises and falls every `wavelength` mm.

        Its zero set looks like a labyrinth whose walls stand about half a wavelength apart.
        """
        step = wavelength / 4
        shape = _bumps(box, step)
        frequency = np.sqrt(
            sum(f**2 for f in np.meshgrid(*map(np.fft.fftfreq, shape), indexing="ij"))
        )
        keep = np.exp(-0.5 * ((frequency * wavelength / step - 1) / 0.18) ** 2)
        lattice = np.fft.ifftn(np.fft.fftn(random.standard_normal(shape)) * keep).real
        field = cls(lattice, box[0] - 2 * step, step)
        middle = tuple(np.arange(*side, 3.0) for side in box.T)
        return field._replace(lattice=lattice / field.on(middle).std())

    def on(self, axes: Axes) -> np.ndarray:
        """Evaluate the field on a grid; returns float32."""
        values = self.lattice.astype(np.float32)
        for axis, start in zip(axes, self.start, strict=True):
            bumps = start + self.step * np.arange(values.shape[0])
            distance = (np.ravel(axis)[:, None] - bumps) / (0.75 * self.step)
            weights = np.exp(-0.5 * distance**2)
            weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
            # Contracts the first axis and puts the new one last, so that three rounds restore them.
            values = np.tensordot(values, weights.astype(np.float32), (0, 1))
        return values


def soft(depth: np.ndarray, width: float) -> np.ndarray:
    """Return the share of a solid in each voxel, 0 to 1, for a border of about four `width` mm."""
    return expit(depth / np.float32(width))


def depth_of(mask: np.ndarray, spacing: float) -> np.ndarray:
    """Return the depth of each voxel below the surface of a mask, in mm (float32)."""
    inside = ndimage.distance_transform_edt(mask, sampling=spacing)
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing)
    # The surface runs half a voxel from the centres of the voxels on either side.
    shift = np.where(mask, -spacing / 2, spacing / 2)
    return (inside - outside + shift).astype(np.float32)


def ellipsoid(axes: Axes, centre: tuple, radii: tuple) -> np.ndarray:
    """Return the depth in an ellipsoid with axes along the grid, to first order at its surface."""
    scaled = [
        (a - np.float32(c)) / np.float32(r) for a, c, r in zip(axes, centre, radii, strict=True)
    ]
    norm = np.sqrt(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2)
    slope = np.sqrt(sum((s / np.float32(r)) ** 2 for s, r in zip(scaled, radii, strict=True)))
    tiny = np.float32(1e-4)  # At the centre both are 0; the depth there is the smallest radius.
    return (1 - norm) * (norm + tiny) / (slope + tiny / np.float32(min(radii)))


def capsule(axes: Axes, start: tuple, end: tuple, radii: tuple[float, float]) -> np.ndarray:
    """Return the depth in a rod with round ends whose radius goes from `radii[0]` to `radii[1]`."""
    direction = np.subtract(end, start)
    offset = [a - np.float32(s) for a, s in zip(axes, start, strict=True)]
    along = sum(o * np.float32(d) for o, d in zip(offset, direction, strict=True))
    along = np.clip(along / np.float32(direction @ direction), 0, 1)
    away = [o - along * np.float32(d) for o, d in zip(offset, direction, strict=True)]
    distance = np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2)
    return radii[0] + along * np.float32(radii[1] - radii[0]) - distance


def smooth_union(solids: list[np.ndarray], blend: float) -> np.ndarray:
    """Return the depth in the union of solids, with creases rounded over about `blend` mm."""
    result = solids[0]
    for solid in solids[1:]:
        result = np.float32(blend) * np.logaddexp(
            result / np.float32(blend), solid / np.float32(blend)
        )
    return result


def _bumps(box: np.ndarray, step: float) -> tuple[int, ...]:
    return tuple(int(np.ceil(side / step)) + 5 for side in box[1] - box[0])
