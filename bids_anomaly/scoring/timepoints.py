"""Bring what was found in a person at two timepoints together, in the space half way between."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage

from bids_anomaly.preprocessing.blur import blur, missing_blur, resolution
from bids_anomaly.preprocessing.midpoint import Midpoint
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import Chain

# A voxel of the midpoint belongs to a brain if at least this share of it does; z-scores are then
# the mean over that share, so that the 0 outside does not leak in.
LEAST_SHARE = 0.5
# Of the field of view, all of it: the interpolation has nothing to take from beyond its last slice.
WHOLE = 0.99


class Timepoint(NamedTuple):
    """What was found in one scan, in its own grid.

    Attributes
    ----------
    zscore, brain : nibabel.Nifti1Image
        z-scores, and the brain mask.
    lesions : nibabel.Nifti1Image
        Labels of its lesions, 0 elsewhere.
    """

    zscore: nib.Nifti1Image
    brain: nib.Nifti1Image
    lesions: nib.Nifti1Image


class Aligned(NamedTuple):
    """Two timepoints in one grid.

    Attributes
    ----------
    grid : Grid
        Of the midpoint.
    compared : (X, Y, Z) bool array
        The brain that both scans saw.
    share : float
        How much of the brain that either saw that is, 0 to 1.
    overlap : float
        Dice overlap of the two brain masks where both scans have a field of view.
    z : pair of (X, Y, Z) arrays
        z-scores at the same resolution, 0 where nothing is compared.
    lesions : pair of (X, Y, Z) int arrays
        Labels of the lesions of each, 0 where nothing is compared.
    """

    grid: Grid
    compared: np.ndarray
    share: float
    overlap: float
    z: tuple[np.ndarray, np.ndarray]
    lesions: tuple[np.ndarray, np.ndarray]


def align(
    timepoints: Sequence[Timepoint], midpoint: Midpoint, grid: Grid, files: Sequence[Path]
) -> Aligned:
    """Resample two timepoints to the midpoint, at the same resolution.

    Each is blurred by what it lacks of the voxel size of the other in any direction. The first and
    the last slice of a field of view are left out: what is beyond them is unknown to the model, and
    half of the brain in them may be too.

    Parameters
    ----------
    timepoints : pair of Timepoint
    midpoint : Midpoint
        Between the two scans.
    grid : Grid
        Of the result.
    files : pair of Path
        ITK files of the two transforms of `midpoint`.
    """
    brains, fields, values = [], [], []
    for timepoint, file in zip(timepoints, files, strict=True):
        chain = Chain.of(file)
        inside = np.asanyarray(timepoint.brain.dataobj) > 0
        own = Grid.of(timepoint.brain)
        share = resample(own.image(inside.astype(np.float32)), grid, chain).get_fdata(
            dtype=np.float32
        )
        z = timepoint.zscore.get_fdata(dtype=np.float32) * inside
        sums = resample(own.image(z), grid, chain).get_fdata(dtype=np.float32)
        values.append(np.where(share > 0.05, sums / np.maximum(share, 0.05), 0))
        brains.append(share >= LEAST_SHARE)
        field = resample(own.image(_inner(own.shape)), grid, chain)
        fields.append(field.get_fdata(dtype=np.float32) >= WHOLE)
    seen = fields[0] & fields[1]
    compared = brains[0] & brains[1] & seen
    either = int((brains[0] | brains[1]).sum())
    both = [int((brain & seen).sum()) for brain in brains]
    spreads = [
        resolution(Grid.of(timepoint.brain), scan_from_midpoint)
        for timepoint, scan_from_midpoint in zip(timepoints, midpoint, strict=True)
    ]
    spacing = float(grid.spacing[0])
    first_z, second_z = (
        _blurred(z, compared, missing_blur(*pair), spacing)
        for z, pair in zip(values, (spreads, spreads[::-1]), strict=True)
    )
    first_lesions, second_lesions = (
        _nearest(timepoint.lesions, scan_from_midpoint, grid) * compared
        for timepoint, scan_from_midpoint in zip(timepoints, midpoint, strict=True)
    )
    return Aligned(
        grid,
        compared,
        share=compared.sum() / either if either else 0.0,
        overlap=2 * compared.sum() / sum(both) if any(both) else 0.0,
        z=(first_z, second_z),
        lesions=(first_lesions, second_lesions),
    )


def _inner(shape: tuple[int, int, int]) -> np.ndarray:
    """Return 1 in a field of view, 0 in the outermost voxels of each axis."""
    field = np.zeros(shape, np.float32)
    field[1:-1, 1:-1, 1:-1] = 1
    return field


def _blurred(
    z: np.ndarray, compared: np.ndarray, covariance: np.ndarray, spacing: float
) -> np.ndarray:
    """Smooth within the compared brain only, whatever lies around it."""
    if not covariance.any():
        return np.where(compared, z, 0)
    sums = blur(z * compared, covariance, spacing)
    weights = blur(compared.astype(np.float32), covariance, spacing)
    return np.where(compared, sums / np.maximum(weights, 0.05), 0)


def _nearest(labels: nib.Nifti1Image, scan_from_midpoint: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the label of the nearest voxel, so that no small lesion is interpolated away."""
    voxel_from_voxel = np.linalg.inv(labels.affine) @ scan_from_midpoint @ grid.affine
    return ndimage.affine_transform(
        np.asanyarray(labels.dataobj).astype(np.int32),
        voxel_from_voxel[:3],
        output_shape=grid.shape,
        order=0,
        mode="constant",
    )
