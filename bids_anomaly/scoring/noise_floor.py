"""What differs between two scans of a person although nothing has changed.

A person is rarely scanned twice on one day, so the floor is read from the pair itself: from how
the z-scores differ where neither scan has an anomaly.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.optimize import nnls
from scipy.stats import median_abs_deviation

# The median absolute deviation of a normal distribution is this part of its standard deviation.
MAD_OF_NORMAL = 0.67449
# Voxels of similar slope, from which the spread at that slope is read.
SLOPE_BINS = 24
# Anomalies are surrounded by voxels that are half anomalous.
RIM_MM = 3.0
# With less, spreads are guesses.
FEWEST_VOXELS = 2000


class NoiseFloor(NamedTuple):
    """How much z-scores differ without change: variance = noise^2 + (shift * slope)^2.

    Attributes
    ----------
    noise : float
        Standard deviation of the difference where the z map is flat, in z.
    shift : float
        How far borders seem to move, in mm: misregistration, partial volume and distortion, along
        the slope of the z map.
    """

    noise: float
    shift: float

    def at(self, slope: np.ndarray) -> np.ndarray:
        """Return the standard deviation to be expected at a slope in z per mm."""
        return np.hypot(np.float32(self.noise), np.float32(self.shift) * slope)


def unaffected(compared: np.ndarray, anomalous: np.ndarray, spacing: float) -> np.ndarray:
    """Return the compared brain apart from anomalies of either scan and a rim around them.

    Parameters
    ----------
    compared, anomalous : (X, Y, Z) bool arrays
    spacing : float
        Voxel size in mm.
    """
    if not anomalous.any():
        return compared.copy()
    distance = ndimage.distance_transform_edt(~anomalous, sampling=spacing)
    return compared & (distance > RIM_MM)


def matched(
    z: Sequence[np.ndarray], healthy: np.ndarray, compared: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shift and scale the z-scores of two scans so that their healthy parts are alike.

    Both move half way, so that neither is the reference: scanners and sequences differ in contrast
    and noise, and the model's z-scores with them.

    Parameters
    ----------
    z : pair of (X, Y, Z) arrays
    healthy, compared : (X, Y, Z) bool arrays
        Where they are to be alike, and where they are wanted; elsewhere the result is 0.
    """
    centres = [float(np.median(values[healthy])) for values in z]
    spreads = [median_abs_deviation(values[healthy], scale="normal") for values in z]
    centre, spread = np.mean(centres), float(np.sqrt(spreads[0] * spreads[1]))
    first, second = (
        np.where(compared, (values - own) * (spread / max(width, 1e-6)) + centre, 0).astype(
            np.float32
        )
        for values, own, width in zip(z, centres, spreads, strict=True)
    )
    return first, second


def slope_of(z: Sequence[np.ndarray], compared: np.ndarray, spacing: float) -> np.ndarray:
    """Return how steep the mean of two z maps is, in z per mm.

    At the border of what is compared, where the gradient would be that to nothing, it is the
    steepest one beside it.
    """
    mean = np.add(*z) / 2
    inner = ndimage.binary_erosion(compared, ndimage.generate_binary_structure(3, 1))
    steep = np.sqrt(sum(part**2 for part in np.gradient(mean, spacing))) * inner
    return np.where(inner, steep, ndimage.maximum_filter(steep, 3)) * compared


def noise_floor(difference: np.ndarray, slope: np.ndarray, healthy: np.ndarray) -> NoiseFloor:
    """Estimate the floor by the robust spread of the difference at each slope.

    Parameters
    ----------
    difference, slope : (X, Y, Z) arrays
        Of the matched z-scores.
    healthy : (X, Y, Z) bool array
        From :func:`unaffected`.

    Raises
    ------
    ValueError
        If fewer than 2,000 voxels are healthy.
    """
    values, steep = difference[healthy], slope[healthy]
    if values.size < FEWEST_VOXELS:
        raise ValueError(f"Only {values.size} voxels without an anomaly in either scan.")
    order = np.argsort(steep, kind="stable")
    parts = np.array_split(order, SLOPE_BINS)
    variances = np.array([np.median(np.abs(values[part])) / MAD_OF_NORMAL for part in parts]) ** 2
    squares = np.array([np.mean(steep[part] ** 2) for part in parts])
    # Each bin counts by the precision of its variance, or the steepest one would decide alone.
    weights = 1 / np.maximum(variances, 1e-6)
    design = np.column_stack([np.ones_like(squares), squares]) * weights[:, None]
    (noise, shift), _ = nnls(design, variances * weights)
    return NoiseFloor(float(np.sqrt(noise)), float(np.sqrt(shift)))
