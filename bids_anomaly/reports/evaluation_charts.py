"""Draw the charts of an evaluation."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bids_anomaly.reports.charts import COLOURS, INK, Chart, as_chart, new_axes

MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # beside the colours


class Series(NamedTuple):
    """What one model has: (N,) arrays, and the ends of intervals where there are any."""

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def precision_recall_chart(series: Sequence[Series], prevalence: float) -> Chart:
    """Draw precision against recall, and the precision of chance."""
    figure, axes = new_axes("Recall (lesion voxels found)", "Precision")
    for position, one in enumerate(series):
        axes.plot(one.x, one.y, color=_colour(position), label=one.name, linewidth=1.8)
    axes.axhline(prevalence, color=INK, linewidth=0.8, linestyle=":", label="chance")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    caption = "Voxels of the brains of all patients together, over all thresholds of the z-score."
    return as_chart("Precision and recall", figure, axes, caption)


def froc_chart(series: Sequence[Series]) -> Chart:
    """Draw the sensitivity to lesions against false components a scan."""
    figure, axes = new_axes("False components a scan", "Lesions found")
    for position, one in enumerate(series):
        _marked(axes, one, position, line=True)
    axes.set_xscale("symlog", linthresh=1)
    axes.set(xlim=(0, None), ylim=(0, 1.02))
    _plain_ticks(axes.xaxis)
    caption = (
        "Lesions of at least 8 mm³ of all scans together (FROC), one point a threshold; a tenth of "
        "a lesion has to be marked, and a component of which less than a tenth is lesion is false."
    )
    return as_chart("Lesions found against false findings", figure, axes, caption)


def dice_chart(series: Sequence[Series]) -> Chart:
    """Draw the Dice of each scan against the volume of its lesions in ml."""
    figure, axes = new_axes("Volume of all lesions of a scan (ml)", "Dice at the preset threshold")
    for position, one in enumerate(series):
        _marked(axes, one, position, line=False)
    axes.set_xscale("log")
    axes.set(ylim=(-0.02, 1.02))
    _plain_ticks(axes.xaxis)
    return as_chart("Dice by lesion volume", figure, axes, "One point a scan.")


def size_chart(series: Sequence[Series], sizes: Sequence[str]) -> Chart:
    """Draw how many lesions of each size are found, with intervals."""
    figure, axes = new_axes("Volume of a lesion (mm³)", "Lesions found")
    offsets = np.linspace(-0.18, 0.18, len(series)) if len(series) > 1 else [0.0]
    for position, (one, offset) in enumerate(zip(series, offsets, strict=True)):
        _marked(axes, one._replace(x=one.x + offset), position, line=False)
    axes.set_xticks(range(len(sizes)), sizes)
    axes.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(-0.02, 1.02))
    caption = "Mean over people with lesions of the size; bars are 95 % intervals."
    return as_chart("Lesions found by size", figure, axes, caption)


def calibration_chart(series: Sequence[Series], whose: str) -> Chart:
    """Draw observed against nominal rates (both as shares), with the diagonal."""
    figure, axes = new_axes("Nominal rate (%)", "Observed rate (%)")
    nominal = 100 * np.array([one.x for one in series])
    axes.plot(*[[nominal.min(), nominal.max()]] * 2, color=INK, linewidth=0.8, linestyle=":")
    for position, one in enumerate(series):
        scaled = [None if part is None else 100 * part for part in one[1:]]
        _marked(axes, Series(one.name, *scaled), position, line=True)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        _plain_ticks(axis)
    caption = (
        f"Share of {whose} that are as unusual as the nominal rate says, mean over people with "
        "95 % intervals; above the dotted line there are more false positives than asked for."
    )
    return as_chart("Calibration", figure, axes, caption)


def _marked(axes: Axes, series: Series, position: int, *, line: bool) -> None:
    bars = None
    if series.low is not None:
        # An interval can miss a mean that few people dominate.
        bars = np.maximum([series.y - series.low, series.high - series.y], 0)
    axes.errorbar(
        series.x,
        series.y,
        yerr=bars,
        color=_colour(position),
        marker=MARKERS[position % len(MARKERS)],
        markersize=4.5,
        linewidth=1.6 if line else 0,
        elinewidth=1.2,
        label=series.name,
    )


def _colour(position: int) -> str:
    return COLOURS[position % len(COLOURS)]


def _plain_ticks(axis: Axis) -> None:
    """Write numbers of a logarithmic axis as people do, also within a decade."""
    if axis.get_scale() == "log":
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
