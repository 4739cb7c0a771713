"""Bring a label map onto another grid: every label is interpolated, the largest share wins.

Taking the label of the nearest voxel instead leaves steps of the size of the old voxels.
"""

from itertools import product

import ants
import nibabel as nib
import numpy as np
from scipy import ndimage

from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import SAME_SPACE, Chain

# A position that no voxel has: those within the field of view start at -1/2.
OUTSIDE = -1.0


def resample_labels(
    labels: nib.Nifti1Image,
    onto: Grid,
    chain: Chain = SAME_SPACE,
    *,
    within: np.ndarray | None = None,
) -> nib.Nifti1Image:
    """Resample a label map, as if each label were resampled linearly and the largest share won.

    The result is read at the centres of voxels; it is not averaged over large ones. What lies
    outside the field of view of `labels` becomes 0.

    Parameters
    ----------
    labels : nibabel.Nifti1Image
        3-D integers, any space.
    onto : Grid
        The grid of the result.
    chain : Chain
        From the space of `onto` to the space of `labels`.
    within : (X, Y, Z) bool array, optional
        In the grid `onto`: the result is 0 elsewhere, which takes no time.

    Returns
    -------
    nibabel.Nifti1Image
        int16, in the grid `onto`.
    """
    values = np.asanyarray(labels.dataobj).astype(np.int16)
    within = np.ones(onto.shape, bool) if within is None else within
    found = np.zeros(onto.shape, values.dtype)
    if not within.any():
        return onto.image(found)
    (box,) = ndimage.find_objects(within.astype(np.uint8))
    part = Grid.of(onto.image(within.astype(np.uint8)).slicer[box])
    positions = _positions(Grid.of(labels), part, chain)
    # A slab at a time: eight neighbours of every voxel of a 1 mm head would take a gigabyte.
    for slab, inside, place in zip(
        found[box], within[box], np.moveaxis(positions, 1, 0), strict=True
    ):
        slab[inside] = _largest_share(values, place[:, inside])
    return onto.image(found)


def _positions(source: Grid, onto: Grid, chain: Chain) -> np.ndarray:
    """Return where in `source` each voxel of `onto` lies, (3, X, Y, Z) in voxels."""
    reference = ants.from_nibabel_nifti(onto.image(np.zeros(onto.shape, np.float32)))
    # Linear interpolation of a ramp is exact.
    ramps = np.indices(source.shape, dtype=np.float32)
    return np.stack(
        [
            ants.apply_transforms(
                reference,
                ants.from_nibabel_nifti(source.image(ramp)),
                **chain.for_ants,
                interpolator="linear",
                singleprecision=True,
                defaultvalue=OUTSIDE,
            ).numpy()
            for ramp in ramps
        ]
    )


def _largest_share(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the winning label at N positions, given as (3, N) in voxels of `values`."""
    winners = np.zeros(positions.shape[1], values.dtype)
    inside = np.flatnonzero((positions > OUTSIDE).all(axis=0))
    limit = np.array(values.shape, np.int32)[:, None] - 1
    # ITK's field of view ends half a voxel beyond the outermost centres.
    positions = np.clip(positions[:, inside], 0, limit)
    lower = np.floor(positions).astype(np.int32)
    steps = [np.array(corner)[:, None] for corner in product((0, 1), repeat=3)]
    corners = np.stack([values[tuple(np.minimum(lower + step, limit))] for step in steps])
    winners[inside] = corners[0]
    mixed = np.flatnonzero((corners != corners[0]).any(axis=0))
    corners, upper_share = corners[:, mixed], (positions - lower)[:, mixed]
    shares = np.stack([np.where(step, upper_share, 1 - upper_share).prod(axis=0) for step in steps])
    support = np.stack([np.where(corners == label, shares, 0).sum(axis=0) for label in corners])
    winners[inside[mixed]] = corners[support.argmax(axis=0), np.arange(mixed.size)]
    return winners
