"""Write the report of one participant: one HTML file that needs nothing but itself.

The page holds its style, scripts and pictures, and forbids itself to load or run anything else, so
that it looks the same on a cluster without network and after being copied or sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_anomaly.bids.writing import write_text
from bids_anomaly.reports.change import ChangeReport
from bids_anomaly.reports.checks import quality_checks
from bids_anomaly.reports.page import render
from bids_anomaly.reports.ratings import RatingForm
from bids_anomaly.reports.results import largest_anomaly, mosaic
from bids_anomaly.reports.scan import ScanReport
from bids_anomaly.reports.scan_viewer import scan_viewer
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
        The text of the crash file, or the traceback; may be empty.
    crash_file : str
        Where the crash file is in the output folder; empty if there is none.
    """

    step: str
    message: str
    details: str
    crash_file: str = ""


def write_participant_report(
    path: Path,
    *,
    title: str,
    summary: Mapping[str, str] | None = None,
    scans: Sequence[ScanReport] = (),
    methods: Sequence[str] = (),
    references: Sequence[str] = (),
    failures: Sequence[Failure] = (),
    provenance: Mapping[str, str] | None = None,
    steps: Table | None = None,
    warnings: Sequence[str] = (),
    quality: Table | None = None,
    change: ChangeReport | None = None,
    rating: RatingForm | None = None,
) -> None:
    """Write the report of one participant.

    The same content gives the same bytes. An older report is replaced in one step, so that nobody
    ever sees half of a report. What is left out is not shown.

    Parameters
    ----------
    path : Path
        The HTML file.
    title : str
        Who this is about, such as ``sub-01``.
    summary : mapping of str to str
        What was found in numbers, scan by scan: label and value with unit.
    scans : sequence of ScanReport
        In the order in which they are shown; the page begins with what was found in the first.
    methods : sequence of str
        Paragraphs of plain text, ready to be pasted into an article.
    references : sequence of str
        Plain text; web addresses become links.
    failures : sequence of Failure
        Steps that failed. Without scans they come before everything else.
    provenance : mapping of str to str
        How this was made: versions, settings, device.
    steps : Table
        Time and memory of each step.
    warnings : sequence of str
        What the user can act on.
    quality : Table
        Of all scans.
    change : ChangeReport
        What changed since the session before.
    rating : RatingForm
        For the reader to judge the session by.
    """
    page = render(
        "participant.html.jinja",
        scripts=("slices.js", "viewer.js", "tables.js", "rating.js") if scans else ("tables.js",),
        title=title,
        summary=summary or {},
        viewer=scan_viewer(scans) if scans else None,
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
        provenance=provenance or {},
        steps=steps,
        warnings=warnings,
        quality=quality,
        change=change,
        rating=rating,
    )
    write_text(path, page)
