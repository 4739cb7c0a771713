"""Take a mask of anomalies apart into lesions, and say of each how large, how sure and where."""

from functools import cache
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from bids_anomaly.preprocessing.atlas import atlas_image, atlas_regions
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import Chain, move_points
from bids_anomaly.scoring.locations import location_of

# Voxels that touch at a corner belong together: 26 neighbours.
NEIGHBOURS = np.ones((3, 3, 3), bool)
# A lesion is on the side that holds this share of it or more, else on both.
ONE_SIDED = 0.75


class Lesion(NamedTuple):
    """One connected component of a mask.

    Attributes
    ----------
    index : int
        Its label in the image; 1 is the largest.
    volume : float
        In mm3 of the person.
    centroid : tuple of float
        Mean position of its voxels in the template, x, y and z in mm (RAS+).
    z_peak, z_mean : float
        Highest and mean z-score.
    confidence : float
        Highest probability of an anomaly in it, between 0.5 and 1. On scans with known lesions the
        volume tells true from false components better (``benchmarks/lesion_confidence.py``).
    region : str
        Region of the atlas that holds most of it, or the nearest one if none holds any.
    side : {'left', 'right', 'both'}
        Of the midline of the template.
    location : str
        One of :data:`bids_anomaly.scoring.locations.LOCATIONS`.
    """

    index: int  # type: ignore[assignment]  # a column of tables, not the method of tuples
    volume: float
    centroid: tuple[float, float, float]
    z_peak: float
    z_mean: float
    confidence: float
    region: str
    side: str
    location: str


def label_lesions(mask: np.ndarray) -> np.ndarray:
    """Give each connected component of a mask a number, 1 for the largest.

    Parameters
    ----------
    mask : (X, Y, Z) bool array

    Returns
    -------
    (X, Y, Z) int32 array
        0 outside the mask; components of equal size keep the order of the array.
    """
    labels, _ = ndimage.label(mask, structure=NEIGHBOURS)
    sizes = np.bincount(labels.ravel())
    sizes[0] = labels.size + 1  # stays 0
    new = np.empty(sizes.size, np.int32)
    new[np.argsort(-sizes, kind="stable")] = np.arange(sizes.size)
    return new[labels]


def describe_lesions(
    labels: np.ndarray,
    *,
    z: np.ndarray,
    probability: np.ndarray,
    grid: Grid,
    template_from_scan: Chain,
) -> list[Lesion]:
    """Measure every lesion.

    Parameters
    ----------
    labels : (X, Y, Z) int array
        From :func:`label_lesions`.
    z, probability : (X, Y, Z) arrays
        How unusual each voxel is, and how probably anomalous.
    grid : Grid
        That of the arrays, in the space of the person.
    template_from_scan : Chain
        It pulls the template onto the person.

    Returns
    -------
    list of Lesion
        By index.
    """
    voxels = np.argwhere(labels)
    if len(voxels) == 0:
        return []
    at = tuple(voxels.T)
    places = move_points(nib.affines.apply_affine(grid.affine, voxels), template_from_scan)
    order = np.argsort(labels[at], kind="stable")
    ends = np.cumsum(np.bincount(labels[at])[1:])[:-1]
    voxel_volume = grid.voxel_volume
    located = locate_lesions(labels[at], places)
    lesions = []
    for index, members in enumerate(np.split(order, ends), start=1):
        inside = tuple(voxels[members].T)
        x, y, z_mm, region, side, location = located[index - 1]
        lesions.append(
            Lesion(
                index=index,
                volume=len(members) * voxel_volume,
                centroid=(x, y, z_mm),
                z_peak=float(z[inside].max()),
                z_mean=float(z[inside].mean()),
                confidence=float(probability[inside].max()),
                region=region,
                side=side,
                location=location,
            )
        )
    return lesions


def locate_lesions(
    labels: np.ndarray, places: np.ndarray
) -> list[tuple[float, float, float, str, str, str]]:
    """Say where lesions lie.

    Parameters
    ----------
    labels : (N,) int array
        The lesion that each voxel belongs to, from 1 on.
    places : (N, 3) array
        Where the voxels lie in the template, in mm, RAS+.

    Returns
    -------
    list of tuples
        Centroid x, y and z, region, side and location, by label.
    """
    regions = regions_at(places)
    by_index = {region.index: region for region in atlas_regions()}
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels)[1:])[:-1]
    located = []
    for members in np.split(order, ends):
        region = by_index[most_frequent_region(regions[members], places[members])]
        x, y, z = places[members].mean(axis=0)
        located.append(
            (
                float(x),
                float(y),
                float(z),
                region.name,
                side_of(places[members, 0]),
                location_of(region, places[members]),
            )
        )
    return located


def regions_at(places: np.ndarray) -> np.ndarray:
    """Return the region of the atlas at each place, 0 outside all.

    Parameters
    ----------
    places : (N, 3) array
        In the template, mm, RAS+.

    Returns
    -------
    (N,) int array
    """
    labels = np.asanyarray(atlas_image().dataobj)
    voxels = nib.affines.apply_affine(np.linalg.inv(atlas_image().affine), places)
    voxels = np.rint(voxels).astype(int)
    inside = ((voxels >= 0) & (voxels < labels.shape)).all(axis=1)
    found = np.zeros(len(places), int)
    found[inside] = labels[tuple(voxels[inside].T)]
    return found


def most_frequent_region(regions: np.ndarray, places: np.ndarray) -> int:
    """Return the region that most voxels of a lesion are in, or the one that is nearest.

    Parameters
    ----------
    regions : (N,) int array
        From :func:`regions_at`.
    places : (N, 3) array
        Where the voxels lie in the template, in mm.
    """
    named = regions[regions > 0]
    if named.size:
        return int(np.bincount(named).argmax())
    tree, labels = _places_of_regions()
    distances, nearest = tree.query(places)
    return int(labels[nearest[distances.argmin()]])


@cache
def _places_of_regions() -> tuple[KDTree, np.ndarray]:
    """Return all places of the atlas, in mm of the template, and the region at each."""
    labels = np.asanyarray(atlas_image().dataobj)
    voxels = np.argwhere(labels)
    places = nib.affines.apply_affine(atlas_image().affine, voxels)
    return KDTree(places), labels[tuple(voxels.T)]


def side_of(x: np.ndarray) -> str:
    """Say on which side of the midline a lesion lies, given the x of its voxels in the template."""
    left = float(np.mean(x < 0))
    if left >= ONE_SIDED:
        return "left"
    return "right" if 1 - left >= ONE_SIDED else "both"
