"""Make the page of the group level from what is known of many people."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bids_anomaly import __version__
from bids_anomaly.exceptions import some_of
from bids_anomaly.group.analysis import Analysis, Comparison
from bids_anomaly.group.burden import OUTLYING, REGIONS, Burden, modified_z
from bids_anomaly.group.cohorts import FEWEST, Cohorts
from bids_anomaly.group.collect import Collected, compared_voxels
from bids_anomaly.group.comparison import LEVEL, PERMUTATIONS
from bids_anomaly.group.images import in_grid
from bids_anomaly.group.likeness import Likeness
from bids_anomaly.group.maps import Sums
from bids_anomaly.group.origin import count_origins, differing_origins
from bids_anomaly.group.people import PRIMARY, Member, in_words, warn_of_primaries
from bids_anomaly.preprocessing.atlas import atlas_image
from bids_anomaly.preprocessing.template import OUTPUT_GRID, TEMPLATE
from bids_anomaly.reports.burden_chart import burden_chart
from bids_anomaly.reports.group_locations import locations_tables
from bids_anomaly.reports.group_maps import Map, MapTable, map_table
from bids_anomaly.reports.group_page import Finding, GroupPage, Linked, write_group_page
from bids_anomaly.reports.group_tables import (
    EVERYBODY,
    flags_in_words,
    group_of,
    group_tables,
    link_to,
    people_list,
    quality_counts,
    rates_table,
    region_differences,
    region_shares,
    volumes_by_group,
)
from bids_anomaly.reports.group_viewer import GroupMaps, group_viewer, most_frequent_place
from bids_anomaly.reports.likeness import likeness_methods, likeness_section
from bids_anomaly.reports.numbers import with_minus
from bids_anomaly.reports.quality_strips import quality_strips
from bids_anomaly.reports.tables import region_in_words

VOXEL_ML = OUTPUT_GRID.voxel_volume / 1000


def write_group(
    output_dir: Path,
    collected: Collected,
    *,
    title: str,
    cohorts: Cohorts | None,
    analysis: Analysis,
    likeness: Likeness | None,
    absent: Sequence[str],
    rejected: Sequence[Member],
    primary: str | None,
    seed: int,
) -> Path:
    """Write the page of the group level and return its path.

    Long, because it names everything on the page, in the order of reading.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset.
    collected : Collected
        At least one person.
    title : str
        Name of the dataset.
    cohorts : Cohorts or None
    analysis : Analysis
    likeness : Likeness or None
    absent : sequence of str
        Who is in the table of participants and has no results.
    rejected : sequence of Member
        Whom readers of reports rejected.
    primary : str or None
        Modality that was to stand for everybody.
    seed : int
        Of the permutations.
    """
    path = output_dir / "group.html"
    burdens = collected.burdens
    frequency = collected.everybody.frequency()
    origins = count_origins(one.member for one in burdens)
    notes = [
        *warn_of_primaries([one.member for one in burdens], primary),
        *differing_origins(origins),
        *analysis.notes,
    ]
    if cohorts is None:
        notes.append(
            "No groups are compared, because --controls does not say who the controls are."
        )
    if absent:
        notes.append(
            f"{len(absent)} people of participants.tsv have no results: {some_of(absent)}."
        )
    flagged = [one for one in burdens if one.flags]
    own = _own_group_z(burdens, cohorts)
    outliers = [i for i in np.argsort(-np.abs(own)) if abs(own[i]) > OUTLYING]
    rule = (
        f"Whose burden is more than {OUTLYING:g} robust standard deviations from the median of "
        f"{'their group' if cohorts else 'everybody'} (modified z-score of log volumes, Iglewicz "
        "and Hoaglin 1993): look whether it is disease or a failed scan."
    )
    page = GroupPage(
        title=title,
        summary=_summary(collected, cohorts, len(rejected)),
        left_out=[
            Linked(label, link_to(output_dir, label), str(error))
            for label, error in collected.failures.items()
        ]
        + [
            Linked(one.label, link_to(output_dir, one.label), f"It is {one.rating.words}")
            for one in rejected
        ],
        notes=notes,
        viewer=group_viewer(_viewer_maps(collected, cohorts)),
        start=most_frequent_place(frequency),
        maps=_maps(collected, cohorts, analysis),
        findings=[_finding(one, cohorts) for one in analysis.comparisons],
        burden=burden_chart(
            volumes_by_group(burdens, cohorts), cohorts.controls if cohorts else None
        ),
        tables=[*group_tables(analysis), rates_table(burdens, cohorts)],
        regions=[
            *locations_tables(burdens, cohorts),
            region_shares(burdens, cohorts, frequency),
            *region_differences(analysis),
        ],
        outliers=[
            Linked(
                burdens[i].member.label,
                link_to(output_dir, burdens[i].member.label),
                f"{burdens[i].volume / 1000:.2f} ml, {abs(own[i]):.1f} robust standard deviations "
                f"{'above' if own[i] > 0 else 'below'} the median"
                + (f" of {group}." if (group := group_of(burdens[i], cohorts)) else "."),
            )
            for i in outliers
        ],
        outlier_rule=rule,
        likeness=likeness_section(likeness) if likeness else None,
        people=people_list(output_dir, burdens, cohorts, likeness),
        quality=quality_counts(burdens),
        strips=quality_strips(burdens, partial(link_to, output_dir)),
        flagged=[
            Linked(
                one.member.label,
                link_to(output_dir, one.member.label),
                flags_in_words(one),
            )
            for one in flagged
        ],
        methods=[
            *_methods(collected, cohorts, analysis),
            *(likeness_methods(likeness) if likeness else ()),
        ],
        provenance={
            "bids-anomaly": __version__,
            **{what[:1].upper() + what[1:]: ", ".join(values) for what, values in origins.items()},
            "Template": f"{TEMPLATE}, {OUTPUT_GRID.resolution}",
            **({"Controls": f"{cohorts.column}={cohorts.controls}"} if cohorts else {}),
            "Seed": str(seed),
        },
    )
    write_group_page(path, page)
    return path


def _summary(collected: Collected, cohorts: Cohorts | None, rejected: int) -> dict[str, str]:
    first = [one for one in collected.burdens if one.member.is_first]
    volumes = np.array([one.volume for one in first])
    low, middle, high = np.percentile(volumes, [25, 50, 75]) / 1000
    facts = {
        "People": str(len(first)),
        "Sessions": str(len(collected.burdens)),
        "Primary scans": in_words(collected.everybody.primaries),
        "With findings": f"{100 * (volumes > 0).mean():.0f} %",
        "Median burden": f"{middle:.2f} ml",
        "Quartiles": f"{low:.2f} to {high:.2f} ml",
        "Doubtful quality": str(sum(bool(one.flags) for one in collected.burdens)),
        "Left out": str(len(collected.failures) + rejected),
    }
    if cohorts:
        facts["Groups"] = str(len({group_of(one, cohorts) for one in first} - {""}))
    return facts


def _maps(collected: Collected, cohorts: Cohorts | None, analysis: Analysis) -> list[MapTable]:
    """Draw frequencies, mean z-scores and differences."""
    sums = _by_group(collected, cohorts)
    tables = [
        map_table(
            "How often",
            "Share of people with an anomaly in their primary scan, over the template; left is "
            "left. Each person counts once.",
            [Map(n, in_words(one.primaries), one.frequency()) for n, one in sums.items()],
            signed=False,
            least=0.05,
            most=1.0,
            form=".0%",
        )
    ]
    for modality in collected.everybody.z:
        tables.append(
            map_table(
                f"Mean z-score, {modality}",
                "Warm colours are more unusual than in the people whom the model was calibrated "
                "on, cold ones less.",
                [
                    Map(name, f"{one.scans[modality]} people", one.mean_z(modality))
                    for name, one in sums.items()
                    if modality in one.z
                ],
                signed=True,
                least=1.0,
            )
        )
    compared = [one for one in analysis.comparisons if one.voxels is not None]
    if compared:
        tables.append(
            map_table(
                "Differences",
                f"t of z-scores of the group less those of {cohorts.controls}; outlined where the "
                "family-wise p "
                + ("of enhanced t (TFCE) " if any(one.enhanced for one in compared) else "")
                + "is below .05.",
                [
                    Map(
                        f"{one.cases}, {one.modality}",
                        f"against {cohorts.controls}",
                        in_grid(np.where(np.isfinite(one.voxels.t), one.voxels.t, 0)),
                        in_grid((one.enhanced or one.voxels).p < LEVEL) > 0,
                    )
                    for one in compared
                ],
                signed=True,
                least=3.0,
            )
        )
    return tables


def _viewer_maps(collected: Collected, cohorts: Cohorts | None) -> list[GroupMaps]:
    """Return what the viewer shows of everybody, of controls and of the other groups."""
    return [
        GroupMaps(name, one.frequency(), {modality: one.mean_z(modality) for modality in one.z})
        for name, one in _by_group(collected, cohorts).items()
    ]


def _by_group(collected: Collected, cohorts: Cohorts | None) -> dict[str, Sums]:
    controls = cohorts.controls if cohorts else None
    groups = sorted(collected.cohorts.items(), key=lambda item: (item[0] != controls, item[0]))
    return {EVERYBODY: collected.everybody, **dict(groups)}


def _own_group_z(burdens: Sequence[Burden], cohorts: Cohorts | None) -> np.ndarray:
    """Return how far everybody is from their own group; 0 where that cannot be said."""
    groups = np.array([group_of(one, cohorts) for one in burdens])
    volumes = np.array([one.volume for one in burdens])
    first = np.array([one.member.is_first for one in burdens])
    z = np.zeros(len(burdens))
    for name in set(groups):
        inside = groups == name
        if (inside & first).sum() >= FEWEST:
            z[inside] = np.nan_to_num(modified_z(volumes[inside], volumes[inside & first]))
    return z


def _finding(comparison: Comparison, cohorts: Cohorts) -> Finding:
    """Say what a comparison found, or that it found nothing."""
    design = comparison.design
    by = "primary scans" if comparison.modality == PRIMARY else comparison.modality
    title = f"{comparison.cases}, {by}"
    held = f", with {' and '.join(design.names)} held constant" if design.names else ""
    text = (
        f"{design.is_case.sum()} people against {(~design.is_case).sum()} of {cohorts.controls}"
        f"{held}."
    )
    if comparison.voxels is not None:
        t, p = comparison.voxels
        if not np.isfinite(p).any():
            text += " No voxel could be compared."
        elif (p < LEVEL).any():
            text += (
                f" z is higher than in {cohorts.controls} in {_volume((p < LEVEL) & (t > 0))} of "
                f"the template, lower in {_volume((p < LEVEL) & (t < 0))} (family-wise p < .05); "
                f"the strongest difference is {_peak(t)}."
            )
        else:
            text += f" No voxel differs (smallest family-wise p {np.nanmin(p):.2g})."
    if comparison.enhanced is not None and np.isfinite(comparison.enhanced.p).any():
        score, p = comparison.enhanced
        found = p < LEVEL
        text += (
            f" With cluster enhancement (TFCE) z is higher in {_volume(found & (score > 0))}, "
            f"lower in {_volume(found & (score < 0))}."
            if found.any()
            else " With cluster enhancement (TFCE) no voxel differs"
            f" (smallest family-wise p {np.nanmin(p):.2g})."
        )
    p = comparison.regions.p
    if np.isfinite(p).any():
        found = int((p < LEVEL).sum())
        what = "anomalous share" if comparison.modality == PRIMARY else "mean z-score"
        text += (
            f" The {what} differs in {found} of {np.isfinite(p).sum()} regions."
            if found
            else f" The {what} differs in no region (smallest family-wise p {np.nanmin(p):.2g})."
        )
    return Finding(title, text)


def _volume(voxels: np.ndarray) -> str:
    return f"{voxels.sum() * VOXEL_ML:.1f} ml"


def _peak(t: np.ndarray) -> str:
    """Say where the largest |t| is."""
    voxels = np.argwhere(compared_voxels())
    strongest = int(np.nanargmax(np.abs(np.where(np.isnan(t), 0, t))))
    voxel = voxels[strongest]
    place = OUTPUT_GRID.affine[:3] @ [*voxel, 1]
    atlas = atlas_image()
    label = int(
        atlas.dataobj[tuple(np.rint(np.linalg.inv(atlas.affine) @ [*place, 1])[:3].astype(int))]
    )
    name = next((r.name for r in REGIONS if r.index == label), REGIONS[-1].name)
    where = ", ".join(f"{value:+.0f}" for value in place)
    return with_minus(f"at {where} mm ({region_in_words(name)}), t = {t[strongest]:.1f}")


def _methods(collected: Collected, cohorts: Cohorts | None, analysis: Analysis) -> list[str]:
    people = collected.everybody.people
    paragraphs = [
        f"Maps of {people} people in {TEMPLATE} at 2 mm, each person once, were summed to the "
        "share of people with an anomaly in each voxel and to mean z-scores by modality. Anomalies "
        "and their volumes and numbers (connected voxels) are those of one scan of each person "
        f"({in_words(collected.everybody.primaries)}), volumes in the person's own space "
        f"(bids-anomaly {__version__})."
    ]
    if cohorts and analysis.comparisons:
        used = list(dict.fromkeys(n for one in analysis.comparisons for n in one.design.names))
        held = (
            f" {' and '.join(used).capitalize()} were held constant where they were known."
            if used
            else ""
        )
        enhanced = (
            " Voxels were also compared by threshold-free cluster enhancement of t (E = 0.5, "
            "H = 2; Smith and Nichols 2009), with the largest of each permutation in the same way."
            if any(one.enhanced for one in analysis.comparisons)
            else ""
        )
        controls = f"{cohorts.column}={cohorts.controls}"
        paragraphs.append(
            f"Groups ({cohorts.column}) were compared with controls ({controls}) in each voxel "
            "(z-scores) and in each region of the atlas DLMUSE (mean z-scores; anomalous share of "
            f"the scan that stands for a person) by linear models and {PERMUTATIONS} permutations "
            "of residuals (Freedman and Lane 1983; nilearn's permuted_ols), two-sided. The largest "
            "|t| of each permutation over all voxels or regions of a map controlled the "
            "family-wise error "
            "(Westfall and Young 1993; Nichols and Holmes 2002); it is not controlled over several "
            f"maps.{enhanced}{held} Log volumes of anomalies were compared between all pairs of "
            "groups in the same way, with p-values adjusted by Holm's method (1979)."
        )
    return paragraphs
