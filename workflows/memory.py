"""How much memory steps take at most, so that those side by side fit into what a run may use.

What a step holds in the grid of its scan grows with the voxels of it, from a tenth of a GB for a
scan of 2 mm to several for one of half a millimetre. ``benchmarks/memory.py`` compares this with
what was measured.
"""

from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_anomaly.preprocessing.images import UNREADABLE
from bids_anomaly.preprocessing.template import TemplateSpace

# Of a process with all that it has imported and keeps of steps before, whatever the scan.
PROCESS_GB = 1.1
# What some take beside that, whatever the scan: networks, and the template at 1 mm.
MORE_GB = {"extract_brain": 0.4, "measure_quality": 0.4, "reconstruct": 0.3, "write_findings": 0.2}
# How often a step holds its scan as float32, at its peak. Steps that are not named hold it once.
COPIES = {
    "reorient": 10,
    "extract_brain": 10,
    "read_brain": 4,
    "read_segmentation": 6,
    "register_to_template": 10,
    "register_to_reference": 10,
    "correct_bias": 16,
    "to_model_grid": 6,
    "measure_quality": 12,
    "score": 16,
    "find": 18,
    "write": 18,
    "write_findings": 18,
    "write_report": 8,
    "write_change": 18,
}
# No more is asked for than for 0.5 mm: a header may tell of any number of voxels.
MOST_VOXELS = 80e6
BYTES_A_GB = 1024**3


def memory_gb(step: str, *scans: Path, onto: TemplateSpace | None = None) -> float:
    """Estimate the memory of a step.

    Parameters
    ----------
    step : str
        A key of :data:`COPIES` or :data:`MORE_GB`, or another name.
    scans : sequence of Path
        Those that it holds at the same time.
    onto : TemplateSpace, optional
        Whose grid it brings them to, if that has more voxels.

    Returns
    -------
    float
        GB of 1024 MB.
    """
    there = np.prod(onto.shape) if onto else 0
    voxels = min(max(sum(map(_voxels, scans)), there), MOST_VOXELS)
    fixed = PROCESS_GB + MORE_GB.get(step, 0)
    return fixed + 4 * COPIES.get(step, 1) * voxels / BYTES_A_GB


@cache
def _voxels(scan: Path) -> int:
    """Read from its header how many voxels a scan has; none if it cannot be read."""
    try:
        shape = nib.load(scan).shape
    except UNREADABLE:  # the step that reads it says so
        return 0
    return int(np.prod(shape, dtype=float))
