"""What a dataset knows of its participants."""

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
        See :func:`read_participants_table` and :func:`rows_of`.
    """
    text = read_participants_table(folder) or ""
    return {
        row["participant_id"]: {key: value for key, value in row.items() if key and value}
        for row in rows_of(text, folder / "participants.tsv")
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
    require_content(table)
    try:
        rows = rows_of(table.read_text(encoding="utf-8-sig"), table)
    except (OSError, UnicodeDecodeError) as error:
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
        found.setdefault(row[column].strip(), set()).add(row["participant_id"])
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
