"""The tables of the page of the group level."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bids_anomaly.bids.participants import stated
from bids_anomaly.bids.tables import MISSING
from bids_anomaly.group.analysis import Analysis
from bids_anomaly.group.burden import REGIONS, TISSUES, Burden
from bids_anomaly.group.cohorts import FEWEST, Cohorts
from bids_anomaly.group.comparison import LEVEL, PERMUTATIONS
from bids_anomaly.group.likeness import Likeness
from bids_anomaly.group.rates import marked_shares
from bids_anomaly.group.tables import burden_z, most_affected
from bids_anomaly.preprocessing.atlas import output_labels
from bids_anomaly.reports.group_page import People, Person, spark
from bids_anomaly.reports.group_viewer import most_frequent_place
from bids_anomaly.reports.numbers import millilitres, two_digits, with_minus
from bids_anomaly.reports.tables import Table, region_in_words
from bids_anomaly.scoring.quality_limits import measure_named

MOST_REGIONS = 15
EVERYBODY = "Everybody"


def group_of(burden: Burden, cohorts: Cohorts | None) -> str:
    """Return the group of a person, empty if there is none."""
    return cohorts.of.get(burden.member.participant, "") if cohorts else ""


def link_to(output_dir: Path, label: str) -> str:
    """Return the address of a page beside that of the group, empty if there is none."""
    return f"{label}.html" if (output_dir / f"{label}.html").is_file() else ""


def volumes_by_group(burdens: Sequence[Burden], cohorts: Cohorts | None) -> dict[str, list[float]]:
    """Return volumes in ml by group, controls first; each person once."""
    groups: dict[str, list[float]] = {}
    for one in burdens:
        if one.member.is_first:
            name = group_of(one, cohorts) or ("No group" if cohorts else EVERYBODY)
            groups.setdefault(name, []).append(one.volume / 1000)
    controls = cohorts.controls if cohorts else None
    return dict(sorted(groups.items(), key=lambda item: (item[0] != controls, item[0])))


def group_tables(analysis: Analysis) -> list[Table]:
    """Show how much is anomalous in groups, and how they differ."""
    if not analysis.cohorts:
        return []
    groups = Table(
        "Groups",
        "Anomalous volume of primary scans: what passes the threshold, which is not the volume of "
        "a disease. Each person counts once.",
        ["Group", "People", "With findings (%)", "Median (ml)", "Quartiles (ml)", "Mean (ml)",
         "Findings (median)"],
        [
            [one.name, str(one.people), f"{100 * one.with_anomalies:.0f}",
             f"{one.quartiles[1] / 1000:.2f}",
             f"{one.quartiles[0] / 1000:.2f} to {one.quartiles[2] / 1000:.2f}",
             f"{one.mean / 1000:.2f}", f"{one.lesions:g}"]
            for one in analysis.cohorts
        ],
        numeric=(1, 2, 3, 5, 6),
    )  # fmt: skip
    pairs = Table(
        "Differences between groups",
        f"t of log volumes with what is held constant, and p by {PERMUTATIONS} permutations, "
        "adjusted for the number of pairs (Holm 1979)."
        if analysis.differences
        else f"No two groups have {FEWEST} people each.",
        ["Groups", "People", "Difference of medians (ml)", "t", "p", "p, adjusted",
         "Held constant"],
        [
            [f"{one.first} against {one.second}", f"{one.people[0]} and {one.people[1]}",
             with_minus(f"{one.difference / 1000:+.2f}"),
             with_minus(f"{one.t:.2f}"), _p(one.p), _p(one.p_holm),
             ", ".join(one.covariates)]
            for one in analysis.differences
        ],
        numeric=(2, 3, 4, 5),
    )  # fmt: skip
    return [groups, pairs]


def _p(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else ""


def region_shares(
    burdens: Sequence[Burden], cohorts: Cohorts | None, frequency: np.ndarray
) -> Table:
    """Show in how many people each region has anomalies.

    Parameters
    ----------
    burdens : sequence of Burden
    cohorts : Cohorts or None
    frequency : (X, Y, Z) array
        Share of people with an anomaly in the template; the viewer goes where most have one.
    """
    first = [one for one in burdens if one.member.is_first]
    affected = np.array([one.regions > 0 for one in first])
    volumes = np.array([one.regions for one in first])
    names = list(volumes_by_group(burdens, cohorts)) if cohorts else []
    members = np.array([group_of(one, cohorts) or "No group" for one in first])
    order = np.argsort(-volumes.mean(axis=0), kind="stable")
    shown = [i for i in order if affected[:, i].any()][:MOST_REGIONS]
    labels = output_labels()
    return Table(
        "Most affected regions",
        f"The {len(shown)} regions of the atlas DLMUSE with the largest mean anomalous volume. All "
        "regions of everybody are in group/atlas-DLMUSE_desc-burden_stats.tsv. Choose one to see "
        "in the viewer where in it most people have anomalies."
        if shown
        else "No region has anomalies in anybody.",
        [
            "Region",
            "Mean volume (ml)",
            "People affected (%)",
            *(f"{name} (%)" for name in names),
        ],
        [
            [
                region_in_words(REGIONS[i].name),
                millilitres(volumes[:, i].mean()),
                f"{100 * affected[:, i].mean():.0f}",
                *(f"{100 * affected[members == name, i].mean():.0f}" for name in names),
            ]
            for i in shown
        ],
        numeric=range(1, 3 + len(names)),
        places=[most_frequent_place(frequency, labels == REGIONS[i].index) for i in shown],
        what="region",
    )


def region_differences(analysis: Analysis) -> list[Table]:
    """Show the regions that differ between a group and controls."""
    if not analysis.comparisons:
        return []
    rows = [
        (float(one.regions.p[i]), [
            region_in_words(REGIONS[i].name), one.cases, one.modality,
            *(with_minus(f"{value:.3g}") for value in one.means[:, i]),
            with_minus(f"{one.regions.t[i]:.1f}").replace("inf", "∞"), _p(one.regions.p[i]),
        ])
        for one in analysis.comparisons
        for i in np.flatnonzero(one.regions.p < LEVEL)
    ]  # fmt: skip
    rows.sort(key=lambda row: row[0])
    return [
        Table(
            "Regions that differ from controls",
            "Mean z-scores, or anomalous shares of primary scans; p is two-sided and "
            "family-wise over all regions of a group and modality. All regions are in "
            "group/atlas-DLMUSE_desc-comparisons_stats.tsv."
            if rows
            else "None at a family-wise p below .05.",
            ["Region", "Group", "Modality", "Mean", "Mean of controls", "t", "p"],
            [row for _, row in rows],
            numeric=(3, 4, 5, 6),
        )
    ]


def rates_table(burdens: Sequence[Burden], cohorts: Cohorts | None) -> Table:
    """Show how much is marked in people of each site, sex and age."""
    whose = f"controls ({cohorts.column}={cohorts.controls})" if cohorts else "everybody"
    return Table(
        "Marked share by site, sex and age",
        f"Share of the brain that is marked on primary scans of {whose}. Controls have no disease, "
        "so where a site, a sex or an age has more than the others, the threshold does not fit "
        f"them: calibrate on such people. Fewer than {FEWEST} people have no quartiles.",
        ["By", "Value", "People", "Median (%)", "Quartiles (%)"],
        [
            [
                one.by,
                one.value,
                str(one.people),
                *(
                    (
                        two_digits(100 * middle),
                        f"{two_digits(100 * low)} to {two_digits(100 * high)}",
                    )
                    if np.isfinite(middle)
                    else ("", "")
                ),
            ]
            for one in marked_shares(burdens, cohorts)
            for low, middle, high in [one.quartiles]
        ],
        numeric=(2, 3),
    )


def people_list(
    output_dir: Path,
    burdens: Sequence[Burden],
    cohorts: Cohorts | None,
    likeness: Likeness | None = None,
) -> People:
    """List everybody, one line a timepoint."""
    alike = {
        one.burden: f"{one.most_like} ({one.probabilities.max():.2f})"
        for one in (likeness.people if likeness else ())
    }
    tissues = np.array([[one.tissue_volume(tissue) for tissue in TISSUES] for one in burdens])
    columns = [
        "Primary scan",
        "Marked (ml)",
        "Brain (%)",
        "Findings",
        "Largest (ml)",
        "z to controls" if cohorts else "z to all",
        "Most affected region",
        "Age",
        "Sex",
        "Rating",
        *(["Most like"] if alike else []),
    ]
    rows = []
    against = burden_z(burdens, cohorts)
    for at, (one, parts, z) in enumerate(zip(burdens, tissues, against, strict=True)):
        region = most_affected(one)
        cells = [
            one.member.primary,
            millilitres(one.volume),
            two_digits(100 * one.volume / one.brain_volume) if one.brain_volume else "",
            str(one.lesion_count),
            millilitres(one.largest) if np.isfinite(one.largest) else "",
            with_minus(f"{z:+.1f}") if np.isfinite(z) else "",
            "" if region == MISSING else region_in_words(region),
            _rounded(stated(one.known, "age")),
            stated(one.known, "sex"),
            one.member.rating.level if one.member.rating else "",
            *([alike.get(at, "")] if alike else []),
        ]
        words = ", ".join(
            f"{tissue} {millilitres(part)}"
            for tissue, part in zip(TISSUES, parts, strict=True)
            if part
        )
        label = one.member.label
        rows.append(
            Person(
                label,
                link_to(output_dir, label),
                group_of(one, cohorts),
                cells,
                spark(parts, float(tissues.max())),
                f"{millilitres(parts.sum())} ml: {words}" if words else "0 ml",
                flags_in_words(one),
            )
        )
    return People(columns, (1, 2, 3, 4, 5, 7), TISSUES, rows, cohorts is not None)


def _rounded(age: str) -> str:
    """Write an age with one decimal at most; what is no number stays as it is."""
    try:
        return f"{round(float(age), 1):g}"
    except ValueError:
        return age


def flags_in_words(burden: Burden) -> str:
    """Return the flagged measures, each with the modality of its scan."""
    modality = {scan: scan.rpartition("_")[2] for scan, _ in burden.flags}
    return ", ".join(f"{measure_named(m).name} ({modality[scan]})" for scan, m in burden.flags)


def quality_counts(burdens: Sequence[Burden]) -> Table:
    """Show how many scans each measure of quality flags."""
    counts = Counter(measure for one in burdens for _, measure in set(one.flags))
    return Table(
        "Flagged scans",
        "How many scans are outside the limits of good ones."
        if counts
        else "No scan is outside the limits of good ones.",
        ["Measure", "What it is", "Scans"],
        [
            [measure.name, measure.words, str(count)]
            for measure, count in ((measure_named(name), n) for name, n in counts.most_common())
        ],
        numeric=(2,),
    )
