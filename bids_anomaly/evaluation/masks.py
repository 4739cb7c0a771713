"""Read masks of lesions that others drew."""

import logging
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.preprocessing.annex import require_content
from bids_anomaly.preprocessing.images import UNREADABLE, load_nifti
from bids_anomaly.preprocessing.orientation import has_orientation, orientation_of
from bids_anomaly.preprocessing.template import Grid

logger = logging.getLogger("bids_anomaly")

# Neighbours in numbered lesions have the same number in most places, and at soft edges they do not.
SAME_LABEL = 0.5
# More of an image than this is no lesion.
LARGEST_SHARE = 0.5


def read_mask(path: Path) -> nib.Nifti1Image:
    """Read a mask of lesions.

    Whatever is not 0 is lesion where a mask holds one value or numbers of lesions; where it holds
    values in between, as interpolation leaves them, what is above half of its maximum is.

    Parameters
    ----------
    path : Path
        NIfTI file of one volume.

    Returns
    -------
    nibabel.Nifti1Image
        (X, Y, Z) float32, 0 and 1, in the grid of the file.

    Raises
    ------
    MissingInputError
        If its content was not fetched.
    BadScanError
        If it cannot be read, is not three-dimensional, has no orientation, or is no mask.
    """
    require_content(path)
    try:
        image = nib.squeeze_image(load_nifti(path))
        values = np.asanyarray(image.dataobj)
    except UNREADABLE as error:
        raise BadScanError(f"The mask {path} cannot be read ({error}). Export it again.") from error
    if values.ndim != 3:
        raise BadScanError(f"The mask {path} is not three-dimensional. Export it again.")
    if not has_orientation(image):
        raise BadScanError(
            f"The mask {path} has no orientation: its sform and qform codes are both 0, so left "
            "and right cannot be told apart. Copy the affine of the scan that it was drawn on."
        )
    affine = orientation_of(image, path.name).affine
    lesion = _lesion(np.nan_to_num(values.astype(np.float32)), path)
    return Grid(tuple(values.shape), affine).image(lesion.astype(np.float32))


def _lesion(values: np.ndarray, path: Path) -> np.ndarray:
    """Tell lesion from the rest."""
    lesion = values != 0
    if not lesion.any():
        return lesion
    highest = float(values.max())
    if not _is_drawn(values):
        if highest <= 0:
            raise BadScanError(
                f"The mask {path} holds negative values only. Give one with lesions above 0."
            )
        lesion = values > highest / 2
        logger.warning(
            "The mask %s holds values between 0 and %.3g: what is above half of that is lesion.",
            path,
            highest,
        )
    if lesion.mean() > LARGEST_SHARE:
        raise BadScanError(
            f"The mask {path} calls {lesion.mean():.0%} of its image lesion. Check that it is a "
            "mask, and that lesions are not 0 in it."
        )
    return lesion


def _is_drawn(values: np.ndarray) -> bool:
    """Tell masks of one value or of numbered lesions from those with soft edges."""
    if values.min() < 0 or (values != np.rint(values)).any():
        return np.unique(values).size <= 2
    highest = values.max()
    pairs = same = 0
    for axis in range(values.ndim):
        one, other = (np.delete(values, end, axis) for end in (0, -1))
        # Where lesions touch nothing and where the highest number is says nothing of the edges.
        inner = (one != 0) & (other != 0) & ((one != highest) | (other != highest))
        pairs += np.count_nonzero(inner)
        same += np.count_nonzero(inner & (one == other))
    return pairs == 0 or same / pairs > SAME_LABEL
