"""Draw charts as SVG that stands in the page and takes its text colour."""

import io
import re
from typing import Any, NamedTuple

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Okabe and Ito's set, which every kind of colour vision tells apart, on light and on dark.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#999999")
# Stands for the colour of the page's text, which changes with its theme.
INK = "#010203"
INCHES = (4.0, 3.1)


class Chart(NamedTuple):
    """An SVG with its title, what it shows in words, and what a reader has to know."""

    title: str
    svg: Markup
    caption: str


def new_axes(
    x_label: str, y_label: str, *, inches: tuple[float, float] = INCHES
) -> tuple[Figure, Axes]:
    """Return an empty figure and its axes, in the colours of the page."""
    figure = Figure(inches, layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    axes.tick_params(colors=INK, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    return figure, axes


def add_legend(axes: Axes, **place: Any) -> None:
    """Explain the labelled parts of a chart; `place` is for :meth:`matplotlib.axes.Axes.legend`."""
    axes.legend(frameon=False, labelcolor=INK, fontsize="small", **place)


def as_chart(title: str, figure: Figure, axes: Axes, caption: str) -> Chart:
    """Return a figure as a chart of the page, with a legend where parts of it have labels."""
    if axes.get_legend_handles_labels()[1] and axes.get_legend() is None:
        # Above the axes, where nothing can hide it.
        add_legend(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
    return Chart(title, _svg(figure, title, caption), caption)


def _svg(figure: Figure, title: str, caption: str) -> Markup:
    """Return a figure as an SVG element; the same figure gives the same text."""
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    # Names of groups would stand in the page once for each chart.
    text = re.sub(r' id="[a-zA-Z0-9]+_\d+"', "", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    label = Markup(' role="img" aria-label="{}: {}"').format(title, caption)
    return Markup(text.replace("<svg", f"<svg{label}", 1))
