"""Large lesions with a known displacement, inserted into healthy T1w scans in the model grid.

They are not drawn by the generator that models are trained with, so that a model is not tested on
its own kind: a stroke is a rough, dark territory with some tissue left; a mass has a dark core, a
bright rim and swelling around it, and pushes the brain aside.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

# Template coordinates of the left hemisphere (mm): within the territory of the middle cerebral
# artery, and in the deep white matter. Each lesion is moved by a random shift.
CENTRES_MM = {"stroke": (-42.0, -14.0, 18.0), "mass": (-34.0, -22.0, 30.0)}
SHIFT_MM = 8.0
RADIUS_MM = {"stroke": (24.0, 30.0), "mass": (19.0, 24.0)}
# A mass pushes its border outwards by about 30 % of its radius; nothing leaves the skull.
PUSH = 0.45
PUSH_REACH = 1.6
RIGID_RIM_MM = 15.0


@dataclass(frozen=True)
class Lesioned:
    """A scan with a lesion, and the truth about it.

    Attributes
    ----------
    scan : (X, Y, Z) array
        White matter = 1, 0 outside the brain.
    lesion : (X, Y, Z) bool array
        Where the lesion is.
    push : (3, X, Y, Z) array
        How far, in voxels, the tissue of the healthy scan was moved.
    """

    scan: np.ndarray
    lesion: np.ndarray
    push: np.ndarray

    def moved(self, points: np.ndarray) -> np.ndarray:
        """Return where points (3, ...) of the healthy scan, in voxels, went."""
        return points + _at(self.push, points)

    def origins(self) -> np.ndarray:
        """Return, for each voxel, where its tissue was in the healthy scan; (3, X, Y, Z) voxels."""
        voxels = np.indices(self.lesion.shape, dtype=float)
        origins = voxels
        # The push is a contraction, so that this converges.
        for _ in range(15):
            origins = voxels - _at(self.push, origins)
        return origins


def insert(
    kind: str, scan: np.ndarray, brain: np.ndarray, affine: np.ndarray, *, seed: int
) -> Lesioned:
    """Insert a lesion into one hemisphere of a healthy scan.

    Parameters
    ----------
    kind : {'stroke', 'mass'}
        What is inserted.
    scan : (X, Y, Z) array
        In the model grid, white matter = 1, 0 outside the brain.
    brain : (X, Y, Z) bool array
        Its brain mask.
    affine : (4, 4) array
        From voxels to mm, with equal spacing and axes along RAS+.
    seed : int
        Gives place, size and shape.
    """
    random = np.random.default_rng((seed, list(CENTRES_MM).index(kind)))
    spacing = affine[0, 0]
    centre = np.array(CENTRES_MM[kind]) + random.uniform(-SHIFT_MM, SHIFT_MM, 3)
    centre[0] *= random.choice([-1, 1])
    offset = np.indices(scan.shape) * spacing + (affine[:3, 3] - centre)[:, None, None, None]
    distance = np.sqrt((offset**2).sum(axis=0))
    radius = random.uniform(*RADIUS_MM[kind])
    roughness = gaussian_filter(random.normal(size=scan.shape), 0.25 * radius / spacing)
    # 1 in the middle, 0 at the border, negative outside.
    depth = 1 - distance / radius + 0.25 * roughness / roughness.std()
    texture = gaussian_filter(random.normal(size=scan.shape), 1.5)
    texture = 1 + 0.06 * texture / texture.std()
    if kind == "stroke":
        push = np.zeros((3, *scan.shape))
        content = np.minimum(0.35 * texture + 0.2 * scan, scan)
        return Lesioned(_blend(scan, content, depth / 0.1) * brain, (depth > 0) & brain, push)
    rim = np.clip(distance_transform_edt(brain) * spacing / RIGID_RIM_MM, 0, 1)
    reach = np.exp(-((distance / (PUSH_REACH * radius)) ** 2))
    push = PUSH * offset / spacing * reach * gaussian_filter(rim, 1.5)
    mass = Lesioned(scan, (depth > 0) & brain, push)
    pushed = map_coordinates(scan, mass.origins(), order=1)
    swollen = _blend(pushed, np.minimum(0.78 * texture, pushed), (depth + 0.35) / 0.15)
    ring = _blend(swollen, 1.1 * texture, depth / 0.1)
    whole = _blend(ring, 0.45 * texture, (depth - 0.2) / 0.1)
    return Lesioned(whole * brain, mass.lesion, push)


def _blend(below: np.ndarray, above: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    return below + np.clip(0.5 + opacity / 2, 0, 1) * (above - below)


def _at(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the values of a (3, X, Y, Z) field at points (3, ...) in voxels."""
    return np.stack([map_coordinates(axis, points, order=1, mode="nearest") for axis in field])
