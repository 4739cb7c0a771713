"""Which sessions of a participant are compared: each with the one before, as far as they are done.

It is read from the records that finished sessions leave in the output folder, so that sessions may
be processed in any order and in different runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from bids_anomaly.bids.naming import midpoint_space, output_path, transform_path
from bids_anomaly.bids.records import ScanRecord, SessionRecord, read_record
from bids_anomaly.bids.timepoints import common_entities, matching_scans, order_of_results
from bids_anomaly.exceptions import MissingInputError
from bids_anomaly.settings import NATIVE

# Of each scan, in its own grid.
NEEDED = ("preproc", "brain", "zscore", "lesions")


@dataclass(frozen=True)
class Comparison:
    """Two scans of one modality, from one session and the next.

    Attributes
    ----------
    records : pair of SessionRecord
        Of the earlier and of the later session.
    scans : pair of ScanRecord
        One of each.
    """

    records: tuple[SessionRecord, SessionRecord]
    scans: tuple[ScanRecord, ScanRecord]

    @property
    def sessions(self) -> tuple[str, str]:
        """Their labels without ``ses-``."""
        first, second = self.scans
        return first.entities["ses"], second.entities["ses"]

    @property
    def modality(self) -> str:
        """BIDS suffix of the scans."""
        return self.scans[0].modality

    @property
    def entities(self) -> dict[str, str]:
        """What both scans share: those of the results, which belong to no session."""
        return common_entities(self.scans[0].entities, self.scans[1].entities)

    @property
    def space(self) -> str:
        """Name of the space half way."""
        return midpoint_space(*self.sessions)

    def result(self, output_dir: Path, output: str, extension: str = ".nii.gz") -> Path:
        """Return where an output of the comparison is written."""
        return output_path(
            output_dir,
            output,
            self.entities,
            modality=self.modality,
            space=self.space,
            extension=extension,
        )

    def of_scan(self, output_dir: Path, output: str, which: int, space: str | None) -> Path:
        """Return an image of the first (0) or second (1) scan, None for its own grid."""
        scan = self.scans[which]
        return output_path(output_dir, output, scan.entities, modality=scan.modality, space=space)


class Refusal(NamedTuple):
    """Scans that could have been compared and are not.

    Attributes
    ----------
    label : str
        Of the later session.
    reason : str
        What pages call it: a key of :data:`bids_anomaly.reports.sentences.SENTENCES`.
    told : mapping
        The values of that sentence.
    """

    label: str
    reason: str
    told: Mapping[str, str]


class Plan(NamedTuple):
    """What is compared, and what is not."""

    comparisons: list[Comparison]
    refusals: list[Refusal]


def plan_comparisons(output_dir: Path, participant: str) -> Plan:
    """Say which scans of a participant are compared.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset.
    participant : str
        Label without ``sub-``.
    """
    records = {}
    for path in output_dir.glob(f"sub-{participant}/ses-*/figures/sub-*_report.json"):
        try:
            record = read_record(path)
        except MissingInputError:  # of another version; its session was to be run again
            continue
        records[record.scans[0].entities["ses"]] = record
    order = order_of_results(output_dir, participant, records)
    comparisons, refusals = [], []
    for first, second in pairwise(records[label] for label in order.labels):
        for modality in dict.fromkeys(scan.modality for scan in first.scans):
            scans = ([s for s in r.scans if s.modality == modality] for r in (first, second))
            for pair in matching_scans(*scans):
                comparison = Comparison((first, second), pair)
                refusal = _refusal_of(comparison, output_dir, is_ordered=order.is_known)
                if refusal:
                    refusals.append(refusal)
                else:
                    comparisons.append(comparison)
    return Plan(comparisons, refusals)


def _refusal_of(comparison: Comparison, output_dir: Path, *, is_ordered: bool) -> Refusal | None:
    """Return why two scans are not compared; None if they are."""
    scans, records = comparison.scans, comparison.records

    def refuse(reason: str, **told: str) -> Refusal:
        both = f"{scans[0].name} and {scans[1].name}"
        return Refusal(records[1].label, reason, {"scans": both, **told})

    if not is_ordered:
        return refuse("no_order")
    for record in records:
        if record.failed_steps:
            return refuse("failed_session", session=record.label)
    if scans[0].digest != scans[1].digest:
        return refuse("two_models", first=scans[0].model, second=scans[1].model)
    # With one model, as many evaluations are as many steps, which older records do not say.
    if scans[0].evaluations != scans[1].evaluations:
        return refuse("two_numbers_of_steps", numbers=_effort(scans))
    if records[0].threshold != records[1].threshold:
        return refuse("two_thresholds")
    if not all(NATIVE in record.spaces for record in records):
        return refuse("no_native_maps")
    for which in (0, 1):
        for output in NEEDED:
            path = comparison.of_scan(output_dir, output, which, None)
            if not path.is_file():
                return refuse("lost_map", path=str(path))
    return None


def _effort(scans: tuple[ScanRecord, ScanRecord]) -> str:
    """Say how differently two scans were reconstructed by one model."""
    if any(scan.steps is None for scan in scans):
        return " and ".join(str(scan.evaluations) for scan in scans) + " evaluations"
    return " and ".join(str(scan.steps) for scan in scans)


def template_chain(
    output_dir: Path, comparison: Comparison, which: int, template: str
) -> Mapping[str, Path] | None:
    """Return the transforms by which places in a scan are found in the template, if they are there.

    Returns
    -------
    dict or None
        ``from_template``: pulls the template onto the reference scan. ``rigid``: pulls the scan
        onto the reference scan, if it is not the reference itself.
    """
    reference, scan = comparison.records[which].scans[0], comparison.scans[which]
    chain = {
        "from_template": transform_path(
            output_dir,
            reference.entities,
            origin=template,
            target=reference.modality,
            extension=".h5",
        )
    }
    if scan != reference:
        chain["rigid"] = transform_path(
            output_dir,
            scan.entities,
            origin=scan.modality,
            target=reference.modality,
            extension=".txt",
        )
    return chain if all(path.is_file() for path in chain.values()) else None
