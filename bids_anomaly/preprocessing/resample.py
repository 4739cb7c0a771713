"""Bring an image onto another grid, through any number of transforms, in one interpolation."""

import ants
import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter

from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import SAME_SPACE, Chain


def resample(image: nib.Nifti1Image, onto: Grid, chain: Chain = SAME_SPACE) -> nib.Nifti1Image:
    """Resample a continuous image linearly; what lies outside its field of view becomes 0.

    In directions in which `onto` is coarser than the image, the image is smoothed first so that
    nothing aliases (after Cardoso et al. 2015, doi 10.1007/978-3-319-24571-3_81, with a standard
    deviation of 0.5 instead of 0.42 sqrt(ratio^2 - 1): models are trained on scans made so).
    Rotations in the transforms are not considered in that: heads lie much the same way.

    Parameters
    ----------
    image : nibabel.Nifti1Image
        3-D, any space.
    onto : Grid
        The grid of the result.
    chain : Chain
        From the space of `onto` to the space of `image`; none where they are the same.

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
        **chain.for_ants,
        interpolator="linear",
        singleprecision=True,
    )
    return onto.image(moved.numpy().astype(np.float32))


def resample_mask(mask: nib.Nifti1Image, onto: Grid, chain: Chain = SAME_SPACE) -> nib.Nifti1Image:
    """Resample a binary mask: a voxel belongs to it if about half of it does, or more.

    Parameters are those of :func:`resample`; the result is uint8, 0 or 1. Onto its own grid, and
    without a chain, a mask stays as it is.
    """
    share = resample(mask, onto, chain)
    return onto.image((share.get_fdata(dtype=np.float32) >= 0.5).astype(np.uint8))


def isotropic_grid(image: nib.Nifti1Image, spacing: float) -> Grid:
    """Return a grid with cubic voxels of `spacing` mm over the field of view of `image`."""
    size = Grid.of(image).spacing * image.shape[:3]
    shape = np.maximum(np.ceil(size / spacing).astype(int), 1)
    affine = image.affine.copy()
    affine[:3, :3] *= spacing / Grid.of(image).spacing
    centre = nib.affines.apply_affine(image.affine, (np.array(image.shape[:3]) - 1) / 2)
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    x, y, z = (int(n) for n in shape)
    return Grid((x, y, z), affine)


def _smoothed_for(onto: Grid, image: nib.Nifti1Image) -> np.ndarray:
    """Return the values of `image`, smoothed for sampling at the spacing of `onto`."""
    values = image.get_fdata(dtype=np.float32)
    own = Grid.of(image)
    # How far a voxel of `onto` reaches along each axis of the image, which may be another axis.
    cosines = (own.affine[:3, :3] / own.spacing).T @ (onto.affine[:3, :3] / onto.spacing)
    reach = np.sqrt(cosines**2 @ onto.spacing**2)
    # Directions read from a file are unit vectors up to rounding only.
    ratio = np.maximum(reach / own.spacing, 1)
    sigma = np.where(np.isclose(ratio, 1, rtol=1e-4), 0, 0.5 * np.sqrt(ratio**2 - 1))
    return gaussian_filter(values, sigma) if sigma.any() else values
