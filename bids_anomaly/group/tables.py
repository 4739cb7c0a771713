"""The tables of the group level, and what their columns mean."""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bids_anomaly.bids.naming import group_path, sidecar_path
from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.participants import canonical_column
from bids_anomaly.bids.ratings import COLUMNS as RATINGS
from bids_anomaly.bids.tables import MISSING, read_table, without_formula, write_rows
from bids_anomaly.bids.writing import write_json
from bids_anomaly.group.analysis import Analysis, region_rows
from bids_anomaly.group.burden import REGIONS, TISSUES, Burden, modified_z
from bids_anomaly.group.cohorts import Cohorts, cohort_labels
from bids_anomaly.group.likeness import Likeness
from bids_anomaly.group.people import PRIMARY
from bids_anomaly.group.rates import marked_shares

WHO = {
    "participant_id": {"Description": "Participant."},
    "session_id": {"Description": "Session; n/a where there are none."},
}
_REGION = {
    name: OUTPUTS["regions"].columns[name] for name in ("index", "name", "hemisphere", "tissue")
}
_LOCATIONS = OUTPUTS["lesions"].columns["location"]["Levels"]
_MM3 = {"Units": "mm^3"}
COMPARED = {
    "group": {"Description": "Group that is compared with controls."},
    **_REGION,
    "modality": {"Description": "BIDS suffix, or primary for the primary scan of each person."},
    "measure": {
        "Description": "What is compared.",
        "Levels": {
            "z_mean": "Mean z-score of the region",
            "anomalous_fraction": "Share of the region that is anomalous",
        },
    },
    "mean": {"Description": "Mean of the group."},
    "mean_controls": {"Description": "Mean of controls."},
    "t": {"Description": "t of the group in a linear model with age, sex and site where known; "
          "positive where the group is higher."},
    "p": {"Description": "Two-sided p by permutation, family-wise over all regions of the same "
          "group, modality and measure."},
}  # fmt: skip
COHORTS = {
    "group": {"Description": "Value of the column that says who the controls are."},
    "people": {"Description": "Number of people.", "Format": "integer"},
    "with_anomalies": {"Description": "Share of people with any anomaly, 0 to 1."},
    "volume_quartile_1": {"Description": "First quartile of the anomalous volume.", **_MM3},
    "volume_median": {"Description": "Median of the anomalous volume.", **_MM3},
    "volume_quartile_3": {"Description": "Third quartile of the anomalous volume.", **_MM3},
    "volume_mean": {"Description": "Mean of the anomalous volume.", **_MM3},
    "lesions_median": {"Description": "Median of the number of lesions."},
}
RATES = {
    "by": {"Description": "What the people of a row have in common."},
    "value": {"Description": "Its value; ages in years."},
    "people": {"Description": "Number of people.", "Format": "integer"},
    "share_quartile_1": {"Description": "First quartile of the share of the brain that is marked "
                         "on primary scans, 0 to 1; n/a of fewer than four people."},
    "share_median": {"Description": "Median of that share."},
    "share_quartile_3": {"Description": "Third quartile of that share."},
}  # fmt: skip
DIFFERENCES = {
    "group_1": {"Description": "First group."},
    "group_2": {"Description": "Second group."},
    "people_1": {"Description": "People of the first group.", "Format": "integer"},
    "people_2": {"Description": "People of the second group.", "Format": "integer"},
    "difference": {
        "Description": "Median anomalous volume of the first group minus that of the second.",
        **_MM3,
    },
    "t": {"Description": "t of log10(1 + volume in ml), positive where the first is higher."},
    "p": {"Description": "Two-sided p by permutation."},
    "p_holm": {"Description": "The same, adjusted for the number of pairs (Holm 1979)."},
    "covariates": {"Description": "What was held constant, separated by commas."},
}

RECOGNITION = {
    "by": {"Description": "What tells the groups apart: profiles of regions, or what "
           "participants.tsv says of age, sex and site alone."},
    "group": {"Description": "Group of the people; n/a for all."},
    "people": {"Description": "Number of people.", "Format": "integer"},
    "recognised": {"Description": "Share that is most like its own group, 0 to 1; of all, the mean "
                   "over groups (balanced accuracy)."},
    "low": {"Description": "Lower end of its 95 % bootstrap interval over people."},
    "high": {"Description": "Upper end of that interval."},
    "chance": {"Description": "Mean balanced accuracy when groups are dealt out at random."},
    "p": {"Description": "How often that is as high; one-sided, by permutation."},
}  # fmt: skip
LIKENESS = {
    "group": {"Description": "Group of the person; n/a where participants.tsv has none."},
    "most_like": {"Description": "Group with the nearest prototype, from all people but this one. "
                  "It is no diagnosis."},
}  # fmt: skip
DECIDING = {
    "group": {"Description": "Group that the region speaks for."},
    **{name: COMPARED[name] for name in (*_REGION, "modality")},
    "measure": {
        "Description": "What is compared.",
        "Levels": {
            "z_mean": "Mean z-score of the region less the median over regions of the person",
            "anomalous_fraction": "Share of the region that is anomalous",
        },
    },
    "mean": {"Description": "Mean of the group; of z_mean less each person's median over regions."},
    "mean_others": {"Description": "Mean of the people of all other groups, likewise."},
    "share": {"Description": "Share of all that speaks for the group, 0 to 1."},
}


def write_tables(
    output_dir: Path,
    burdens: Sequence[Burden],
    *,
    described: Mapping[str, Any],
    cohorts: Cohorts | None,
    analysis: Analysis,
    likeness: Likeness | None,
) -> list[Path]:
    """Write all tables of the group level, each with a JSON file about its columns.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset.
    burdens : sequence of Burden
        Everybody.
    described : mapping
        What ``participants.json`` says of the columns of ``participants.tsv``.
    cohorts : Cohorts or None
    analysis : Analysis
    likeness : Likeness or None

    Returns
    -------
    list of Path
        All that was written.
    """
    atlas = {"atlas": "DLMUSE"}
    columns, rows = people_table(burdens, described, cohorts)
    tables = [
        ({"desc": "people"}, "Everybody, one row a timepoint.", columns, rows),
        ({"desc": "lesions"}, "All lesions of the primary scan of everybody.",
         {**WHO, **OUTPUTS["lesions"].columns}, _lesions(burdens)),
        ({**atlas, "desc": "burden"}, "Anomalous volume in each region of the atlas.",
         {**WHO, **{region.name: {"Description": f"Anomalous volume in {region.name}.", **_MM3}
                    for region in REGIONS}},
         ((*who(burden), *map(float, burden.regions)) for burden in burdens)),
    ]  # fmt: skip
    tables.append(
        ({"desc": "rates"}, "Marked share of the brain by site, sex and age; of controls, where "
         "some are named.", RATES, [
            (one.by, one.value, one.people, *one.quartiles)
            for one in marked_shares(burdens, cohorts)
        ])
    )  # fmt: skip
    if analysis.cohorts:
        tables += [
            ({"desc": "groups"}, "Anomalous volume of primary scans by group.", COHORTS, [
                (one.name, one.people, one.with_anomalies, *one.quartiles, one.mean, one.lesions)
                for one in analysis.cohorts
            ]),
            ({"desc": "differences"}, "Anomalous volume of every group against every other.",
             DIFFERENCES, [
                (one.first, one.second, *one.people, one.difference, one.t, one.p, one.p_holm,
                 ", ".join(one.covariates) or MISSING)
                for one in analysis.differences
            ]),
            ({**atlas, "desc": "comparisons"}, "Every group against controls in every region.",
             COMPARED, [row for one in analysis.comparisons for row in region_rows(one)]),
        ]  # fmt: skip
    if likeness is not None and likeness.profiles is not None:
        tables += _likeness(burdens, cohorts, likeness)
    written = []
    for entities, description, columns, rows in tables:
        path = group_path(output_dir, entities, "stats", ".tsv")
        write_json(sidecar_path(path), {"Description": description, **columns})
        write_rows(path, columns, rows)
        written += [path, sidecar_path(path)]
    return written


def who(burden: Burden) -> tuple[str, str]:
    """Return ``participant_id`` and ``session_id``."""
    session = burden.member.session
    return f"sub-{burden.member.participant}", f"ses-{session}" if session else MISSING


def people_table(
    burdens: Sequence[Burden], described: Mapping[str, Any], cohorts: Cohorts | None
) -> tuple[dict[str, Any], list[tuple]]:
    """Return the columns of the table of people with their descriptions, and its rows."""
    own = _own_columns(burdens, cohorts)
    theirs = dict.fromkeys(
        column for one in burdens for column in one.known if column != "participant_id"
    )
    names = _names_beside({**WHO, **own}, list(theirs))
    described = {canonical_column(column): text for column, text in described.items()}
    joined = {
        names[column]: described.get(column)
        or {"Description": f"Column {column} of participants.tsv."}
        for column in theirs
    }
    rows = [
        (*who(one), *(_one_line(one.known.get(column, MISSING)) for column in theirs), *values)
        for one, *values in zip(burdens, *(values for _, values in own.values()), strict=True)
    ]
    return {**WHO, **joined, **{name: described for name, (described, _) in own.items()}}, rows


def _own_columns(
    burdens: Sequence[Burden], cohorts: Cohorts | None
) -> dict[str, tuple[Mapping[str, Any], list]]:
    """Return what is known of people from results: the description and the values of each column.

    Values are in the order of `burdens`.
    """
    columns: dict[str, tuple[Mapping[str, Any], list]] = {}

    def add(name: str, description: str, value: Callable[[Burden], Any], **more: Any) -> None:
        columns[name] = ({"Description": description, **more}, [value(one) for one in burdens])

    add(
        "primary",
        "BIDS suffix of the scan that stands for the person: volumes and lesions are of "
        "it, unless they name another.",
        lambda one: one.member.primary,
    )
    add(
        "modalities",
        "BIDS suffixes of the scans with a z map.",
        lambda one: ", ".join(one.member.modalities) or MISSING,
    )
    add("brain_volume", "Volume of the brain in the person.", lambda one: one.brain_volume, **_MM3)
    add(
        "anomalous_volume",
        "Anomalous volume of the primary scan, in the person.",
        lambda one: one.volume,
        **_MM3,
    )
    add(
        "anomalous_fraction",
        "Its share of the brain, 0 to 1.",
        lambda one: one.volume / one.brain_volume if one.brain_volume else np.nan,
    )
    add(
        "lesions",
        "Number of lesions of the primary scan.",
        lambda one: one.lesion_count,
        Format="integer",
    )
    add("largest_lesion", "Volume of the largest.", lambda one: one.largest, **_MM3)
    add("z_peak", "Highest z-score in a lesion.", lambda one: one.z_peak)
    for tissue in TISSUES:
        add(
            f"anomalous_{tissue.replace(' ', '_')}",
            f"Anomalous volume in regions of the tissue {tissue}.",
            lambda one, tissue=tissue: one.tissue_volume(tissue),
            **_MM3,
        )
    nowhere = (MISSING, MISSING)
    for place, said in _LOCATIONS.items():
        add(
            f"lesions_{place.replace(' ', '_')}",
            f"Number of lesions that are {place}: {said}; n/a where results do not say it.",
            lambda one, place=place: one.locations.get(place, nowhere)[0],
            Format="integer",
        )
    for place in _LOCATIONS:
        add(
            f"volume_{place.replace(' ', '_')}",
            f"Their volume ({place}); n/a likewise.",
            lambda one, place=place: one.locations.get(place, nowhere)[1],
            **_MM3,
        )
    add(
        "most_affected",
        "Region of the atlas with the largest anomalous volume; n/a without anomalies.",
        most_affected,
    )
    modalities = sorted({m for one in burdens for m in one.member.modalities})
    for m in modalities:
        add(
            f"anomalous_volume_{m}",
            f"Anomalous volume of the {m} scan alone; n/a without one.",
            lambda one, m=m: one.volumes.get(m, np.nan),
            **_MM3,
        )
    for m in modalities:
        add(
            f"lesions_{m}",
            f"Number of lesions of the {m} scan alone; n/a without one.",
            lambda one, m=m: one.lesions.get(m, MISSING),
        )
    add(
        "quality_flags",
        "Measures of quality outside the limits of good scans, as scan:measure, "
        "separated by commas; n/a for none.",
        lambda one: ", ".join(":".join(flag) for flag in one.flags) or MISSING,
    )
    against = "Burden against controls (everybody, where none are named): log10(1 + ml) less its "
    against += "median, in robust standard deviations (Iglewicz and Hoaglin 1993); n/a where it "
    against += "does not vary."
    columns["burden_z"] = ({"Description": against}, burden_z(burdens, cohorts).tolist())
    columns["rating"] = (
        {
            **RATINGS["rating"],
            "Description": "What readers of the report thought "
            "of it, the worst of several; n/a where nobody said.",
        },
        [_rating(one)[0] for one in burdens],
    )
    columns["rating_comment"] = (RATINGS["comment"], [_rating(one)[1] for one in burdens])
    add(
        "in_maps",
        "Whether this timepoint stands for the person in maps and comparisons.",
        lambda one: one.member.is_first,
        Levels={"true": "Yes", "false": "An earlier one does"},
    )
    return columns


def _names_beside(ours: Collection[str], theirs: Sequence[str]) -> dict[str, str]:
    """Return what each column of ``participants.tsv`` is called beside ours: no name twice."""
    names: dict[str, str] = {}
    # Those that can keep their name come first.
    for column in sorted(theirs, key=lambda column: column in ours):
        name = without_formula(f"participants_{column}" if column in ours else column)
        names[column] = next(
            free
            for number in itertools.count(1)
            if (free := f"{name}_{number}" if number > 1 else name) not in {*ours, *names.values()}
        )
    return names


def burden_z(burdens: Sequence[Burden], cohorts: Cohorts | None) -> np.ndarray:
    """Return the burden of everybody against controls, or against everybody without any."""
    volumes = np.array([one.volume for one in burdens])
    reference = [
        one.member.is_first
        and (cohorts is None or cohorts.of.get(one.member.participant) == cohorts.controls)
        for one in burdens
    ]
    return modified_z(volumes, volumes[np.array(reference, dtype=bool)])


def most_affected(burden: Burden) -> str:
    """Return the name of the region with the largest anomalous volume, n/a if there is none."""
    largest = int(np.argmax(burden.regions))
    return REGIONS[largest].name if burden.regions[largest] > 0 else MISSING


def _lesions(burdens: Iterable[Burden]) -> Iterator[tuple]:
    columns = OUTPUTS["lesions"].columns
    for burden in burdens:
        for row in read_table(burden.member.file("lesions", burden.member.primary)):
            yield (*who(burden), *(row.get(column, MISSING) for column in columns))


def _likeness(burdens: Sequence[Burden], cohorts: Cohorts, likeness: Likeness) -> list[tuple]:
    """Return the tables of who is like whom; without single people where that is chance."""
    labels = cohort_labels(likeness.groups)
    tables = [
        ({"desc": "recognition"}, "How well groups are told apart, each person left out.",
         {**RECOGNITION, **{f"as_{label}": {"Description": f"People most like {name}.",
                                            "Format": "integer"}
                            for name, label in labels.items()}},
         [(", ".join(one.by), one.group or MISSING, one.people, *one.share, one.chance, one.p,
           *one.taken_for) for one in likeness.recognised]),
    ]  # fmt: skip
    if not likeness.is_above_chance:
        return tables
    return [
        *tables,
        ({"desc": "likeness"}, "Which group each person is most like, when left out. It is no "
         "diagnosis.",
         {**WHO, **LIKENESS, **{f"probability_{label}": {
             "Description": f"Of {name}, if all groups are as likely before, 0 to 1."}
             for name, label in labels.items()}},
         [(*who(burdens[one.burden]),
           cohorts.of.get(burdens[one.burden].member.participant, MISSING), one.most_like,
           *map(float, one.probabilities))
          for one in likeness.people]),
        ({"atlas": "DLMUSE", "desc": "deciding"}, "Regions that speak for each group.", DECIDING,
         [(one.group, *REGIONS[one.region], one.modality,
           "anomalous_fraction" if one.modality == PRIMARY else "z_mean",
           one.mean, one.mean_others, one.share)
          for one in likeness.regions]),
    ]  # fmt: skip


def _rating(burden: Burden) -> tuple[str, str]:
    rating = burden.member.rating
    return (MISSING, MISSING) if rating is None else (rating.level, rating.comment or MISSING)


def _one_line(text: str) -> str:
    return " ".join(text.split())
