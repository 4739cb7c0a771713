"""The folder of intermediate files, from which an interrupted run is resumed."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from bids_anomaly import __version__
from bids_anomaly.bids.reading import read_object
from bids_anomaly.bids.writing import write_json
from bids_anomaly.exceptions import CannotWriteError, UsageError
from bids_anomaly.interfaces.records import WRITTEN_FILE, changed_since_written, is_damaged
from bids_anomaly.running.locks import LOCK_FILE, emptying, working_in
from bids_anomaly.settings import OWN_DATASETS

STAMP = "bids-anomaly.json"
# Folders that the app makes in a work folder, beside whatever a user keeps there.
WORKFLOW_NAME = "bids_anomaly_wf"
GROUP_PREFIX = "bids_anomaly_group-"
TEMPLATES_NAME = "bids_anomaly_templates"
# What Nipype leaves in the folder of a node that is done; the name holds the hash of its inputs.
DONE = "_0x*.json"


@contextmanager
def work_folder(folder: Path, participants: Iterable[str], *, clean: bool) -> Iterator[None]:
    """Make the work folder, and keep other runs away from some participants in it.

    Parameters
    ----------
    folder : Path
        Absolute. It may hold files of others, which stay as they are.
    participants : iterable of str
        Labels without ``sub-``.
    clean : bool
        Whether to remove first what earlier runs left there.

    Raises
    ------
    TemporaryError
        If another run is at work on one of them there, or anywhere in a folder to be cleaned.

    Those of :func:`prepare_work_folder` besides.
    """
    make_folder(folder)
    if clean:
        with emptying(folder):
            prepare_work_folder(folder, clean=True)
    with working_in(folder, participants):
        prepare_work_folder(folder, clean=False)
        yield


def prepare_work_folder(folder: Path, *, clean: bool) -> None:
    """Make the work folder, or check that it was made by this version.

    Parameters
    ----------
    folder : Path
        Absolute. It may hold files of others, which stay as they are.
    clean : bool
        Whether to remove first what earlier runs left there.

    Raises
    ------
    UsageError
        If it was made by another version, or to be cleaned but made by something else.
    CannotWriteError
        If it cannot be written, or what is in it cannot be removed.
    """
    stamp = folder / STAMP
    kept = (LOCK_FILE, OWN_DATASETS)
    if clean and folder.is_dir() and any(path.name not in kept for path in folder.iterdir()):
        if not stamp.is_file():
            raise UsageError(
                f"The work folder {folder} was not made by bids-anomaly, so --clean-workdir does "
                "not empty it. Name another folder with -w."
            )
        _remove_own(folder)
    if stamp.is_file():
        said = read_object(stamp)
        version = said.get("version", "of unknown version")
        if version != __version__:
            raise UsageError(
                f"The work folder {folder} was made by bids-anomaly {version}, this is "
                f"{__version__}. Start afresh with --clean-workdir, or name another with -w."
            )
        _check_not_moved(folder, said.get("folder"))
    write_json(stamp, {"version": __version__, "folder": str(folder)})


def _check_not_moved(folder: Path, before: str | None) -> None:
    """Refuse a work folder whose steps name files where it was before."""
    is_same = before in (None, str(folder)) or (Path(before).is_dir() and folder.samefile(before))
    if is_same or not (folder / WORKFLOW_NAME).exists():
        return
    raise UsageError(
        f"The work folder {folder} was {before} when it was made, and what is in it names files "
        "there. Move it back, start afresh with --clean-workdir, or name another with -w."
    )


def _remove_own(folder: Path) -> None:
    """Remove what the app made in a work folder; the stamp goes last."""
    try:
        shared = (folder / WORKFLOW_NAME, folder / TEMPLATES_NAME)
        for child in (*shared, *folder.glob(f"{GROUP_PREFIX}*"), folder / STAMP):
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            else:
                child.unlink(missing_ok=True)
    except OSError as error:
        raise CannotWriteError(
            f"--clean-workdir cannot remove {error.filename}: {error.strerror}. Remove it by hand, "
            "or name another work folder with -w."
        ) from error


def make_folder(folder: Path) -> None:
    """Make a folder and a file in it, so that an error comes now and not after an hour.

    Raises
    ------
    CannotWriteError
        If that fails.
    """
    check_writable(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from error


def check_writable(folder: Path) -> None:
    """Make a file where a folder is or will be, and leave nothing.

    Raises
    ------
    CannotWriteError
        If that fails.
    """
    try:
        place = next(path for path in (folder, *folder.parents) if path.exists())
        if not place.is_dir():
            raise CannotWriteError(
                f"Cannot write into {folder}: {place} is a file, not a folder. Name another one."
            )
        # A name of its own: runs side by side may share the folder.
        with NamedTemporaryFile(prefix=".probe-", dir=place):
            pass
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: OSError) -> CannotWriteError:
    return CannotWriteError(
        f"Cannot write into {folder}: {error.strerror}. Check its rights and the free space on its "
        "disk."
    )


def forget_lost_outputs(session_folder: Path) -> None:
    """Let nodes run again whose files are gone, damaged, or not theirs any more.

    Nipype looks at the inputs of a node only: it counts as done even where what it left in its
    folder was cut off by a full disk or changed by a broken one, and where what it wrote to the
    output folder was deleted, or replaced by a run with other options in another work folder.

    Parameters
    ----------
    session_folder : Path
        Folder of a session's workflow in the work folder; may be missing.
    """
    for folder in {done.parent for done in session_folder.rglob(DONE)}:
        lost = (folder / WRITTEN_FILE).exists() and changed_since_written(folder)
        if is_damaged(folder) or any(map(_is_lost, lost or ())):
            for done in folder.glob(DONE):
                done.unlink()


def _is_lost(changed: Path) -> bool:
    # Reports are written by several steps, each of which leaves all that there is to show. Where
    # one tells of a failure, the record of the session does too, and is not as its step left it.
    return changed.suffix != ".html" or not changed.exists()
