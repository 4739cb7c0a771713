"""Give two images the same resolution, where their voxels differ in size or direction."""

import numpy as np
from scipy import fft

from bids_anomaly.preprocessing.template import Grid

# Variance along an axis, in voxels: of the mean over a voxel, and of linear interpolation between
# voxels (on average over positions).
VOXEL_VARIANCE = 1 / 12 + 1 / 6


def resolution(grid: Grid, scan_from_target: np.ndarray) -> np.ndarray:
    """Return how far a point spreads in a scan that was resampled linearly.

    Parameters
    ----------
    grid : Grid
        That of the scan.
    scan_from_target : (4, 4) array
        Rigid; takes points of the space that it was resampled to.

    Returns
    -------
    (3, 3) array
        Covariance in mm2, along the axes of that space.
    """
    edges = scan_from_target[:3, :3].T @ grid.affine[:3, :3]
    return VOXEL_VARIANCE * edges @ edges.T


def missing_blur(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the blur that an image lacks beside another; nothing where it is the coarser one.

    Both have the same resolution after each got what it lacks, and no coarser one does it.

    Parameters
    ----------
    own, other : (3, 3) arrays
        Covariances from :func:`resolution`.
    """
    lacking, directions = np.linalg.eigh(other - own)
    return directions * np.maximum(lacking, 0) @ directions.T


def blur(values: np.ndarray, covariance: np.ndarray, spacing: float) -> np.ndarray:
    """Smooth with a Gaussian of any covariance; beyond the borders values are 0.

    Parameters
    ----------
    values : (X, Y, Z) array
    covariance : (3, 3) array
        In mm2, along the axes of `values`.
    spacing : float
        Voxel size in mm.

    Returns
    -------
    (X, Y, Z) float32 array
    """
    if np.trace(covariance) < (0.05 * spacing) ** 2:
        return values.astype(np.float32)
    margin = np.ceil(4 * np.sqrt(np.diag(covariance)) / spacing).astype(int)
    shape = [fft.next_fast_len(int(n), real=True) for n in np.add(values.shape, margin)]
    spectrum = fft.rfftn(values.astype(np.float32), shape)
    frequencies = np.meshgrid(
        *(fft.fftfreq(n, spacing).astype(np.float32) for n in shape[:2]),
        fft.rfftfreq(shape[2], spacing).astype(np.float32),
        indexing="ij",
        sparse=True,
    )
    exponent = sum(
        np.float32(covariance[i, j]) * frequencies[i] * frequencies[j]
        for i in range(3)
        for j in range(3)
    )
    spectrum *= np.exp(np.float32(-2 * np.pi**2) * exponent)
    smooth = fft.irfftn(spectrum, shape)
    return smooth[tuple(slice(n) for n in values.shape)]
