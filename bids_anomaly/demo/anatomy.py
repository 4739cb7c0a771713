"""What the average brain tells about any brain: maps from which individual brains are drawn."""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from bids_anomaly.demo.fields import Axes, depth_of, ellipsoid, soft
from bids_anomaly.preprocessing.template import template_brain, template_white_matter

# Skull, face and neck need room around the brain: mm added at the low and high end of each axis.
ROOM_MM = ((28, 28), (28, 50), (50, 28))


class Map(NamedTuple):
    """Values on an isotropic grid in the space of the template.

    Attributes
    ----------
    values : (X, Y, Z) float32 array
    origin : (3,) array
        Place of the first voxel in mm.
    spacing : float
        Voxel size in mm.
    """

    values: np.ndarray
    origin: np.ndarray
    spacing: float

    def at(self, place: Axes) -> np.ndarray:
        """Interpolate linearly at places in mm; beyond the border the nearest value holds."""
        voxel = [
            (p - o) / np.float32(self.spacing) for p, o in zip(place, self.origin, strict=True)
        ]
        return ndimage.map_coordinates(self.values, voxel, order=1, mode="nearest")


class Anatomy(NamedTuple):
    """Maps of the template.

    Attributes
    ----------
    white_matter : Map
        Log odds of white matter.
    intensity : Map
        Sharpened T1w template, 0 to 1.
    as_average : Map
        1 where brains differ little, so that the template shows what any of them looks like (deep
        nuclei, ventricles, brain stem, cerebellum); 0 where each cortex folds its own way.
    brain_depth, cranium_depth, scalp_depth : Map
        Depth in mm below the envelope of the brain, the inner table of the skull, and the skin of
        the vault.
    """

    white_matter: Map
    intensity: Map
    as_average: Map
    brain_depth: Map
    cranium_depth: Map
    scalp_depth: Map


@cache
def template_anatomy() -> Anatomy:
    """Derive the maps from the template brain and its white matter."""
    image = template_brain(1)
    whole = image.get_fdata(dtype=np.float32)
    box = ndimage.find_objects((whole > 0).astype(np.int8))[0]
    intensity = whole[box]
    origin = (image.affine[:3, 3] + [side.start for side in box]).astype(np.float32)
    probability = template_white_matter(1).get_fdata(dtype=np.float32)[box]
    probability = np.clip(probability, 0.01, 0.99)
    log_odds = np.log(probability / (1 - probability))
    # An average is blurred; this gives deep nuclei and folia the borders of a single brain.
    sharpened = intensity + 0.9 * (intensity - ndimage.gaussian_filter(intensity, 1.5))
    brain, cranium, scalp = _envelopes(intensity > 0, origin)
    return Anatomy(
        white_matter=Map(log_odds, origin, 1.0),
        intensity=Map(sharpened, origin, 1.0),
        as_average=Map(_alike_in_all(intensity, probability, origin), origin, 1.0),
        brain_depth=brain,
        cranium_depth=cranium,
        scalp_depth=scalp,
    )


def _envelopes(brain: np.ndarray, origin: np.ndarray) -> tuple[Map, Map, Map]:
    """Return the depths below the brain's envelope, the inner table and the skin, at 2 mm."""
    room = [(low // 2, high // 2) for low, high in ROOM_MM]
    coarse = np.pad(brain[::2, ::2, ::2], room)
    origin = origin - np.array([low for low, _ in ROOM_MM], np.float32)
    depth = depth_of(coarse, 2.0)
    z = _axes(origin, coarse.shape, 2.0)[2]
    # The vault bridges fissures, the base follows the brain more closely, the skin is rounder.
    vault = soft(z + 8, 4)
    table = vault * _bridged(depth, 10) + (1 - vault) * _bridged(depth, 5) + 0.8
    skin = ndimage.gaussian_filter(_bridged(depth, 24), 2.0) + 13.5
    return Map(depth, origin, 2.0), Map(table, origin, 2.0), Map(skin, origin, 2.0)


def _bridged(depth: np.ndarray, radius_mm: float) -> np.ndarray:
    """Return the depth in a solid whose gaps of less than twice `radius_mm` are filled, at 2 mm."""
    near = depth > -radius_mm
    bridged = ndimage.distance_transform_edt(near, sampling=2.0).astype(np.float32) - 1 - radius_mm
    # Farther away than the radius the gaps are out of sight.
    return ndimage.gaussian_filter(np.where(near, bridged, depth), 1.0)


def _alike_in_all(intensity: np.ndarray, white: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Return where brains are alike: around the ventricles, and below the tentorium."""
    x, y, z = axes = _axes(origin, intensity.shape, 1.0)
    mirrored = (np.abs(x), y, z)
    centre = np.maximum.reduce(
        [
            ellipsoid(axes, (0, 2, 7), (35, 33, 20)),  # basal ganglia and frontal horns
            ellipsoid(mirrored, (12, -15, 16), (20, 32, 17)),  # thalamus and bodies of ventricles
            ellipsoid(mirrored, (24, -48, 10), (11, 20, 12)),  # atria
            ellipsoid(mirrored, (22, -5, -19), (10, 9, 8)),  # amygdala
            ellipsoid(axes, (0, -15, -10), (15, 18, 18)),  # midbrain and hypothalamus
        ]
    )
    below = ndimage.gaussian_filter(
        _below_tentorium(intensity, white, axes).astype(np.float32), 1.2
    )
    return np.maximum(soft(centre, 1.0), soft(below - 0.5, 0.12))


def _below_tentorium(intensity: np.ndarray, white: np.ndarray, axes: Axes) -> np.ndarray:
    """Find cerebellum and brain stem: a watershed along the dark tentorium of the template."""
    x, y, z = axes
    vermis = (np.abs(x) < 12) & (y > -75) & (y < -38) & (z > -45) & (z < -14)
    stem = (np.abs(x) < 12) & (y > -38) & (y < -18) & (z < -22)
    hemispheres = (np.abs(x) < 45) & (y < -40) & (z < -26) & (white > 0.3)
    high = (z > 0) | ((z > -14) & (np.abs(x) > 25)) | ((y > -15) & (np.abs(x) > 15))
    seeds = np.zeros(intensity.shape, np.int8)
    seeds[high & (white > 0.6)] = 1
    seeds[(vermis | stem | hemispheres) & (intensity > 0)] = 2
    seeds[intensity == 0] = 3
    barrier = 1.6 * np.clip(0.86 - ndimage.gaussian_filter(intensity, 0.7), 0, 0.62)
    low = np.s_[:, :, : np.searchsorted(z.ravel(), 8)]
    basins = np.zeros_like(seeds)
    basins[low] = ndimage.watershed_ift(np.round(255 * barrier[low]).astype(np.uint8), seeds[low])
    return (basins == 2) & (z < 4) & (y < -12) & ((z < -8) | (y < -40))


def _axes(origin: np.ndarray, shape: tuple[int, ...], spacing: float) -> Axes:
    ranges = [
        o + spacing * np.arange(n, dtype=np.float32) for o, n in zip(origin, shape, strict=True)
    ]
    return tuple(np.meshgrid(*ranges, indexing="ij", sparse=True))
