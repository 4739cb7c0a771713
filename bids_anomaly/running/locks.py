"""Locks in a work folder: two runs must not write the same intermediate files.

What a run writes there belongs to one participant: the steps of each session, and the comparisons
of sessions. So runs of different participants may share a work folder, and none may empty it
meanwhile.
"""

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from bids_anomaly.exceptions import CannotWriteError, TemporaryError, some_of

LOCK_FILE = "bids-anomaly.lock"
# The first byte of the file stands for the folder, one of the others for each participant. A file
# each would be more than a process may have open; the system frees all when the process ends.
OF_FOLDER = 0
HOW_ON = "Wait until it ends, or name another work folder with -w."


@contextmanager
def working_in(folder: Path, participants: Iterable[str]) -> Iterator[None]:
    """Hold a work folder together with others, and some participants in it alone.

    Where the file system has no locks, nothing is held.

    Parameters
    ----------
    folder : Path
        It exists.
    participants : iterable of str
        Labels without ``sub-``.

    Raises
    ------
    TemporaryError
        If another run holds one of these participants, or is emptying the folder.
    CannotWriteError
        If the file that is locked cannot be made.
    """
    with _lock_file(folder) as file:
        if not _lock(file, fcntl.LOCK_SH, OF_FOLDER):
            raise TemporaryError(f"Another run is emptying the work folder {folder}. {HOW_ON}")
        busy = [
            f"sub-{label}"
            for label in sorted(participants)
            if not _lock(file, fcntl.LOCK_EX, _place_of(label))
        ]
        if busy:
            raise TemporaryError(
                f"Another run is at work on {some_of(busy)} in the work folder {folder}. {HOW_ON}"
            )
        yield


@contextmanager
def emptying(folder: Path) -> Iterator[None]:
    """Hold a work folder alone, as :func:`working_in` holds it together with others.

    Raises
    ------
    TemporaryError
        If another run works there.
    CannotWriteError
        If the file that is locked cannot be made.
    """
    with _lock_file(folder) as file:
        if not _lock(file, fcntl.LOCK_EX, OF_FOLDER):
            raise TemporaryError(
                f"--clean-workdir does not empty the work folder {folder}, because another run is "
                f"at work there. {HOW_ON}"
            )
        yield


@contextmanager
def _lock_file(folder: Path) -> Iterator[BinaryIO]:
    path = folder / LOCK_FILE
    try:
        file = path.open("a+b")
    except OSError as error:
        raise CannotWriteError(
            f"Cannot write {path}: {error.strerror}. Check its rights, or name another work folder "
            "with -w."
        ) from error
    with file:
        yield file


def _lock(file: BinaryIO, how: int, place: int) -> bool:
    """Lock a byte of a file if no other process has done so."""
    try:
        fcntl.lockf(file, how | fcntl.LOCK_NB, 1, place)
    except BlockingIOError:
        return False
    except OSError:  # Some network file systems have no locks, which is no reason to refuse a run.
        return True
    return True


def _place_of(participant: str) -> int:
    return 1 + int.from_bytes(sha256(participant.encode()).digest()[:7])
