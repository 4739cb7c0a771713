"""Remove the slow intensity changes that the receive coils leave in a scan."""

from collections.abc import Sequence
from pathlib import Path

import ants
import nibabel as nib
import numpy as np

from bids_anomaly.preprocessing.resample import isotropic_grid, resample, resample_mask
from bids_anomaly.preprocessing.template import Grid, template_white_matter

# N4 at full resolution takes over ten minutes; a field this smooth needs no more than 2 mm.
SPACING_MM = 2.0
SHRINK_FACTOR = 4
# What a voxel counts that is surely not white matter, so that the field is known everywhere.
LEAST_WEIGHT = 0.01


def correct_bias(
    scan: nib.Nifti1Image, brain: nib.Nifti1Image, transforms_back: Sequence[Path]
) -> nib.Nifti1Image:
    """Divide a scan by its bias field, estimated inside the brain.

    The method is N4 (Tustison et al. 2010, doi 10.1109/TMI.2010.2046908). Voxels count by how
    likely they are white matter: with all counted alike, part of the rind of grey matter and CSF
    is taken for bias, and white matter stays less even.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        Arbitrary units.
    brain : nibabel.Nifti1Image
        Brain mask in the grid of `scan`.
    transforms_back : sequence of Path
        Matrices that pull the scan onto the template, the last one first: inverted, in this
        order, they pull the template onto the scan.

    Returns
    -------
    nibabel.Nifti1Image
        float32, in the grid of `scan`. The field is scaled to a mean of 1 in the brain.
    """
    grid = isotropic_grid(scan, SPACING_MM)
    brain_2mm = resample_mask(brain, grid)
    inside = np.asanyarray(brain_2mm.dataobj) > 0
    coarse = resample(scan, grid)
    white_matter = resample(
        template_white_matter(1), grid, transforms_back, invert=[True] * len(transforms_back)
    ).get_fdata(dtype=np.float32)
    weight = np.maximum(white_matter, LEAST_WEIGHT) * inside
    # N4 works on logarithms: lift the few voxels that are 0 inside the brain.
    values = coarse.get_fdata(dtype=np.float32)
    lifted = np.maximum(values, np.median(values[inside]) / 100)
    field = ants.n4_bias_field_correction(
        ants.from_nibabel_nifti(grid.image(lifted)),
        mask=ants.from_nibabel_nifti(grid.image(inside.astype(np.float32))),
        weight_mask=ants.from_nibabel_nifti(grid.image(weight.astype(np.float32))),
        shrink_factor=SHRINK_FACTOR,
        return_bias_field=True,
    ).numpy()
    field = grid.image((field / field[inside].mean()).astype(np.float32))
    # Edge voxels of the fine grid can lie outside the coarse one, where the field is unknown.
    field_in_scan = resample(field, Grid.of(scan)).get_fdata(dtype=np.float32)
    smallest = float(np.asanyarray(field.dataobj)[inside].min())
    corrected = scan.get_fdata(dtype=np.float32) / np.maximum(field_in_scan, smallest)
    return Grid.of(scan).image(corrected.astype(np.float32))
