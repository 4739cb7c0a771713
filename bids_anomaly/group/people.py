"""Who has results in an output folder, and in which files."""

import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bids_anomaly.bids.folders import is_hidden, labels_in, list_anat_folders, list_sessions
from bids_anomaly.bids.naming import (
    entities_of,
    file_name,
    of_the_scan,
    report_path,
    session_entities,
    suffix_of,
)
from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.participants import read_participants
from bids_anomaly.bids.query import known_labels, without
from bids_anomaly.bids.ratings import FOLDER, Rating, read_ratings
from bids_anomaly.bids.records import record_of
from bids_anomaly.bids.timepoints import order_of_results
from bids_anomaly.exceptions import BadScanError, NothingFoundError, some_of
from bids_anomaly.modalities import in_usual_order, primary_modality
from bids_anomaly.preprocessing.template import TEMPLATE

logger = logging.getLogger("bids_anomaly")

# What stands where a modality is expected: the primary scan of each person, or the whole session.
PRIMARY, SESSION = "primary", "session"


@dataclass(frozen=True)
class Member:
    """The results of one person at one timepoint.

    Attributes
    ----------
    participant : str
        Label without ``sub-``.
    session : str or None
        Label without ``ses-``.
    report : Path
        The page of this person; it may not exist.
    files : mapping of (str, str) to Path
        By output of :data:`bids_anomaly.bids.outputs.OUTPUTS` and modality, or :data:`SESSION`.
        Images are in the template. Of several scans of a modality the first.
    primary : str
        The modality that stands for the person; empty if there are no results.
    is_first : bool
        Whether this is the first of the person's timepoints that are looked at: maps and
        comparisons take each person once.
    rating : Rating or None
        What readers thought of it; None where nobody said.
    """

    participant: str
    session: str | None
    report: Path
    files: Mapping[tuple[str, str], Path]
    primary: str
    is_first: bool
    rating: Rating | None = None

    @property
    def is_rejected(self) -> bool:
        """Whether a reader of the report rejected it."""
        return self.rating is not None and self.rating.is_rejected

    @property
    def label(self) -> str:
        """How the files begin: ``sub-01`` or ``sub-01_ses-1``."""
        return self.report.stem

    @property
    def modalities(self) -> list[str]:
        """Modalities with a z map in the template: the primary, then in their usual order."""
        there = {modality for output, modality in self.files if output == "zscore"}
        return sorted(in_usual_order(there), key=lambda modality: modality != self.primary)

    def file(self, output: str, modality: str) -> Path:
        """Return a file that has to be there.

        Raises
        ------
        BadScanError
            If it is not.
        """
        try:
            return self.files[output, modality]
        except KeyError:
            what = NEEDED.get(output, output)
            raise BadScanError(
                f"{self.label} has no {what}. Run the participant level again for it."
            ) from None


# What everybody needs: how it is called in a message.
NEEDED = {
    "anomaly": f"mask of anomalies in {TEMPLATE}, which --output-spaces asks for",
    "lesions": "table of lesions",
    "regions": "table of regions",
    "quality": "table of quality",
}
# What is read, and with which extension.
_READ = {
    "zscore": "nii.gz",
    "anomaly": "nii.gz",
    "lesions": "tsv",
    "regions": "tsv",
    "quality": "tsv",
}


def find_members(
    output_dir: Path,
    *,
    participants: Sequence[str] = (),
    excluded: Sequence[str] = (),
    sessions: Sequence[str] = (),
    modalities: Collection[str] = (),
    primary: str | None = None,
) -> list[Member]:
    """List everybody with a folder in an output folder; maps and tables are not opened.

    Parameters
    ----------
    output_dir : Path
        What the participant level wrote.
    participants, sessions : sequence of str
        Labels with or without prefix; all by default.
    excluded : sequence of str
        Labels of participants who are left out: of the folder, or of its ``participants.tsv``.
    modalities : collection of str
        Whose results are read; all by default.
    primary : str, optional
        Modality that stands for a person who has it; by default, and for the others, that which
        led at the participant level.

    Returns
    -------
    list of Member
        By participant and session. Who has no results at all is listed too, without files.

    Raises
    ------
    NothingFoundError
        If nobody has a folder, a label is unknown, or nobody has maps in the template.
    """
    there = labels_in(output_dir, "sub-")
    if not there:
        raise NothingFoundError(
            f"{output_dir} has nobody's results: no folder is named sub-<label>. Run the "
            "participant level first."
        )
    wanted = known_labels("sub", participants, there, output_dir) if participants else there
    if excluded:
        listed = [label.removeprefix("sub-") for label in read_participants(output_dir)]
        wanted = without(excluded, wanted, sorted({*there, *listed}), output_dir)
    if sessions:
        existing = {label for key in wanted for label in list_sessions(output_dir, key)}
        sessions = known_labels("ses", sessions, sorted(existing), output_dir)
    ratings = read_ratings(output_dir, logger.warning)
    members = [
        member
        for participant in wanted
        for member in _timepoints(output_dir, participant, sessions, modalities, primary, ratings)
    ]
    if members and all(member.is_rejected for member in members):
        raise NothingFoundError(
            f"All {len(members)} sessions were rejected by the ratings in {output_dir / FOLDER}."
        )
    if not any(_has_maps(member) for member in members):
        raise NothingFoundError(
            f"Nobody in {output_dir} has maps in {TEMPLATE}. Run the participant level first, with "
            f"{TEMPLATE} among its --output-spaces."
        )
    return members


def in_words(primaries: Mapping[str, int]) -> str:
    """Return how many people have which primary scan, such as ``10 FLAIR, 2 T1w``."""
    counts = sorted(primaries.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {modality}" for modality, count in counts)


def warn_of_primaries(members: Sequence[Member], asked_for: str | None) -> list[str]:
    """Say where people are looked at by different modalities.

    Parameters
    ----------
    members : sequence of Member
    asked_for : str or None
        What ``--primary`` names.
    """
    primaries = Counter(member.primary for member in members if member.is_first)
    lacking = [
        one.label for one in members if one.is_first and asked_for not in (None, one.primary)
    ]
    warnings = []
    if lacking:
        warnings.append(
            f"Another scan than {asked_for} stands for {some_of(lacking)}, who lack it."
        )
    if len(primaries) > 1:
        warnings.append(
            f"People are looked at by different primary scans ({in_words(primaries)}), whose "
            "volumes, frequencies and anomalous shares are not comparable. Name one that all have "
            "with --primary, or choose people with --participant-label."
        )
    return warnings


def _timepoints(
    output_dir: Path,
    participant: str,
    sessions: Collection[str],
    modalities: Collection[str],
    primary: str | None,
    ratings: Mapping[str, Rating],
) -> list[Member]:
    found = []
    folders = {
        anat.parent.name.removeprefix("ses-") if anat.parent.parent != output_dir else None: anat
        for anat in list_anat_folders(output_dir, participant)
    }
    order = order_of_results(output_dir, participant, folders.keys() - {None})
    if not order.is_known:
        logger.warning(
            "sub-%s: it is not known which session came first; the first by label with results "
            "stands for the person. Say it with acq_time in its sessions.tsv.",
            participant,
        )
    for label in [*(folders.keys() & {None}), *order.labels]:
        anat = folders[label]
        if sessions and label not in sessions:
            continue
        stem = f"sub-{participant}" + (f"_ses-{label}" if label else "")
        names = os.listdir(anat) if anat.is_dir() else []
        files = _by_output(anat / name for name in names if not is_hidden(name))
        if label is None and order.labels and not files:
            continue  # changes between the sessions are there, and no results of any scan
        if modalities:
            files = {
                key: path
                for key, path in files.items()
                if key[1] in modalities or key[1] == SESSION
            }
        # What has no map in the template leads only where nothing has one.
        there = {modality for output, modality in files if output == "anomaly"}
        there = there or {modality for _, modality in files} - {SESSION}
        leads = ""
        if there:
            entities = session_entities(participant, label)
            record = record_of(output_dir, entities)
            if record is not None and record.failed_steps:
                logger.warning(
                    "%s: its last run failed, so that its results are of a run before. Run it "
                    "again, or leave it out.",
                    stem,
                )
            leads = primary_modality(
                there,
                primary if primary in there or record is None else record.primary_scan.modality,
            )
        report = report_path(output_dir, stem)
        found.append(
            Member(participant, label, report, files, leads, False, rating=ratings.get(stem))
        )
    # One without results, or rejected, does not stand for the person where another has some.
    first = next((one for one in found if _has_maps(one) and not one.is_rejected), None)
    return [replace(one, is_first=one is first) for one in found]


def _has_maps(member: Member) -> bool:
    return ("anomaly", member.primary) in member.files


def _by_output(paths: Iterable[Path]) -> dict[tuple[str, str], Path]:
    """Recognise results by the entities in their names; of several scans, take the first."""
    files: dict[tuple[str, str], Path] = {}
    # By the names of the scans: those of results are in another order.
    for path in sorted(paths, key=lambda path: file_name(of_the_scan(entities_of(path)), "", "")):
        entities, extension = entities_of(path), path.name.partition(".")[2]
        known = _known(entities, suffix_of(path), extension)
        if known and (extension == "tsv" or entities.get("space") == TEMPLATE):
            files.setdefault(known, path)
    return files


def _known(entities: Mapping[str, str], suffix: str, extension: str) -> tuple[str, str] | None:
    """Return which output a file is, and the modality that it is about."""
    for output, its_extension in _READ.items():
        if extension != its_extension:
            continue
        modality = OUTPUTS[output].modality_in(entities, suffix)
        if modality is not None:
            return output, modality or SESSION
    return None
