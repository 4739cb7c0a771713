"""The tables of a report: findings, regions, and the quality of scans."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bids_anomaly.bids.tables import MISSING
from bids_anomaly.reports.numbers import millilitres, two_digits, with_minus
from bids_anomaly.reports.sentences import say
from bids_anomaly.scoring.quality_limits import Check, describe_flags, measure_named

# The largest come first; the rest stands in the files.
MOST_LESIONS, MOST_REGIONS = 100, 100
# What two digits would round to 1.
MOST_CONFIDENT = 0.994
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


def centre_of(lesion: Row) -> list[float]:
    """Return x, y and z in mm of the centre of a finding, from its row."""
    return [float(lesion[f"centroid_{axis}"]) for axis in "xyz"]


def places_of(lesions: Iterable[Row]) -> list[str]:
    """Return where findings are, as the viewer is told by a table."""
    return [" ".join(f"{value:.1f}" for value in centre_of(lesion)) for lesion in lesions]


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
    note = [_how_many(len(shown), len(rows), "finding", "findings")]
    if shown:
        note += [say("choose_finding")] if in_viewer else []
        note += [say(name) for name in ("finding_is", "finding_columns", "location_is", "worth")]
        note += [say("peaks_are")] if in_viewer else []
    return Table(
        "Findings",
        " ".join(note),
        ["Finding", "Volume (ml)", "Region", "Location", "Centre (mm)", "Peak z", "Confidence"],
        [
            [
                row["index"],
                millilitres(float(row["volume"])),
                region_in_words(row["region"]),
                location_in_words(row),
                # Spaces at which no line is broken.
                ",\u00a0".join(with_minus(f"{value:+.0f}") for value in centre_of(row)),
                two_digits(float(row["z_peak"])),
                _confidence(float(row["confidence"])),
            ]
            for row in shown
        ],
        numeric=(1, 5, 6),
        places=places_of(shown) if in_viewer else (),
        what="finding",
    )


def location_in_words(row: Row) -> str:
    """Return the location of a lesion; empty where its table does not say it."""
    location = row.get("location", MISSING)
    return "" if location == MISSING else location


def _confidence(value: float) -> str:
    """Return a confidence in two digits; 1, to which many would be rounded, is never reached."""
    return "> 0.99" if value > MOST_CONFIDENT else two_digits(value)


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
    note = [_how_many(len(shown), len(found), "region with anomalies", "regions with anomalies")]
    return Table(
        "Regions",
        " ".join([*note, say("worth")] if shown else note),
        ["Region", "Volume (ml)", "Marked (ml)", "Marked (%)"],
        [
            [
                region_in_words(row["name"]),
                millilitres(float(row["volume"])),
                millilitres(float(row["anomalous_volume"])),
                ""
                if row["anomalous_fraction"] == MISSING
                else two_digits(100 * float(row["anomalous_fraction"])),
            ]
            for row in shown
        ],
        numeric=(1, 2, 3),
    )


def quality_table(rows: Sequence[Row]) -> Table:
    """Show every measure of quality beside what good scans have."""
    return Table(
        "Quality",
        say("quality_columns"),
        ["Scan", "Measure", "Value", "Good scans", "Outside", "What it is"],
        [
            [
                _of_a_session(row["scan"]),
                measure_named(row["measure"]).heading,
                "" if row["value"] == MISSING else two_digits(float(row["value"])),
                _limits(row),
                "outside" if row["flagged"] == "true" else "",
                measure_named(row["measure"]).words,
            ]
            for row in rows
        ],
        numeric=(2,),
    )


def _of_a_session(scan: str) -> str:
    """Return what tells a scan from the others of its session, such as "run-2_T1w"."""
    return "_".join(part for part in scan.split("_") if not part.startswith(("sub-", "ses-")))


def _limits(row: Row) -> str:
    """Say what good scans have, such as "0.13 to 0.57" or "at most 0.0175".

    Limits stand there as they are: rounded, they could contradict what is said to be outside.
    """
    low, high = (
        None if row[side] == MISSING else with_minus(f"{float(row[side]):g}")
        for side in ("lower_limit", "upper_limit")
    )
    if low and high:
        return f"{low} to {high}"
    if low:
        return f"at least {low}"
    return f"at most {high}" if high else ""


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
    return [with_minus(sentence) for sentence in sentences]


def _number(text: str, missing: float) -> float:
    return missing if text == MISSING else float(text)


def _how_many(shown: int, there: int, one: str, several: str) -> str:
    if there == 0:
        return say("rows_none", several=several)
    if there == 1:
        return say("rows_one", one=one)
    if shown == there:
        return say("rows_all", count=there, several=several)
    return say("rows_largest", shown=shown, count=there, several=several)
