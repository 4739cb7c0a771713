"""Who has results in an output folder, and in which files."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bids_anomaly.bids.folders import labels_in, list_anat_folders, list_sessions
from bids_anomaly.bids.naming import (
    COMBINED,
    OUTPUTS,
    entities_of,
    file_name,
    of_the_scan,
    suffix_of,
)
from bids_anomaly.bids.occasions import in_order
from bids_anomaly.bids.query import known_labels
from bids_anomaly.exceptions import BadScanError, NothingFoundError
from bids_anomaly.preprocessing.template import TEMPLATE
from bids_anomaly.settings import MODALITIES


@dataclass(frozen=True)
class Member:
    """The results of one person on one occasion.

    Attributes
    ----------
    participant : str
        Label without ``sub-``.
    session : str or None
        Label without ``ses-``.
    report : Path
        The page of this person; it may not exist.
    files : mapping of (str, str) to Path
        By output of :data:`bids_anomaly.bids.naming.OUTPUTS` and modality, or ``combined`` for what
        is about all scans. Images are in the template. Of several scans of a modality the first.
    is_first : bool
        Whether this is the first of the person's occasions that are looked at: maps and comparisons
        take each person once.
    """

    participant: str
    session: str | None
    report: Path
    files: Mapping[tuple[str, str], Path]
    is_first: bool

    @property
    def label(self) -> str:
        """How the files begin: ``sub-01`` or ``sub-01_ses-1``."""
        return self.report.stem

    @property
    def modalities(self) -> list[str]:
        """Modalities with a z map in the template, in the order of :data:`MODALITIES`."""
        there = {modality for output, modality in self.files if output == "zscore"}
        return sorted(there, key=lambda m: (MODALITIES.index(m) if m in MODALITIES else 99, m))

    def file(self, output: str, modality: str = COMBINED) -> Path:
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
    "combined_anomaly": f"mask of anomalies in {TEMPLATE}, which --output-spaces asks for",
    "combined_lesions": "table of lesions",
    "regions": "table of regions",
    "quality": "table of quality",
}
_TABLES = ("combined_lesions", "regions", "quality")


def find_members(
    output_dir: Path,
    *,
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    modalities: Collection[str] = (),
) -> list[Member]:
    """List everybody with a folder in an output folder, by names alone; no file is opened.

    Parameters
    ----------
    output_dir : Path
        What the participant level wrote.
    participants, sessions : sequence of str
        Labels with or without prefix; all by default.
    modalities : collection of str
        Of the z maps; all by default.

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
    if sessions:
        existing = {label for key in wanted for label in list_sessions(output_dir, key)}
        sessions = known_labels("ses", sessions, sorted(existing), output_dir)
    members = [
        member
        for participant in wanted
        for member in _occasions(output_dir, participant, sessions, modalities)
    ]
    if not any(("combined_anomaly", COMBINED) in member.files for member in members):
        raise NothingFoundError(
            f"Nobody in {output_dir} has maps in {TEMPLATE}. Run the participant level first, with "
            f"{TEMPLATE} among its --output-spaces."
        )
    return members


def _occasions(
    output_dir: Path, participant: str, sessions: Collection[str], modalities: Collection[str]
) -> list[Member]:
    found = []
    folders = {
        anat.parent.name.removeprefix("ses-") if anat.parent.parent != output_dir else None: anat
        for anat in list_anat_folders(output_dir, participant)
    }
    in_time = in_order(output_dir, participant, folders.keys() - {None})
    for label in [*(folders.keys() & {None}), *in_time]:
        anat = folders[label]
        if sessions and label not in sessions:
            continue
        stem = f"sub-{participant}" + (f"_ses-{label}" if label else "")
        names = os.listdir(anat) if anat.is_dir() else []
        files = _by_output(anat / name for name in names)
        if modalities:
            files = {
                key: path
                for key, path in files.items()
                if key[1] in modalities or key[1] == COMBINED
            }
        report = output_dir / f"{stem}.html"
        found.append(Member(participant, label, report, files, is_first=False))
    # One without results does not stand for the person where another has some.
    first = next((one for one in found if ("combined_anomaly", COMBINED) in one.files), None)
    return [replace(one, is_first=one is first) for one in found]


def _by_output(paths: Iterable[Path]) -> dict[tuple[str, str], Path]:
    """Recognise results by the entities in their names; of several scans, take the first."""
    files: dict[tuple[str, str], Path] = {}
    # By the names of the scans, of which the tables of regions take the first too: those of
    # results are in another order.
    for path in sorted(paths, key=lambda path: file_name(of_the_scan(entities_of(path)), "", "")):
        entities, suffix = entities_of(path), suffix_of(path)
        desc = entities.get("desc", "")
        if path.name.endswith(".nii.gz") and entities.get("space") == TEMPLATE:
            if desc == OUTPUTS["zscore"]["desc"]:
                files.setdefault(("zscore", suffix), path)
            elif _is(path, "combined_anomaly") and entities.get("label") == "lesion":
                files.setdefault(("combined_anomaly", COMBINED), path)
        elif path.suffix == ".tsv":
            for output in _TABLES:
                if _is(path, output):
                    files.setdefault((output, COMBINED), path)
            if suffix == "dseg" and desc.removeprefix("lesions") in MODALITIES:
                files.setdefault(("lesions", desc.removeprefix("lesions")), path)
    return files


def _is(path: Path, output: str) -> bool:
    pattern = OUTPUTS[output]
    return entities_of(path).get("desc") == pattern["desc"] and suffix_of(path) == pattern["suffix"]
