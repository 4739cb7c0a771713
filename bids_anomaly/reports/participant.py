"""Write the report of one participant: one HTML file that needs nothing but itself.

The page holds its style and pictures, runs no script and forbids itself to load anything, so that
it looks the same on a cluster without network and after being copied or sent.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_anomaly.reports.checks import quality_checks
from bids_anomaly.reports.page import render
from bids_anomaly.reports.results import largest_anomaly, mosaic
from bids_anomaly.reports.scan import ScanReport
from bids_anomaly.reports.tables import Table

__all__ = ["Failure", "ScanReport", "write_participant_report"]


@dataclass(frozen=True)
class Failure:
    """A step that failed.

    Attributes
    ----------
    step : str
        What was being done, of which scan.
    message : str
        What went wrong and what to do, for the user.
    details : str
        The traceback; may be empty.
    """

    step: str
    message: str
    details: str


def write_participant_report(
    path: Path,
    *,
    title: str,
    summary: Mapping[str, str],
    scans: Sequence[ScanReport],
    methods: Sequence[str],
    references: Sequence[str],
    failures: Sequence[Failure],
    provenance: Mapping[str, str],
    warnings: Sequence[str],
    tables: Sequence[Table] = (),
) -> None:
    """Write the report of one participant.

    The same content gives the same bytes. An older report is replaced in one step, so that nobody
    ever sees half of a report.

    Parameters
    ----------
    path : Path
        The HTML file; its folder exists.
    title : str
        Who this is about, such as ``sub-01``.
    summary : mapping of str to str
        What to know first: label and value with unit.
    scans : sequence of ScanReport
        In the order in which they are shown; empty if nothing came out.
    methods : sequence of str
        Paragraphs of plain text, ready to be pasted into an article.
    references : sequence of str
        Plain text; web addresses become links.
    failures : sequence of Failure
        Steps that failed. Without scans they come before everything else.
    provenance : mapping of str to str
        How this was made: versions, settings, device.
    warnings : sequence of str
        What the user can act on.
    tables : sequence of Table
        Of the session as a whole, before the scans.
    """
    page = render(
        "participant.html.jinja",
        title=title,
        summary=summary,
        sections=[
            {
                "scan": scan,
                "mosaic": mosaic(scan),
                "largest": largest_anomaly(scan),
                "checks": quality_checks(scan),
            }
            for scan in scans
        ],
        methods=methods,
        references=references,
        failures=failures,
        provenance=provenance,
        warnings=warnings,
        tables=tables,
    )
    _replace(path, page)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # beside it: the same disk
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
