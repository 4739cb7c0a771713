"""Say in words and numbers what was found in a scan."""

from collections.abc import Sequence
from typing import NamedTuple

from bids_anomaly.reports.tables import Row, region_in_words
from bids_anomaly.scoring.findings import Threshold

# Findings from this confidence on are called sure: the rate of healthy voxels that score as high is
# a twentieth of the nominal one.
SURE = 0.95
MOST_PLACES = 3
# Volumes of marked and of diseased tissue did not go together (benchmarks/burden.py).
NO_DISEASE_VOLUME = (
    "What is marked is what passes a threshold: its volume is not the volume of a disease."
)


class Finding(NamedTuple):
    """A sentence for those in a hurry, how to take it, and what it rests on: label to sentence."""

    headline: str
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
    lesions, regions : sequences of mappings
        Rows of the tables of the scan, as text by column.
    quality : sequence of mappings
        Those of the session.
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
    brain = sum(float(row["volume"]) for row in regions)
    anomalous = sum(float(row["volume"]) for row in lesions)
    share = anomalous / brain if brain else 0.0
    if lesions:
        many = f"{len(lesions)} finding{'' if len(lesions) == 1 else 's'}"
        headline = f"{title}: {many}, {in_millilitres(anomalous)} marked."
    else:
        headline = f"{title}: no findings."
    return Finding(
        headline,
        NO_DISEASE_VOLUME,
        {
            **({"Change": change} if change else {}),
            "Threshold": _threshold(share, brain, calibration, threshold),
            **({"Where": _where(regions)} if lesions else {}),
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


def _threshold(share: float, brain: float, calibration: str, threshold: Threshold) -> str:
    """Say what is called anomalous, compared with whom, and how much of the brain that is."""
    reference = (
        f"A voxel is marked where less than {100 * threshold.healthy_fpr:g} % of the reference "
        f"scores as high: {calibration}."
    )
    if not share:
        return (
            f"{reference} None is in this brain of {in_millilitres(brain)}, apart from places "
            f"smaller than {threshold.min_lesion_volume:g} mm³. Disease that changes little stays "
            "below it."
        )
    return (
        f"{reference} Here {percent(share)} of the brain is marked. How much would be without "
        "disease, on this scanner and at this age, is not known."
    )


def _where(regions: Sequence[Row]) -> str:
    affected = [row for row in regions if float(row["anomalous_volume"]) > 0]
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
