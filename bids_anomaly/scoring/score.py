"""How anomalous each voxel looks, before it is compared with healthy people.

A score is signed and specific to the contrast: |residual| would throw away that lesions are bright
on FLAIR and dark on T1w. Scores are smoothed; intensities are in units of white matter.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import find_objects, gaussian_filter
from skimage.restoration import denoise_tv_chambolle

# Enough for images of brains to settle.
DENOISING_ROUNDS = 60
# Where a network says exactly the same of most of a brain.
SMALLEST_SPREAD = 1e-6


def bright_intensity(scan: np.ndarray, **_: object) -> np.ndarray:
    """Score how bright a voxel is: the baseline on FLAIR and T2w."""
    return scan


def dark_intensity(scan: np.ndarray, **_: object) -> np.ndarray:
    """Score how dark a voxel is: the baseline on T1w."""
    return -scan


def lesion_and_darkening(
    scan: np.ndarray,
    *,
    pseudo_healthy: np.ndarray,
    anomaly: np.ndarray,
    residual_weight: float,
    **_: object,
) -> np.ndarray:
    """Score the network's own lesion output plus how much darker than healthy the scan is."""
    return anomaly + residual_weight * np.maximum(pseudo_healthy - scan, 0)


def intensity_and_lesion(
    scan: np.ndarray, *, anomaly: np.ndarray, lesion_weight: float, **_: object
) -> np.ndarray:
    """Score how much brighter than white matter the scan is, plus the lesion output."""
    return scan - 1 + lesion_weight * anomaly


def intensity_and_surroundings(
    scan: np.ndarray,
    *,
    anomaly: np.ndarray,
    surroundings: np.ndarray,
    lesion_weight: float,
    surroundings_weight: float,
    **_: object,
) -> np.ndarray:
    """Score brightness, the lesion output, and the lesion output around a voxel: for FLAIR.

    The network marks the core of a large lesion; what is bright beside it belongs to it.
    """
    return scan - 1 + lesion_weight * anomaly + surroundings_weight * surroundings


def lesion_and_surroundings(
    scan: np.ndarray,
    *,
    anomaly: np.ndarray,
    surroundings: np.ndarray,
    surroundings_weight: float,
    **_: object,
) -> np.ndarray:
    """Score the lesion output of a voxel and of its surroundings: for T1w.

    Darkening at the resolution of the scan adds folds and noise to that, and finds less.
    """
    return anomaly + surroundings_weight * surroundings


def brightening_in_lesion(
    scan: np.ndarray,
    *,
    pseudo_healthy: np.ndarray,
    anomaly: np.ndarray,
    fluid_level: float,
    **_: object,
) -> np.ndarray:
    """Score how much brighter than healthy the scan is where the network sees a lesion: for T2w.

    Healthy fluid, above `fluid_level`, has no score: its brightness varies most.
    """
    brightening = np.maximum(scan - pseudo_healthy, 0) * anomaly
    return np.where(pseudo_healthy < fluid_level, brightening, 0)


def own_score(
    scan: np.ndarray,
    *,
    pseudo_healthy: np.ndarray | None,
    anomaly: np.ndarray | None,
    direction: int,
    **_: object,
) -> np.ndarray:
    """Score what a method itself finds: its anomaly map, else how far the scan is from healthy.

    `direction` is 1 where disease is bright and -1 where it is dark.
    """
    return direction * (scan - pseudo_healthy) if anomaly is None else anomaly


def own_score_and_intensity(
    scan: np.ndarray,
    *,
    pseudo_healthy: np.ndarray | None,
    anomaly: np.ndarray | None,
    direction: int,
    intensity_weight: float,
    **_: object,
) -> np.ndarray:
    """Score what a method itself finds, plus how much the scan departs from white matter."""
    own = own_score(scan, direction=direction, pseudo_healthy=pseudo_healthy, anomaly=anomaly)
    return own + intensity_weight * direction * (scan - 1)


RULES: dict[str, Callable[..., np.ndarray]] = {
    "bright_intensity": bright_intensity,
    "dark_intensity": dark_intensity,
    "lesion_and_darkening": lesion_and_darkening,
    "intensity_and_lesion": intensity_and_lesion,
    "intensity_and_surroundings": intensity_and_surroundings,
    "lesion_and_surroundings": lesion_and_surroundings,
    "brightening_in_lesion": brightening_in_lesion,
    "own_score": own_score,
    "own_score_and_intensity": own_score_and_intensity,
}


def anomaly_score(
    description: Mapping[str, Any],
    scan: np.ndarray,
    brain: np.ndarray,
    *,
    pseudo_healthy: np.ndarray | None,
    anomaly: np.ndarray | None,
    spacing: Sequence[float],
) -> np.ndarray:
    """Score every voxel of the brain as a bundle says.

    Parameters
    ----------
    description : mapping
        What the bundle says of its score: ``rule``, a key of :data:`RULES`; ``smoothing_mm``, the
        standard deviation of the Gaussian; the parameters of the rule; where there are any,
        ``denoising_mm``, see :func:`denoised`, ``surroundings_mm``, over which the rule's
        surroundings are averaged, and ``bulk``, see :func:`in_units_of_bulk`. With ``bulk_of``
        ``"intensity"`` the bulk is that of the score without what the network says: around a large
        lesion its surroundings reach more of the brain than the bulk may lose.
    scan : (X, Y, Z) array
        White matter = 1, in any grid.
    brain : (X, Y, Z) bool array
        Brain mask in the same grid. Voxels outside have no weight in the smoothing.
    pseudo_healthy, anomaly : (X, Y, Z) array or None
        What the reconstruction gave, in the same grid.
    spacing : sequence of float
        Voxel sizes in mm, along each axis.

    Returns
    -------
    (X, Y, Z) float32 array
        Higher is more anomalous; 0 outside the brain.

    Examples
    --------
    What is darker than its pseudo-healthy image, as on T1w:

    >>> scan, brain = np.ones((6, 6, 6), np.float32), np.ones((6, 6, 6), bool)
    >>> scan[2, 2, 2] = 0.5
    >>> score = anomaly_score(
    ...     {"rule": "lesion_and_darkening", "residual_weight": 2, "smoothing_mm": 0},
    ...     scan,
    ...     brain,
    ...     pseudo_healthy=np.ones_like(scan),
    ...     anomaly=np.zeros_like(scan),
    ...     spacing=(1, 1, 1),
    ... )
    >>> float(score[2, 2, 2]), float(score[4, 4, 4])
    (1.0, 0.0)
    """
    parameters = dict(description)
    rule = RULES[parameters.pop("rule")]
    smoothing_mm, bulk = parameters.pop("smoothing_mm"), parameters.pop("bulk", None)
    bulk_of = parameters.pop("bulk_of", "score")
    denoising_mm = parameters.pop("denoising_mm", None)
    if denoising_mm is not None:
        scan = denoised(scan, brain, denoising_mm, spacing)
    surroundings_mm = parameters.pop("surroundings_mm", None)
    if surroundings_mm is not None and anomaly is not None:
        parameters["surroundings"] = smoothed(anomaly, brain, surroundings_mm, spacing)
    score = rule(scan, pseudo_healthy=pseudo_healthy, anomaly=anomaly, **parameters)
    score = smoothed(score, brain, smoothing_mm, spacing)
    if bulk is None:
        return score
    typical = score
    if bulk_of == "intensity":
        nothing = {"anomaly": np.zeros_like(scan), "surroundings": np.zeros_like(scan)}
        typical = rule(scan, pseudo_healthy=pseudo_healthy, **{**parameters, **nothing})
        typical = smoothed(typical, brain, smoothing_mm, spacing)
    return in_units_of_bulk(score, typical, brain, bulk)


def denoised(
    scan: np.ndarray, brain: np.ndarray, weight_mm: float, spacing: Sequence[float]
) -> np.ndarray:
    """Flatten the noise of a scan and keep its edges, by total variation (Chambolle 2004).

    A Gaussian blurs strips along the ventricles and lesions of a voxel or two into the tissue
    around them; these keep their brightness here (doi 10.1023/B:JMIV.0000011325.36760.1e).

    Parameters
    ----------
    scan : (X, Y, Z) array
        White matter = 1.
    brain : (X, Y, Z) bool array
    weight_mm : float
        How strongly. A difference in intensity between two large regions is kept; a spot is
        flattened when it is fainter than this over its radius, or so.
    spacing : sequence of float
        Voxel sizes in mm. Their geometric mean scales the weight.

    Returns
    -------
    (X, Y, Z) float32 array
        0 outside the brain.
    """
    found = np.zeros(scan.shape, np.float32)
    if not brain.any():
        return found
    box = find_objects(brain.astype(np.uint8))[0]
    weight = weight_mm / np.prod(np.asarray(spacing, dtype=float)) ** (1 / 3)
    inside = (scan[box] * brain[box]).astype(np.float32)
    found[box] = denoise_tv_chambolle(inside, weight=weight, max_num_iter=DENOISING_ROUNDS)
    return found * brain


def smoothed(
    values: np.ndarray, brain: np.ndarray, sigma_mm: float, spacing: Sequence[float]
) -> np.ndarray:
    """Average over the neighbourhood inside the brain, by a Gaussian of `sigma_mm`; 0 outside."""
    sigma = sigma_mm / np.asarray(spacing)
    inside = brain.astype(np.float32)
    weight = np.maximum(gaussian_filter(inside, sigma), 1e-6)
    return gaussian_filter(values.astype(np.float32) * inside, sigma) / weight * inside


def in_units_of_bulk(
    score: np.ndarray, typical: np.ndarray, brain: np.ndarray, bulk: tuple[float, float]
) -> np.ndarray:
    """Count a score from its typical value in this brain, in units of its spread there.

    Scanners differ in noise, sharpness and contrast, and so do scores of healthy tissue. The
    shares are low enough for a lesion of a third of the brain to leave them where they are.

    Parameters
    ----------
    score : (X, Y, Z) array
    typical : (X, Y, Z) array
        What typical values are taken from: the score, or what it is where nothing is found.
    brain : (X, Y, Z) bool array
    bulk : pair of float
        Shares of the brain's voxels: the score that the first share does not exceed becomes 0,
        that of the second becomes 1.

    Returns
    -------
    (X, Y, Z) float32 array
        0 outside the brain.
    """
    low, high = np.quantile(typical[brain], bulk)
    return ((score - low) / max(high - low, SMALLEST_SPREAD) * brain).astype(np.float32)
