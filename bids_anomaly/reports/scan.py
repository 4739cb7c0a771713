"""What is known of one scan, and the words that say where a slice of it lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes

from bids_anomaly.preprocessing.template import MODEL_GRID_2MM
from bids_anomaly.reports.charts import Chart
from bids_anomaly.reports.finding import Finding
from bids_anomaly.reports.numbers import with_minus
from bids_anomaly.reports.tables import Table
from bids_anomaly.reports.views import PLANES, View
from bids_anomaly.scoring.findings import Threshold


@dataclass(frozen=True, eq=False)
class ScanReport:
    """One scan and its results; all arrays are in one grid, in the template space if there is one.

    Attributes
    ----------
    name : str
        Such as ``sub-01_ses-1_FLAIR``.
    title : str
        What it is called among the scans of the session: its modality, if that tells it from them.
    modality : str
        ``T1w``, ``FLAIR`` or ``T2w``.
    model : str
        Name and version of the model, such as ``restore-T1w 0.1.0``.
    scan : (X, Y, Z) array
        Intensities, typical white matter = 1, 0 outside the brain.
    brain : (X, Y, Z) bool array
        Brain mask.
    template : (X, Y, Z) array or None
        T1w template brain, 0 to 1; None where the scan is shown as it was acquired.
    pseudo_healthy : (X, Y, Z) array or None
        In the units of `scan`; None where the model gives none.
    residual : (X, Y, Z) array or None
        `scan` minus `pseudo_healthy`.
    network : (X, Y, Z) array or None
        What the method itself calls anomalous, at least 0; None where it has no such map.
    zscore : (X, Y, Z) array
        How unusual each voxel is, in standard deviations; high is unusual.
    mask : (X, Y, Z) bool array
        Anomalies.
    finer_scan : (N X, N Y, N Z) array or None
        `scan` with N times as many voxels a side, in the same box; None where there is no more to
        see.
    native_scan : nibabel.Nifti1Image or None
        The whole head as acquired, any units and voxel sizes, RAS+; None where it was not written.
    native_brain : nibabel.Nifti1Image or None
        Brain mask in the grid of `native_scan`.
    numbers : mapping of str to str
        What is measured, and its value with the unit.
    labels : (X, Y, Z) array or None
        Regions of the atlas, 0 outside all; None where the scan is shown as it was acquired.
    finding : Finding or None
        What was found in it, in words.
    most_unusual : (3,) sequence of float or None
        Centre of the finding with the highest z-score, in mm; None without a finding.
    lesions, regions : Table or None
        Its findings, and the regions of the atlas that hold them.
    region_chart : Chart or None
        Of the most affected regions; None where there are none.
    z_threshold : float
        The z-score from which on voxels are anomalous.
    affine : (4, 4) array
        From voxel indices to mm; axes along RAS+.
    """

    name: str
    title: str
    modality: str
    model: str
    scan: np.ndarray
    brain: np.ndarray
    template: np.ndarray | None
    pseudo_healthy: np.ndarray | None
    residual: np.ndarray | None
    zscore: np.ndarray
    mask: np.ndarray
    numbers: Mapping[str, str]
    network: np.ndarray | None = None
    finer_scan: np.ndarray | None = None
    native_scan: nib.Nifti1Image | None = None
    native_brain: nib.Nifti1Image | None = None
    labels: np.ndarray | None = None
    finding: Finding | None = None
    most_unusual: Sequence[float] | None = None
    lesions: Table | None = None
    regions: Table | None = None
    region_chart: Chart | None = None
    z_threshold: float = Threshold().z
    affine: np.ndarray = field(default_factory=MODEL_GRID_2MM.affine.copy)

    @property
    def spacing(self) -> np.ndarray:
        """Voxel sizes of the grid in mm."""
        return voxel_sizes(self.affine)


def millimetres(scan: ScanReport, view: View) -> str:
    """Return where a slice lies in the template space, such as ``+18``."""
    position = scan.affine[view.axis, view.axis] * view.index + scan.affine[view.axis, 3]
    return with_minus(f"{position:+.0f}") if round(position) else "0"


def place(scan: ScanReport, view: View) -> str:
    """Return where a slice lies in the template space, such as ``z = +18 mm``."""
    return f"{'xyz'[view.axis]} = {millimetres(scan, view)} mm"


def describe(scan: ScanReport, content: str, view: View) -> str:
    """Return in words what a picture of a slice in the template space shows."""
    return f"{scan.name}: {content}, {PLANES[view.axis]} slice at {place(scan, view)}"
