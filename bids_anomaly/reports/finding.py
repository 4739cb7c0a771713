"""Say in words and numbers what was found in a scan."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from bids_anomaly.bids.tables import MISSING
from bids_anomaly.reports.numbers import counted, in_millilitres, percent, two_digits
from bids_anomaly.reports.sentences import say
from bids_anomaly.reports.tables import Row, affected_regions, region_in_words
from bids_anomaly.scoring.findings import Threshold
from bids_anomaly.scoring.locations import DEEP, LOCATIONS, OTHER
from bids_anomaly.scoring.quality_limits import measure_named
from bids_anomaly.scoring.regions import ELSEWHERE

# Findings from this confidence on are called sure: the rate of healthy voxels that score as high is
# a twentieth of the nominal one.
SURE = 0.95
MOST_PLACES = 3
# How many findings lie there, as one says it after a number.
COUNTED = {DEEP: f"in {DEEP}", OTHER: "elsewhere"}


class Finding(NamedTuple):
    """What was found, for those in a hurry first.

    Attributes
    ----------
    headline : str
        The answer: what changed since the session before, else what was found.
    also : str
        What was found, where the change leads; else empty.
    note : str
        What the volumes are worth; empty where there are none.
    details : dict
        What it rests on: label to sentences.
    """

    headline: str
    also: str
    note: str
    details: dict[str, str]


def describe_finding(
    lesions: Sequence[Row],
    regions: Sequence[Row],
    quality: Sequence[Row],
    *,
    title: str,
    calibration: str,
    change: str,
    threshold: Threshold,
) -> Finding:
    """Describe what was found in a scan.

    Parameters
    ----------
    lesions, regions, quality : sequences of mappings
        Rows of the tables of the scan, as text by column.
    title : str
        What the scan is called.
    calibration : str
        Whose voxels its scores were compared with.
    change : str
        What changed since the session before, empty if that is not known.
    threshold : Threshold
        By which it was found.

    Returns
    -------
    Finding
        Without any it says so, and what that does not mean.
    """
    found = _found(lesions, regions, title)
    note = ""
    if lesions:
        note = say("marked", volume=in_millilitres(_volume(lesions)))
    elif change:
        note = say("worth")
    return Finding(
        change or found,
        found if change else "",
        note,
        {
            "Threshold": _threshold(lesions, regions, calibration, threshold),
            **({"Where": _where(regions)} if affected_regions(regions) else {}),
            **({"How unusual": _how_unusual(lesions, threshold)} if lesions else {}),
            **({"How sure": _how_sure(lesions)} if lesions else {}),
            "Quality": _quality(quality),
        },
    )


def place_in_words(row: Row) -> str:
    """Say where a finding lies, such as "frontal white matter, left (periventricular)"."""
    location = row.get("location", MISSING)
    suffix = "" if location in (MISSING, OTHER) else f" ({location})"
    return f"{_in_a_sentence(row['region'])}{suffix}"


def _in_a_sentence(region: str) -> str:
    words = region_in_words(region)
    return f"{words[:1].lower()}{words[1:]}"


def _in_or_near(row: Row, regions: Sequence[Row]) -> str:
    """Say where a finding lies, and whether less than half of it can be there.

    Its region is the one that holds most of it, or the nearest one where none holds any.
    """
    marked = {region["name"]: float(region["anomalous_volume"]) for region in regions}
    there = marked.get(row["region"], 0.0)
    how = "near" if there == 0 else "partly in" if there < float(row["volume"]) / 2 else "in"
    return f"{how} {place_in_words(row)}"


def _found(lesions: Sequence[Row], regions: Sequence[Row], title: str) -> str:
    if not lesions:
        return say("no_finding", scan=title)
    highest = most_unusual(lesions)
    place, z = _in_or_near(highest, regions), two_digits(float(highest["z_peak"]))
    if len(lesions) == 1:
        return say("one_finding", scan=title, place=place, z=z)
    number = Counter(row.get("location", MISSING) for row in lesions)
    classes = ", ".join(
        f"{number[name]} {COUNTED.get(name, name)}" for name in LOCATIONS if number[name]
    )
    return say(
        "many_findings",
        scan=title,
        count=len(lesions),
        classes=f" ({classes})" if classes else "",
        place=place,
        z=z,
    )


def most_unusual(lesions: Sequence[Row]) -> Row:
    """Return the finding with the highest z-score; there has to be one."""
    return max(lesions, key=lambda row: float(row["z_peak"]))


def _volume(rows: Sequence[Row]) -> float:
    return sum(float(row["volume"]) for row in rows)


def _threshold(
    lesions: Sequence[Row], regions: Sequence[Row], calibration: str, threshold: Threshold
) -> str:
    """Say what is called anomalous, compared with whom, and how much of the brain that is."""
    said = [
        say(
            "threshold",
            z=two_digits(threshold.z),
            rate=percent(threshold.healthy_fpr),
            reference=calibration,
        ),
        say("rate"),
    ]
    if not lesions:
        least = in_millilitres(threshold.min_lesion_volume)
        said += [say("none_marked", volume=least), say("subtle")]
    elif brain := _volume(regions):
        said.append(say("share", share=percent(_volume(lesions) / brain)))
    return " ".join(said)


def _where(regions: Sequence[Row]) -> str:
    affected = affected_regions(regions)
    places = "; ".join(
        f"{_in_a_sentence(row['name'])} ({in_millilitres(float(row['anomalous_volume']))})"
        for row in affected[:MOST_PLACES]
    )
    if len(affected) <= MOST_PLACES:
        return say("where", places=places)
    named = [row for row in affected if row["name"] != ELSEWHERE.name]
    return say("where_most", places=places, count=len(named))


def _how_unusual(lesions: Sequence[Row], threshold: Threshold) -> str:
    highest = most_unusual(lesions)
    return say(
        "how_unusual",
        z=two_digits(float(highest["z_peak"])),
        index=highest["index"],
        threshold=two_digits(threshold.z),
    )


def _how_sure(lesions: Sequence[Row]) -> str:
    sure = sum(float(row["confidence"]) >= SURE for row in lesions)
    findings = counted(len(lesions), "finding")
    return f"{say('confidence', sure=sure, findings=findings, least=SURE)} " + say(
        "confidence_worth"
    )


def _quality(quality: Sequence[Row]) -> str:
    """Say whether a scan is as good ones are, by what could be measured and has limits."""
    judged = [
        row
        for row in quality
        if row["value"] != MISSING
        and (row["lower_limit"] != MISSING or row["upper_limit"] != MISSING)
    ]
    outside = [row for row in judged if row["flagged"] == "true"]
    if not judged:
        return say("quality_unknown")
    if not outside:
        return say("quality_good", count=len(judged))
    names = ", ".join(measure_named(row["measure"]).name for row in outside)
    return f"{say('quality_outside', names=names, outside=len(outside), count=len(judged))} " + say(
        "quality_worth"
    )
