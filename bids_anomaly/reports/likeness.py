"""What the page of the group level says of the groups that people are like."""

from collections.abc import Iterator

import numpy as np

from bids_anomaly.evaluation.statistics import Interval
from bids_anomaly.group.burden import REGIONS
from bids_anomaly.group.likeness import Deciding, Likeness
from bids_anomaly.group.people import PRIMARY
from bids_anomaly.group.prototypes import PARTS, PERMUTATIONS
from bids_anomaly.preprocessing.atlas import output_labels
from bids_anomaly.reports.group_maps import Map, MapTable, map_table
from bids_anomaly.reports.group_page import Finding, LikenessSection
from bids_anomaly.reports.numbers import two_digits, with_minus
from bids_anomaly.reports.tables import Table, region_in_words

# Of each group: regions in a sentence, and lines in the table.
MOST_NAMED, MOST_ROWS = 3, 5
LESS_MEDIAN = "A mean z here is less the person's median over regions."
NO_DIAGNOSIS = "It says whom the profile of a person resembles among these people; no diagnosis."


def likeness_section(likeness: Likeness) -> LikenessSection:
    """Return sentences, tables and maps; single people only where they are told above chance."""
    findings = list(_findings(likeness))
    if likeness.profiles is None:
        return LikenessSection(findings, [], None)
    tables = [_recognised(likeness)]
    if not likeness.is_above_chance:
        return LikenessSection(findings, tables, None)
    return LikenessSection(findings, [*tables, _deciding(likeness)], _maps(likeness))


def _findings(likeness: Likeness) -> Iterator[Finding]:
    found = likeness.profiles
    if found is not None:
        text = (
            f"Profiles of regions tell {', '.join(likeness.groups)} apart with a balanced accuracy "
            f"of {_share(found.accuracy)}; chance is {found.chance:.2f} (p = {found.p:.3f}, each "
            "person left out). "
        )
        yield Finding(
            "All groups",
            text + NO_DIAGNOSIS
            if likeness.is_above_chance
            else text + "That is not above chance, so nobody is said to be like a group.",
        )
    for group in likeness.groups if likeness.is_above_chance else ():
        own = [one for one in likeness.regions if one.group == group][:MOST_NAMED]
        named = "; ".join(
            f"{_region(one)} ({_measure(one)} {_direction(one)} than in others)" for one in own
        )
        text = f"What speaks most for it: {named}." if named else "Nothing alone."
        yield Finding(group, text + (f" {LESS_MEDIAN}" if any(map(_is_z, own)) else ""))
    yield from (Finding("Note", note) for note in likeness.notes)


def _share(share: Interval) -> str:
    text = f"{share.estimate:.2f}"
    if np.isfinite(share.low):
        text += f" (95 % interval {share.low:.2f} to {share.high:.2f})"
    return text


def _recognised(likeness: Likeness) -> Table:
    rows = [
        [" and ".join(one.by), one.group or "all", str(one.people), _share(one.share),
         *(f"{value:.{digits}f}" if np.isfinite(value) else ""
           for value, digits in ((one.chance, 2), (one.p, 3))),
         *map(str, one.taken_for)]
        for one in likeness.recognised
    ]  # fmt: skip
    return Table(
        "Who is recognised",
        "Share of people who are most like their own group when they are left out; of all, the "
        "mean over groups. Chance is that of groups dealt out at random. Where age, sex or site "
        "alone do as well, profiles may tell no more than these.",
        ["By", "Group", "People", "Recognised", "Chance", "p",
         *(f"As {name}" for name in likeness.groups)],
        rows,
        numeric=(2, 4, 5, *range(6, 6 + len(likeness.groups))),
    )  # fmt: skip


def _deciding(likeness: Likeness) -> Table:
    rows = [
        [one.group, _region(one), one.modality, _measure(one),
         with_minus(f"{one.mean:.3g}"), with_minus(f"{one.mean_others:.3g}"),
         two_digits(100 * one.share)]
        for group in likeness.groups
        for one in [one for one in likeness.regions if one.group == group][:MOST_ROWS]
    ]  # fmt: skip
    return Table(
        "Regions that decide",
        f"The {MOST_ROWS} values of each group that speak most for it in its own people, as a "
        f"share of all that does. {LESS_MEDIAN} All are in "
        "group/atlas-DLMUSE_desc-deciding_stats.tsv.",
        ["Group", "Region", "Modality", "Measure", "Mean", "Mean of others", "Share (%)"],
        rows,
        numeric=(4, 5, 6),
    )


def _maps(likeness: Likeness) -> MapTable:
    labels = output_labels()
    maps = []
    for group in likeness.groups:
        painted = np.zeros(labels.shape, np.float32)
        for one in likeness.regions:
            if one.group == group and REGIONS[one.region].index > 0:
                painted[labels == REGIONS[one.region].index] += one.share
        maps.append(Map(group, "what speaks for it", painted))
    return map_table(
        "Where it is",
        "Share of all that speaks for a group, by region of the atlas, over all modalities.",
        maps,
        signed=False,
        least=0.05,
        most=1.0,
        form=".0%",
    )


def _region(one: Deciding) -> str:
    return region_in_words(REGIONS[one.region].name)


def _is_z(one: Deciding) -> bool:
    return one.modality != PRIMARY


def _measure(one: Deciding) -> str:
    return f"mean z, {one.modality}" if _is_z(one) else "anomalous share"


def _direction(one: Deciding) -> str:
    return "higher" if one.mean > one.mean_others else "lower"


def likeness_methods(likeness: Likeness) -> list[str]:
    """Return how it was judged; nothing where it was not."""
    if likeness.profiles is None:
        return []
    return [
        "Profiles of regions (mean z-score of each modality less the median over regions of the "
        "person, and the square root of the anomalous share of the primary scan) were compared "
        f"with prototypes of {', '.join(likeness.groups)} by nearest shrunken centroids "
        "(Tibshirani et al. 2002) with equal priors. Prototypes, spreads and the choice of values "
        "came from people who were not judged by them (each person was left out; of more than "
        f"{PARTS} people, in {PARTS} parts). Balanced accuracy has a 95 % bootstrap interval over "
        f"people; chance is that of {PERMUTATIONS} permutations of groups. Distances became "
        "probabilities by temperature scaling (Guo et al. 2017)."
    ]
