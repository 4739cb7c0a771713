"""Bring an image onto another grid, through any number of transforms, in one interpolation."""

from collections.abc import Sequence
from pathlib import Path

import ants
import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter

from bids_anomaly.preprocessing.template import Grid


def resample(
    image: nib.Nifti1Image,
    onto: Grid,
    transforms: Sequence[Path] = (),
    *,
    invert: Sequence[bool] | None = None,
) -> nib.Nifti1Image:
    """Resample a continuous image linearly; what lies outside its field of view becomes 0.

    Where `onto` is coarser than the image, the image is smoothed first so that nothing aliases
    (Cardoso et al. 2015, doi 10.1007/978-3-319-24571-3_81).

    Parameters
    ----------
    image : nibabel.Nifti1Image
        3-D, any space.
    onto : Grid
        The grid of the result.
    transforms : sequence of Path
        ITK transform files, in the order of antsApplyTransforms (the last one acts on the image
        first); their chain leads from the space of `onto` to the space of `image`.
    invert : sequence of bool, optional
        Which of the transforms to invert (matrices only); none by default.

    Returns
    -------
    nibabel.Nifti1Image
        float32, in the grid `onto`.
    """
    moving = ants.from_nibabel_nifti(Grid.of(image).image(_smoothed_for(onto, image)))
    reference = ants.from_nibabel_nifti(onto.image(np.zeros(onto.shape, np.float32)))
    moved = ants.apply_transforms(
        reference,
        moving,
        transformlist=[str(path) for path in transforms],
        # Always explicit: left to itself, ANTsPy inverts some matrices.
        whichtoinvert=list(invert) if invert is not None else [False] * len(transforms),
        interpolator="linear",
        singleprecision=True,
    )
    return onto.image(moved.numpy().astype(np.float32))


def resample_mask(
    mask: nib.Nifti1Image,
    onto: Grid,
    transforms: Sequence[Path] = (),
    *,
    invert: Sequence[bool] | None = None,
) -> nib.Nifti1Image:
    """Resample a binary mask: a voxel belongs to it if at least half of it does.

    Parameters are those of :func:`resample`; the result is uint8, 0 or 1.
    """
    share = resample(mask, onto, transforms, invert=invert)
    return onto.image((share.get_fdata(dtype=np.float32) >= 0.5).astype(np.uint8))


def isotropic_grid(image: nib.Nifti1Image, spacing: float) -> Grid:
    """Return a grid with cubic voxels of `spacing` mm over the field of view of `image`."""
    size = Grid.of(image).spacing * image.shape[:3]
    shape = np.maximum(np.ceil(size / spacing).astype(int), 1)
    affine = image.affine.copy()
    affine[:3, :3] *= spacing / Grid.of(image).spacing
    centre = nib.affines.apply_affine(image.affine, (np.array(image.shape[:3]) - 1) / 2)
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid(tuple(int(n) for n in shape), affine)


def _smoothed_for(onto: Grid, image: nib.Nifti1Image) -> np.ndarray:
    """Return the values of `image`, smoothed for sampling at the spacing of `onto`."""
    values = image.get_fdata(dtype=np.float32)
    ratio = onto.spacing.mean() / Grid.of(image).spacing
    sigma = 0.5 * np.sqrt(np.maximum(ratio**2 - 1, 0))
    return gaussian_filter(values, sigma) if sigma.any() else values
