"""The pictures of a scan: a mosaic of axial slices, the largest anomaly, and checks to look at.

By the checks a person tells whether the registration and the brain mask can be trusted.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from nibabel.affines import voxel_sizes

from bids_anomaly.reports import views
from bids_anomaly.reports.figures import (
    GREY,
    ORANGE,
    SIGNED,
    SKY,
    UNUSUAL,
    WHITE,
    Contour,
    Edges,
    Overlay,
    Picture,
    Scale,
    Strip,
    brightest,
    colour_bar,
    draw,
    strip,
)
from bids_anomaly.reports.numbers import two_digits, with_minus
from bids_anomaly.reports.scan import ScanReport, describe, millimetres, place
from bids_anomaly.reports.views import View

SLICES = 7
# The same colours mean the same in every report, so that people can be compared.
RESIDUAL_LIMIT = 0.5
# Scores appear between so much below the threshold and so much above it, so that the scan stays
# visible where nothing is unusual.
BELOW_THRESHOLD, ABOVE_THRESHOLD = 0.9, 0.6
# The highest colour is at least so much above the threshold, and a multiple of that.
LEAST_RANGE, Z_STEP = 1.0, 0.5
# Pixels: about twice as many as on the page, for screens of high density.
SLICE_WIDTH, TILE_WIDTH, CHECK_WIDTH = 288, 520, 560
# Grey matter begins, and white matter begins, in the template's T1w intensities of 0 to 1.
TEMPLATE_LEVELS = (0.35, 0.78)


class Mark(NamedTuple):
    """A value on a bar of colours: how far from its left end in percent, and in words."""

    place: float
    words: str


class Row(NamedTuple):
    """One measure over the slices of the mosaic; `mark` is None where no value is marked."""

    title: str
    note: str
    bar: Picture
    low: str
    high: str
    mark: Mark | None
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
    """What is shown of every slice; `bar` is the scale that the colour bar explains.

    A value of it may be marked.
    """

    title: str
    note: str
    volume: np.ndarray
    scale: Scale
    bar: Scale
    overlay: Overlay | None = None
    lines: Sequence[Contour] = ()
    mark: float | None = None


def score_scale(scan: ScanReport) -> Scale:
    """Return the colours of z-scores, up to the highest of the scan."""
    highest = float(scan.zscore.max(initial=0.0, where=scan.brain))
    top = max(highest, scan.z_threshold + LEAST_RANGE)
    return Scale(UNUSUAL, 0, float(np.ceil(top / Z_STEP) * Z_STEP))


def score_fades(scan: ScanReport) -> tuple[float, float]:
    """Return the z-score up to which nothing is seen, and that from which on colours cover."""
    return scan.z_threshold - BELOW_THRESHOLD, scan.z_threshold + ABOVE_THRESHOLD


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
    scores, (faint, opaque) = score_scale(scan), score_fades(scan)
    zscore = np.where(scan.brain, scan.zscore, 0)
    opacity = np.clip((zscore - faint) / (opaque - faint), 0, 1)
    anomalies = _Measure(
        "Anomalies",
        "z-score, mask outlined",
        scan.scan,
        grey,
        scores,
        Overlay(zscore, scores, opacity),
        [Contour(scan.mask, [0.5], WHITE)],
        mark=scan.z_threshold,
    )
    return [*measures, anomalies]


def _residual(residual: np.ndarray, brain: np.ndarray) -> _Measure:
    signed = Scale(SIGNED, -RESIDUAL_LIMIT, RESIDUAL_LIMIT)
    outline = Contour(brain, [0.5], "0.35")
    inside = np.where(brain, residual, 0)
    note = "input − pseudo-healthy"
    return _Measure("Residual", note, inside, signed, signed, lines=[outline])


def _row(scan: ScanReport, measure: _Measure, planes: Sequence[View]) -> Row:
    low, high = with_minus(f"{measure.bar.low:g}"), f"{measure.bar.high:g}"
    bar = colour_bar(measure.bar, f"Colours from {low} to {high}")
    mark = None
    if measure.mark is not None:
        part = (measure.mark - measure.bar.low) / (measure.bar.high - measure.bar.low)
        mark = Mark(100 * part, f"threshold {two_digits(measure.mark)}")
    pictures = _draw(scan, measure, planes, SLICE_WIDTH)
    return Row(measure.title, measure.note, bar, low, high, mark, pictures)


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


def quality_checks(scan: ScanReport) -> list[Strip]:
    """Draw what tells whether the registration and the brain mask of a scan can be trusted."""
    checks = [] if scan.template is None else _registration(scan)
    if scan.native_scan is not None:
        checks.append(_brain_on_native(scan))
    return checks


def _registration(scan: ScanReport) -> list[Strip]:
    """Show the template's contours on the scan, and the scan's edges on the template."""
    window = views.window_around(scan.brain | (scan.template > TEMPLATE_LEVELS[0]), margin=2)
    centre = views.centre_of(scan.template > TEMPLATE_LEVELS[0])
    planes = views.square_views(centre, window, scan.spacing)
    places = [place(scan, view) for view in planes]
    on_scan = draw(
        planes,
        scan.scan,
        Scale(GREY, 0, brightest(scan.scan, scan.brain)),
        width=CHECK_WIDTH,
        alts=[describe(scan, "contours of the template on the scan", view) for view in planes],
        lines=[Contour(scan.template, TEMPLATE_LEVELS, SKY)],
    )
    on_template = draw(
        planes,
        scan.template,
        Scale(GREY, 0, 1),
        width=CHECK_WIDTH,
        alts=[describe(scan, "edges of the scan on the template", view) for view in planes],
        lines=[Edges(scan.scan, ORANGE)],
    )
    return [
        strip("Template on scan", "contours of the template brain, blue", on_scan, places),
        strip("Scan on template", "edges in the scan, orange", on_template, places),
    ]


def _brain_on_native(scan: ScanReport) -> Strip:
    """Show the outline of the brain mask on the scan as acquired."""
    values = np.asanyarray(scan.native_scan.dataobj)
    brain = np.asanyarray(scan.native_brain.dataobj) > 0
    spacing = voxel_sizes(scan.native_scan.affine)
    planes = views.square_views(views.centre_of(brain), views.full_window(values.shape), spacing)
    what = f"{scan.name} as acquired with the outline of the brain mask"
    pictures = draw(
        planes,
        values,
        Scale(GREY, 0, brightest(values, brain)),
        width=CHECK_WIDTH,
        alts=[f"{what}, {views.PLANES[view.axis]} slice" for view in planes],
        lines=[Contour(brain, [0.5], ORANGE)],
    )
    places = [
        f"{views.PLANES[view.axis].capitalize()}, slice {view.index + 1} of "
        f"{values.shape[view.axis]}"
        for view in planes
    ]
    size = " × ".join(f"{step:.2g}" for step in spacing)
    note = f"outline on the scan as acquired, voxels of {size} mm"
    return strip("Brain mask", note, pictures, places)
