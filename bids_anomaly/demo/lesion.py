"""A stroke of known place and extent in a brain that is otherwise healthy."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from bids_anomaly.demo.fields import Axes, RandomField, ellipsoid, soft

# In the space of the template, mm: territory of the left middle cerebral artery, from the
# operculum into the white matter behind it.
CENTRE = (-48.0, -16.0, 22.0)
RADII = (18.0, 28.0, 18.0)
CAVITY, SCARRED = 0.28, 0.60


class Stroke(NamedTuple):
    """A brain with a lesion, and where it is.

    Attributes
    ----------
    intensity : (X, Y, Z) float32 array
    lesion : (X, Y, Z) float32 array
        Share of each voxel that is lesion, 0 to 1.
    """

    intensity: np.ndarray
    lesion: np.ndarray


def insert_stroke(
    intensity: np.ndarray,
    cranium_depth: np.ndarray,
    place: Axes,
    axes: Axes,
    box: np.ndarray,
    *,
    volume_ml: float,
    random: Generator,
) -> Stroke:
    """Insert an old stroke: a dark cavity of irregular shape with a scarred border.

    Parameters
    ----------
    intensity : (X, Y, Z) array
        Brain, white matter = 1, voxels of 1 mm.
    cranium_depth : (X, Y, Z) array
        Depth below the inner table in mm.
    place : three (X, Y, Z) arrays
        Where each voxel lies in the template, in mm.
    axes : Axes
        Coordinates of the grid in mm.
    box : (2, 3) array
        Corners of the field of view in mm.
    volume_ml : float
        Volume of the lesion, with the CSF in sulci that it encloses.
    random : numpy.random.Generator

    Returns
    -------
    Stroke
        In the same grid.
    """

    def smooth(grain: float) -> np.ndarray:
        return RandomField.smooth(box, grain, random).on(axes)

    depth = ellipsoid(place, CENTRE, RADII) + 6.0 * smooth(14) + 2.4 * smooth(6)
    depth = np.minimum(depth, 2 * (cranium_depth - 2.5))
    # The level set that encloses the volume asked for.
    voxels = round(volume_ml * 1000)
    depth -= -np.partition(-depth.ravel(), voxels)[voxels]
    lesion = _largest_part(depth)
    texture = 0.05 * smooth(5) + 0.03 * smooth(2.5)
    content = CAVITY + (SCARRED - CAVITY) * soft(1.2 - depth + 1.2 * smooth(5), 0.7) + texture
    content = np.minimum(content, intensity)
    return Stroke(intensity + lesion * (content - intensity), lesion)


def _largest_part(depth: np.ndarray) -> np.ndarray:
    """Return the share of each voxel that is in the largest connected part of a solid."""
    labels, _ = ndimage.label(depth > -1.5)
    largest = 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return np.where(labels == largest, soft(depth, 0.4), 0).astype(np.float32)
