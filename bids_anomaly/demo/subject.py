"""Make one synthetic person and scan the head."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from bids_anomaly.demo.anatomy import template_anatomy
from bids_anomaly.demo.brain import paint_brain
from bids_anomaly.demo.fields import Axes, soft
from bids_anomaly.demo.head import paint_head
from bids_anomaly.demo.lesion import insert_stroke
from bids_anomaly.demo.person import Person
from bids_anomaly.demo.scanner import acquire
from bids_anomaly.preprocessing.template import Grid

VOXEL_MM = 2.0
FIELD_OF_VIEW = Grid.isotropic((94, 118, 108), (-93.0, -123.0, -115.0), VOXEL_MM)
# The voxels that hold the brain; it is painted at half the voxel size.
BRAIN_VOXELS = (slice(7, 87), slice(5, 105), slice(17, 102))


class Subject(NamedTuple):
    """One synthetic person in the grid of the scan.

    Attributes
    ----------
    scan : (X, Y, Z) int16 array
    cranium, lesion : (X, Y, Z) uint8 array
        Content of the skull (brain and CSF), and the lesion (empty in a healthy person).
    """

    scan: np.ndarray
    cranium: np.ndarray
    lesion: np.ndarray


def synthesise_subject(*, stroke_ml: float, random: Generator) -> Subject:
    """Make a person and scan the head.

    Parameters
    ----------
    stroke_ml : float
        Volume of a stroke in the left hemisphere; 0 for a healthy person.
    random : numpy.random.Generator
    """
    anatomy = template_anatomy()
    axes, fine_axes = _axes(1), _axes(2)
    box = np.array([[a.min() for a in axes], [a.max() for a in axes]])
    person = Person.draw(box, random)

    place = person.place_in_template(fine_axes)
    depth = anatomy.cranium_depth.at(place)
    content = paint_brain(anatomy, place, fine_axes, box, atrophy=person.atrophy, random=random)
    lesion = np.zeros_like(content)
    if stroke_ml:
        content, lesion = insert_stroke(
            content, depth, place, fine_axes, box, volume_ml=stroke_ml, random=random
        )
    inside = soft(depth, 0.35)

    head = paint_head(
        anatomy, person.place_in_template(axes), axes, box, fat=person.fat, random=random
    )
    share = _mean_per_voxel(inside)
    head[BRAIN_VOXELS] = (1 - share) * head[BRAIN_VOXELS] + _mean_per_voxel(inside * content)
    return Subject(
        acquire(head, axes, box, random=random),
        _in_field_of_view(share),
        _in_field_of_view(_mean_per_voxel(lesion)),
    )


def _axes(parts: int) -> Axes:
    """Return coordinates of the field of view, or for 2 parts of its half voxels at the brain."""
    ranges = []
    for axis, voxels in enumerate(BRAIN_VOXELS):
        spacing, start = VOXEL_MM / parts, FIELD_OF_VIEW.affine[axis, 3]
        count = FIELD_OF_VIEW.shape[axis]
        if parts > 1:
            start += voxels.start * VOXEL_MM - (VOXEL_MM - spacing) / 2
            count = (voxels.stop - voxels.start) * parts
        ranges.append((start + spacing * np.arange(count)).astype(np.float32))
    return tuple(np.meshgrid(*ranges, indexing="ij", sparse=True))


def _mean_per_voxel(values: np.ndarray) -> np.ndarray:
    x, y, z = (n // 2 for n in values.shape)
    return values.reshape(x, 2, y, 2, z, 2).mean(axis=(1, 3, 5))


def _in_field_of_view(share: np.ndarray) -> np.ndarray:
    mask = np.zeros(FIELD_OF_VIEW.shape, np.uint8)
    mask[BRAIN_VOXELS] = share >= 0.5
    return mask
