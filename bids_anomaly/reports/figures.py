"""Draw slices of volumes as small pictures that stand inside an HTML page.

Pictures are dark whatever the theme of the page, and hold no text but the letters of the sides.
"""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from PIL import Image
from scipy import ndimage

from bids_anomaly.reports.views import View

# Orange and sky blue of Okabe and Ito's set: every kind of colour vision tells them apart.
ORANGE, SKY, WHITE = "#E69F00", "#56B4E9", "#FFFFFF"
GREY = colormaps["gray"]
# Black where nothing is unusual, so that little departures stay quiet on a dark picture; equally
# light on both sides, so that neither sign stands out.
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#D9F0FF", SKY, "#1F5E8C", "#000000", "#8A4B00", ORANGE, "#FFF0C8"], N=255
)
# The bright half of the same colours, for what has no sign.
UNUSUAL = LinearSegmentedColormap.from_list(
    "unusual", ["#000000", "#8A4B00", ORANGE, "#FFF0C8"], N=255
)

LETTERS = (("P", "A"), ("L", "R"), ("L", "R"))  # left and right edge, by the axis of the slice
DPI = 100  # any: figures are sized in pixels
LETTER_POINTS = 22 * 72 / DPI  # 22 pixels: eleven on the page, which shows them at half
# Edges are sought at the scale of a voxel, where the slope is at least this part of the steepest.
EDGE_SIGMA, EDGE_SLOPE = 1.0, 0.25


class Scale(NamedTuple):
    """How values become colours: those at `low` and below, to those at `high` and above."""

    colours: Colormap
    low: float
    high: float


class Picture(NamedTuple):
    """A picture as a data URI, its size in pixels, and the words for those who cannot see it."""

    uri: str
    width: int
    height: int
    alt: str


class Tile(NamedTuple):
    """A picture with a line of text below it."""

    picture: Picture
    caption: str


class Strip(NamedTuple):
    """Pictures in a line, with words beside it."""

    title: str
    note: str
    tiles: Sequence[Tile]


class Overlay(NamedTuple):
    """Colours over a slice: a (X, Y, Z) volume, its scale, and its opacity (X, Y, Z), 0 to 1."""

    volume: np.ndarray
    scale: Scale
    opacity: np.ndarray


class Contour(NamedTuple):
    """Lines over a slice, where a (X, Y, Z) volume passes the levels."""

    volume: np.ndarray
    levels: Sequence[float]
    colour: str


class Edges(NamedTuple):
    """Lines over a slice, where the intensities of a (X, Y, Z) volume change most."""

    volume: np.ndarray
    colour: str


def draw(
    views: Sequence[View],
    volume: np.ndarray,
    scale: Scale,
    *,
    width: int,
    alts: Sequence[str],
    overlay: Overlay | None = None,
    lines: Sequence[Contour | Edges] = (),
) -> list[Picture]:
    """Draw slices of a volume in neurological orientation: left is left.

    Parameters
    ----------
    views : sequence of View
        Which slices; their frames have one size.
    volume : (X, Y, Z) array
        Axes along RAS+, any units.
    scale : Scale
        Colours for `volume`.
    width : int
        Width of a picture in pixels; its height follows from the frame.
    alts : sequence of str
        What each picture shows, in words.
    overlay, lines
        What lies over the slices; volumes in the grid of `volume`.

    Returns
    -------
    list of Picture
        One a view, as WebP.
    """
    frame_width, frame_height = views[0].frame
    height = round(width * frame_height / frame_width)
    # All slices stand side by side in one figure, because to make one takes longer than to fill it.
    figure = Figure((len(views) * width / DPI, height / DPI), DPI, facecolor="black")
    axes = figure.add_axes((0, 0, 1, 1))
    for position, view in enumerate(views):
        left, bottom = _corner(view, position)
        _show(axes, view, (left, bottom), volume, scale)
        if overlay is not None:
            opacity = view.cut(overlay.opacity)
            _show(axes, view, (left, bottom), overlay.volume, overlay.scale, opacity)
        for line in lines:
            _trace(axes, view, (left, bottom), line)
        _write_letters(axes, view, position)
    axes.set_axis_off()
    axes.set_xlim(0, len(views) * frame_width)
    axes.set_ylim(0, frame_height)
    pixels = _pixels(figure)
    return [
        _encoded(pixels[:, position * width : (position + 1) * width], alt)
        for position, alt in enumerate(alts)
    ]


def strip(title: str, note: str, pictures: Sequence[Picture], captions: Sequence[str]) -> Strip:
    """Put pictures in a line, each with its caption."""
    tiles = [Tile(*tile) for tile in zip(pictures, captions, strict=True)]
    return Strip(title, note, tiles)


def brightest(values: np.ndarray, brain: np.ndarray) -> float:
    """Return the value to show as white, a little above nearly all of the brain."""
    inside = values[brain] if brain.any() else values.ravel()
    brightest = 1.05 * float(np.percentile(inside[:: max(inside.size // 100_000, 1)], 99.5))
    if brightest <= 0:
        return 1.0
    magnitude = 10.0 ** (np.floor(np.log10(brightest)) - 1)
    return float(np.ceil(brightest / magnitude) * magnitude)


def colour_bar(scale: Scale, alt: str) -> Picture:
    """Draw the colours of a scale from low to high, one pixel high: the page stretches it."""
    return _encoded(scale.colours(np.linspace(0, 1, 128)[np.newaxis], bytes=True)[..., :3], alt)


def _corner(view: View, position: int) -> tuple[float, float]:
    """Return where the left and lower edge of a slice are in mm, in the middle of its frame."""
    (width, height), (frame_width, frame_height) = view.size, view.frame
    return position * frame_width + (frame_width - width) / 2, (frame_height - height) / 2


def _show(
    axes: Axes,
    view: View,
    corner: tuple[float, float],
    volume: np.ndarray,
    scale: Scale,
    opacity: np.ndarray | None = None,
) -> None:
    (left, bottom), (width, height) = corner, view.size
    axes.imshow(
        view.cut(volume),
        cmap=scale.colours,
        vmin=scale.low,
        vmax=scale.high,
        alpha=opacity,
        extent=(left, left + width, bottom, bottom + height),
        origin="lower",
        aspect="auto",
        interpolation="bicubic",
        interpolation_stage="data",
    )


def _trace(axes: Axes, view: View, corner: tuple[float, float], line: Contour | Edges) -> None:
    """Draw lines; a slice that they do not touch stays as it is."""
    if isinstance(line, Edges):
        values, levels = _edge_function(view.cut(line.volume)), [0.0]
    else:
        values, levels = view.cut(line.volume), line.levels
    levels = [level for level in levels if values.min() < level < values.max()]
    if not levels or min(values.shape) < 2:
        return
    (left, bottom), (width, height), (rows, columns) = corner, view.size, values.shape
    drawn = axes.contour(
        left + (np.arange(columns) + 0.5) * width / columns,
        bottom + (np.arange(rows) + 0.5) * height / rows,
        values,
        levels=levels,
        colors=line.colour,
        linewidths=1.2,
        linestyles="solid",
    )
    # A dark rim keeps the line visible on any colour.
    drawn.set_path_effects([Stroke(linewidth=2.2, foreground="black", alpha=0.45), Normal()])


def _edge_function(values: np.ndarray) -> np.ma.MaskedArray:
    """Return what passes zero at the edges of a slice (Marr and Hildreth 1980).

    The second derivative does so, and is left out where the slice is nearly flat.
    """
    slope = ndimage.gaussian_gradient_magnitude(values, EDGE_SIGMA)
    flat = slope < EDGE_SLOPE * np.percentile(slope, 98)
    return np.ma.masked_array(ndimage.gaussian_laplace(values, EDGE_SIGMA), flat)


def _write_letters(axes: Axes, view: View, position: int) -> None:
    frame_width, frame_height = view.frame
    for letter, x, side in zip(LETTERS[view.axis], (0.03, 0.97), ("left", "right"), strict=True):
        axes.text(
            (position + x) * frame_width,
            frame_height - 0.025 * frame_width,
            letter,
            ha=side,
            va="top",
            color="0.72",
            family="DejaVu Sans",
            usetex=False,
            fontsize=LETTER_POINTS,
        )


def _pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def _encoded(pixels: np.ndarray, alt: str) -> Picture:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=86, method=2)
    encoded = base64.b64encode(file.getvalue()).decode("ascii")
    return Picture(f"data:image/webp;base64,{encoded}", image.width, image.height, alt)
