"""Pack volumes into a page, for the viewer in ``templates/viewer.js`` to draw slices of.

Values are stored in steps of 1/255 of a range, compressed without further loss. Volumes may come at
several times the resolution of the others, as far as the page stays small.
"""

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import Colormap

from bids_anomaly.reports.figures import GREY, Scale
from bids_anomaly.reports.views import Window, window_around

MARGIN = 3  # voxels around the brain
# Letters that all volumes of finer resolution may take on a page.
MOST_FINE = 9_000_000


@dataclass(frozen=True, eq=False)
class Volume:
    """Values that the viewer can show and read out.

    Attributes
    ----------
    label : str
        What they are.
    values : (X, Y, Z) array or None
        Any units; None where they are a difference.
    scale : Scale
        How they become colours.
    stored : tuple of float
        The range that is kept; values beyond it are set to its ends, and read as such.
    faint, opaque : float
        As an overlay, values up to `faint` are not seen, and values from `opaque` on cover.
    signed : bool
        Whether values below 0 are seen as those above it are.
    decimals : int or None
        Of the values that are read out; None not to read them out.
    mark : float or None
        A value that is marked on the bar of colours, such as a threshold.
    finer : (N X, N Y, N Z) array or None
        The same at N times the resolution, shown instead where the page has room for it.
    has_gaps : bool
        Whether the lower end of `stored` stands for no value, which is then read as none.
    difference : pair of str or None
        Names of the volumes of which this is the first minus the second; the second is known to
        have no more detail than `values` of it show.
    """

    label: str
    values: np.ndarray | None
    scale: Scale
    stored: tuple[float, float]
    faint: float = 0.0
    opaque: float = 0.0
    signed: bool = False
    decimals: int | None = 2
    mark: float | None = None
    finer: np.ndarray | None = None
    has_gaps: bool = False
    difference: tuple[str, str] | None = None


@dataclass(frozen=True)
class Layer:
    """A way to look: names of volumes.

    Attributes
    ----------
    label : str
        On the button.
    base : str
        What is drawn.
    over : str
        What is drawn over it.
    beside : str
        What is drawn instead, on the other side of a line that the reader moves.
    filled : bool
        Whether the outline is filled.
    """

    label: str
    base: str
    over: str = ""
    beside: str = ""
    filled: bool = False


@dataclass(frozen=True, eq=False)
class Subject:
    """What is looked at, all in one grid with axes along RAS+, or in finer parts of its voxels.

    Attributes
    ----------
    name : str
        On the button.
    affine : (4, 4) array
        From voxel indices to mm.
    brain : (X, Y, Z) bool array
        The box around it is shown.
    volumes : mapping of str to Volume
        By the names that layers use.
    layers : sequence of Layer
        The first is shown first.
    outline : (X, Y, Z) bool array or None
        What is outlined.
    labels : (X, Y, Z) array or None
        Regions, 0 to 255.
    peak : sequence of float or None
        x, y and z in mm of what is most to be looked at: the viewer begins there.
    """

    name: str
    affine: np.ndarray
    brain: np.ndarray
    volumes: Mapping[str, Volume]
    layers: Sequence[Layer]
    outline: np.ndarray | None
    labels: np.ndarray | None
    peak: Sequence[float] | None = None


def viewer_content(
    subjects: Sequence[Subject],
    *,
    regions: Mapping[int, str],
    kind: str = "Scan",
    outlined: str = "",
) -> dict[str, Any]:
    """Return what the viewer needs, as JSON knows it.

    Parameters
    ----------
    subjects : sequence of Subject
        In the order of their buttons; the first is shown first.
    regions : mapping of int to str
        Names of the labels.
    kind : str
        What a subject is.
    outlined : str
        What the outline is; empty if there is none.

    Returns
    -------
    dict
        Small for what compresses well: about 0.7 MB a scan of 2 mm.
    """
    page = _Page()
    packed_subjects = [_subject(subject, page) for subject in subjects]
    return {
        "subjects": packed_subjects,
        "packed": page.packed,
        "colours": page.colours,
        "regions": {str(index): name for index, name in regions.items()},
        # Whose window and level the reader sets.
        "grey": GREY.name,
        "kind": kind,
        "outlined": outlined,
    }


class _Page:
    """What is packed already: volumes and colours by name, and letters left for finer volumes."""

    def __init__(self) -> None:
        self.packed: dict[str, str] = {}
        self.colours: dict[str, str] = {}
        self.left = MOST_FINE

    def add(self, values: np.ndarray) -> str:
        """Add bytes, and return their name."""
        return self._name(_compressed(values))

    def add_finer(self, values: np.ndarray) -> str | None:
        """Add bytes if there is room for them, and return their name."""
        text = _compressed(values)
        if len(text) > self.left:
            return None
        self.left -= len(text)
        return self._name(text)

    def _name(self, text: str) -> str:
        # Scans of a session share regions.
        for name, known in self.packed.items():
            if known == text:
                return name
        name = f"v{len(self.packed)}"
        self.packed[name] = text
        return name


def _subject(subject: Subject, page: _Page) -> dict[str, Any]:
    window = window_around(subject.brain, MARGIN)
    volumes, sizes = {}, {}
    for name, volume in subject.volumes.items():
        volumes[name], sizes[name] = _volume(volume, subject.brain.shape, window, page)
        if volume.difference is not None:
            sizes[name] = sizes[volume.difference[0]]
    # The viewer counts in voxels of the finest volume; `every` of them are one of another.
    finest = max(sizes.values())
    for name, volume in volumes.items():
        volume["every"] = finest // sizes[name]
    first = [side.start for side in window]
    spacing = np.diag(subject.affine)[:3]
    corner = subject.affine[:3, 3] + spacing * (np.array(first) - 0.5)

    def marks(values: np.ndarray | None) -> dict[str, Any] | None:
        if values is None:
            return None
        return {"data": page.add(values[window].astype(np.uint8)), "every": finest}

    return {
        "name": subject.name,
        "shape": [finest * (side.stop - side.start) for side in window],
        "origin": (corner + 0.5 * spacing / finest).tolist(),
        "spacing": (spacing / finest).tolist(),
        "outline": marks(subject.outline),
        "labels": marks(subject.labels),
        "peak": None if subject.peak is None else [float(value) for value in subject.peak],
        "layers": [vars(layer) for layer in subject.layers],
        "volumes": volumes,
    }


def _volume(
    volume: Volume, shape: tuple[int, ...], window: Window, page: _Page
) -> tuple[dict[str, Any], int]:
    """Return a volume as JSON knows it, and how many of its voxels are one side of a voxel."""
    scale = volume.scale
    page.colours[scale.colours.name] = _colours(scale.colours)
    data, size = None, 1
    if volume.finer is not None:
        size = volume.finer.shape[0] // shape[0]
        inside = tuple(slice(size * side.start, size * side.stop) for side in window)
        data = page.add_finer(_steps(volume.finer[inside], volume.stored))
    if data is None:
        size = 1
        if volume.values is not None:
            data = page.add(_steps(volume.values[window], volume.stored))
    return {
        "label": volume.label,
        "data": data,
        "difference": volume.difference,
        "stored": list(volume.stored),
        "shown": [scale.low, scale.high],
        "colours": scale.colours.name,
        "faint": volume.faint,
        "opaque": volume.opaque,
        "signed": volume.signed,
        "decimals": volume.decimals,
        "mark": volume.mark,
        "gaps": volume.has_gaps,
        "beyond": volume.values is not None and bool(volume.values.max() > volume.stored[1]),
    }, size


def _steps(values: np.ndarray, stored: tuple[float, float]) -> np.ndarray:
    low, high = stored
    return np.rint(255 * (np.clip(values, low, high) - low) / (high - low)).astype(np.uint8)


def _compressed(values: np.ndarray) -> str:
    """Return bytes as text, the first axis fastest."""
    return base64.b64encode(gzip.compress(values.tobytes(order="F"), 6, mtime=0)).decode("ascii")


def _colours(colours: Colormap) -> str:
    """Return 255 colours as bytes of red, green and blue; the middle is one of them."""
    table = colours(np.linspace(0, 1, 255), bytes=True)[:, :3]
    return base64.b64encode(table.tobytes()).decode("ascii")
