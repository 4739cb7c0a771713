"""Tables as tab-separated values; :mod:`bids_anomaly.bids.columns` says what is in them."""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.writing import replacing

MISSING = "n/a"
SEPARATORS = str.maketrans("\t\r\n", "   ")
# What spreadsheets compute, and run programs for: a sign with more behind it that is no number.
FORMULA = re.compile(
    r"'*(?![-+][\d.,]*\d[\d.,]*(e[-+]?\d+)?\s?%?$)[-+=@\uff0b\uff0d\uff1d\uff20].", re.IGNORECASE
)


def write_table(path: Path, output: str, rows: Iterable[Sequence[Any]]) -> None:
    """Write or replace a table; one without rows keeps its header.

    Parameters
    ----------
    path : Path
        A ``.tsv`` file.
    output : str
        A key of :data:`bids_anomaly.bids.outputs.OUTPUTS` with columns.
    rows : iterable of sequences
        A value for each column; NaN and infinite numbers are written as ``n/a``, and text as
        :func:`without_formula` gives it.
    """
    write_rows(path, OUTPUTS[output].columns, rows)


def write_rows(path: Path, columns: Collection[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write as :func:`write_table` does, with any columns, and one row at a time."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("\t".join(map(_in_text, columns)) + "\n")
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(
                    f"{len(row)} values for the {len(columns)} columns of {path.name}."
                )
            file.write("\t".join(map(_in_text, row)) + "\n")


def read_table(path: Path) -> list[Mapping[str, str]]:
    """Read what :func:`write_table` wrote, as text by column.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is empty, not UTF-8, or a line has another number of cells than the first.
    """
    # Not splitlines, which also ends lines at characters that a cell may hold.
    header, *lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    if not header:
        raise ValueError("there is no line with the names of columns")
    names, *rows = ([as_said(cell) for cell in line.split("\t")] for line in (header, *lines))
    return [dict(zip(names, row, strict=True)) for row in rows]


def without_formula(text: str) -> str:
    """Return text that spreadsheets show and do not compute, whatever somebody wrote into a cell.

    An apostrophe is put before what they take for a formula. Numbers and all other text stay.
    """
    return f"'{text}" if FORMULA.match(text) else text


def as_said(text: str) -> str:
    """Return the text that :func:`without_formula` was given."""
    return text[1:] if text.startswith("'") and FORMULA.match(text[1:]) else text


def _in_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.5g}" if math.isfinite(value) else MISSING
    # What ends a cell or a line would move all that follows.
    return without_formula(str(value).translate(SEPARATORS))
