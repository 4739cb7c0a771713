"""Whether results can be named after scans where they are to be written."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bids_anomaly.bids.naming import longest_name
from bids_anomaly.bids.scans import Session
from bids_anomaly.bids.writing import temporary_beside
from bids_anomaly.exceptions import UsageError

# Where the file system does not say it, in bytes.
LONGEST_NAME = 255


def check_names_fit(sessions: Iterable[Session], space: str, folders: Sequence[Path]) -> None:
    """Refuse scans after which no file could be named, before anything runs.

    Parameters
    ----------
    sessions : iterable of Session
        What is to be run.
    space : str
        Name of the template.
    folders : sequence of Path
        Where files are written; they need not exist.

    Raises
    ------
    UsageError
        If a name would be longer than the file system of a folder takes.
    """
    limits = {folder: _longest_possible(folder) for folder in folders}
    folder = min(limits, key=lambda each: limits[each])
    for scan in (scan for session in sessions for scan in session.scans):
        name = longest_name(scan.entities, modality=scan.suffix, space=space)
        needed = len(temporary_beside(Path(name)).name)
        if needed > limits[folder]:
            raise UsageError(
                f"The scan {scan.path} has so long a name that results would need names of "
                f"{needed} bytes, and {folder} takes {limits[folder]}. Shorten its labels, or "
                "leave it out with --bids-filter-file."
            )


def _longest_possible(folder: Path) -> int:
    """Return how many bytes a name may have where a folder is or will be."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        return os.pathconf(place, "PC_NAME_MAX")
    except (OSError, ValueError):  # unknown there
        return LONGEST_NAME
