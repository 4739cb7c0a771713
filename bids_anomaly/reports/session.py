"""Make the report of a session from its derivatives."""

from collections import Counter
from pathlib import Path

from bids_anomaly import __version__
from bids_anomaly.bids.naming import output_path, report_path
from bids_anomaly.bids.records import ScanRecord, SessionRecord, record_failure
from bids_anomaly.bids.tables import MISSING, read_table
from bids_anomaly.preprocessing.template import TEMPLATE
from bids_anomaly.reports.change import read_change
from bids_anomaly.reports.commands import viewer_commands
from bids_anomaly.reports.finding import describe_finding, most_unusual
from bids_anomaly.reports.maps import read_scan, reading
from bids_anomaly.reports.numbers import counted, in_millilitres, percent, two_digits
from bids_anomaly.reports.ratings import rating_form
from bids_anomaly.reports.region_chart import region_chart
from bids_anomaly.reports.runs import read_runs
from bids_anomaly.reports.sentences import say
from bids_anomaly.reports.session_page import Failure, SessionPage, write_session_page
from bids_anomaly.reports.tables import (
    Row,
    centre_of,
    lesion_table,
    quality_table,
    quality_warnings,
    region_table,
)
from bids_anomaly.reports.text import references

# A scan that marks this many times the nominal rate is worth a warning: the worst of 28 healthy
# people had six times.
MANY_TIMES = 20


def write_session_report(output_dir: Path, record: SessionRecord) -> Path:
    """Write the report of a session and return its path.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset, which holds the maps and tables of the session.
    record : SessionRecord
        What they do not say.

    Raises
    ------
    MissingInputError, BadScanError
        If a map or table is not there, or broken.
    """
    quality = _rows(output_dir, "quality", record.scans[0], of_session=True)
    in_template = TEMPLATE in record.spaces
    change = read_change(output_dir, record, in_viewer=in_template)
    modalities = Counter(scan.modality for scan in record.scans)
    summary, scans, warnings = {}, [], []
    # The primary scan leads, the others follow in their order.
    for scan in sorted(record.scans, key=lambda scan: scan.name != record.primary):
        title = scan.modality if modalities[scan.modality] == 1 else scan.name
        lesions = _rows(output_dir, "lesions", scan)
        regions = _rows(output_dir, "regions", scan)
        leads = " (primary)" if scan == record.primary_scan and len(record.scans) > 1 else ""
        summary[f"{title}{leads}"] = _burden(lesions)
        warnings += _warnings(title, scan, lesions, regions, record.threshold.healthy_fpr)
        said = {
            "title": title,
            "numbers": _numbers(scan, lesions, regions),
            "finding": describe_finding(
                lesions,
                regions,
                [row for row in quality if row["scan"] == scan.name],
                title=title,
                calibration=scan.calibration,
                change=change.of_scan(scan.name),
                threshold=record.threshold,
            ),
            "most_unusual": centre_of(most_unusual(lesions)) if lesions and in_template else None,
            "lesions": lesion_table(lesions, in_viewer=in_template),
            "regions": region_table(regions),
            "region_chart": region_chart(regions),
            "z_threshold": record.threshold.z,
        }
        scans.append(
            read_scan(output_dir, scan, reference=record.scans[0], spaces=record.spaces, said=said)
        )
    provenance, steps = read_runs(output_dir, record.label)
    path = report_path(output_dir, record.label)
    page = SessionPage(
        title=record.label,
        summary=summary,
        scans=scans,
        methods=record.methods,
        references=references(
            [scan.method for scan in record.scans],
            [scan.brain_extraction for scan in record.scans],
            record.methods,
        ),
        provenance={"bids-anomaly": record.version, **provenance},
        steps=steps,
        warnings=[
            *_of_the_choice(record),
            *quality_warnings(quality),
            *warnings,
            *record.warnings,
            *change.warnings,
        ],
        quality=quality_table(quality),
        change=change,
        rating=rating_form(record.label, record.version),
        commands=viewer_commands(output_dir, record),
    )
    write_session_page(path, page)
    return path


def write_failure_report(output_dir: Path, label: str, failures: list[Failure]) -> Path:
    """Write the report of a session of which steps failed, and return its path.

    A record that an earlier run left of the session says it too.
    """
    record_failure(output_dir, label, [failure.step for failure in failures])
    provenance, steps = read_runs(output_dir, label)
    path = report_path(output_dir, label)
    page = SessionPage(
        title=label,
        failures=failures,
        provenance={"bids-anomaly": __version__, **provenance},
        steps=steps,
    )
    write_session_page(path, page)
    return path


def _of_the_choice(record: SessionRecord) -> list[str]:
    """Say so where another scan leads than was asked for."""
    primary = record.primary_scan
    if record.asked_for in (None, primary.modality):
        return []
    return [say("other_leads", modality=record.asked_for, scan=primary.name)]


def _rows(
    output_dir: Path, output: str, scan: ScanRecord, *, of_session: bool = False
) -> list[Row]:
    """Read a table of a scan, or of the session that it belongs to."""
    entities = scan.entities
    if of_session:
        entities = {key: label for key, label in entities.items() if key in ("sub", "ses")}
    path = output_path(output_dir, output, entities, modality=scan.modality, extension=".tsv")
    with reading(path):
        return read_table(path)


def _burden(lesions: list[Row]) -> str:
    findings = counted(len(lesions), "finding")
    return f"{findings}, {in_millilitres(_volume(lesions))} marked" if lesions else findings


def _warnings(
    title: str, scan: ScanRecord, lesions: list[Row], regions: list[Row], healthy_fpr: float
) -> list[str]:
    """Say so where more of a brain is marked than most diseases change."""
    brain = _volume(regions)
    share = _volume(lesions) / brain if brain else 0
    if share < MANY_TIMES * healthy_fpr:
        return []
    return [
        say(
            "many_times",
            scan=title,
            share=percent(share),
            reference=scan.calibration,
            rate=percent(healthy_fpr),
        )
    ]


def _numbers(scan: ScanRecord, lesions: list[Row], regions: list[Row]) -> dict[str, str]:
    """Return what is measured of one scan; volumes are those of the person."""
    highest = max((float(row["z_max"]) for row in regions if row["z_max"] != MISSING), default=0.0)
    return {
        "Findings": str(len(lesions)),
        "Marked volume": in_millilitres(_volume(lesions)),
        "Highest z": two_digits(highest),
        "Brain volume": in_millilitres(_volume(regions)),
        "Brain extraction": scan.brain_extraction,
    }


def _volume(rows: list[Row]) -> float:
    """Return the sum of the volumes of rows in mm3."""
    return sum(float(row["volume"]) for row in rows)
