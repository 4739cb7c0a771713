"""Pack volumes into a page, for the viewer in ``templates/viewer.js`` to draw slices of.

Values are stored in steps of 1/255 of a range, compressed without further loss.
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


@dataclass(frozen=True, eq=False)
class Volume:
    """Values that the viewer can show and read out.

    Attributes
    ----------
    label : str
        What they are.
    values : (X, Y, Z) array
        Any units.
    scale : Scale
        How they become colours.
    stored : tuple of float
        The range that is kept; values beyond it are set to its ends.
    faint, opaque : float
        As an overlay, values up to `faint` are not seen, and values from `opaque` on cover.
    signed : bool
        Whether values below 0 are seen as those above it are.
    decimals : int or None
        Of the values that are read out; None not to read them out.
    mark : float or None
        A value that is marked on the bar of colours, such as a threshold.
    """

    label: str
    values: np.ndarray
    scale: Scale
    stored: tuple[float, float]
    faint: float = 0.0
    opaque: float = 0.0
    signed: bool = False
    decimals: int | None = 2
    mark: float | None = None


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
    """What is looked at, all in one grid with axes along RAS+.

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
    packed: dict[str, str] = {}
    colours: dict[str, str] = {}
    return {
        "subjects": [_subject(subject, packed, colours) for subject in subjects],
        "packed": packed,
        "colours": colours,
        "regions": {str(index): name for index, name in regions.items()},
        # Whose window and level the reader sets.
        "grey": GREY.name,
        "kind": kind,
        "outlined": outlined,
    }


def _subject(subject: Subject, packed: dict[str, str], colours: dict[str, str]) -> dict[str, Any]:
    window = window_around(subject.brain, MARGIN)
    first = [side.start for side in window]
    spacing = np.diag(subject.affine)[:3]
    labels = None
    if subject.labels is not None:
        labels = _pack(subject.labels[window].astype(np.uint8), packed)
    outline = None
    if subject.outline is not None:
        outline = _pack(subject.outline[window].astype(np.uint8), packed)
    return {
        "name": subject.name,
        "shape": [side.stop - side.start for side in window],
        "origin": (subject.affine[:3, 3] + spacing * first).tolist(),
        "spacing": spacing.tolist(),
        "outline": outline,
        "labels": labels,
        "peak": None if subject.peak is None else [float(value) for value in subject.peak],
        "layers": [vars(layer) for layer in subject.layers],
        "volumes": {
            name: _volume(volume, window, packed, colours)
            for name, volume in subject.volumes.items()
        },
    }


def _volume(
    volume: Volume, window: Window, packed: dict[str, str], colours: dict[str, str]
) -> dict[str, Any]:
    scale = volume.scale
    colours[scale.colours.name] = _colours(scale.colours)
    low, high = volume.stored
    steps = np.rint(255 * (np.clip(volume.values[window], low, high) - low) / (high - low))
    return {
        "label": volume.label,
        "data": _pack(steps.astype(np.uint8), packed),
        "stored": [low, high],
        "shown": [scale.low, scale.high],
        "colours": scale.colours.name,
        "faint": volume.faint,
        "opaque": volume.opaque,
        "signed": volume.signed,
        "decimals": volume.decimals,
        "mark": volume.mark,
    }


def _pack(values: np.ndarray, packed: dict[str, str]) -> str:
    """Add bytes to those of the page, the first axis fastest, and return their name."""
    text = base64.b64encode(gzip.compress(values.tobytes(order="F"), 6, mtime=0)).decode("ascii")
    # Scans of a session share regions.
    for name, known in packed.items():
        if known == text:
            return name
    name = f"v{len(packed)}"
    packed[name] = text
    return name


def _colours(colours: Colormap) -> str:
    """Return 255 colours as bytes of red, green and blue; the middle is one of them."""
    table = colours(np.linspace(0, 1, 255), bytes=True)[:, :3]
    return base64.b64encode(table.tobytes()).decode("ascii")
