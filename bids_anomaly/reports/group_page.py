"""The page of the group level: one HTML file that needs nothing but itself.

People are listed in a table that can be sorted and filtered; their own pages lie beside this one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bids_anomaly.bids.writing import write_text
from bids_anomaly.reports.charts import Chart
from bids_anomaly.reports.group_maps import MapTable
from bids_anomaly.reports.page import render
from bids_anomaly.reports.quality_strips import HEIGHT, WIDTH, QualityStrip
from bids_anomaly.reports.tables import Table

# The height of a sparkline in pixels, and how far one bar is from the next.
SPARK_HEIGHT, SPARK_STEP = 18, 9


class Bar(NamedTuple):
    """A bar of a sparkline: its place and height in pixels."""

    x: float
    y: float
    height: float


class Person(NamedTuple):
    """A line of the table of people.

    Attributes
    ----------
    label : str
        Such as ``sub-01_ses-1``.
    link : str
        The person's page, relative to this one; empty if there is none.
    group : str
        Empty without groups.
    cells : sequence of str
        One for each column of :class:`People`.
    bars : sequence of Bar
    in_words : str
        What the bars say; sorted by.
    flags : str
        What is doubtful about the scans; empty if nothing is.
    """

    label: str
    link: str
    group: str
    cells: Sequence[str]
    bars: Sequence[Bar]
    in_words: str
    flags: str


class People(NamedTuple):
    """The table of people: the heads of the cells, which of them are numbers, what bars show."""

    columns: Sequence[str]
    numeric: Sequence[int]
    bars: Sequence[str]
    rows: Sequence[Person]
    has_groups: bool


class Finding(NamedTuple):
    """A sentence with what stands in front of it."""

    title: str
    text: str


class LikenessSection(NamedTuple):
    """What profiles tell of groups: sentences, tables, maps of what decides (or None)."""

    findings: Sequence[Finding]
    tables: Sequence[Table]
    maps: MapTable | None


class Linked(NamedTuple):
    """Somebody, the address of the page about them (may be empty), and a sentence."""

    label: str
    link: str
    text: str


def spark(values: Sequence[float], highest: float) -> list[Bar]:
    """Return the bars of a sparkline.

    Parameters
    ----------
    values : sequence of float
        At least 0.
    highest : float
        What fills the height; heights go by the square root, so that small parts are seen.
    """
    bars = []
    for position, value in enumerate(values):
        height = round(SPARK_HEIGHT * (min(value / highest, 1) ** 0.5 if highest > 0 else 0), 1)
        if value > 0:
            height = max(height, 1.0)
        bars.append(Bar(position * SPARK_STEP, round(SPARK_HEIGHT - height, 1), height))
    return bars


@dataclass(frozen=True, kw_only=True)
class GroupPage:
    """What stands on the page.

    Attributes
    ----------
    title : str
        Name of the dataset.
    summary : mapping of str to str
        What to know first.
    left_out : sequence of Linked
        Whose files are broken, and why.
    notes : sequence of str
        What the user can act on.
    viewer : mapping
        From :func:`bids_anomaly.reports.group_viewer.group_viewer`.
    start : str
        Where the viewer begins: x, y and z in mm, empty for the middle.
    maps : sequence of MapTable
        Frequencies, mean z-scores, comparisons.
    findings : sequence of Finding
        What comparisons found, in words.
    burden : Chart
    tables, regions : sequences of Table
        About groups, and about regions of the atlas.
    outliers : sequence of Linked
    outlier_rule : str
        Who counts as one.
    likeness : LikenessSection or None
        None without groups.
    people : People
    quality : Table
        How many scans each measure flags.
    strips : sequence of QualityStrip
        Every measure of all scans.
    flagged : sequence of Linked
    methods : sequence of str
        Paragraphs.
    provenance : mapping of str to str
    """

    title: str
    summary: Mapping[str, str]
    left_out: Sequence[Linked]
    notes: Sequence[str]
    viewer: Mapping[str, Any]
    start: str
    maps: Sequence[MapTable]
    findings: Sequence[Finding]
    burden: Chart
    tables: Sequence[Table]
    regions: Sequence[Table]
    outliers: Sequence[Linked]
    outlier_rule: str
    likeness: LikenessSection | None
    people: People
    quality: Table
    strips: Sequence[QualityStrip]
    flagged: Sequence[Linked]
    methods: Sequence[str]
    provenance: Mapping[str, str]


def write_group_page(path: Path, page: GroupPage) -> None:
    """Write or replace the page; the same content gives the same bytes.

    Parameters
    ----------
    path : Path
        The HTML file, in the folder of the pages that it links to.
    page : GroupPage
        What stands on it.
    """
    html = render(
        "group.html.jinja",
        scripts=("slices.js", "viewer.js", "tables.js", "group.js"),
        spark_height=SPARK_HEIGHT,
        spark_width=SPARK_STEP * len(page.people.bars) - 2,
        strip_width=WIDTH,
        strip_height=HEIGHT,
        **vars(page),
    )
    write_text(path, html)
