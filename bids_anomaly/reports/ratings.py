"""The form in which a reader judges a session."""

from typing import NamedTuple

from bids_anomaly.bids.ratings import COLUMNS, FOLDER, LEVELS


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
