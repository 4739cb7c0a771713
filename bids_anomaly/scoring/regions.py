"""How much of each region of the atlas is anomalous, and how its two sides compare."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bids_anomaly.preprocessing.atlas import Region

# Brain outside every region, so that the anomalous volumes of a table add up to that of the mask.
ELSEWHERE = Region(0, "Elsewhere", "n/a", "n/a")


class RegionFindings(NamedTuple):
    """What was found in one region.

    Attributes
    ----------
    region : Region
        Or :data:`ELSEWHERE`.
    volume, anomalous_volume : float
        In mm3 of the person, as far as the scan shows the region.
    anomalous_fraction : float
        Share of the region that is anomalous; NaN if the scan shows nothing of it.
    z_mean, z_max : float
        Mean and highest z-score; NaN likewise.
    laterality : float
        (left - right) / (left + right) of the anomalous volumes of a region and its counterpart:
        1 if all is on the left, -1 if all is on the right; NaN for regions at the midline and where
        neither side has any.
    """

    region: Region
    volume: float
    anomalous_volume: float
    anomalous_fraction: float
    z_mean: float
    z_max: float
    laterality: float


def measure_regions(
    labels: np.ndarray,
    regions: Sequence[Region],
    *,
    mask: np.ndarray,
    z: np.ndarray,
    voxel_volume: float,
) -> list[RegionFindings]:
    """Measure every region, and the rest of the brain.

    Parameters
    ----------
    labels : (X, Y, Z) int array
        The atlas in the grid of a scan; -1 outside the brain, 0 in the brain outside every region.
    regions : sequence of Region
        All that are in the atlas.
    mask : (X, Y, Z) bool array
        Anomalies.
    z : (X, Y, Z) array
        How unusual each voxel is.
    voxel_volume : float
        In mm3.

    Returns
    -------
    list of RegionFindings
        In the order of `regions`, and :data:`ELSEWHERE` at the end.
    """
    at = labels >= 0
    present, length = labels[at], 1 + max(region.index for region in regions)
    voxels = np.bincount(present, minlength=length)
    anomalous = np.bincount(present, weights=mask[at], minlength=length)
    total = np.bincount(present, weights=z[at], minlength=length)
    fraction, z_mean = (
        np.divide(summed, voxels, out=np.full(length, np.nan), where=voxels > 0)
        for summed in (anomalous, total)
    )
    z_max = np.full(length, -np.inf)
    np.maximum.at(z_max, present, z[at])
    by_name = {region.name: region.index for region in regions}
    return [
        RegionFindings(
            region=region,
            volume=float(voxels[region.index] * voxel_volume),
            anomalous_volume=float(anomalous[region.index] * voxel_volume),
            anomalous_fraction=float(fraction[region.index]),
            z_mean=float(z_mean[region.index]),
            z_max=float(z_max[region.index]) if np.isfinite(z_max[region.index]) else np.nan,
            laterality=_laterality(region, by_name, anomalous),
        )
        for region in (*regions, ELSEWHERE)
    ]


def _laterality(region: Region, by_name: dict[str, int], anomalous: np.ndarray) -> float:
    """Compare a region with its counterpart on the other side."""
    stem = region.name[:-2]
    if region.hemisphere not in ("left", "right") or not {f"{stem}_L", f"{stem}_R"} <= set(by_name):
        return np.nan
    left, right = (anomalous[by_name[f"{stem}_{side}"]] for side in "LR")
    return float((left - right) / (left + right)) if left + right else np.nan
