"""The anatomical images of a dataset, listed by pybids, with or without a database on disk."""

import logging
import os
import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from uuid import uuid4

from bids_anomaly.bids.folders import (
    find_unreadable_folders,
    list_anat_folders,
    list_participants,
)
from bids_anomaly.exceptions import CannotWriteError, MissingInputError, UsageError

logger = logging.getLogger("bids_anomaly")

DATABASE_FILE = "layout_index.sqlite"
OWN_FOLDER = "bids-anomaly"


def list_images(
    bids_dir: Path,
    *,
    participants: Collection[str] | None = None,
    suffixes: Sequence[str],
    database_dir: Path | None = None,
) -> list[Path]:
    """List the images in the ``anat`` folders of some participants.

    Without a database, only the folders of these participants are visited. With one, only those of
    participants of whom it misses a session: it may have been made for others, or long ago. Images
    that were added since to a session that it knows are not seen.

    Parameters
    ----------
    bids_dir : Path
        Absolute path of the dataset.
    participants : collection of str, optional
        Labels without ``sub-``, each with a folder in `bids_dir`. By default all that have one.
    suffixes : sequence of str
        What the names end with, for example ``T1w``.
    database_dir : Path, optional
        Folder of a pybids database of the dataset. If it holds none, one is made, in a folder of
        its own: it knows anatomical images only, and other programs should not take it for theirs.

    Returns
    -------
    list of Path
        Paths relative to `bids_dir`, in no particular order.

    Raises
    ------
    UsageError
        If the database belongs to another dataset.
    MissingInputError
        If the database cannot be read.
    CannotWriteError
        If there is no database, and none can be written.
    """
    if database_dir is None:
        return _visit(bids_dir, participants, suffixes)
    database = _find_or_make_database(bids_dir, Path(database_dir))
    if participants is None:
        participants = list_participants(bids_dir)
    by_participant: dict[str, list[Path]] = {participant: [] for participant in participants}
    for path in _look_up(bids_dir, database, suffixes):
        participant = path.parts[0].removeprefix("sub-")
        # A link to nothing counts as there: whoever reads the scan can say what is wrong with it.
        if participant in by_participant and os.path.lexists(bids_dir / path):
            by_participant[participant].append(path)
    outdated = {
        participant
        for participant, paths in by_participant.items()
        if not {bids_dir / path.parent for path in paths}.issuperset(
            list_anat_folders(bids_dir, participant)
        )
    }
    known = [path for key, paths in by_participant.items() if key not in outdated for path in paths]
    if not outdated:
        return known
    logger.info("The database %s misses sessions: their folders are read instead.", database)
    return known + _visit(bids_dir, outdated, suffixes)


def _visit(
    bids_dir: Path, participants: Collection[str] | None, suffixes: Sequence[str]
) -> list[Path]:
    """List the images of some participants from their folders."""
    return _images(_layout(bids_dir, participants), suffixes)


def _look_up(bids_dir: Path, database: Path, suffixes: Sequence[str]) -> list[Path]:
    """List the images of all participants from a database."""
    from bids.layout import BIDSLayout
    from sqlalchemy.exc import DatabaseError

    try:
        layout = BIDSLayout(database_path=database, validate=False)
        made_for = Path(layout.root)
    except ValueError as error:  # pybids does not open a database whose dataset has moved
        raise _made_for_another_dataset(database, bids_dir) from error
    except (DatabaseError, AttributeError) as error:  # not a database, or one without its tables
        raise MissingInputError(
            f"The pybids database {database / DATABASE_FILE} cannot be read. Delete that file, and "
            "it is made again."
        ) from error
    if made_for.resolve() != bids_dir.resolve():
        raise _made_for_another_dataset(database, bids_dir)
    return _images(layout, suffixes)


def _made_for_another_dataset(database: Path, bids_dir: Path) -> UsageError:
    return UsageError(
        f"The pybids database in {database} was made for another dataset than {bids_dir}, or "
        "before it was moved. Name another folder with --bids-database-dir."
    )


def find_database(database_dir: Path) -> Path | None:
    """Return the folder that holds the database file: this one, our own in it, or neither."""
    for folder in (database_dir, database_dir / OWN_FOLDER):
        if (folder / DATABASE_FILE).exists():
            return folder
    return None


def _find_or_make_database(bids_dir: Path, database_dir: Path) -> Path:
    """Find the folder that holds the database file; make both if there is none."""
    from sqlalchemy.exc import DatabaseError

    found = find_database(database_dir)
    if found is not None:
        return found
    database = database_dir / OWN_FOLDER
    # Jobs side by side may each make one; it gets its name when it is complete, the first is kept.
    unfinished = database_dir / f".unfinished-{uuid4().hex}"
    try:
        unfinished.mkdir(parents=True)
        _layout(bids_dir, None, database_path=unfinished).session.close()
        unfinished.rename(database)
    except (OSError, DatabaseError) as error:
        if not (database / DATABASE_FILE).exists():
            raise CannotWriteError(
                f"No pybids database can be written in {database_dir}. Name a folder that can be "
                "written with --bids-database-dir, or leave it out."
            ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return database


def _layout(
    bids_dir: Path, participants: Collection[str] | None, *, database_path: Path | None = None
):
    """Index the images of some participants, or of all: names only."""
    from bids.layout import BIDSLayout, BIDSLayoutIndexer

    ignore = _all_but_images_of(participants)
    # pybids stumbles over them.
    for participant in participants or list_participants(bids_dir):
        for folder in find_unreadable_folders(bids_dir, participant):
            ignore.append(re.compile(rf"^/{re.escape(folder.relative_to(bids_dir).as_posix())}$"))
    indexer = BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=ignore)
    return BIDSLayout(bids_dir, validate=False, indexer=indexer, database_path=database_path)


def _all_but_images_of(participants: Collection[str] | None) -> list[re.Pattern]:
    """Match all paths, relative to the dataset, but those of the images of some participants."""
    whose = "" if participants is None else rf"(?:{'|'.join(map(re.escape, participants))})(?:/|$)"
    return [
        re.compile(rf"^/(?!sub-{whose})"),
        re.compile(r"^/sub-[^/]+/(?!(?:anat|ses-[^/]+)(?:/|$))"),
        re.compile(r"^/sub-[^/]+/ses-[^/]+/(?!anat(?:/|$))"),
        re.compile(r"/anat/.*(?<!\.nii)(?<!\.nii\.gz)$"),
    ]


def _images(layout, suffixes: Sequence[str]) -> list[Path]:
    """List the images that a layout holds, relative to its root."""
    found = layout.get(
        scope="self",
        return_type="filename",
        suffix=list(suffixes),
        extension=[".nii", ".nii.gz"],
    )
    paths = (Path(path).relative_to(layout.root) for path in found)
    return [
        path
        for path in paths
        if path.parts[0].startswith("sub-") and path.parent.name == "anat" and len(path.parts) < 5
    ]
