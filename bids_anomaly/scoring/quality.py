"""Measure what can go wrong with a scan and its preprocessing."""

from functools import cache
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage

from bids_anomaly.preprocessing.brain import strip_mask
from bids_anomaly.preprocessing.foreground import foreground
from bids_anomaly.preprocessing.head import head_mask
from bids_anomaly.preprocessing.intensity import SURE_WHITE_MATTER
from bids_anomaly.preprocessing.resample import resample, resample_mask
from bids_anomaly.preprocessing.template import (
    Grid,
    template_brain_mask,
    template_depth,
    template_grey_matter,
    template_white_matter,
)

# Template voxels that are grey matter, or fluid deep in the brain, in nearly everybody.
SURE_GREY_MATTER = 0.9
NEARLY_NO_TISSUE = 0.1
DEEP_MM = 15.0
# Air begins at this distance from the head.
AIR_DISTANCE_MM = 10.0
# Air, and whether there is a skull, is looked at in voxels of about this size.
THINNED_MM = 2.0
# Fewer voxels of air than this, in that spacing, have no mean that could be trusted.
FEWEST_AIR_VOXELS = 500
# Slices count that hold this share of the largest section of the brain, or of the brightness.
SECTION_SHARE = 0.2
# From a median absolute difference to the standard deviation of a normal distribution.
MAD_TO_SIGMA = 1.4826


class _Tissue(NamedTuple):
    """Tissue of the template in a model grid."""

    brain: np.ndarray
    white: np.ndarray
    grey: np.ndarray
    fluid: np.ndarray
    maps: np.ndarray


def measure_quality(
    scan: nib.Nifti1Image,
    brain: nib.Nifti1Image,
    *,
    scan_in_model_grid: nib.Nifti1Image,
    brain_in_model_grid: nib.Nifti1Image,
    white_matter_level: float,
) -> dict[str, float]:
    """Measure what can go wrong with a scan and its preprocessing.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        As acquired, reoriented to RAS+, any units.
    brain : nibabel.Nifti1Image
        Brain mask in the same grid.
    scan_in_model_grid, brain_in_model_grid : nibabel.Nifti1Image
        After bias correction and affine registration, white matter = 1, and its brain mask.
    white_matter_level : float
        White matter intensity in the units of `scan`.

    Returns
    -------
    dict
        ``grey_to_white``, ``fluid_to_white``
            Median intensity of grey matter, and of fluid in the ventricles, white matter = 1.
        ``grey_position``
            Where grey matter lies between white matter (0) and fluid (1): tells T1w from FLAIR.
        ``brain_volume``
            In ml.
        ``brain_overlap``
            Dice overlap of the registered brain mask with that of the template.
        ``tissue_agreement``
            Share of the variance within the brain that the tissue maps of the template explain,
            whatever the contrast.
        ``noise``
            Standard deviation of white matter from voxel to voxel, along its noisiest axis, in the
            model grid.
        ``ghosting``
            How bright the brightest hundredth of the air is, white matter = 1. Ghosts as bright
            as dark tissue count as head, and are missed.
        ``axis_ghosting``
            How much brighter the air in line with the head is along one axis than along another,
            or than air in line with it along none; white matter = 1. Motion repeats the head along
            the axis of phase encoding.
        ``weakest_slice``
            Lowest brightness of a slice relative to its neighbours.
        ``brain_at_edge``
            Largest area of brain on a face of the field of view, in cm2.

        NaN where a scan does not show what is measured.
    """
    grid = Grid.of(scan_in_model_grid)
    tissue = _tissue(grid.shape, tuple(grid.affine.ravel()))
    values = scan_in_model_grid.get_fdata(dtype=np.float32)
    inside = np.asanyarray(brain_in_model_grid.dataobj) > 0
    mask = np.asanyarray(brain.dataobj) > 0
    spacing = Grid.of(brain).spacing
    brightest_air, along_axis = _air(scan)
    grey, fluid = _median(values[tissue.grey & inside]), _median(values[tissue.fluid & inside])
    return {
        "grey_to_white": grey,
        "fluid_to_white": fluid,
        "grey_position": (1 - grey) / (1 - fluid) if fluid != 1 else np.nan,
        "brain_volume": float(mask.sum() * spacing.prod() / 1000),
        "brain_overlap": float(
            2 * (inside & tissue.brain).sum() / (inside.sum() + tissue.brain.sum())
        ),
        "tissue_agreement": _tissue_agreement(values, inside & tissue.brain, tissue.maps),
        "noise": _noise(values, tissue.white & inside),
        "ghosting": brightest_air / white_matter_level,
        "axis_ghosting": along_axis / white_matter_level,
        "weakest_slice": _weakest_slice(scan, mask),
        "brain_at_edge": _area_at_edge(mask, spacing),
    }


@cache
def _tissue(shape: tuple[int, int, int], affine: tuple[float, ...]) -> _Tissue:
    grid = Grid(shape, np.reshape(affine, (4, 4)))

    def in_grid(image: nib.Nifti1Image) -> np.ndarray:
        return resample(image, grid).get_fdata(dtype=np.float32)

    grey = in_grid(template_grey_matter(1))
    white = in_grid(template_white_matter(1))
    return _Tissue(
        brain=np.asanyarray(resample_mask(template_brain_mask(1), grid).dataobj) > 0,
        white=white > SURE_WHITE_MATTER,
        grey=grey > SURE_GREY_MATTER,
        fluid=(grey + white < NEARLY_NO_TISSUE) & (in_grid(template_depth(1)) > DEEP_MM),
        maps=np.stack([ndimage.gaussian_filter(tissue, 1.0) for tissue in (grey, white)], axis=-1),
    )


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else np.nan


def _tissue_agreement(scan: np.ndarray, where: np.ndarray, maps: np.ndarray) -> float:
    """Return the coefficient of determination of a linear model of the tissue maps."""
    values = ndimage.gaussian_filter(scan, 1.0)[where]
    if values.size < maps.shape[-1] + 2 or np.ptp(values) == 0:
        return np.nan
    # Vessels and rims must not decide.
    values = np.clip(values, *np.percentile(values, [1, 99]))
    design = np.column_stack([np.ones(values.size), maps[where]])
    weights, *_ = np.linalg.lstsq(design, values, rcond=None)
    return float(1 - np.mean((values - design @ weights) ** 2) / values.var())


def _noise(scan: np.ndarray, white: np.ndarray) -> float:
    """Return the noise along the noisiest axis, from second differences."""
    white = ndimage.binary_erosion(white)
    if not white.any():
        return np.nan
    return max(
        MAD_TO_SIGMA
        * float(
            np.median(np.abs(np.roll(scan, 1, axis) + np.roll(scan, -1, axis) - 2 * scan)[white])
        )
        / np.sqrt(6)
        for axis in range(3)
    )


def _thinned(scan: nib.Nifti1Image) -> nib.Nifti1Image:
    """Leave voxels out, for what needs no more than some 2 mm."""
    steps = [max(1, int(THINNED_MM / size)) for size in Grid.of(scan).spacing]
    return scan.slicer[tuple(slice(None, None, step) for step in steps)]


def _air(scan: nib.Nifti1Image) -> tuple[float, float]:
    """Return how much the brightest hundredth of the air, and that along one axis, stand out.

    Both in the units of the scan.
    """
    thinned = _thinned(scan)
    values = thinned.get_fdata(dtype=np.float32)
    head = ndimage.binary_fill_holes(head_mask(thinned))
    distance = ndimage.distance_transform_edt(~head, sampling=Grid.of(thinned).spacing)
    air = distance > AIR_DISTANCE_MM
    # What was set to one value, as where a skull was taken away, no longer shows its ghosts.
    if not air.any() or np.ptp(values[air]) == 0:
        return np.nan, np.nan
    brightest = np.percentile(values[air], 99) - np.median(values[air])
    in_line = np.stack(
        [np.broadcast_to((~air).any(axis, keepdims=True), air.shape) for axis in range(3)]
    )
    # Air in line with the head along one axis only, and along none.
    places = [air & in_line[axis] & (in_line.sum(axis=0) == 1) for axis in range(3)]
    places.append(air & ~in_line.any(axis=0))
    means = [values[at].mean() for at in places if np.count_nonzero(at) >= FEWEST_AIR_VOXELS]
    return float(brightest), float(np.ptp(means)) if len(means) > 1 else np.nan


def _weakest_slice(scan: nib.Nifti1Image, brain: np.ndarray) -> float:
    """Return the lowest brightness of a slice through the brain, relative to its two neighbours."""
    values = scan.get_fdata(dtype=np.float32)
    # Without skull, most of a wide field of view is background, which must not decide.
    shown = foreground(values) if strip_mask(_thinned(scan)) is not None else None
    weakest = np.inf
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        large = _large_sections(brain, others)
        bright = _brightness(values, shown, axis)
        if shown is None:
            head = np.flatnonzero(bright >= SECTION_SHARE * bright.max())
        else:
            head = _large_sections(shown, others)
        if np.ptp(values, axis=others)[head[0] : head[-1] + 1].min() == 0:
            return 0.0  # Empty slices may have split the brain, and then lie outside its mask.
        bright = bright[large[0] : large[-1] + 1]
        neighbours = (bright[:-2] + bright[2:]) / 2
        # Where a whole block of slices is empty, the neighbours are empty too.
        ratio = np.where(neighbours > 0, bright[1:-1] / np.where(neighbours > 0, neighbours, 1), 0)
        weakest = min(weakest, float(ratio.min(initial=np.inf)))
    return weakest


def _large_sections(mask: np.ndarray, others: tuple[int, ...]) -> np.ndarray:
    """Return the slices that hold much of a mask; `others` are the axes within them."""
    area = mask.sum(axis=others)
    return np.flatnonzero(area >= SECTION_SHARE * area.max())


def _brightness(values: np.ndarray, shown: np.ndarray | None, axis: int) -> np.ndarray:
    """Return the 95th percentile of each slice, of all of it or of what is `shown` only."""
    if shown is None:
        return np.percentile(values, 95, axis=tuple({0, 1, 2} - {axis}))
    slices = zip(np.moveaxis(values, axis, 0), np.moveaxis(shown, axis, 0), strict=True)
    return np.array([np.percentile(each[at], 95) if at.any() else 0.0 for each, at in slices])


def _area_at_edge(brain: np.ndarray, spacing: np.ndarray) -> float:
    """Return the largest area of brain on one of the six faces of the field of view, in cm2."""
    return max(
        float(brain.take(end, axis).sum() * spacing.prod() / spacing[axis] / 100)
        for axis in range(3)
        for end in (0, -1)
    )
