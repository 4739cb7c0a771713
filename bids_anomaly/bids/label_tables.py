"""Tables by which viewers name and colour the labels of an image, beside the table of BIDS."""

import colorsys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bids_anomaly.bids.writing import write_text

# Steps of the hue by which neighbours in the table have unlike colours, however many there are.
GOLDEN_RATIO = 0.618034
# Lighter and darker ones tell labels of like hues apart.
TONES = ((0.9, 1.0), (0.55, 1.0), (0.9, 0.65))


class Label(NamedTuple):
    """A label of an image: its value, its name, and red, green and blue from 0 to 255."""

    value: int
    name: str
    colour: tuple[int, int, int]


def coloured(rows: Iterable[Sequence]) -> list[Label]:
    """Give each label a colour of its own, the same each time.

    Parameters
    ----------
    rows : iterable of sequences
        The value and the name of each label come first.
    """
    labels = []
    for place, (value, name, *_) in enumerate(rows):
        saturation, tone = TONES[place % len(TONES)]
        shares = colorsys.hsv_to_rgb(place * GOLDEN_RATIO % 1, saturation, tone)
        red, green, blue = (round(255 * share) for share in shares)
        labels.append(Label(int(value), str(name), (red, green, blue)))
    return labels


def for_itksnap(labels: Iterable[Label]) -> str:
    """Write label descriptions of ITK-SNAP: value, colour, opacity, what is visible, name."""
    lines = ["# ITK-SnAP Label Description File", "# IDX  R  G  B  A  VIS MSH  LABEL"]
    lines.append('0 0 0 0 0 0 0 "Clear Label"')
    for value, name, colour in labels:
        lines.append(f'{value} {" ".join(map(str, colour))} 1 1 1 "{name.replace(chr(34), "")}"')
    return "\n".join(lines) + "\n"


def for_freeview(labels: Iterable[Label]) -> str:
    """Write a lookup table of FreeSurfer: value, name without spaces, colour, transparency."""
    lines = ["# No. Name R G B A", "0 Unknown 0 0 0 0"]
    for value, name, colour in labels:
        lines.append(f"{value} {'_'.join(name.split())} {' '.join(map(str, colour))} 0")
    return "\n".join(lines) + "\n"


def for_fsleyes(labels: Iterable[Label]) -> str:
    """Write a lookup table of FSLeyes: value, colour from 0 to 1, name."""
    return "".join(
        f"{value} {' '.join(f'{share / 255:.4f}' for share in colour)} {name}\n"
        for value, name, colour in labels
    )


# By the ending of their names.
FORMATS: dict[str, Callable[[Iterable[Label]], str]] = {
    ".txt": for_itksnap,
    ".ctab": for_freeview,
    ".lut": for_fsleyes,
}


def write_label_tables(image: Path, rows: Iterable[Sequence]) -> list[Path]:
    """Write the tables of an image of labels beside it, and return their paths.

    Parameters
    ----------
    image : Path
        Ends in ``.nii.gz``.
    rows : iterable of sequences
        The value and the name of each label come first.
    """
    labels = coloured(rows)
    written = []
    for ending, text_of in FORMATS.items():
        path = image.with_name(image.name.removesuffix(".nii.gz") + ending)
        write_text(path, text_of(labels))
        written.append(path)
    return written
