"""Pictures of maps of many people: axial slices of the template, a row a map."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from nibabel.affines import voxel_sizes

from bids_anomaly.preprocessing.template import OUTPUT_GRID, template_brain
from bids_anomaly.reports import views
from bids_anomaly.reports.figures import (
    GREY,
    SIGNED,
    UNUSUAL,
    WHITE,
    Contour,
    Overlay,
    Picture,
    Scale,
    brightest,
    colour_bar,
    draw,
)
from bids_anomaly.reports.numbers import with_minus

SLICES, SLICE_WIDTH = 7, 288
# Intensity of the template at the edge of the brain.
TEMPLATE_EDGE = 0.1


class Map(NamedTuple):
    """A volume in the grid of outputs, (X, Y, Z), and what outlines it, (X, Y, Z) bool or None."""

    title: str
    note: str
    volume: np.ndarray
    outlined: np.ndarray | None = None


class MapRow(NamedTuple):
    """Slices of a map."""

    title: str
    note: str
    pictures: Sequence[Picture]


class MapTable(NamedTuple):
    """Maps below each other, in the same slices and colours."""

    title: str
    caption: str
    positions: Sequence[str]
    bar: Picture
    low: str
    high: str
    rows: Sequence[MapRow]


def highest_colour(volumes: Iterable[np.ndarray], *, least: float, most: float = np.inf) -> float:
    """Return the value that gets the last colour, so that several (X, Y, Z) maps can be compared.

    The colours go at least to `least`, further if values do, and at most to `most`.
    """
    highest = [brightest(np.abs(volume), volume != 0) for volume in volumes if volume.any()]
    return min(max([least, *highest]), most)


def map_table(
    title: str,
    caption: str,
    maps: Sequence[Map],
    *,
    signed: bool,
    least: float,
    most: float = np.inf,
    form: str = "g",
) -> MapTable:
    """Draw maps over the template.

    Parameters
    ----------
    title, caption : str
        What is shown, above and below.
    maps : sequence of Map
        At least one.
    signed : bool
        Whether values below 0 mean something.
    least, most : float
        The colours go at least to the first; further if values do, at most to the second.
    form : str
        Format of the ends of the colours, ``g`` or ``%``.
    """
    brain = template_brain(2).get_fdata(dtype=np.float32)
    inside = brain > TEMPLATE_EDGE
    top = highest_colour([one.volume for one in maps], least=least, most=most)
    scale = Scale(SIGNED, -top, top) if signed else Scale(UNUSUAL, 0, top)
    peak = np.max([np.abs(one.volume) for one in maps], axis=0)
    slices = views.axial_slices(inside, peak > peak.max() / 2 if peak.any() else peak > 0, SLICES)
    window = views.window_around(inside, margin=2)
    spacing = voxel_sizes(OUTPUT_GRID.affine)
    planes = [views.tight_view(views.AXIAL, index, window, spacing) for index in slices]
    heights = [
        with_minus(f"{OUTPUT_GRID.affine[2, 2] * index + OUTPUT_GRID.affine[2, 3]:+.0f}")
        for index in slices
    ]
    rows = []
    for one in maps:
        # Faint values let the template through, and nothing hides it where there is none.
        opacity = np.clip(np.abs(one.volume) / (0.25 * top), 0, 1)
        pictures = draw(
            planes,
            brain,
            Scale(GREY, 0, 1.1),
            width=SLICE_WIDTH,
            alts=[f"{title}, {one.title}: axial slice at z = {height} mm" for height in heights],
            overlay=Overlay(one.volume, scale, opacity),
            lines=[Contour(one.outlined, [0.5], WHITE)] if one.outlined is not None else (),
        )
        rows.append(MapRow(one.title, one.note, pictures))
    low, high = (with_minus(f"{value:{form}}") for value in (scale.low, scale.high))
    return MapTable(
        title, caption, heights, colour_bar(scale, f"Colours from {low} to {high}"), low, high, rows
    )
