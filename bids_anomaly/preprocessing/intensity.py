"""Put scans of any scanner on one intensity scale: white matter is 1."""

import nibabel as nib
import numpy as np

from bids_anomaly.exceptions import ConstantImageError
from bids_anomaly.preprocessing.registration import masked
from bids_anomaly.preprocessing.resample import resample, resample_mask
from bids_anomaly.preprocessing.template import Grid, template_white_matter
from bids_anomaly.preprocessing.transforms import Chain

# Voxels of the template that are white matter in nearly everybody after an affine registration.
SURE_WHITE_MATTER = 0.95


def white_matter_level(scan: np.ndarray, likely_white_matter: np.ndarray) -> float:
    """Estimate the typical white matter intensity of a scan.

    Lesions of up to a third of the white matter, bright or dark, leave the estimate within 2 %.
    The estimate starts at the densest half of the values (the shorth, Andrews et al. 1972), which
    one-sided contamination hardly moves, and is refined by the median of what lies around it.

    Parameters
    ----------
    scan : (X, Y, Z) array
        Bias-corrected intensities, arbitrary units.
    likely_white_matter : (X, Y, Z) bool array
        Voxels that are mostly white matter, in the grid of `scan`.

    Returns
    -------
    float
        White matter intensity in the units of `scan`, > 0.

    Raises
    ------
    ConstantImageError
        If those voxels are empty, hold a single value or are mostly not positive.
    """
    values = np.sort(scan[likely_white_matter & (scan > 0)].astype(np.float64))
    if values.size < max(10, likely_white_matter.sum() // 2) or values[0] == values[-1]:
        raise ConstantImageError(
            "The scan has no white matter that can be measured: its brain is empty, constant or "
            "mostly outside the field of view. Check its brain mask and registration."
        )
    half = values.size // 2
    widths = values[half:] - values[:-half]
    start = int(np.argmin(widths))
    densest_half = values[start : start + half]
    centre = np.median(densest_half)
    # Half of a normal distribution's densest values span 1.35 standard deviations.
    reach = 1.5 * (densest_half[-1] - densest_half[0]) / 1.35
    return float(np.median(values[np.abs(values - centre) <= max(reach, 1e-6 * centre)]))


def to_model_grid(
    scan: nib.Nifti1Image, brain: nib.Nifti1Image, scan_from_template: Chain, grid: Grid
) -> tuple[nib.Nifti1Image, nib.Nifti1Image, float]:
    """Bring a scan into the model grid, with white matter at 1 and nothing outside the brain.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        Bias-corrected, native space.
    brain : nibabel.Nifti1Image
        Brain mask in the grid of `scan`.
    scan_from_template : Chain
        It pulls the scan onto the template.
    grid : Grid
        The model grid.

    Returns
    -------
    scan, brain : nibabel.Nifti1Image
        float32 and uint8, in the model grid.
    level : float
        The white matter intensity of `scan` that was divided by.
    """
    brain_in_grid = resample_mask(brain, grid, scan_from_template)
    inside = np.asanyarray(brain_in_grid.dataobj) > 0
    moved = resample(masked(scan, brain), grid, scan_from_template)
    scan_in_grid = moved.get_fdata(dtype=np.float32)
    prior = resample(template_white_matter(1), grid).get_fdata(dtype=np.float32)
    level = white_matter_level(scan_in_grid, inside & (prior > SURE_WHITE_MATTER))
    return grid.image((scan_in_grid * inside / level).astype(np.float32)), brain_in_grid, level
