"""Files of DataLad datasets whose content is elsewhere: git-annex leaves a sign in their place."""

import os
from pathlib import Path

from bids_anomaly.exceptions import MissingInputError

OBJECTS = "/annex/objects/"
# What stands in the place of a file that was unlocked begins with the former, and is this short.
LARGEST_POINTER_BYTES = 32768


def require_content(path: Path) -> None:
    """Check that the content of a file is here, if git-annex keeps it.

    Parameters
    ----------
    path : Path
        Any file, there or not.

    Raises
    ------
    MissingInputError
        If it is a link into an annex that leads nowhere, or the pointer that an unlocked file
        leaves.
    """
    if _leads_nowhere(path) or _is_pointer(path):
        raise MissingInputError(
            f"The content of {path} is not here: it is a file of git-annex that was not fetched. "
            f'Fetch it with "datalad get {path}" or "git annex get {path}".'
        )


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists() and OBJECTS in os.path.realpath(path)


def _is_pointer(path: Path) -> bool:
    try:
        if path.stat().st_size > LARGEST_POINTER_BYTES:
            return False
        with path.open("rb") as file:
            return file.read(len(OBJECTS)) == OBJECTS.encode()
    except OSError:  # whoever reads the file says what is wrong with it
        return False
