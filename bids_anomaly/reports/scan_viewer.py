"""What the viewer of a participant's report shows of each scan."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bids_anomaly.preprocessing.atlas import atlas_regions
from bids_anomaly.reports.figures import GREY, SIGNED, UNUSUAL, Scale, brightest
from bids_anomaly.reports.results import RESIDUAL_LIMIT, Z_FAINT, Z_LIMIT, Z_OPAQUE
from bids_anomaly.reports.scan import ScanReport
from bids_anomaly.reports.tables import region_in_words
from bids_anomaly.reports.viewer import Layer, Subject, Volume, viewer_content

# The viewer keeps values within these; 0 is one of its 256 steps.
STORED_RESIDUAL, STORED_Z = (-1.27, 1.28), (-3.0, 17.4)


def scan_viewer(scans: Sequence[ScanReport]) -> dict[str, Any]:
    """Return the content of the viewer.

    Parameters
    ----------
    scans : sequence of ScanReport
        At least one; the first is shown first, each with its own findings.
    """
    regions = {region.index: region_in_words(region.name) for region in atlas_regions()}
    return viewer_content([_subject(scan) for scan in scans], regions=regions, outlined="findings")


def _subject(scan: ScanReport) -> Subject:
    top = brightest(scan.scan, scan.brain)
    grey = Scale(GREY, 0, top)
    scores = Scale(UNUSUAL, 0, Z_LIMIT)
    zscore = np.where(scan.brain, scan.zscore, STORED_Z[0])
    volumes = {"scan": Volume("Scan", scan.scan, grey, (0, top))}
    layers = [Layer("Scan", "scan")]
    if scan.pseudo_healthy is not None:
        healthy = Volume("Pseudo-healthy", scan.pseudo_healthy, grey, (0, top))
        residual = np.where(scan.brain, scan.scan - scan.pseudo_healthy, 0)
        signed = Scale(SIGNED, -RESIDUAL_LIMIT, RESIDUAL_LIMIT)
        volumes |= {
            "healthy": healthy,
            "residual": Volume("Residual", residual, signed, STORED_RESIDUAL),
        }
        layers += [
            Layer("Pseudo-healthy", "healthy"),
            Layer("Compare", "scan", beside="healthy"),
            Layer("Residual", "residual"),
        ]
    volumes["zscore"] = Volume(
        "z-score", zscore, scores, STORED_Z, faint=Z_FAINT, opaque=Z_OPAQUE, decimals=1
    )
    layers += [Layer("z-score", "scan", over="zscore"), Layer("Mask", "scan", filled=True)]
    return Subject(scan.title, scan.affine, scan.brain, volumes, layers, scan.mask, scan.labels)
