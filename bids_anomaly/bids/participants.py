"""What a dataset knows of its participants."""

import csv
from pathlib import Path

from bids_anomaly.exceptions import InvalidBidsError, MissingInputError, NothingFoundError
from bids_anomaly.preprocessing.annex import require_content


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
        See :func:`read_participants_table`.
    """
    text = read_participants_table(folder) or ""
    return {
        row["participant_id"]: {key: value for key, value in row.items() if key and value}
        for row in csv.DictReader(text.splitlines(), delimiter="\t")
        if row.get("participant_id")
    }


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


def _not_utf8(path: Path) -> InvalidBidsError:
    return InvalidBidsError(
        f"The table {path} is not in UTF-8, which BIDS asks for. Save it again in that encoding, "
        f"for example with: iconv -f LATIN1 -t UTF-8 {path.name}."
    )


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
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MissingInputError(
            f"The table {table} cannot be read ({error}). Check the path."
        ) from error
    for needed in ("participant_id", column):
        if not rows or needed not in rows[0]:
            known = ", ".join(filter(None, rows[0])) if rows else "none"
            raise MissingInputError(
                f"The table {table} has no column {needed} (columns: {known}). It needs the "
                f"columns participant_id and {column}, separated by tabs."
            )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault((row[column] or "").strip(), set()).add(row["participant_id"])
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
    MissingInputError
        If the table cannot be read or lacks the column.
    NothingFoundError
        If there is nobody.
    """
    column, _, value = (part.strip() for part in declaration.partition("="))
    people = participants_by(table, column)
    if value not in people:
        raise NothingFoundError(f"Nobody in {table} has the {column} {value}. Check --controls.")
    return people[value]
