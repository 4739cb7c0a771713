"""The tables of a report: findings, regions, and the quality of scans."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bids_anomaly.bids.tables import MISSING
from bids_anomaly.reports.numbers import with_minus
from bids_anomaly.scoring.quality_limits import Check, describe_flags

# The largest come first; the rest stands in the files.
MOST_LESIONS, MOST_REGIONS = 100, 100
# What is short in the names of regions.
IN_WORDS = {
    "DC": "diencephalon",
    "Elsewhere": "outside the atlas",
    "Inf": "inferior",
    "Lat": "lateral",
    "WM": "white matter",
}
SIDES = {"L": ", left", "R": ", right"}
Row = Mapping[str, str]


class Table(NamedTuple):
    """A table with cells as plain text.

    Attributes
    ----------
    title, note : str
        Above and below it.
    columns : sequence of str
        Headings.
    rows : sequence of sequences of str
        A cell for each column.
    numeric : sequence of int
        Columns of numbers.
    places : sequence of str
        For each row, where the viewer goes: x, y and z in mm, such as ``"12 -4 30"``.
    what : str
        What a row with a place is.
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[int] = ()
    places: Sequence[str] = ()
    what: str = ""


def region_in_words(name: str) -> str:
    """Return the name of a region as people write it.

    ``Frontal_WM_R`` becomes "Frontal white matter, right".
    """
    stem, _, end = name.rpartition("_")
    side = SIDES.get(end, "")
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|_|(?<=\d)(?=to\d)|(?<=\dto)", " ", stem if side else name)
    parts = apart.split()
    words = [IN_WORDS.get(part, part.lower()) for part in parts]
    text = " ".join(words)
    return text[:1].upper() + text[1:] + side


def lesion_table(rows: Sequence[Row], *, in_viewer: bool = True) -> Table:
    """Show the largest findings of a scan.

    Parameters
    ----------
    rows : sequence of mappings
        Its table of lesions, the largest first.
    in_viewer : bool
        Whether there is a viewer of the template, which goes where a lesion is.
    """
    shown = rows[:MOST_LESIONS]
    centres = [[float(row[f"centroid_{axis}"]) for axis in "xyz"] for row in shown]
    hint = " Choose one to see it in the viewer." if in_viewer and shown else ""
    return Table(
        "Findings",
        f"{_how_many(len(shown), len(rows), 'finding', 'findings')}{hint} A finding is a connected "
        "place of unusual voxels; whether it is a lesion is for you to judge. Volumes are those of "
        "the person; places are in the template, x to the right, y to the front, z up.",
        ["Finding", "Volume (mm³)", "Region", "Side", "Centre (mm)", "Peak z", "Confidence"],
        [
            [
                row["index"],
                f"{float(row['volume']):.0f}",
                region_in_words(row["region"]),
                row["side"],
                # Spaces at which no line is broken.
                ",\u00a0".join(with_minus(f"{value:+.0f}") for value in centre),
                f"{float(row['z_peak']):.1f}",
                f"{float(row['confidence']):.3f}",
            ]
            for row, centre in zip(shown, centres, strict=True)
        ],
        numeric=(1, 5, 6),
        places=[" ".join(f"{value:.1f}" for value in c) for c in centres] if in_viewer else (),
        what="finding",
    )


def affected_regions(rows: Sequence[Row]) -> list[Row]:
    """Return the regions with anomalies, the largest volume first."""
    found = [row for row in rows if float(row["anomalous_volume"]) > 0]
    return sorted(found, key=lambda row: -float(row["anomalous_volume"]))


def region_table(rows: Sequence[Row]) -> Table:
    """Show the regions with the largest anomalous volumes.

    Parameters
    ----------
    rows : sequence of mappings
        The regions of a scan.
    """
    found = affected_regions(rows)
    shown = found[:MOST_REGIONS]
    how_many = _how_many(len(shown), len(found), "region with anomalies", "regions with anomalies")
    return Table(
        "Regions",
        f"{how_many} Laterality is 1 where all "
        "anomalies of a pair of regions are on the left, −1 where all are on the right.",
        ["Region", "Volume (ml)", "Anomalous (mm³)", "Anomalous (%)", "Laterality"],
        [
            [
                region_in_words(row["name"]),
                f"{float(row['volume']) / 1000:.1f}",
                f"{float(row['anomalous_volume']):.0f}",
                ""
                if row["anomalous_fraction"] == MISSING
                else f"{100 * float(row['anomalous_fraction']):.1f}",
                ""
                if row["laterality"] == MISSING
                else with_minus(f"{float(row['laterality']):+.2f}"),
            ]
            for row in shown
        ],
        numeric=(1, 2, 3, 4),
    )


def quality_table(rows: Sequence[Row]) -> Table:
    """Show every measure of quality beside what good scans have."""
    return Table(
        "Quality",
        "What good scans have at least and at most; a value outside stands under the warnings.",
        ["Scan", "Measure", "Value", "At least", "At most", "Outside"],
        [
            [
                row["scan"],
                row["measure"].replace("_", " "),
                *(
                    "" if row[column] == MISSING else with_minus(row[column])
                    for column in ("value", "lower_limit", "upper_limit")
                ),
                "outside" if row["flagged"] == "true" else "",
            ]
            for row in rows
        ],
        numeric=(2, 3, 4),
    )


def quality_warnings(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for every flagged measure."""
    sentences = []
    for row in rows:
        check = Check(
            row["measure"],
            _number(row["value"], math.nan),
            _number(row["lower_limit"], -math.inf),
            _number(row["upper_limit"], math.inf),
        )
        scan = row["scan"]
        sentences += describe_flags([check], name=scan, modality=scan.rpartition("_")[2])
    return sentences


def _number(text: str, missing: float) -> float:
    return missing if text == MISSING else float(text)


def _how_many(shown: int, there: int, one: str, several: str) -> str:
    if there < 2:
        return f"One {one}." if there else f"No {several}."
    if shown == there:
        return f"All {there} {several}."
    return f"The {shown} largest of {there} {several}."
