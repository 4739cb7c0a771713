"""Read masks of lesions that others drew."""

import zlib
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.preprocessing.annex import require_content
from bids_anomaly.preprocessing.orientation import has_orientation
from bids_anomaly.preprocessing.template import Grid


def read_mask(path: Path) -> nib.Nifti1Image:
    """Read a mask of lesions; what it calls lesion is whatever is not 0.

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
        If it cannot be read, is not three-dimensional, or has no orientation.
    """
    require_content(path)
    try:
        image = nib.squeeze_image(nib.load(path))
        values = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error, nib.filebasedimages.ImageFileError) as error:
        raise BadScanError(f"The mask {path} cannot be read ({error}). Export it again.") from error
    if values.ndim != 3:
        raise BadScanError(f"The mask {path} is not three-dimensional. Export it again.")
    if not has_orientation(image):
        raise BadScanError(
            f"The mask {path} has no orientation: its sform and qform codes are both 0, so left "
            "and right cannot be told apart. Copy the affine of the scan that it was drawn on."
        )
    return Grid.of(image).image((np.nan_to_num(values) != 0).astype(np.float32))
