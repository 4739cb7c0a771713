"""What a dataset knows of its participants."""

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from bids_anomaly.bids.folders import labels_in
from bids_anomaly.bids.naming import same_index
from bids_anomaly.bids.tables import MISSING
from bids_anomaly.exceptions import (
    InvalidBidsError,
    MissingInputError,
    NothingFoundError,
    some_of,
)
from bids_anomaly.preprocessing.annex import require_content
from bids_anomaly.reconstruction.covariates import stated_age

logger = logging.getLogger("bids_anomaly")

# Where somebody was scanned.
SITE = "site"
KNOWN_COLUMNS = ("participant_id", "age", "sex", SITE)


def read_participants(folder: Path) -> dict[str, dict[str, str]]:
    """Return the rows of ``participants.tsv`` by ``participant_id``.

    Parameters
    ----------
    folder : Path
        A BIDS dataset, raw or derivative.

    Returns
    -------
    dict
        From label with ``sub-`` to column to value; empty where there is no table.

    Raises
    ------
    MissingInputError, InvalidBidsError
        See :func:`read_participants_table` and :func:`rows_of`; also if rows of one participant
        contradict each other.
    """
    table = folder / "participants.tsv"
    rows = rows_of(read_participants_table(folder) or "", table)
    rows = [
        {canonical_column(key): clean(value) for key, value in row.items() if key and clean(value)}
        for row in rows
    ]
    rows = [row for row in rows if row.get("participant_id")]
    labels = _match_labels([row["participant_id"] for row in rows], table)
    found: dict[str, dict[str, str]] = {}
    for label, row in zip(labels, rows, strict=True):
        row = {**row, "participant_id": label}
        if found.setdefault(label, row) != row:
            raise InvalidBidsError(
                f"The table {table} has {label} in several rows that say different things. Keep "
                "one of them."
            )
    for label, row in found.items():
        _use_stated_age(row, label, table)
    return found


def _use_stated_age(row: dict[str, str], label: str, table: Path) -> None:
    """Write an age as a number, and say which is none."""
    age = row.get("age", MISSING)
    years = stated_age(age)
    if age != MISSING and math.isnan(years):
        logger.warning("The table %s gives %s the age %r, which is none.", table, label, age)
    elif not age.endswith("+") and age != MISSING:
        row["age"] = age if age.replace(".", "", 1).isdecimal() else f"{years:g}"


def clean(text: str) -> str:
    """Return a cell or an identifier without spaces around it, of whatever kind."""
    return text.strip().strip("\u200b\ufeff").strip()


def stated(known: Mapping[str, str], column: str) -> str:
    """Return what a row says in a column, empty if it says nothing."""
    value = clean(known.get(column, ""))
    return "" if value == MISSING else value


def canonical_column(name: str) -> str:
    """Return the name of a column; those that models read are known in any case."""
    name = clean(name)
    return name.lower() if name.lower() in KNOWN_COLUMNS else name


def _match_labels(ids: Sequence[str], table: Path) -> list[str]:
    """Return the participants beside a table whom identifiers mean; say where they are not exact.

    Editors take ``sub-`` and zeros in front of numbers away. Where one participant alone can be
    meant, that one is.
    """
    there = labels_in(table.parent, "sub-") if table.parent.is_dir() else []
    labels = [clean(one).removeprefix("sub-") for one in ids]
    free = set(there).difference(labels)
    matched = []
    for label in labels:
        meant = [other for other in free if label not in there and same_index(label, other)]
        matched.append(meant[0] if len(meant) == 1 else label)
    guessed = [
        f"{one} is sub-{label}"
        for one, label in zip(ids, matched, strict=True)
        if one != f"sub-{label}"
    ]
    if guessed:
        logger.warning("In the table %s, %s.", table, some_of(guessed))
    unknown = sorted({one for one in matched if one not in there})
    without_row = sorted(set(there).difference(matched))
    if there and unknown and without_row:
        logger.warning(
            "The table %s has %s, who have no folder, and nothing on %s.",
            table,
            some_of(f"sub-{label}" for label in unknown),
            some_of(f"sub-{label}" for label in without_row),
        )
    return [f"sub-{label}" for label in matched]


def read_participants_table(folder: Path) -> str | None:
    """Return the text of ``participants.tsv``, None if there is none.

    A table in another encoding is not passed over, as ages in it would neither be used nor hidden.

    Parameters
    ----------
    folder : Path
        A BIDS dataset, raw or derivative.

    Raises
    ------
    MissingInputError
        If this user may not read it, or its content was not fetched.
    InvalidBidsError
        If it is not in UTF-8, as BIDS asks for.
    """
    path = folder / "participants.tsv"
    require_content(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise MissingInputError(
            f"The table {path} cannot be read ({error.strerror}). Give read permission."
        ) from error
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    if "\0" in text:  # UTF-16 without its mark passes for UTF-8
        raise _not_utf8(path)
    return text


def rows_of(text: str, table: Path) -> list[dict[str, str]]:
    """Read a table as BIDS defines it: a tab ends a cell, and quotes are characters like others.

    Parameters
    ----------
    text : str
        Of the table, its first line with the names of columns.
    table : Path
        Where it is from, for messages.

    Returns
    -------
    list of dict
        From column to value; cells that are missing at the end of a row, as editors that strip
        spaces leave them, are empty.

    Raises
    ------
    InvalidBidsError
        If a row has more values than there are columns, so that it is unclear what they are.
    """
    # Not splitlines, which also ends lines at characters that a cell may hold.
    header, *lines = (line.split("\t") for line in text.split("\n"))
    rows = []
    for number, cells in enumerate(lines, start=2):
        if any(cells[len(header) :]):
            raise InvalidBidsError(
                f"The table {table} has {len(cells)} values in line {number}, and {len(header)} "
                "columns. Correct that line: one tab stands between two values."
            )
        if any(cells):
            rows.append(dict.fromkeys(header, "") | dict(zip(header, cells, strict=False)))
    return rows


def _not_utf8(path: Path) -> InvalidBidsError:
    return InvalidBidsError(
        f"The table {path} is not in UTF-8, which BIDS asks for. Save it again in that encoding, "
        f"for example with: iconv -f LATIN1 -t UTF-8 {path.name}."
    )


def read_rows(table: Path) -> list[dict[str, str]]:
    """Read a table that a user has named, as :func:`rows_of` does.

    Raises
    ------
    MissingInputError
        If it cannot be read.
    InvalidBidsError
        See :func:`rows_of`.
    """
    require_content(table)
    try:
        return rows_of(table.read_text(encoding="utf-8-sig"), table)
    except (OSError, UnicodeDecodeError) as error:
        raise MissingInputError(
            f"The table {table} cannot be read ({error}). Check the path."
        ) from error


def participants_by(table: Path, column: str) -> dict[str, set[str]]:
    """Return the participants by their value in a column of a table.

    Parameters
    ----------
    table : Path
        Tab-separated, with a column ``participant_id`` (``sub-01``).
    column : str
        Such as ``split`` or ``group``.

    Raises
    ------
    MissingInputError
        If the table cannot be read or lacks a column.
    InvalidBidsError
        See :func:`rows_of`.
    """
    rows = read_rows(table)
    rows = [{canonical_column(name): value for name, value in row.items()} for row in rows]
    column = canonical_column(column)
    for needed in ("participant_id", column):
        if not rows or needed not in rows[0]:
            known = ", ".join(filter(None, rows[0])) if rows else "none"
            raise MissingInputError(
                f"The table {table} has no column {needed} (columns: {known}). It needs the "
                f"columns participant_id and {column}, separated by tabs."
            )
    rows = [row for row in rows if clean(row["participant_id"])]
    labels = _match_labels([row["participant_id"] for row in rows], table)
    found: dict[str, set[str]] = {}
    for label, row in zip(labels, rows, strict=True):
        found.setdefault(clean(row[column]), set()).add(label)
    return found


def declared_controls(table: Path, declaration: str) -> set[str]:
    """Return the participants without disease.

    Parameters
    ----------
    table : Path
        See :func:`participants_by`.
    declaration : str
        ``COLUMN=VALUE``.

    Raises
    ------
    MissingInputError, InvalidBidsError
        See :func:`participants_by`.
    NothingFoundError
        If there is nobody.
    """
    column, _, value = (part.strip() for part in declaration.partition("="))
    people = participants_by(table, column)
    if value not in people:
        raise NothingFoundError(f"Nobody in {table} has the {column} {value}. Check --controls.")
    return people[value]
