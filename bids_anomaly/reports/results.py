"""The pictures of the result of a scan: a mosaic of axial slices, and the largest anomaly."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

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
    Strip,
    brightest,
    colour_bar,
    draw,
    strip,
)
from bids_anomaly.reports.numbers import with_minus
from bids_anomaly.reports.scan import ScanReport, describe, millimetres, place
from bids_anomaly.reports.views import View

SLICES = 7
# The same colours mean the same in every report, so that people can be compared.
RESIDUAL_LIMIT = 0.5
Z_LIMIT = 8.0
# Scores appear between these two, so that the scan stays visible where nothing is unusual.
Z_FAINT, Z_OPAQUE = 2.0, 3.5
# Pixels: about twice as many as on the page, for screens of high density.
SLICE_WIDTH, TILE_WIDTH = 288, 520


class Row(NamedTuple):
    """One measure over the slices of the mosaic."""

    title: str
    note: str
    bar: Picture
    low: str
    high: str
    pictures: Sequence[Picture]


class Position(NamedTuple):
    """The place of a slice in mm, and whether it holds the largest area of anomalies."""

    millimetres: str
    is_peak: bool


class Mosaic(NamedTuple):
    """Axial slices in columns, and what is shown of them in rows."""

    positions: Sequence[Position]
    rows: Sequence[Row]


class _Measure(NamedTuple):
    """What is shown of every slice; `bar` is the scale that the colour bar explains."""

    title: str
    note: str
    volume: np.ndarray
    scale: Scale
    bar: Scale
    overlay: Overlay | None = None
    lines: Sequence[Contour] = ()


def mosaic(scan: ScanReport) -> Mosaic:
    """Draw axial slices all over the brain, one of them that of the largest anomaly area."""
    slices = views.axial_slices(scan.brain, scan.mask, SLICES)
    peak = views.slice_of_largest_area(scan.mask, views.AXIAL)
    window = _window(scan)
    planes = [views.tight_view(views.AXIAL, index, window, scan.spacing) for index in slices]
    return Mosaic(
        [Position(millimetres(scan, view), view.index == peak) for view in planes],
        [_row(scan, measure, planes) for measure in _measures(scan)],
    )


def largest_anomaly(scan: ScanReport) -> list[Strip]:
    """Draw the largest anomaly in a coronal and a sagittal slice; nothing if there is none."""
    if not scan.mask.any():
        return []
    anomaly = views.largest_component(scan.mask)
    centre = [views.slice_of_largest_area(anomaly, axis) for axis in range(3)]
    _, *upright = views.square_views(centre, _window(scan), scan.spacing)
    measures = _measures(scan)
    titles = [measure.title for measure in measures]
    pictures = [_draw(scan, measure, upright, TILE_WIDTH) for measure in measures]
    return [
        strip(views.PLANES[view.axis].capitalize(), place(scan, view), of_view, titles)
        for view, *of_view in zip(upright, *pictures, strict=True)
    ]


def _measures(scan: ScanReport) -> list[_Measure]:
    """Return what is shown of a scan, in the order of reading."""
    grey = Scale(GREY, 0, brightest(scan.scan, scan.brain))
    measures = [_Measure("Input", "white matter = 1", scan.scan, grey, grey)]
    if scan.pseudo_healthy is not None:
        measures.append(_Measure("Pseudo-healthy", "same scale", scan.pseudo_healthy, grey, grey))
    if scan.residual is not None:
        measures.append(_residual(scan.residual, scan.brain))
    scores = Scale(UNUSUAL, 0, Z_LIMIT)
    zscore = np.where(scan.brain, scan.zscore, 0)
    opacity = np.clip((zscore - Z_FAINT) / (Z_OPAQUE - Z_FAINT), 0, 1)
    overlay = Overlay(zscore, scores, opacity)
    outline = Contour(scan.mask, [0.5], WHITE)
    note = "z-score, mask outlined"
    return [*measures, _Measure("Anomalies", note, scan.scan, grey, scores, overlay, [outline])]


def _residual(residual: np.ndarray, brain: np.ndarray) -> _Measure:
    signed = Scale(SIGNED, -RESIDUAL_LIMIT, RESIDUAL_LIMIT)
    outline = Contour(brain, [0.5], "0.35")
    inside = np.where(brain, residual, 0)
    note = "input − pseudo-healthy"
    return _Measure("Residual", note, inside, signed, signed, lines=[outline])


def _row(scan: ScanReport, measure: _Measure, planes: Sequence[View]) -> Row:
    low, high = with_minus(f"{measure.bar.low:g}"), f"{measure.bar.high:g}"
    bar = colour_bar(measure.bar, f"Colours from {low} to {high}")
    pictures = _draw(scan, measure, planes, SLICE_WIDTH)
    return Row(measure.title, measure.note, bar, low, high, pictures)


def _draw(scan: ScanReport, measure: _Measure, planes: Sequence[View], width: int) -> list[Picture]:
    return draw(
        planes,
        measure.volume,
        measure.scale,
        width=width,
        alts=[describe(scan, measure.title, view) for view in planes],
        overlay=measure.overlay,
        lines=measure.lines,
    )


def _window(scan: ScanReport) -> views.Window:
    return views.window_around(scan.brain, margin=2)
