"""What is known of one scan, and the words that say where a slice of it lies."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes

from bids_anomaly.preprocessing.template import MODEL_GRID_2MM
from bids_anomaly.reports.views import PLANES, View


@dataclass(frozen=True, eq=False)
class ScanReport:
    """One scan and its results; all arrays are in the template space and in one grid.

    Attributes
    ----------
    name : str
        Such as ``sub-01_ses-1_FLAIR``.
    modality : str
        ``T1w``, ``FLAIR`` or ``T2w``.
    model : str
        Name and version of the model, such as ``restore-T1w 0.1.0``.
    scan : (X, Y, Z) array
        Intensities, typical white matter = 1, 0 outside the brain.
    brain : (X, Y, Z) bool array
        Brain mask.
    template : (X, Y, Z) array
        T1w template brain, 0 to 1.
    pseudo_healthy : (X, Y, Z) array or None
        In the units of `scan`; None where the model gives none.
    residual : (X, Y, Z) array or None
        `scan` minus `pseudo_healthy`.
    zscore : (X, Y, Z) array
        How unusual each voxel is, in standard deviations; high is unusual.
    mask : (X, Y, Z) bool array
        Anomalies.
    native_scan : nibabel.Nifti1Image
        The whole head as acquired, any units and voxel sizes, RAS+.
    native_brain : nibabel.Nifti1Image
        Brain mask in the grid of `native_scan`.
    numbers : mapping of str to str
        What is measured, and its value with the unit.
    affine : (4, 4) array
        From voxel indices to mm in the template space; axes along RAS+.
    """

    name: str
    modality: str
    model: str
    scan: np.ndarray
    brain: np.ndarray
    template: np.ndarray
    pseudo_healthy: np.ndarray | None
    residual: np.ndarray | None
    zscore: np.ndarray
    mask: np.ndarray
    native_scan: nib.Nifti1Image
    native_brain: nib.Nifti1Image
    numbers: Mapping[str, str]
    affine: np.ndarray = field(default_factory=MODEL_GRID_2MM.affine.copy)

    @property
    def spacing(self) -> np.ndarray:
        """Voxel sizes of the template grid in mm."""
        return voxel_sizes(self.affine)


def millimetres(scan: ScanReport, view: View) -> str:
    """Return where a slice lies in the template space, such as ``+18``."""
    position = scan.affine[view.axis, view.axis] * view.index + scan.affine[view.axis, 3]
    return f"{position:+.0f}".replace("-", "−") if round(position) else "0"


def place(scan: ScanReport, view: View) -> str:
    """Return where a slice lies in the template space, such as ``z = +18 mm``."""
    return f"{'xyz'[view.axis]} = {millimetres(scan, view)} mm"


def describe(scan: ScanReport, content: str, view: View) -> str:
    """Return in words what a picture of a slice in the template space shows."""
    return f"{scan.name}: {content}, {PLANES[view.axis]} slice at {place(scan, view)}"
