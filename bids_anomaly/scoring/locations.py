"""Where in the brain a lesion lies, as the criteria for multiple sclerosis divide it."""

from itertools import product

import nibabel as nib
import numpy as np

from bids_anomaly.preprocessing.atlas import Region, atlas_image, atlas_regions

PERIVENTRICULAR, JUXTACORTICAL, INFRATENTORIAL, DEEP, OTHER = LOCATIONS = (
    "periventricular",
    "juxtacortical",
    "infratentorial",
    "deep white matter",
    "other",
)
# A lesion touches what is as near as that: a voxel of the maps in the template (2 mm) and one of
# the atlas (1 mm), by which their borders may be apart.
TOUCHING_MM = 3
# The criteria count what touches these, and not what touches the other two ventricles.
LATERAL = ("LateralVentricle_L", "LateralVentricle_R", "InfLatVentricle_L", "InfLatVentricle_R")
# The criteria count it to the surroundings of the ventricles.
CALLOSUM = "CorpusCallosum"
# The atlas counts them to the brain stem; most of them lies above the tentorium.
ABOVE_THE_TENTORIUM = ("VentralDC_L", "VentralDC_R")


def location_of(region: Region, places: np.ndarray) -> str:
    """Say to which of :data:`LOCATIONS` a lesion belongs.

    The criteria of 2017 (Thompson et al. 2018) name three of them beside the spinal cord: lesions
    that touch the lateral ventricles, those that touch the cortex or lie in it, and those of brain
    stem and cerebellum. White matter that touches neither is deep.

    Parameters
    ----------
    region : Region
        That holds most of the lesion.
    places : (N, 3) array
        Where its voxels lie in the template, in mm, RAS+.
    """
    if region.tissue in ("brain stem", "cerebellum") and region.name not in ABOVE_THE_TENTORIUM:
        return INFRATENTORIAL
    if region.tissue == "cortex":
        return JUXTACORTICAL
    if region.name in LATERAL:
        # Whose ventricles are narrower than those of the atlas has white matter there.
        return PERIVENTRICULAR if _reaches(places, _of_tissue("white matter"), 0) else OTHER
    if region.tissue != "white matter":
        return OTHER
    if region.name == CALLOSUM or _reaches(places, LATERAL, TOUCHING_MM):
        return PERIVENTRICULAR
    return JUXTACORTICAL if _reaches(places, _of_tissue("cortex"), TOUCHING_MM) else DEEP


def _of_tissue(tissue: str) -> list[str]:
    return [region.name for region in atlas_regions() if region.tissue == tissue]


def _reaches(places: np.ndarray, names: list[str] | tuple[str, ...], distance: int) -> bool:
    """Tell whether any of some regions lies within a distance in mm of any of the places."""
    atlas = atlas_image()
    labels = np.asanyarray(atlas.dataobj)
    wanted = np.zeros(1 + max(region.index for region in atlas_regions()), bool)
    wanted[[region.index for region in atlas_regions() if region.name in names]] = True
    voxels = np.rint(nib.affines.apply_affine(np.linalg.inv(atlas.affine), places)).astype(int)
    steps = range(-distance, distance + 1)  # voxels of the atlas are 1 mm
    for offset in product(steps, steps, steps):
        if np.linalg.norm(offset) > distance:
            continue
        at = voxels + offset
        inside = at[((at >= 0) & (at < labels.shape)).all(axis=1)]
        if wanted[labels[tuple(inside.T)]].any():
            return True
    return False
