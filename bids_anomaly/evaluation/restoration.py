"""Is the pseudo-healthy image healthy, and is everything else kept.

Three indices after Bercea, Wiestler, Rueckert and Schnabel (2025), Evaluating normative
representation learning in generative AI for robust anomaly detection in brain imaging, Nature
Communications 16, doi 10.1038/s41467-025-56321-y: restoration quality (RQI), anomaly-to-healthy
(AHI), conservation and correction (CACI). Their published code computes the parts (MAE, LPIPS and
SSIM on healthy slices; Frechet inception distances between pathological, restored and healthy
slices; SSIM and LPIPS inside and outside the lesions) but not how they are put together, so each
function here says what it does. LPIPS and inception features come from networks trained on
photographs, which a tool without downloads does not have; they are replaced as each function says.
Figures are therefore not comparable with the published ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.measure import block_reduce, label

from bids_anomaly.evaluation.metrics import l1

BLOCK_MM = 8.0
# A block counts if that much of it is brain.
LEAST_BRAIN = 0.5
# Lesions whose contrast is looked at, and what surrounds them.
LARGE_ML = 1.0
SURROUNDINGS_MM = (2.0, 6.0)
# Healthy people are halved to see how far apart two healthy groups are.
FEWEST_HEALTHY = 4


def rqi(
    scan: np.ndarray,
    reconstruction: np.ndarray,
    similarity: np.ndarray,
    healthy: np.ndarray,
    *,
    data_range: float,
) -> float:
    """Return the restoration quality index: is healthy tissue kept.

    The mean structural similarity times one minus the mean absolute error as a share of the data
    range. The original also has LPIPS, and looks at slices of healthy people only; here the
    lesion-free tissue of patients counts too.

    Parameters
    ----------
    scan, reconstruction : (X, Y, Z) arrays
        In one unit.
    similarity : (X, Y, Z) array
        From :func:`bids_anomaly.evaluation.metrics.ssim_map`.
    healthy : (X, Y, Z) bool array
        Tissue without lesions.
    data_range : float
        Span of the intensities of a brain.

    Returns
    -------
    float
        1 if nothing is changed; NaN without healthy tissue.
    """
    if not healthy.any():
        return np.nan
    error = min(l1(scan, reconstruction, healthy) / data_range, 1.0)
    return float(similarity[healthy].mean() * (1 - error))


def caci(similarity: np.ndarray, lesion: np.ndarray, healthy: np.ndarray) -> float:
    """Return the conservation and correction index: is the lesion changed and the rest kept.

    The harmonic mean of the structural similarity of scan and reconstruction in healthy tissue
    (conservation) and one minus that inside lesions (correction). How the original joins the two,
    and its LPIPS, are not part of the published code. It rewards any change of a lesion: whether it
    becomes healthy is for :func:`ahi`.

    Parameters
    ----------
    similarity : (X, Y, Z) array
        From :func:`bids_anomaly.evaluation.metrics.ssim_map`.
    lesion, healthy : (X, Y, Z) bool arrays

    Returns
    -------
    float
        From 0 (everything or nothing is changed) to 1; NaN without lesion or healthy tissue.
    """
    if not lesion.any() or not healthy.any():
        return np.nan
    conserved = float(np.clip(similarity[healthy].mean(), 0, 1))
    corrected = float(np.clip(1 - similarity[lesion].mean(), 0, 1))
    total = conserved + corrected
    return 2 * conserved * corrected / total if total else 0.0


def ahi(
    scan: np.ndarray, reconstruction: np.ndarray, healthy_scan: np.ndarray, lesion: np.ndarray
) -> float:
    """Return the anomaly-to-healthy index where the healthy scan is known.

    The share of the way from the lesion to healthy tissue that the reconstruction goes: one minus
    its mean absolute error inside the lesions over that of the scan. For synthetic lesions this
    replaces the original's distance between groups of images (:func:`group_ahi`) by the distance
    to the one image that is right.

    Parameters
    ----------
    scan, reconstruction, healthy_scan : (X, Y, Z) arrays
        In one unit; the scan without its lesions is `healthy_scan`.
    lesion : (X, Y, Z) bool array

    Returns
    -------
    float
        1 if the lesion becomes what was there before, 0 if it stays, negative if it becomes less
        like it; NaN without a lesion that can be seen.
    """
    if not lesion.any():
        return np.nan
    before = l1(scan, healthy_scan, lesion)
    return 1 - l1(reconstruction, healthy_scan, lesion) / before if before else np.nan


def contrast_removed(
    scan: np.ndarray,
    reconstruction: np.ndarray,
    lesions: np.ndarray,
    brain: np.ndarray,
    spacing: Sequence[float],
) -> float:
    """Return which share of a lesion's contrast the reconstruction takes away.

    The contrast is the mean inside a lesion minus that of what surrounds it (from 2 to 6 mm away,
    outside all lesions). Lesions are 26-connected components of 1 ml and more; the share is
    weighted by their volume.

    Parameters
    ----------
    scan, reconstruction : (X, Y, Z) arrays
        In one unit.
    lesions, brain : (X, Y, Z) bool arrays
    spacing : sequence of float
        Voxel sizes in mm.

    Returns
    -------
    float
        1 if lesions become as bright as what surrounds them, 0 if they stay, more than 1 if they
        are turned round; NaN without a lesion of that size.
    """
    labels = label(lesions, connectivity=3)
    volume_ml = np.prod(spacing) / 1000
    before = after = 0.0
    for number in np.flatnonzero(np.bincount(labels.ravel())[1:] * volume_ml >= LARGE_ML) + 1:
        inside = labels == number
        distance = distance_transform_edt(~inside, sampling=spacing)
        low, high = SURROUNDINGS_MM
        around = (distance > low) & (distance <= high) & brain & ~lesions
        if around.any():
            contrasts = [
                inside.sum() * (image[inside].mean() - image[around].mean())
                for image in (scan, reconstruction)
            ]
            sign = np.sign(contrasts[0])
            before += sign * contrasts[0]
            after += sign * contrasts[1]
    return float(1 - after / before) if before else np.nan


@dataclass(frozen=True)
class Moments:
    """Count, sum and sum of products of the features of blocks; they can be added up.

    Attributes
    ----------
    count : float or (D,) array
    total : (..., F) array
    products : (..., F, F) array
    """

    count: np.ndarray
    total: np.ndarray
    products: np.ndarray

    def gaussian(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance."""
        count = np.asarray(self.count, dtype=float)[..., None]
        mean = self.total / count
        outer = mean[..., :, None] * mean[..., None, :]
        return mean, self.products / count[..., None] - outer


def texture(image: np.ndarray, brain: np.ndarray, spacing: np.ndarray) -> Moments:
    """Describe an image by features of blocks of 8 mm: mean, standard deviation, mean gradient.

    Parameters
    ----------
    image : (X, Y, Z) array
        White matter = 1.
    brain : (X, Y, Z) bool array
    spacing : (3,) array
        Voxel sizes in mm.
    """
    size = tuple(np.maximum(np.round(BLOCK_MM / np.asarray(spacing)), 1).astype(int))
    inside = brain.astype(np.float32)
    # Axes of a single slice have no gradient.
    slopes = [
        np.gradient(image, step, axis=axis)
        for axis, step in enumerate(spacing)
        if image.shape[axis] > 1
    ]
    gradient = np.sqrt(sum(slope**2 for slope in slopes))
    share = block_reduce(inside, size, np.mean)
    means = [
        block_reduce(values * inside, size, np.mean) / np.maximum(share, 1e-6)
        for values in (image, image**2, gradient)
    ]
    kept = share >= LEAST_BRAIN
    mean, square, slope = (values[kept] for values in means)
    features = np.stack([mean, np.sqrt(np.maximum(square - mean**2, 0)), slope], axis=1)
    features = features.astype(np.float64)
    return Moments(np.float64(len(features)), features.sum(axis=0), features.T @ features)


def frechet_distance(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return the squared Frechet distance of Gaussians (Dowson and Landau 1982).

    Parameters
    ----------
    one, other : tuple of (..., F) and (..., F, F) arrays
        Mean and covariance.
    """
    (mean, covariance), (other_mean, other_covariance) = one, other
    roots = np.linalg.eigvals(covariance @ other_covariance).real
    traces = np.trace(covariance + other_covariance, axis1=-2, axis2=-1)
    common = np.sqrt(np.maximum(roots, 0)).sum(axis=-1)
    return ((mean - other_mean) ** 2).sum(axis=-1) + traces - 2 * common


def group_ahi(
    scans: Moments, reconstructions: Moments, healthy: Moments, unseen: Moments
) -> np.ndarray:
    """Return the anomaly-to-healthy index of a group, seen against scans of healthy people.

    (d(P, N) - d(R, N)) / (d(P, N) - d(U, N)), where d is the Frechet distance between patients (P),
    their reconstructions (R), healthy people (N) and other healthy people (U), which is how near
    two groups can be. As in the original, but with :func:`texture` of 3-D blocks, in units of its
    standard deviation in healthy people, in place of inception features of slices.

    Parameters
    ----------
    scans, reconstructions, healthy, unseen : Moments
        Added up over people; any leading axes.

    Returns
    -------
    array
        1 if the reconstructions look as healthy as healthy people, 0 if as ill as before; NaN where
        the patients look no more ill than healthy people.
    """
    mean, covariance = healthy.gaussian()
    scale = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    scale = np.where(scale > 0, scale, 1)

    def distance(moments: Moments) -> np.ndarray:
        other, spread = moments.gaussian()
        squared = scale[..., :, None] * scale[..., None, :]
        return frechet_distance(
            (other / scale, spread / squared), (mean / scale, covariance / squared)
        )

    ill, restored, floor = (distance(moments) for moments in (scans, reconstructions, unseen))
    gap = ill - floor
    return np.divide(ill - restored, gap, out=np.full(np.shape(gap), np.nan), where=gap > 0)
