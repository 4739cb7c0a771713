"""What readers of reports think of sessions: the table in which it is kept, and reading it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bids_anomaly.bids.columns import Columns
from bids_anomaly.bids.tables import MISSING, read_table

ACCEPT, DOUBTFUL, REJECT = LEVELS = ("accept", "doubtful", "reject")
# In the output folder; the group level reads every table in it.
FOLDER = "ratings"
COLUMNS: Columns = {
    "participant_id": {"Description": "Participant."},
    "session_id": {"Description": "Session; n/a where there are none."},
    "rating": {
        "Description": "What a reader thinks of the scans and what was made of them.",
        "Levels": {
            ACCEPT: "Good enough",
            DOUBTFUL: "To be looked at again; counted by the group level",
            REJECT: "Not to be used; left out by the group level",
        },
    },
    "comment": {"Description": "Why; n/a without one."},
    "rater": {"Description": "Who says so; n/a where nobody is named."},
    "rated_at": {"Description": "When, in UTC, as ISO 8601."},
    "version": {"Description": "Version of bids-anomaly that wrote what was rated."},
}


class Rating(NamedTuple):
    """What is thought of one session: one of :data:`LEVELS`, and the comments."""

    level: str
    comment: str = ""

    @property
    def is_rejected(self) -> bool:
        """Whether the session is not to be used."""
        return self.level == REJECT

    @property
    def words(self) -> str:
        """The rating with its comment."""
        return f"rated {self.level}" + (f": {self.comment}" if self.comment else "")


def rating_files(output_dir: Path) -> list[Path]:
    """List the tables of ratings in an output folder."""
    return sorted((output_dir / FOLDER).glob("*.tsv"))


def read_ratings(output_dir: Path, tell: Callable[[str], None]) -> dict[str, Rating]:
    """Read the ratings of all sessions.

    The last rating of each rater counts, and of several raters the worst.

    Parameters
    ----------
    output_dir : Path
        What the participant level wrote; ratings are in its folder ``ratings``.
    tell : callable
        Called with a line about everything that cannot be read, which is left out.

    Returns
    -------
    dict of str to Rating
        By the label of the session, such as ``sub-01_ses-1``.
    """
    latest: dict[tuple[str, str], dict[str, str]] = {}
    for path in rating_files(output_dir):
        try:
            rows = [{column: row[column] for column in COLUMNS} for row in read_table(path)]
        except (OSError, ValueError, KeyError):
            tell(
                f"{path} is left out: it is no table of ratings with the columns "
                f"{', '.join(COLUMNS)}."
            )
            continue
        for row in rows:
            if row["rating"] not in LEVELS:
                tell(
                    f"{path}: the rating {row['rating']!r} is left out. Known: {', '.join(LEVELS)}."
                )
                continue
            session = "" if row["session_id"] == MISSING else f"_{row['session_id']}"
            key = f"{row['participant_id']}{session}", row["rater"]
            if key not in latest or latest[key]["rated_at"] <= row["rated_at"]:
                latest[key] = row
    by_session: dict[str, list[dict[str, str]]] = {}
    for (label, _), row in latest.items():
        by_session.setdefault(label, []).append(row)
    return {label: _worst(rows) for label, rows in by_session.items()}


def _worst(rows: Sequence[dict[str, str]]) -> Rating:
    level = max((row["rating"] for row in rows), key=LEVELS.index)
    comments = [
        row["comment"] for row in rows if row["rating"] == level and row["comment"] != MISSING
    ]
    return Rating(level, "; ".join(comments))
