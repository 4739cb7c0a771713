"""Say in words and numbers what was found in a session."""

from collections.abc import Sequence
from typing import NamedTuple

from bids_anomaly.bids.naming import COMBINED
from bids_anomaly.reports.tables import Row, region_in_words

# Findings from this confidence on are called sure: the rate of healthy voxels that score as high is
# a twentieth of the nominal one.
SURE = 0.95
MOST_PLACES = 3


class Finding(NamedTuple):
    """A sentence for those in a hurry, and what it rests on: label to sentence."""

    headline: str
    details: dict[str, str]


def describe_finding(
    lesions: Sequence[Row],
    regions: Sequence[Row],
    quality: Sequence[Row],
    *,
    healthy_fpr: float,
    min_lesion_volume: float,
) -> Finding:
    """Describe the combined finding of a session.

    Parameters
    ----------
    lesions, regions, quality : sequences of mappings
        Rows of the tables of the session, as text by column.
    healthy_fpr, min_lesion_volume : float
        Nominal false positive rate, and mm3.

    Returns
    -------
    Finding
        Without any it says so, and what that does not mean.
    """
    combined = [row for row in regions if row["modality"] == COMBINED]
    brain = sum(float(row["volume"]) for row in combined)
    anomalous = sum(float(row["volume"]) for row in lesions)
    share = anomalous / brain if brain else 0.0
    if lesions:
        many = f"{len(lesions)} finding{'' if len(lesions) == 1 else 's'}"
        headline = f"{many}, {in_millilitres(anomalous)} in all: {percent(share)} of the brain."
    else:
        headline = "No findings."
    return Finding(
        headline,
        {
            "How much": _how_much(share, brain, healthy_fpr, min_lesion_volume),
            **({"Where": _where(combined)} if lesions else {}),
            **({"How unusual": _how_unusual(lesions)} if lesions else {}),
            **({"How sure": _how_sure(lesions)} if lesions else {}),
            "Quality": _quality(quality),
        },
    )


def in_millilitres(cubic_millimetres: float) -> str:
    """Return a volume in ml with about two digits that count."""
    millilitres = cubic_millimetres / 1000
    return f"{millilitres:.{1 if millilitres >= 10 else 2}f} ml"


def percent(share: float) -> str:
    """Return a share in percent with about two digits that count."""
    return f"{100 * share:.{1 if share >= 0.1 else 2}f} %"


def _how_much(share: float, brain: float, healthy_fpr: float, min_lesion_volume: float) -> str:
    expected = (
        f"The threshold is such that, on average, {100 * healthy_fpr:g} % of healthy voxels pass it"
    )
    if not share:
        return (
            f"{expected}. None does in this brain of {in_millilitres(brain)}, apart from places "
            f"smaller than {min_lesion_volume:g} mm³. Disease that changes little stays below it."
        )
    times = share / healthy_fpr
    compared = f"{times:.{0 if times >= 10 else 1}f} times that" if times >= 1 else "less than that"
    return f"{expected}; here {percent(share)} do, {compared}."


def _where(combined: Sequence[Row]) -> str:
    affected = [row for row in combined if float(row["anomalous_volume"]) > 0]
    affected.sort(key=lambda row: -float(row["anomalous_volume"]))
    places = [
        f"{region_in_words(row['name'])} ({in_millilitres(float(row['anomalous_volume']))})"
        for row in affected[:MOST_PLACES]
    ]
    if len(affected) <= MOST_PLACES:
        return f"{'; '.join(places)}."
    return f"Most of it: {'; '.join(places)}. {len(affected)} regions in all."


def _how_unusual(lesions: Sequence[Row]) -> str:
    highest = max(lesions, key=lambda row: float(row["z_peak"]))
    return (
        f"The highest z-score is {float(highest['z_peak']):.1f}, in finding {highest['index']} "
        f"({region_in_words(highest['region'])})."
    )


def _how_sure(lesions: Sequence[Row]) -> str:
    sure = [row for row in lesions if float(row["confidence"]) >= SURE]
    volume = sum(float(row["volume"]) for row in sure)
    return (
        f"{len(sure)} of {len(lesions)} reach a confidence of {SURE:g} (of 0.5 to 1), together "
        f"{in_millilitres(volume)}. Confidence ranks findings; it is no probability of disease."
    )


def _quality(quality: Sequence[Row]) -> str:
    outside = [row for row in quality if row["flagged"] == "true"]
    if not outside:
        return f"All {len(quality)} measures are those of good scans."
    names = dict.fromkeys(f"{row['measure'].replace('_', ' ')} ({row['scan']})" for row in outside)
    return (
        f"{len(outside)} of {len(quality)} measures are not those of good scans: "
        f"{', '.join(names)}. False findings are likelier; see the warnings."
    )
