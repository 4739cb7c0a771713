"""The tables of a report: lesions, regions, and the quality of scans."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bids_anomaly.bids.naming import COMBINED
from bids_anomaly.bids.tables import MISSING
from bids_anomaly.scoring.quality_limits import Check, describe_flags

# The largest come first; the rest stands in the files.
MOST_LESIONS, MOST_REGIONS = 20, 15
Row = Mapping[str, str]


class Table(NamedTuple):
    """A table with its title, a sentence below it, and cells as plain text."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def lesion_table(rows: Sequence[Row]) -> Table:
    """Show the largest lesions.

    Parameters
    ----------
    rows : sequence of mappings
        The table of lesions of the combined finding, the largest first.
    """
    shown = rows[:MOST_LESIONS]
    return Table(
        "Lesions",
        f"{_how_many(len(shown), len(rows), 'lesions')} Volumes are those of the person; places "
        "are in the template, x to the right, y to the front, z up.",
        ["Lesion", "Volume (mm³)", "Region", "Side", "Centre (mm)", "Peak z", "Confidence"],
        [
            [
                row["index"],
                f"{float(row['volume']):.0f}",
                row["region"],
                row["side"],
                ", ".join(
                    f"{float(row[f'centroid_{axis}']):+.0f}".replace("-", "−") for axis in "xyz"
                ),
                f"{float(row['z_peak']):.1f}",
                f"{float(row['confidence']):.3f}",
            ]
            for row in shown
        ],
    )


def region_table(rows: Sequence[Row]) -> Table:
    """Show the regions with the largest anomalous volumes.

    Parameters
    ----------
    rows : sequence of mappings
        The table of regions; those of the combined finding are shown.
    """
    found = [r for r in rows if r["modality"] == COMBINED and float(r["anomalous_volume"]) > 0]
    found.sort(key=lambda row: -float(row["anomalous_volume"]))
    shown = found[:MOST_REGIONS]
    return Table(
        "Regions",
        f"{_how_many(len(shown), len(found), 'regions with anomalies')} Laterality is 1 where all "
        "anomalies of a pair of regions are on the left, −1 where all are on the right.",
        ["Region", "Volume (ml)", "Anomalous (mm³)", "Anomalous (%)", "Laterality"],
        [
            [
                row["name"],
                f"{float(row['volume']) / 1000:.1f}",
                f"{float(row['anomalous_volume']):.0f}",
                ""
                if row["anomalous_fraction"] == MISSING
                else f"{100 * float(row['anomalous_fraction']):.1f}",
                ""
                if row["laterality"] == MISSING
                else f"{float(row['laterality']):+.2f}".replace("-", "−"),
            ]
            for row in shown
        ],
    )


def quality_table(rows: Sequence[Row]) -> Table:
    """Show every measure of quality beside what good scans have."""
    return Table(
        "Quality",
        "What good scans have at least and at most; a value outside stands under the warnings.",
        ["Scan", "Measure", "Value", "At least", "At most", ""],
        [
            [
                row["scan"],
                row["measure"].replace("_", " "),
                row["value"],
                *(
                    "" if row[limit] == MISSING else row[limit]
                    for limit in ("lower_limit", "upper_limit")
                ),
                "outside" if row["flagged"] == "true" else "",
            ]
            for row in rows
        ],
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


def _how_many(shown: int, there: int, what: str) -> str:
    if not there:
        return f"No {what}."
    return f"All {there} {what}." if shown == there else f"The {shown} largest of {there} {what}."
