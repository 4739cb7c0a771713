"""What the viewer of a participant's report shows of each scan."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from bids_anomaly.preprocessing.atlas import atlas_regions
from bids_anomaly.reports.figures import GREY, SIGNED, UNUSUAL, Scale, brightest
from bids_anomaly.reports.scan import ScanReport
from bids_anomaly.reports.scan_pictures import RESIDUAL_LIMIT, score_fades, score_scale
from bids_anomaly.reports.tables import region_in_words
from bids_anomaly.reports.viewer import Layer, Subject, Volume, viewer_content

# The viewer keeps values within these, and z-scores from this one to the highest; 0 is one of its
# 256 steps.
STORED_RESIDUAL, LEAST_Z = (-1.27, 1.28), -3.0
# Intensities are kept up to so many times the value that is white at first.
BEYOND_WHITE = 2
# Shares of the scale of the network's own map from which it is seen, and from which it covers.
NETWORK_FAINT, NETWORK_OPAQUE = 0.05, 0.5
# What is marked within this distance of the centre of a finding is that finding.
SHOWN_WITHIN_MM = 10.0


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
    scores, (faint, opaque) = score_scale(scan), score_fades(scan)
    step = (scores.high - LEAST_Z) / 254
    lowest = -step * round(-LEAST_Z / step)
    # The lowest step is that of voxels outside the brain.
    zscore = np.where(scan.brain, np.maximum(scan.zscore, lowest + step), lowest)
    stored = (0, float(np.clip(scan.scan.max(), top, BEYOND_WHITE * top)))
    volumes = {"scan": Volume("Scan", scan.scan, grey, stored, finer=scan.finer_scan)}
    layers = [Layer("Scan", "scan")]
    if scan.pseudo_healthy is not None:
        # It has the detail of the scan, which need not be stored twice.
        healthy = Volume("Pseudo-healthy", None, grey, stored, difference=("scan", "residual"))
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
        "z-score",
        zscore,
        scores,
        (lowest, lowest + 255 * step),
        faint=faint,
        opaque=opaque,
        decimals=1,
        mark=scan.z_threshold,
        has_gaps=True,
    )
    if scan.network is not None:
        # Of most methods a probability; others have units of their own.
        high = max(1.0, float(scan.network.max()))
        volumes["network"] = Volume(
            "Network",
            scan.network,
            Scale(UNUSUAL, 0, high),
            (0, high),
            faint=NETWORK_FAINT * high,
            opaque=NETWORK_OPAQUE * high,
        )
        layers.append(Layer("Network", "scan", over="network"))
    layers += [Layer("z-score", "scan", over="zscore"), Layer("Mask", "scan", filled=True)]
    return Subject(
        scan.title,
        scan.affine,
        scan.brain,
        volumes,
        layers,
        scan.mask,
        scan.labels,
        peak=peak_of(scan),
    )


def peak_of(scan: ScanReport) -> tuple[float, ...]:
    """Return x, y and z in mm of the highest z-score in the most unusual finding.

    Findings are ranked in the grid of the scan; here, where voxels are larger, the highest z-score
    of all may lie in another one. A finding that these voxels do not show is gone to by its centre.
    Without any finding it is the highest z-score in the brain.
    """
    inside = scan.mask if scan.mask.any() else scan.brain
    if scan.most_unusual is not None:
        shown, _ = ndimage.label(scan.mask, np.ones((3, 3, 3)))
        marked = np.argwhere(scan.mask)
        away = np.linalg.norm(apply_affine(scan.affine, marked) - scan.most_unusual, axis=1)
        if not len(marked) or away.min() > SHOWN_WITHIN_MM:
            return tuple(scan.most_unusual)
        inside = shown == shown[tuple(marked[away.argmin()])]
    highest = np.argmax(np.where(inside, scan.zscore, -np.inf))
    voxel = np.unravel_index(highest, scan.zscore.shape)
    return tuple(apply_affine(scan.affine, voxel))
