"""Draw how much is anomalous in whom, a line a group."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import FuncFormatter, NullLocator

from bids_anomaly.reports.charts import COLOURS, INK, Chart, as_chart, new_axes

INCH_A_GROUP, INCHES_AROUND, WIDTH_INCHES = 0.62, 0.75, 6.4
# From 0 to this the axis is even, then logarithmic: most healthy people have nearly nothing.
EVEN_ML = 0.1


def burden_chart(groups: Mapping[str, Sequence[float]], controls: str | None) -> Chart:
    """Draw the anomalous volume of everybody by group.

    Parameters
    ----------
    groups : mapping of str to sequence of float
        Volumes in ml by the name of a group, from top to bottom.
    controls : str or None
        The group whose range is marked across all.
    """
    height = INCHES_AROUND + INCH_A_GROUP * len(groups)
    figure, axes = new_axes("Anomalous volume (ml)", "", inches=(WIDTH_INCHES, height))
    if controls in groups:
        low, high = np.percentile(groups[controls], [5, 95])
        label = f"5 to 95 % of {_plain(controls)}"
        axes.axvspan(low, high, color=COLOURS[1], alpha=0.18, linewidth=0, label=label)
    random = np.random.default_rng(0)
    for place, (name, volumes) in enumerate(groups.items()):
        volumes = np.asarray(volumes, dtype=float)
        around = place + 0.26 * random.uniform(-1, 1, volumes.size)
        colour = COLOURS[1] if name == controls else COLOURS[0]
        axes.plot(volumes, around, "o", color=colour, markersize=4.5, alpha=0.75, linewidth=0)
        quartiles = np.percentile(volumes, [25, 50, 75])
        axes.plot(quartiles[[0, 2]], [place, place], color=INK, linewidth=1.4)
        axes.plot(quartiles[1], place, "D", color=INK, markersize=5)
    axes.set_yticks(range(len(groups)), [f"{_plain(n)} ({len(v)})" for n, v in groups.items()])
    axes.set_ylim(len(groups) - 0.45, -0.55)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xscale("symlog", linthresh=EVEN_ML)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(left=-0.01)
    return as_chart(
        "Anomalous volume",
        figure,
        axes,
        "One point a person (number in parentheses); diamonds are medians, lines go from the first "
        f"to the third quartile. The axis is even up to {EVEN_ML:g} ml, then logarithmic.",
    )


def _plain(name: str) -> str:
    """Return a name in which nothing is taken for mathematics, and that is not too long."""
    return name.replace("$", r"\$") if len(name) <= 24 else name[:23].replace("$", r"\$") + "…"
