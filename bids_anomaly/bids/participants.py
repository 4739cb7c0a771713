"""What a dataset knows of its participants."""

import csv
from pathlib import Path


def read_participants(folder: Path) -> dict[str, dict[str, str]]:
    """Return the rows of ``participants.tsv`` by ``participant_id``.

    Parameters
    ----------
    folder : Path
        A BIDS dataset, raw or derivative.

    Returns
    -------
    dict
        From label with ``sub-`` to column to value; empty where there is no readable table.
    """
    try:
        text = (folder / "participants.tsv").read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return {}
    return {
        row["participant_id"]: {key: value for key, value in row.items() if key and value}
        for row in csv.DictReader(text.splitlines(), delimiter="\t")
        if row.get("participant_id")
    }
