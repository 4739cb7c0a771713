"""The folders of a BIDS dataset: who is in it, and in which sessions."""

import os
from pathlib import Path

from bids_anomaly.bids.reading import read_json
from bids_anomaly.exceptions import InvalidBidsError, MissingInputError, NothingFoundError


def list_participants(bids_dir: Path) -> list[str]:
    """List the participants of a BIDS dataset, sorted.

    Parameters
    ----------
    bids_dir : Path
        The dataset.

    Returns
    -------
    list of str
        Labels without ``sub-``, at least one.

    Raises
    ------
    MissingInputError
        If the folder does not exist, is a file or may not be read.
    InvalidBidsError
        If it has no ``dataset_description.json``, or one that is not JSON.
    NothingFoundError
        If nobody has a folder in it.
    """
    try:
        participants = labels_in(bids_dir, "sub-")
        check_description(bids_dir)
    except NotADirectoryError as error:
        raise MissingInputError(
            f"The BIDS dataset {bids_dir} is a file. Name the folder that holds "
            "dataset_description.json."
        ) from error
    except FileNotFoundError as error:
        raise MissingInputError(
            f"The BIDS dataset {bids_dir} does not exist. Check the path; in a container, check "
            "that the folder is mounted."
        ) from error
    except PermissionError as error:
        raise MissingInputError(
            f"The BIDS dataset {bids_dir} cannot be opened, because this user may not read "
            f"{error.filename}. Give read permission."
        ) from error
    if not participants:
        raise NothingFoundError(
            f"The BIDS dataset {bids_dir} has no participants: no folder is named sub-<label>."
        )
    return participants


def list_sessions(bids_dir: Path, participant: str) -> list[str]:
    """List the sessions of a participant, sorted.

    Parameters
    ----------
    bids_dir : Path
        The dataset.
    participant : str
        Label without ``sub-``.

    Returns
    -------
    list of str
        Labels without ``ses-``; none if the participant's folder may not be read.
    """
    try:
        return labels_in(bids_dir / f"sub-{participant}", "ses-")
    except PermissionError:
        return []  # find_unreadable_folders names it


def list_anat_folders(bids_dir: Path, participant: str) -> list[Path]:
    """List the folders in which a participant's anatomical images can lie.

    Parameters
    ----------
    bids_dir : Path
        The dataset.
    participant : str
        Label without ``sub-``.

    Returns
    -------
    list of Path
        One a session, and that beside them if there is one, in `bids_dir`. They need not exist.
    """
    own = bids_dir / f"sub-{participant}"
    folders = [own / f"ses-{label}" / "anat" for label in list_sessions(bids_dir, participant)]
    beside = own / "anat"
    return [beside, *folders] if not folders or beside.is_dir() else folders


def find_unreadable_folders(bids_dir: Path, participant: str) -> list[Path]:
    """Find the folders of a participant that may not be read.

    Parameters
    ----------
    bids_dir : Path
        The dataset.
    participant : str
        Label without ``sub-``.

    Returns
    -------
    list of Path
        Among the participant's, the sessions' and the anatomical folders.
    """
    folders = dict.fromkeys(
        folder
        for anat in list_anat_folders(bids_dir, participant)
        for folder in (bids_dir / f"sub-{participant}", anat.parent, anat)
    )
    return [
        folder
        for folder in folders
        if os.access(folder, os.F_OK) and not os.access(folder, os.R_OK | os.X_OK)
    ]


def labels_in(folder: Path, prefix: str) -> list[str]:
    """List the folders in a folder that begin with a prefix, sorted, without it."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name.removeprefix(prefix)
            for entry in entries
            if entry.name.startswith(prefix) and entry.is_dir()
        )


def files_of_people(dataset: Path, participant: str = "*") -> list[Path]:
    """List all files in the folders of participants, sorted; links to folders are followed.

    Parameters
    ----------
    dataset : Path
        Raw or derivative.
    participant : str
        Label without ``sub-``; everybody by default.

    Returns
    -------
    list of Path
        In `dataset`. Files of the system are left out.
    """
    found = []
    for own in dataset.glob(f"sub-{participant}"):
        seen = set()
        for folder, folders, names in os.walk(own, followlinks=True):
            folders[:] = [name for name in folders if not is_hidden(name)]
            real = os.path.realpath(folder)
            if real in seen:  # a link to a folder above
                folders.clear()
                continue
            seen.add(real)
            found += [Path(folder, name) for name in names if not is_hidden(name)]
    return sorted(found)


def is_hidden(name: str) -> bool:
    """Tell whether a file is the system's and not the dataset's: ``._*`` of macOS, and such."""
    return name.startswith(".")


def check_description(bids_dir: Path) -> None:
    """Check that a dataset says in ``dataset_description.json`` that it is one.

    Raises
    ------
    InvalidBidsError
        If that file is not there, or not a JSON object.
    """
    path = bids_dir / "dataset_description.json"
    try:
        content = read_json(path)
    except FileNotFoundError as error:
        raise InvalidBidsError(
            f"The folder {bids_dir} has no dataset_description.json, so it is not a BIDS dataset. "
            "Name the folder that holds the sub-* folders, and add the file if it is missing."
        ) from error
    except ValueError as error:
        raise InvalidBidsError(f"The file {path} is not JSON ({error}). Correct it.") from error
    if not isinstance(content, dict):
        raise InvalidBidsError(f"The file {path} does not hold a JSON object. Correct it.")
