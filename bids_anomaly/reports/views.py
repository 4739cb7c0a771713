"""Choose which slices of a volume a figure shows, and which part of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

PLANES = ("sagittal", "coronal", "axial")  # by the axis that they stand on
SAGITTAL, CORONAL, AXIAL = range(3)

# The lowest sixth of a brain is little but cerebellum, the highest part little but vertex.
SHOWN_PART_OF_BRAIN = (0.16, 0.91)

Window = tuple[slice, slice, slice]


class View(NamedTuple):
    """One slice of a volume with axes along RAS+, and the frame in which it is shown.

    Attributes
    ----------
    axis : int
        The axis on which the slice stands: 0 sagittal, 1 coronal, 2 axial.
    index : int
        The slice, in voxels of the whole volume.
    window : tuple of slice
        The box of voxels that is shown.
    spacing : tuple of float
        Voxel sizes in mm, three.
    frame : tuple of float
        Width and height of the picture in mm; the slice stands in the middle of it.
    """

    axis: int
    index: int
    window: Window
    spacing: tuple[float, float, float]
    frame: tuple[float, float]

    def cut(self, volume: np.ndarray) -> np.ndarray:
        """Return the slice of a (X, Y, Z) volume; rows run upwards (or forwards), float32."""
        part = list(self.window)
        part[self.axis] = self.index
        return np.asarray(volume[tuple(part)], np.float32).T

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the slice in mm."""
        return _sides(self.window, self.spacing, self.axis)


def full_window(shape: Sequence[int]) -> Window:
    """Return the window that shows a whole volume."""
    return tuple(slice(0, length) for length in shape)


def window_around(mask: np.ndarray, margin: int) -> Window:
    """Return the box around a (X, Y, Z) bool mask, `margin` voxels wider; all if it is empty."""
    if not mask.any():
        return full_window(mask.shape)
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    return tuple(
        slice(max(side.start - margin, 0), min(side.stop + margin, length))
        for side, length in zip(box, mask.shape, strict=True)
    )


def tight_view(axis: int, index: int, window: Window, spacing: Sequence[float]) -> View:
    """Return the view whose frame is its window."""
    return View(axis, int(index), window, tuple(spacing), _sides(window, spacing, axis))


def square_views(centre: Sequence[int], window: Window, spacing: Sequence[float]) -> list[View]:
    """Return the axial, coronal and sagittal view through a voxel, in frames of one size."""
    longest = max(max(_sides(window, spacing, axis)) for axis in range(3))
    return [
        View(axis, int(centre[axis]), window, tuple(spacing), (longest, longest))
        for axis in (AXIAL, CORONAL, SAGITTAL)
    ]


def axial_slices(brain: np.ndarray, anomalies: np.ndarray, count: int) -> list[int]:
    """Choose axial slices evenly over the brain, with the one of the largest anomaly area.

    Parameters
    ----------
    brain, anomalies : (X, Y, Z) bool array
        Masks in one grid.
    count : int
        How many slices, at least two.

    Returns
    -------
    list of int
        Indices along Z, ascending, each once; fewer than `count` where the grid has fewer.
    """
    levels = np.flatnonzero(brain.any(axis=(0, 1)))
    lowest, highest = (levels[0], levels[-1]) if levels.size else (0, brain.shape[2] - 1)
    positions = np.linspace(*SHOWN_PART_OF_BRAIN, count)
    chosen = np.unique(np.rint(lowest + positions * (highest - lowest)).astype(int))
    peak = slice_of_largest_area(anomalies, AXIAL)
    if peak is not None:
        chosen[np.argmin(np.abs(chosen - peak))] = peak
    return [int(index) for index in chosen]


def slice_of_largest_area(mask: np.ndarray, axis: int) -> int | None:
    """Return the slice along `axis` with most of a (X, Y, Z) bool mask; None if it is empty."""
    if not mask.any():
        return None
    return int(np.argmax(mask.sum(axis=tuple({0, 1, 2} - {axis}))))


def largest_component(mask: np.ndarray) -> np.ndarray:
    """Return the largest part of a (X, Y, Z) bool mask; voxels touch by faces, edges or corners."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count == 0:
        return mask
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])


def centre_of(mask: np.ndarray) -> tuple[int, int, int]:
    """Return the central voxel of a (X, Y, Z) bool mask, or of its grid if it is empty."""
    if not mask.any():
        return tuple(length // 2 for length in mask.shape)
    return tuple(round(position) for position in ndimage.center_of_mass(mask))


def _sides(window: Window, spacing: Sequence[float], axis: int) -> tuple[float, float]:
    lengths = [(side.stop - side.start) * step for side, step in zip(window, spacing, strict=True)]
    width, height = (length for i, length in enumerate(lengths) if i != axis)
    return width, height
