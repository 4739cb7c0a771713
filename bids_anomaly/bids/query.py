"""Which scans of whom: the raw anatomical images of a BIDS dataset, session by session.

Entities are read from file names here, not by pybids: it also looks at the folders that the dataset
lies in (below ``/project/sub-99`` all would be participant 99), and turns ``run-01`` into a number.
"""

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from bids_anomaly.bids.exclusion import (
    Reason,
    not_asked_for,
    raw_scan,
    unlike_what_models_know,
)
from bids_anomaly.bids.filters import read_bids_filter
from bids_anomaly.bids.folders import (
    find_unreadable_folders,
    is_hidden,
    list_anat_folders,
    list_participants,
    list_sessions,
)
from bids_anomaly.bids.index import list_images
from bids_anomaly.bids.participants import read_participants
from bids_anomaly.bids.scans import Scan, Session
from bids_anomaly.exceptions import MissingInputError, NothingFoundError, some_of
from bids_anomaly.modalities import MODALITIES, in_usual_order

__all__ = ["Scan", "Session", "find_sessions", "known_labels", "read_bids_filter"]

logger = logging.getLogger("bids_anomaly")

_IMAGE = re.compile(r"(?:T1|T2|FLAIR).*\.nii(?:\.gz)?$", re.IGNORECASE)


def find_sessions(
    bids_dir: Path,
    *,
    participants: Sequence[str] = (),
    excluded: Sequence[str] = (),
    sessions: Sequence[str] = (),
    modalities: Sequence[str] = MODALITIES,
    bids_filter: Mapping[str, Mapping] | None = None,
    database_dir: Path | None = None,
) -> list[Session]:
    """Find the raw scans of a BIDS dataset, grouped by participant and session.

    Derivatives inside the dataset, names with ``space-`` or ``desc-``, and phase, real and
    imaginary images are passed over. Nothing is written to `bids_dir`, and no image is opened.

    Parameters
    ----------
    bids_dir : Path
        The dataset.
    participants, sessions : sequence of str
        Labels with or without ``sub-`` and ``ses-``. By default all.
    excluded : sequence of str
        Labels of participants who are left out, with or without ``sub-``.
    modalities : sequence of str
        Suffixes. The scans of a session come in the usual order of modalities.
    bids_filter : mapping, optional
        What the scans of a modality must have, as :func:`read_bids_filter` gives it.
    database_dir : Path, optional
        Folder of a pybids database, made if it holds none.

    Returns
    -------
    list of Session
        Sorted by participant and session; never empty. Participants without a scan are left out,
        each with a warning. So are scans after a contrast agent, unless the filter asks for them.

    Raises
    ------
    MissingInputError
        If the dataset, or everybody's folder in it, does not exist or may not be read.
    InvalidBidsError
        If it has no readable ``dataset_description.json``, or a broken ``participants.tsv``.
    NothingFoundError
        If a label is unknown, or nothing matches.
    """
    bids_dir = Path(os.path.abspath(bids_dir))
    modalities = tuple(in_usual_order(modalities))
    bids_filter = bids_filter or {}
    everybody = list_participants(bids_dir)
    wanted = known_labels("sub", participants, everybody, bids_dir) if participants else everybody
    wanted = without(excluded, wanted, everybody, bids_dir)
    wanted_sessions = []
    if sessions:
        existing = {label for key in wanted for label in list_sessions(bids_dir, key)}
        wanted_sessions = known_labels("ses", sessions, sorted(existing), bids_dir)

    images = list_images(
        bids_dir,
        participants=wanted if participants or excluded else None,
        suffixes=modalities,
        database_dir=database_dir,
    )
    there = [
        scan
        for scan in _raw_scans(bids_dir, images)
        if not sessions or scan.entities.get("ses") in wanted_sessions
    ]
    passing = [scan for scan in there if not _is_out(scan.path, not_asked_for(scan, bids_filter))]
    scans = [
        scan
        for scan in passing
        if not _is_out(scan.path, unlike_what_models_know(scan, bids_filter))
    ]

    unreadable = [folder for key in wanted for folder in find_unreadable_folders(bids_dir, key)]
    if not scans and unreadable:
        raise MissingInputError(
            f"No scan was found in {bids_dir}, where this user may not read {unreadable[0]}. "
            "Give read permission."
        )
    for folder in unreadable:
        logger.warning("The folder %s is left out, because this user may not read it.", folder)
    searched = _describe(modalities, wanted_sessions, bids_filter)
    if not scans:
        whose = some_of(f"sub-{key}" for key in wanted)
        raise NothingFoundError(
            f"{bids_dir} has no {searched} of {whose}. Check what was asked for, and the names of "
            "the files in the anat folders."
        )
    passed_over = {scan.suffix for scan in there} - {scan.suffix for scan in passing}
    for suffix in sorted(passed_over, key=modalities.index):
        logger.warning("No %s scan passes the filter, so none is used.", suffix)
    for key in sorted(set(wanted).difference(scan.entities["sub"] for scan in scans)):
        unused = _unused_images(bids_dir, key)
        logger.warning(
            "sub-%s is left out, because it has no %s%s.",
            key,
            searched,
            f"; {some_of(unused)} is not named or placed as such" if unused else "",
        )
    return _group(scans, modalities, read_participants(bids_dir))


def known_labels(
    prefix: str, asked_for: Iterable[str], known: Sequence[str], bids_dir: Path
) -> list[str]:
    """Strip the prefix of labels, sort them, and refuse those that do not exist.

    Parameters
    ----------
    prefix : str
        ``sub`` or ``ses``.
    asked_for, known : iterable of str
        Labels with or without prefix, and without.
    bids_dir : Path
        The dataset, for the message.

    Raises
    ------
    NothingFoundError
        If a label is unknown.
    """
    labels = {label.removeprefix(f"{prefix}-") for label in asked_for}
    unknown = sorted(labels.difference(known))
    if unknown:
        raise NothingFoundError(
            f"{bids_dir} has no {some_of(f'{prefix}-{label}' for label in unknown)}. It has "
            f"{some_of(f'{prefix}-{label}' for label in known) or f'no {prefix}-* folder there'}."
        )
    return sorted(labels)


def without(
    excluded: Iterable[str], wanted: Sequence[str], known: Sequence[str], folder: Path
) -> list[str]:
    """Leave participants out.

    Parameters
    ----------
    excluded : iterable of str
        Labels with or without ``sub-``.
    wanted, known : sequence of str
        Labels of those who stay but for `excluded`, and of everybody.
    folder : Path
        Where they are, for the message.

    Raises
    ------
    NothingFoundError
        If a label is unknown, since somebody else may be meant, or nobody stays.
    """
    left_out = known_labels("sub", excluded, known, folder)
    staying = [label for label in wanted if label not in left_out]
    if wanted and not staying:
        raise NothingFoundError(
            f"--exclude-participant-label leaves out everybody of {folder} who was asked for. "
            "Name fewer."
        )
    return staying


def _raw_scans(bids_dir: Path, images: Iterable[Path]) -> list[Scan]:
    """Read the names of images, and pass over those that are not raw magnitude images."""
    images = set(images)
    scans = []
    for image in sorted(images):
        found = raw_scan(bids_dir, image, images)
        if isinstance(found, Scan):
            scans.append(found)
        else:
            _is_out(bids_dir / image, found)
    return scans


def _is_out(image: Path, reason: Reason | None) -> bool:
    """Return whether there is a reason to leave an image out, with a warning where one helps."""
    if reason and reason.advice:
        logger.warning("%s is left out, because %s. %s", image, reason.words, reason.advice)
    return reason is not None


def _unused_images(bids_dir: Path, participant: str) -> list[str]:
    """Return images of a participant that are near to what is read: names for a message."""
    own = bids_dir / f"sub-{participant}"
    folders = [own, *list_anat_folders(bids_dir, participant)]
    folders += [folder.parent for folder in folders[1:] if folder.parent != own]
    names = []
    for folder in dict.fromkeys(folders):
        try:
            found = sorted(os.listdir(folder))
        except OSError:  # not there, or told already
            continue
        names += [name for name in found if _IMAGE.search(name) and not is_hidden(name)]
    return names


def _group(
    scans: Iterable[Scan], modalities: Sequence[str], known: Mapping[str, Mapping[str, str]]
) -> list[Session]:
    def participant_and_session(scan: Scan) -> tuple[str, str]:
        return scan.entities["sub"], scan.entities.get("ses", "")

    def place(scan: Scan) -> tuple:
        return (
            *participant_and_session(scan),
            modalities.index(scan.suffix),
            scan.name,
        )

    return [
        Session(participant, session or None, tuple(group), known.get(f"sub-{participant}", {}))
        for (participant, session), group in groupby(
            sorted(scans, key=place), key=participant_and_session
        )
    ]


def _describe(
    modalities: Sequence[str], sessions: Sequence[str], bids_filter: Mapping[str, Mapping]
) -> str:
    """Say what was looked for, as in "T1w or FLAIR scan in ses-1"."""
    text = f"{' or '.join(modalities)} scan"
    if sessions:
        text += f" in {some_of(f'ses-{label}' for label in sessions)}"
    if not bids_filter.keys().isdisjoint(modalities):
        text += f" that passes the filter {json.dumps(bids_filter)}"
    return text
