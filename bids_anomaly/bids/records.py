"""What a report needs to know beside the derivatives, kept as JSON with them.

From this record and the derivatives a report can be made again at any time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bids_anomaly.bids.naming import anat_folder, entities_of
from bids_anomaly.bids.reading import read_json
from bids_anomaly.bids.writing import write_json
from bids_anomaly.exceptions import MissingInputError
from bids_anomaly.modalities import primary_modality
from bids_anomaly.scoring.findings import Threshold


@dataclass(frozen=True)
class ScanRecord:
    """One scan of a session.

    Attributes
    ----------
    name : str
        File name without extension.
    modality : str
        BIDS suffix.
    entities : mapping
        BIDS entities of the scan.
    model : str
        Name and version, such as ``restore-T1w 0.3.0``.
    digest : str
        sha256 of weights, description and calibration of the model.
    calibration : str
        Whose voxels its scores were compared with.
    makes_image : bool
        Whether the model makes a pseudo-healthy image.
    brain_extraction : str
        How the brain was found.
    white_matter_level : float
        What the bias-corrected scan was divided by.
    evaluations : int
        Network evaluations of a slice or volume.
    steps : int or None
        In how many steps the scan was reconstructed; None where the method knows no steps, and in
        records that do not say it.
    method : str
        Of the model. Records that do not say it have it from the name of the model.
    """

    name: str
    modality: str
    entities: Mapping[str, str]
    model: str
    digest: str
    calibration: str
    makes_image: bool
    brain_extraction: str
    white_matter_level: float
    evaluations: int
    steps: int | None = None
    method: str = ""


@dataclass(frozen=True)
class SessionRecord:
    """One session.

    Attributes
    ----------
    label : str
        ``sub-01`` or ``sub-01_ses-1``.
    version : str
        Of bids-anomaly.
    scans : tuple of ScanRecord
        The reference scan first.
    primary : str
        Name of the scan that leads: the report begins with it, and it stands for the session at
        the group level.
    asked_for : str or None
        Modality that was to lead, if one was named.
    spaces : tuple of str
        In which maps were written: ``native`` and names of templates.
    threshold : Threshold
        By which anomalies were found.
    methods, warnings : tuple of str
        Paragraphs, and what a user can act on.
    failed_steps : tuple of str or None
        What failed in the last run that worked on the session; its results are then those of a run
        before. None in records that do not say it.
    """

    label: str
    version: str
    scans: tuple[ScanRecord, ...]
    primary: str
    asked_for: str | None
    spaces: tuple[str, ...]
    threshold: Threshold
    methods: tuple[str, ...]
    warnings: tuple[str, ...]
    failed_steps: tuple[str, ...] | None = ()

    @property
    def primary_scan(self) -> ScanRecord:
        """The scan that leads."""
        return next(scan for scan in self.scans if scan.name == self.primary)

    def led_by(self, asked_for: str) -> "SessionRecord":
        """Return the record with another modality to lead, as far as the session has it."""
        modality = primary_modality([scan.modality for scan in self.scans], asked_for)
        first = next(scan.name for scan in self.scans if scan.modality == modality)
        return replace(self, primary=first, asked_for=asked_for)

    def write(self, output_dir: Path) -> Path:
        """Write or replace the record, and return its path."""
        path = record_path(output_dir, self.label, self.scans[0].entities)
        content = asdict(self)
        content |= content.pop("threshold")
        write_json(path, content)
        return path


def record_path(output_dir: Path, label: str, entities: Mapping[str, str]) -> Path:
    """Return where the record of a session is, given the entities of one of its scans."""
    return anat_folder(output_dir, entities).with_name("figures") / f"{label}_report.json"


def read_record(path: Path) -> SessionRecord:
    """Read what :meth:`SessionRecord.write` wrote.

    Raises
    ------
    MissingInputError
        If it is not there, or not as this version writes it.
    """
    try:
        content = read_json(path)
        scans = tuple(map(_read_scan, content.pop("scans")))
        lists: dict[str, Any] = {
            name: tuple(content.pop(name)) for name in ("spaces", "methods", "warnings")
        }
        failed = content.pop("failed_steps", None)
        lists["failed_steps"] = failed if failed is None else tuple(failed)
        threshold = Threshold(*map(content.pop, ("healthy_fpr", "min_lesion_volume")))
        record = SessionRecord(scans=scans, threshold=threshold, **lists, **content)
        if record.primary not in [scan.name for scan in scans]:
            raise ValueError("no scan leads")
        return record
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MissingInputError(
            f"The report cannot be made again without {path}, which is missing or was not written "
            "by this version. Run the participant level again without --reports-only."
        ) from error


def _read_scan(content: Mapping[str, Any]) -> ScanRecord:
    method, _, _ = content["model"].partition("-")
    return ScanRecord(**{"method": method, **content})


def record_failure(output_dir: Path, label: str, failed_steps: Iterable[str]) -> None:
    """Note in the record of a session which of its steps failed.

    A session that never came to its end has no record, and so nothing that could be taken for a
    result of its last run.
    """
    path = record_path(output_dir, label, entities_of(Path(f"{label}_report.json")))
    try:
        record = read_record(path)
    except MissingInputError:
        return
    replace(record, failed_steps=tuple(failed_steps)).write(output_dir)


def record_of(output_dir: Path, entities: Mapping[str, str]) -> SessionRecord | None:
    """Return the record of a session, given the entities of one of its scans.

    Returns
    -------
    SessionRecord or None
        None if no record of this version is there.
    """
    labels = [f"{key}-{entities[key]}" for key in ("sub", "ses") if key in entities]
    try:
        return read_record(record_path(output_dir, "_".join(labels), entities))
    except MissingInputError:
        return None
