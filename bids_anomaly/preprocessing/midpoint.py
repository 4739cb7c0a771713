"""Find the space half way between two scans of a person, in which neither of them is the reference.

Half of the rigid motion is given to each scan, so that both are interpolated alike; to interpolate
one of them only makes the other look sharper, and differences of sharpness look like change (Reuter
and Fischl 2011, doi 10.1016/j.neuroimage.2011.02.076).
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy.linalg import expm, logm

from bids_anomaly.preprocessing.registration import masked, register_linear
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import read_matrix

# What is left around the brains in the grid of the midpoint.
MARGIN_MM = 6.0


class Midpoint(NamedTuple):
    """Two rigid transforms, each a (4, 4) matrix that takes points (mm, RAS+) of the midpoint."""

    first_from_midpoint: np.ndarray
    second_from_midpoint: np.ndarray


def register_midpoint(
    first: nib.Nifti1Image,
    first_brain: nib.Nifti1Image,
    second: nib.Nifti1Image,
    second_brain: nib.Nifti1Image,
    *,
    seed: int,
) -> Midpoint:
    """Register two scans of one contrast and person rigidly, and find the space half way.

    Each is registered to the other and the two motions are averaged, so that exchanging the scans
    exchanges the transforms and changes nothing else.

    Parameters
    ----------
    first, second : nibabel.Nifti1Image
        Scans in their own grids, any units.
    first_brain, second_brain : nibabel.Nifti1Image
        Brain masks in the same grids.
    seed : int
        For the random sampling of the metric, see
        :func:`bids_anomaly.preprocessing.registration.register_linear`.
    """
    one, other = masked(first, first_brain), masked(second, second_brain)
    other_from_one = _register(other, one, seed)
    one_from_other = _register(one, other, seed)
    return halfway(mean_motion(other_from_one, np.linalg.inv(one_from_other)))


def mean_motion(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the rigid motion half way from one (4, 4) motion to another, whichever is named first.

    The inverse of the mean is the mean of the inverses.
    """
    return one @ _root(np.linalg.inv(one) @ other)


def halfway(second_from_first: np.ndarray) -> Midpoint:
    """Give each of two scans half of the motion between them."""
    half = _root(second_from_first)
    return Midpoint(np.linalg.inv(half), half)


def midpoint_grid(
    midpoint: Midpoint,
    first_brain: nib.Nifti1Image,
    second_brain: nib.Nifti1Image,
    *,
    spacing: float,
) -> Grid:
    """Return the grid that holds both brains.

    Parameters
    ----------
    midpoint : Midpoint
    first_brain, second_brain : nibabel.Nifti1Image
        Brain masks in the grids of the scans.
    spacing : float
        Voxel size in mm.
    """
    corners = []
    for brain, scan_from_midpoint in zip((first_brain, second_brain), midpoint, strict=True):
        voxels = np.argwhere(np.asanyarray(brain.dataobj) > 0)
        midpoint_from_voxel = np.linalg.inv(scan_from_midpoint) @ brain.affine
        places = nib.affines.apply_affine(midpoint_from_voxel, voxels)
        corners += [places.min(axis=0), places.max(axis=0)]
    low, high = np.min(corners, axis=0) - MARGIN_MM, np.max(corners, axis=0) + MARGIN_MM
    shape = np.ceil((high - low) / spacing).astype(int) + 1
    origin = (low + high) / 2 - spacing * (shape - 1) / 2
    x, y, z = (int(n) for n in shape)
    return Grid.isotropic((x, y, z), tuple(origin), spacing)


def _register(moving: nib.Nifti1Image, fixed: nib.Nifti1Image, seed: int) -> np.ndarray:
    """Return the motion that takes points of `fixed` to points of `moving`, exactly rigid."""
    with TemporaryDirectory(prefix="bids-anomaly-") as folder:
        path = register_linear(moving, fixed, kind="Rigid", seed=seed, folder=Path(folder))
        matrix = read_matrix(path)
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    matrix[:3, :3] = u @ vt
    return matrix


def _root(motion: np.ndarray) -> np.ndarray:
    """Return the motion that, done twice, gives a rigid motion of less than half a turn."""
    root = expm(np.real(logm(motion)) / 2)
    root[3] = 0, 0, 0, 1  # exactly, which inverses rely on
    return root
