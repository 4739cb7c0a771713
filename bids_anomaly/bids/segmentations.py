"""Folders of FreeSurfer and FastSurfer, which have found the brains of T1w scans before."""

import logging
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bids_anomaly.bids.scans import Scan, Segmentation, Session
from bids_anomaly.exceptions import MissingInputError, NothingFoundError, some_of

logger = logging.getLogger("bids_anomaly")

SEGMENTED_MODALITY = "T1w"
# How the folder is called in BIDS URIs.
DATASET = "freesurfer"
OPTION = "--fs-subjects-dir"
PICTURE = "orig.mgz"


class _File(NamedTuple):
    """A file in the folder ``mri`` of a subject that tells brain from the rest.

    Attributes
    ----------
    name : str
    program : str
        What writes it.
    above : int
        Values above it are brain.
    """

    name: str
    program: str
    above: int = 0


# The first that is there is taken. SynthSeg labels the fluid around the brain as well, as masks do
# that models were trained with; after it come what was made to be a mask of FastSurfer, label maps,
# and the stripped image, in which dura may be left and in which 1 is what a person has erased.
FILES = (
    _File("synthseg.rca.mgz", "FreeSurfer"),
    _File("synthseg.mgz", "FreeSurfer"),
    _File("mask.mgz", "FastSurfer"),
    _File("aparc.DKTatlas+aseg.deep.mgz", "FastSurfer"),
    _File("aseg.mgz", "FreeSurfer"),
    _File("aseg.auto_noCCseg.mgz", "FreeSurfer or FastSurfer"),
    _File("brainmask.mgz", "FreeSurfer", above=1),
)
VERSION = re.compile(r"\d+\.\d+(?:\.\d+)*")


def use_segmentations(sessions: Sequence[Session], folder: Path, *, strict: bool) -> list[Session]:
    """Give raw T1w scans the brains that FreeSurfer or FastSurfer found in them.

    A subject is called ``sub-01_ses-1`` or ``sub-01``. It stands for a scan if it stands for no
    other one: of several, it lies over one at most.

    Parameters
    ----------
    sessions : sequence of Session
        Scans that another pipeline prepared, or that have a brain mask, keep theirs.
    folder : Path
        Absolute path of the folder of subjects.
    strict : bool
        Whether a raw T1w scan that is not segmented there is an error; else its brain is found
        here, with a warning.

    Returns
    -------
    list of Session

    Raises
    ------
    NothingFoundError
        If nobody is segmented there.
    MissingInputError
        If the folder may not be read; if the run is strict, for a scan that is not segmented.
    """
    subjects: dict[str, list[Scan]] = defaultdict(list)
    missing = []
    for session in sessions:
        subject = _subject(folder, session)
        for scan in session.scans:
            if scan.suffix != SEGMENTED_MODALITY or scan.prepared or scan.brain:
                continue
            if subject is None:
                missing.append(scan.name)
            else:
                subjects[subject].append(scan)
    if missing and not subjects and not _has_anybody(folder):
        names = ", ".join(file.name for file in FILES)
        raise NothingFoundError(
            f"{OPTION} {folder} has no segmentation of anybody, which is a file "
            f"<subject>/mri/<name> with one of the names {names}. Name the folder that FreeSurfer "
            "calls SUBJECTS_DIR."
        )
    several = {name: scans for name, scans in subjects.items() if len(scans) > 1}
    for name, scans in several.items():
        missing += [scan.name for scan in scans]
        logger.warning(
            "%s of %s stands for several scans (%s), and lies over one of them at most.",
            name,
            OPTION,
            ", ".join(scan.name for scan in scans),
        )
    if missing:
        lack = f"No segmentation of {some_of(sorted(missing))} is in {OPTION} {folder}"
        if strict:
            raise MissingInputError(
                f"{lack}. Segment what is missing, leave it out with --participant-label or "
                "--bids-filter-file, or go on without --strict, and its brain is found here."
            )
        logger.warning("%s: the brain is found here instead.", lack)
    chosen = {
        scan.path: _with_brain(scan, folder, name)
        for name, scans in subjects.items()
        if name not in several
        for scan in scans
    }
    return [
        replace(
            session,
            scans=tuple(
                chosen.get(scan.path, scan) if scan.prepared is None else scan
                for scan in session.scans
            ),
        )
        for session in sessions
    ]


def _subject(folder: Path, session: Session) -> str | None:
    """Return the name of the folder that stands for a session, if one does."""
    names = dict.fromkeys([session.label, f"sub-{session.participant}"])
    return next((name for name in names if _file_of(folder / name) is not None), None)


def _file_of(subject: Path) -> _File | None:
    """Return the file that is taken of a subject; links into an annex count as there."""
    return next((file for file in FILES if os.path.lexists(subject / "mri" / file.name)), None)


def _has_anybody(folder: Path) -> bool:
    try:
        return any(_file_of(subject) is not None for subject in folder.iterdir())
    except PermissionError as error:
        raise MissingInputError(
            f"{OPTION} {folder} cannot be opened, because this user may not read it. Give read "
            "permission."
        ) from error


def _with_brain(scan: Scan, folder: Path, name: str) -> Scan:
    """Return a raw scan with what was found of it in the folder of a subject."""
    subject = folder / name
    file = _file_of(subject)
    assert file is not None
    path, picture = subject / "mri" / file.name, subject / "mri" / PICTURE
    brain = Segmentation(
        path,
        f"{_program(subject, file)} (mri/{file.name})",
        file.above,
        picture if os.path.lexists(picture) else None,
    )
    uri = f"bids:{DATASET}:{path.relative_to(folder).as_posix()}"
    return replace(scan, brain=brain, sources=(*scan.sources, uri))


def _program(subject: Path, file: _File) -> str:
    """Say what wrote a file, with its version if that is FreeSurfer and left its stamp."""
    if file.program != "FreeSurfer":
        return file.program
    try:
        stamp = (subject / "scripts" / "build-stamp.txt").read_text(errors="replace")
    except OSError:
        return file.program
    found = VERSION.search(stamp)
    return f"{file.program} {found[0]}" if found else file.program
