"""Find where in its field of view a scan shows the head."""

import nibabel as nib
import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from bids_anomaly.preprocessing.template import Grid

MARGIN_MM = 10.0


def head_mask(scan: nib.Nifti1Image) -> np.ndarray:
    """Return the largest connected piece of tissue that is brighter than air.

    Bone is not part of it where it is as dark as air.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        Any contrast in which tissue is brighter than air.

    Returns
    -------
    (X, Y, Z) bool array
        In the grid of `scan`, not empty.
    """
    values = scan.get_fdata(dtype=np.float32)
    # A background of one value, in scans that were padded or defaced, must not hide the head.
    background = np.median(values)
    low, high = np.percentile(values[values != background], [0.5, 99.5])
    low, high = min(low, background), max(high, background)
    clipped = np.clip(values, low, high)
    # Half way between air and what divides dark from bright tissue, so that dark tissue counts.
    labels, _ = ndimage.label(clipped > (low + threshold_otsu(clipped)) / 2)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def head_box(scan: nib.Nifti1Image, *, height_mm: float) -> tuple[slice, slice, slice]:
    """Return the box around the head, from the vertex down to at most `height_mm` below it.

    The box is the same whatever the field of view around the head, up to a few voxels of margin.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        RAS+, any contrast in which tissue is brighter than air.
    height_mm : float
        What of the head to keep; 220 mm hold the brain of a head in any posture.

    Returns
    -------
    tuple of slice
        Voxels along each axis, not empty.
    """
    box = ndimage.find_objects(head_mask(scan).astype(np.uint8))[0]
    spacing = Grid.of(scan).spacing
    margins = np.ceil(MARGIN_MM / spacing).astype(int)
    right, front, top = (
        slice(max(0, int(extent.start - margin)), min(length, int(extent.stop + margin)))
        for extent, margin, length in zip(box, margins, scan.shape[:3], strict=True)
    )
    height = int(np.ceil(height_mm / spacing[2])) + margins[2]
    return right, front, slice(max(top.start, int(top.stop - height)), top.stop)
