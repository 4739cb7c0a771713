"""Tell what a scan shows from its background, whatever the value of that."""

import numpy as np
from scipy import ndimage

# Ripples that interpolation leaves in a constant background, as a share of the brain's brightness.
RIPPLE = 0.05
# Tissue is negative below minus a tenth of the brightness of bright tissue. Measured on 11 scans of
# 6 people (IXI, elderly, MS): none as they are, 0.1 % at most with normal noise of 15 % added; 4 to
# 16 % with the mean of the whole image subtracted, and half with that of the tissue.
CLEARLY_NEGATIVE = 0.1
LARGEST_NEGATIVE_SHARE = 0.02


def foreground(values: np.ndarray) -> np.ndarray:
    """Return all that differs from the background, less the ripples in it if there are any.

    Parameters
    ----------
    values : (X, Y, Z) array
        A scan.

    Returns
    -------
    (X, Y, Z) bool array
    """
    difference = values - background_level(values)
    differs = difference != 0
    if not differs.any():
        return differs
    size = np.abs(difference)
    beyond_ripples = size > RIPPLE * np.percentile(size[differs], 95)
    # The first ripple is strong, but darker than the background; a brain is brighter, unless the
    # background is bright, and then much of it is darker.
    if np.mean(difference[beyond_ripples] < 0) < 0.25:
        beyond_ripples &= difference > 0
    exact, smooth = (as_one_piece(mask).sum() for mask in (differs, beyond_ripples))
    return differs if exact < 1.05 * smooth else beyond_ripples


def background_level(values: np.ndarray) -> float:
    """Return the median of the faces of the field of view."""
    faces = [values.take(end, axis).ravel() for axis in range(3) for end in (0, -1)]
    return float(np.median(np.concatenate(faces)))


def as_one_piece(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected component of a mask, with its holes filled."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    if sizes.size == 1:
        return mask.astype(bool)
    sizes[0] = 0
    # Much faster than binary_fill_holes: all that the outside does not reach belongs to it.
    piece = np.pad(labels == sizes.argmax(), 1)
    outside, _ = ndimage.label(~piece)
    return (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]


def has_negative_tissue(values: np.ndarray) -> bool:
    """Tell whether tissue of a scan is negative, as it is after a mean was subtracted.

    Noise and ripples around 0 do not count, and neither does a background of any value.

    Parameters
    ----------
    values : (X, Y, Z) array
        A scan.
    """
    if values.min() >= 0:
        return False
    # Noise and ripples change their sign from voxel to voxel, tissue does not.
    without_background = np.where(values == background_level(values), 0, values)
    smooth = ndimage.uniform_filter(without_background, 3)
    difference = np.abs(smooth - background_level(smooth))
    if not difference.any():
        return False
    tissue = smooth[difference > RIPPLE * np.percentile(difference[difference > 0], 95)]
    negative = tissue < -CLEARLY_NEGATIVE * np.percentile(np.abs(tissue), 95)
    return float(negative.mean()) > LARGEST_NEGATIVE_SHARE
