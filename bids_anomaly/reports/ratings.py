"""The form in which a reader judges a session, and the table in which the judgement is kept."""

from pathlib import Path
from typing import NamedTuple

from bids_anomaly.bids.columns import Columns

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


class RatingForm(NamedTuple):
    """What the form knows before it is filled.

    Attributes
    ----------
    participant, session : str
        As BIDS tables have them.
    version : str
        Of bids-anomaly.
    file, folder : str
        What is saved, and where the group level looks for it.
    columns, levels : sequence of str
    """

    participant: str
    session: str
    version: str
    file: str
    folder: str = FOLDER
    columns: tuple[str, ...] = tuple(COLUMNS)
    levels: tuple[str, ...] = LEVELS


def rating_form(label: str, version: str) -> RatingForm:
    """Return the form of a session, given its label such as ``sub-01_ses-1``."""
    participant, _, session = label.partition("_")
    return RatingForm(participant, session or "n/a", version, f"{label}_rating.tsv")


def rating_files(output_dir: Path) -> list[Path]:
    """List the tables of ratings in an output folder."""
    return sorted((output_dir / FOLDER).glob("*.tsv"))
