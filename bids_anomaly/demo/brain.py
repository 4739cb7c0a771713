"""Paint an individual brain: its own folds in the cortex, the average's deep structures."""

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from bids_anomaly.demo.anatomy import Anatomy
from bids_anomaly.demo.fields import Axes, RandomField, soft

# Neighbouring gyri of adults lie about 10 mm apart, and the cortex is 2 to 4 mm thick.
FOLD_WAVELENGTH_MM = 9.8
CORTEX_MM = 3.0
GYRI_MM = 1.6
# T1w template intensities, and what they are on a scan where white matter is 1.
TEMPLATE_LEVELS = (0.0, 0.20, 0.30, 0.45, 0.62, 0.70, 0.76, 0.82, 0.86)
SCAN_LEVELS = (0.20, 0.21, 0.26, 0.42, 0.70, 0.79, 0.88, 0.97, 1.0)
CSF, CORTEX = 0.22, 0.67


def paint_brain(
    anatomy: Anatomy,
    place: Axes,
    axes: Axes,
    box: np.ndarray,
    *,
    atrophy: float,
    random: Generator,
) -> np.ndarray:
    """Paint a brain that shares its main sulci with the template and has its own small folds.

    Parameters
    ----------
    anatomy : Anatomy
        Maps of the template.
    place : three (X, Y, Z) arrays
        Where each voxel of the scan lies in the template, in mm.
    axes : Axes
        Coordinates of the scan's grid (1 mm) in mm.
    box : (2, 3) array
        Lowest and highest coordinates of the scan in mm.
    atrophy : float
        Width of the CSF between brain and skull beyond the usual, in mm.
    random : numpy.random.Generator

    Returns
    -------
    (X, Y, Z) float32 array
        T1w intensity, white matter about 1; CSF fills what the brain leaves of the cranium.
    """

    def smooth(grain: float) -> np.ndarray:
        return RandomField.smooth(box, grain, random).on(axes)

    depth = anatomy.brain_depth.at(place)
    # Inside heads of the same shape, the same gyrus lies elsewhere by millimetres.
    freedom = GYRI_MM * np.clip(depth / 8, 0, 1)
    place = tuple(p + freedom * smooth(18) for p in place)
    gap = 0.6 + atrophy + 0.7 * smooth(20)
    white = _white_matter(anatomy, place, depth - gap, axes, box, random)
    distance = _distance_to(white)
    template = anatomy.intensity.at(place)
    csf = _sulci(distance, CORTEX_MM + 0.35 * smooth(12), template)
    csf = np.maximum(csf, soft(gap - depth, 0.35))
    white_share = soft(0.1 - distance, 0.4)
    white_level = 1 + 0.02 * smooth(18)
    folded = white_share * white_level + (1 - white_share) * (CORTEX + 0.02 * smooth(14))
    folded += csf * (CSF - folded)

    average = np.interp(template, TEMPLATE_LEVELS, SCAN_LEVELS).astype(np.float32)
    share = anatomy.as_average.at(place) * soft(depth - 0.3, 0.35)
    return folded + share * (average - folded)


def _white_matter(
    anatomy: Anatomy,
    place: Axes,
    depth: np.ndarray,
    axes: Axes,
    box: np.ndarray,
    random: Generator,
) -> np.ndarray:
    """Draw the white matter: the template decides where it is sure, a labyrinth where it is not."""
    odds = np.clip(anatomy.white_matter.at(place), -2.4, 4.0)
    odds += 1.1 * RandomField.labyrinth(box, FOLD_WAVELENGTH_MM, random).on(axes)
    odds += 0.35 * RandomField.smooth(box, 3.5, random).on(axes)
    # There is always a cortex between white matter and the surface.
    odds -= 4 * np.clip(CORTEX_MM - 0.2 - depth, 0, 5)
    white = odds > 0.6
    labels, _ = ndimage.label(white)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    connected = sizes[labels] > 3000
    return np.where(connected, odds - 0.6, np.minimum(odds - 0.6, -0.1))


def _distance_to(white: np.ndarray) -> np.ndarray:
    """Return the distance to the white matter in mm (1 mm voxels), negative inside it."""
    outside = ndimage.distance_transform_edt(white <= 0).astype(np.float32) - 0.5
    return ndimage.gaussian_filter(np.where(white > 0, -np.clip(white / 2.5, 0, 2), outside), 0.6)


def _sulci(distance: np.ndarray, cortex: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Return the share of CSF: sheets half way between two banks of a sulcus, and open space."""
    slope = np.sqrt(sum(d**2 for d in np.gradient(distance)))
    sheet = soft(0.66 - slope, 0.07) * soft(distance - 1.5, 0.25)
    sheet = ndimage.gaussian_filter(sheet, 0.5)
    # Far from white matter there is open space, unless the template is as bright as cortex.
    openness = soft(distance - cortex - 1.8, 0.3) * soft(0.57 - template, 0.03)
    return np.maximum(0.85 * sheet, openness)
