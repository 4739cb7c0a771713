"""The page of a session: one HTML file that needs nothing but itself.

The page holds its style, scripts and pictures, and forbids itself to load or run anything else, so
that it looks the same on a cluster without network and after being copied or sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bids_anomaly.bids.writing import write_text
from bids_anomaly.reports.change import ChangeReport
from bids_anomaly.reports.page import render
from bids_anomaly.reports.ratings import RatingForm
from bids_anomaly.reports.scan import ScanReport
from bids_anomaly.reports.scan_pictures import largest_anomaly, mosaic, quality_checks
from bids_anomaly.reports.scan_viewer import scan_viewer
from bids_anomaly.reports.tables import Table


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


@dataclass(frozen=True, kw_only=True)
class SessionPage:
    """What stands on the page of a session; what is left out is not shown.

    Attributes
    ----------
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
    steps : Table or None
        Time and memory of each step.
    warnings : sequence of str
        What the user can act on.
    quality : Table or None
        Of all scans.
    change : ChangeReport or None
        What changed since the session before.
    rating : RatingForm or None
        For the reader to judge the session by.
    """

    title: str
    summary: Mapping[str, str] = field(default_factory=dict)
    scans: Sequence[ScanReport] = ()
    methods: Sequence[str] = ()
    references: Sequence[str] = ()
    failures: Sequence[Failure] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    steps: Table | None = None
    warnings: Sequence[str] = ()
    quality: Table | None = None
    change: ChangeReport | None = None
    rating: RatingForm | None = None


def write_session_page(path: Path, page: SessionPage) -> None:
    """Write the page of a session.

    The same content gives the same bytes. An older page is replaced in one step, so that nobody
    ever sees half of it.

    Parameters
    ----------
    path : Path
        The HTML file.
    page : SessionPage
        What stands on it.
    """
    scripts = ("slices.js", "viewer.js", "tables.js", "rating.js") if page.scans else ("tables.js",)
    html = render(
        "session.html.jinja",
        scripts=scripts,
        viewer=scan_viewer(page.scans) if page.scans else None,
        sections=[
            {
                "scan": scan,
                "mosaic": mosaic(scan),
                "largest": largest_anomaly(scan),
                "checks": quality_checks(scan),
            }
            for scan in page.scans
        ],
        **vars(page),
    )
    write_text(path, html)
