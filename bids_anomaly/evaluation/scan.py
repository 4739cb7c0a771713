"""All figures of one scan; only what is small is kept of it."""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt

from bids_anomaly.evaluation.curves import NOMINAL_RATES, SMALLEST_LESION, Curves, curves_of
from bids_anomaly.evaluation.loading import ScanMaps
from bids_anomaly.evaluation.measures import SIZES, rate_name
from bids_anomaly.evaluation.metrics import (
    SIZE_BINS,
    LesionCounts,
    auprc,
    auroc,
    dice,
    dice_best,
    false_positives,
    l1,
    lesionwise,
    ssim_map,
    surface_distances,
)
from bids_anomaly.evaluation.restoration import Moments, ahi, caci, rqi, texture

# Voxels of a patient count as free of lesions beyond this distance from all of them: two voxels
# of 2 mm.
LESION_FREE_MM = 4.0
ALL_SIZES = ((SMALLEST_LESION, np.inf),)
# The span of intensities runs between these percentiles of the brain.
SPAN = (0.5, 99.5)


class ScanResult(NamedTuple):
    """Figures of a scan by the names of its columns, and what is added up over scans."""

    figures: dict[str, float]
    curves: Curves
    scan_texture: Moments | None
    restored_texture: Moments | None


def evaluate_scan(
    maps: ScanMaps, *, min_volume: float, healthy_scan: np.ndarray | None = None
) -> ScanResult:
    """Compute every figure of one scan.

    Parameters
    ----------
    maps : ScanMaps
        From :func:`load_maps`.
    min_volume : float
        Least volume of a component of the app's mask, in mm3.
    healthy_scan : (X, Y, Z) array, optional
        The scan without its lesions, from :func:`load_healthy`.

    Returns
    -------
    ScanResult
        Figures that are not defined for this scan are NaN.
    """
    brain, volume = maps.brain, maps.grid.voxel_volume
    lesion_free = brain
    if maps.truth.any():
        distance = distance_transform_edt(~maps.truth, sampling=maps.grid.spacing)
        lesion_free = brain & (distance > LESION_FREE_MM)
    wrong = false_positives(maps.mask, lesion_free, voxel_volume=volume)
    curves = curves_of(
        maps.z,
        maps.truth,
        brain=brain,
        lesion_free=lesion_free,
        voxel_volume=volume,
        min_volume=min_volume,
    )
    apart = surface_distances(maps.mask, maps.truth, maps.grid.spacing)
    figures = {
        **ranking_figures(maps.z, maps),
        "brain_ml": brain.sum() * volume / 1000,
        "lesion_outside_ml": (maps.truth & ~brain).sum() * volume / 1000,
        "burden_ml": maps.mask.sum() * volume / 1000,
        "dice": dice(maps.mask, maps.truth),
        "hd95_mm": apart.hd95,
        "surface_distance_mm": apart.mean,
        **_lesion_figures(maps),
        "false_positive_rate": wrong.voxel_rate,
        "false_positive_ml": wrong.volume_ml,
    }
    figures["volume_error_ml"] = figures["burden_ml"] - figures["lesion_ml"]
    for rate, observed, sensitivity in zip(
        NOMINAL_RATES, curves.observed, curves.sensitivity, strict=True
    ):
        figures[rate_name("observed", rate)] = observed
        figures[rate_name("sensitivity", rate)] = sensitivity
    figures |= _restoration_figures(maps, lesion_free, healthy_scan)
    textures = [
        None if image is None else texture(image, brain, maps.grid.spacing)
        for image in (maps.scan, maps.pseudo_healthy)
    ]
    return ScanResult({name: float(value) for name, value in figures.items()}, curves, *textures)


def ranking_figures(score: np.ndarray, maps: ScanMaps) -> dict[str, float]:
    """Return the figures of a score that has no threshold, and what they depend on.

    Parameters
    ----------
    score : (X, Y, Z) array
        Higher is more anomalous; voxels are ranked inside the brain only.
    maps : ScanMaps
        Brain and truth in the grid of `score`.
    """
    values, truth = score[maps.brain], maps.truth[maps.brain]
    return {
        "lesion_ml": float(maps.truth.sum() * maps.grid.voxel_volume / 1000),
        "prevalence": float(truth.mean()),
        "dice_best": dice_best(values, truth),
        "auprc": auprc(values, truth),
        "auroc": auroc(values, truth),
    }


def _lesion_figures(maps: ScanMaps) -> dict[str, float]:
    """Return counts and rates of lesions, of all and by size."""
    counted = lesionwise(
        maps.mask, maps.truth, voxel_volume=maps.grid.voxel_volume, bins=(*ALL_SIZES, *SIZE_BINS)
    )
    figures: dict[str, float] = {}
    for size, counts in zip(("all", *SIZES), counted, strict=True):
        figures |= _named(size, counts)
    wrong = figures["components_all"] - figures["components_correct_all"]
    return {
        **figures,
        "false_components": wrong,
        "lesion_count_error": figures["components_all"] - figures["lesions_all"],
    }


def _named(size: str, counts: LesionCounts) -> dict[str, float]:
    return {
        f"lesion_sensitivity_{size}": counts.sensitivity,
        f"lesion_precision_{size}": counts.precision,
        f"lesion_f1_{size}": counts.f1,
        f"lesions_{size}": counts.lesions,
        f"lesions_found_{size}": counts.detected,
        f"components_{size}": counts.components,
        f"components_correct_{size}": counts.correct,
    }


def _restoration_figures(
    maps: ScanMaps, lesion_free: np.ndarray, healthy_scan: np.ndarray | None
) -> dict[str, float]:
    figures = dict.fromkeys(("l1", "ssim", "rqi", "caci", "ahi"), np.nan)
    restored = maps.pseudo_healthy
    # Structural similarity needs seven voxels along each axis.
    if restored is None or not lesion_free.any() or min(maps.scan.shape) < 7:
        return figures
    low, high = np.percentile(maps.scan[maps.brain], SPAN)
    span = float(max(high - low, 1e-6))
    similarity = ssim_map(maps.scan, restored, maps.brain, data_range=span)
    figures["l1"] = l1(maps.scan, restored, lesion_free)
    figures["ssim"] = float(similarity[lesion_free].mean())
    figures["rqi"] = rqi(maps.scan, restored, similarity, lesion_free, data_range=span)
    lesions = maps.truth & maps.brain
    figures["caci"] = caci(similarity, lesions, lesion_free)
    if healthy_scan is not None:
        figures["ahi"] = ahi(maps.scan, restored, healthy_scan, lesions)
    return figures
