"""Compare groups with controls and with each other: voxels, regions, and the whole burden."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bids_anomaly.evaluation.statistics import holm
from bids_anomaly.exceptions import some_of
from bids_anomaly.group.burden import REGIONS, Burden, log_volume
from bids_anomaly.group.cohorts import FEWEST, Cohorts, Design, design
from bids_anomaly.group.collect import Collected, compared_voxels
from bids_anomaly.group.comparison import Test, blocks_of, max_t_test
from bids_anomaly.group.enhancement import Enhanced, tfce_test
from bids_anomaly.group.people import PRIMARY


@dataclass(frozen=True)
class Comparison:
    """One group against controls, in one modality or in the primary scan of each person.

    Attributes
    ----------
    cases : str
        The group.
    modality : str
        BIDS suffix, or :data:`bids_anomaly.group.people.PRIMARY`.
    design : Design
    voxels : Test or None
        Of z-scores in the voxels of :func:`bids_anomaly.group.collect.compared_voxels`; None for
        primary scans.
    regions : Test
        Of mean z-scores, or of anomalous fractions for primary scans, in
        :data:`bids_anomaly.group.burden.REGIONS`.
    means : (2, R) array
        Means of cases and of controls in each region.
    enhanced : Enhanced or None
        Of z-scores in the same voxels; None for primary scans, and where it was not asked for.
    """

    cases: str
    modality: str
    design: Design
    voxels: Test | None
    regions: Test
    means: np.ndarray
    enhanced: Enhanced | None = None


@dataclass(frozen=True)
class CohortBurden:
    """Anomalous volumes of a group: quartiles and mean in mm3, share of people with any."""

    name: str
    people: int
    with_anomalies: float
    quartiles: tuple[float, float, float]
    mean: float
    lesions: float


@dataclass(frozen=True)
class BurdenDifference:
    """Two groups: difference of median volumes in mm3, t of log volumes, and its p-values."""

    first: str
    second: str
    people: tuple[int, int]
    difference: float
    t: float
    p: float
    p_holm: float
    covariates: tuple[str, ...]


@dataclass(frozen=True)
class Analysis:
    """All comparisons, and what a reader has to know of those that were not made."""

    comparisons: Sequence[Comparison] = ()
    cohorts: Sequence[CohortBurden] = ()
    differences: Sequence[BurdenDifference] = ()
    notes: Sequence[str] = ()


def cohort_sizes(cohorts: Cohorts, participants: Iterable[str]) -> dict[str, int]:
    """Return how many people each group has, controls first."""
    counts = Counter(cohorts.of[who] for who in participants if who in cohorts.of)
    return {name: counts[name] for name in sorted(counts, key=lambda n: (n != cohorts.controls, n))}


def large_cohorts(cohorts: Cohorts, participants: Iterable[str]) -> list[str]:
    """Return the groups with enough people for maps of their own, controls first."""
    counts = cohort_sizes(cohorts, participants)
    return [name for name, count in counts.items() if count >= FEWEST]


def analyse(collected: Collected, cohorts: Cohorts, *, seed: int, tfce: bool = False) -> Analysis:
    """Make every comparison that there are enough people for.

    Parameters
    ----------
    collected : Collected
    cohorts : Cohorts
    seed : int
        Of the permutations.
    tfce : bool
        Whether voxels are also compared with threshold-free cluster enhancement, which needs the
        memory of :func:`bids_anomaly.group.enhancement.memory_gb` and takes long.
    """
    rows = [row for row, burden in enumerate(collected.burdens) if burden.member.is_first]
    people = [collected.burdens[row] for row in rows]
    values = [cohorts.of.get(burden.member.participant) for burden in people]
    participants = [burden.member.participant for burden in people]
    counts, large = cohort_sizes(cohorts, participants), large_cohorts(cohorts, participants)
    notes: dict[str, None] = {}
    if small := [f"{name} ({counts[name]})" for name in counts if name not in large]:
        notes[
            f"Not compared, because they have fewer than {FEWEST} people: {', '.join(small)}. Run "
            "the participant level for more."
        ] = None
    comparisons = []
    for cases in large if cohorts.controls in large else ():
        if cases == cohorts.controls:
            continue
        setup = _design(people, cohorts, cases, cohorts.controls, notes)
        if setup is not None:
            matrix = np.array([people[row].fractions for row in setup.rows])
            comparisons.append(_regions_only(cases, PRIMARY, setup, matrix, notes, seed))
        for modality, on_disk in collected.zscores.items():
            scanned = collected.rows[modality]
            comparison = _modality(
                cases, cohorts, collected.burdens, scanned, modality, on_disk, notes, seed, tfce
            )
            if comparison is not None:
                comparisons.append(comparison)
    return Analysis(
        comparisons,
        [_cohort_burden(name, people, values) for name in counts],
        _differences(people, cohorts, large, notes, seed),
        list(notes),
    )


def _modality(cases, cohorts, burdens, scanned, modality, on_disk, notes, seed, tfce):
    people = [burdens[row] for row in scanned]
    values = [cohorts.of.get(burden.member.participant) for burden in people]
    if cases not in values:
        return None
    setup = _design(people, cohorts, cases, cohorts.controls, notes, modality)
    if setup is None:
        return None
    matrix = np.array([people[row].region_z[modality] for row in setup.rows])
    found = _regions_only(cases, modality, setup, matrix, notes, seed)
    blocks = blocks_of(on_disk, setup.rows)
    voxels = max_t_test(blocks, setup.is_case, setup.covariates, seed=seed)
    enhanced = None
    if tfce:
        whole = np.hstack(list(blocks_of(on_disk, setup.rows)))
        enhanced = tfce_test(
            whole, compared_voxels(), setup.is_case, setup.covariates, t=voxels.t, seed=seed
        )
    return Comparison(cases, modality, setup, voxels, found.regions, found.means, enhanced)


def _regions_only(
    cases, modality, setup: Design, matrix: np.ndarray, notes: dict, seed: int
) -> Comparison:
    test = max_t_test([matrix], setup.is_case, setup.covariates, seed=seed)
    unseen = np.isnan(matrix).sum(axis=0)
    lost = np.flatnonzero((unseen > 0) & (unseen < len(matrix)))
    if lost.size:
        lacking = [f"{REGIONS[i].name} ({unseen[i]})" for i in lost]
        notes[
            f"{modality}: not compared, because they lie outside of the scans of some people (how "
            f"many): {some_of(lacking)}. Leave these people out with --exclude-participant-label "
            "to compare them."
        ] = None
    means = [_mean_of_seen(matrix[group]) for group in (setup.is_case, ~setup.is_case)]
    return Comparison(cases, modality, setup, None, test, np.array(means))


def _mean_of_seen(matrix: np.ndarray) -> np.ndarray:
    """Return the mean of each column over the people who have it; NaN where nobody does."""
    seen = np.isfinite(matrix)
    with np.errstate(invalid="ignore"):
        return np.where(seen, matrix, 0).sum(axis=0) / seen.sum(axis=0)


def _design(people, cohorts, cases, controls, notes: dict, what: str = "") -> Design | None:
    """Set up a comparison; what is to be said of it goes to `notes`, once."""
    values = [cohorts.of.get(one.member.participant) for one in people]
    # What tells the groups apart is not to be held constant.
    known = [{k: v for k, v in one.known.items() if k != cohorts.column} for one in people]
    setup = design(values, known, cases=cases, controls=controls)
    said = [setup] if isinstance(setup, str) else setup.notes
    notes.update(dict.fromkeys(f"{what}: {note}" if what else note for note in said))
    return None if isinstance(setup, str) else setup


def _cohort_burden(name: str, people: Sequence[Burden], values: Sequence) -> CohortBurden:
    own = [burden for burden, value in zip(people, values, strict=True) if value == name]
    volumes = np.array([burden.volume for burden in own])
    return CohortBurden(
        name,
        len(own),
        float((volumes > 0).mean()),
        tuple(float(value) for value in np.percentile(volumes, [25, 50, 75])),
        float(volumes.mean()),
        float(np.median([burden.lesion_count for burden in own])),
    )


def _differences(people, cohorts, names, notes: dict, seed: int) -> list[BurdenDifference]:
    """Compare the burdens of all pairs of groups; p-values are adjusted over the pairs (Holm)."""
    volumes = np.array([burden.volume for burden in people])
    logs = log_volume(volumes)
    found = []
    for second, first in itertools.combinations(names, 2):
        setup = _design(people, cohorts, first, second, notes)
        if setup is None:
            continue
        test = max_t_test([logs[setup.rows][:, None]], setup.is_case, setup.covariates, seed=seed)
        own = volumes[setup.rows]
        medians = [np.median(own[group]) for group in (setup.is_case, ~setup.is_case)]
        counts = (int(setup.is_case.sum()), int((~setup.is_case).sum()))
        found.append((first, second, counts, medians[0] - medians[1], test, setup.names))
    adjusted = holm([float(test.p[0]) for *_, test, _ in found])
    return [
        BurdenDifference(
            first, second, counts, float(change), float(test.t[0]), float(test.p[0]), float(p), used
        )
        for (first, second, counts, change, test, used), p in zip(found, adjusted, strict=True)
    ]


def region_rows(comparison: Comparison) -> list[tuple]:
    """Return the rows of the table of compared regions, the columns of the table in order."""
    cases, controls = comparison.means
    measure = "anomalous_fraction" if comparison.modality == PRIMARY else "z_mean"
    return [
        (
            comparison.cases,
            *region,
            comparison.modality,
            measure,
            *map(float, (cases[i], controls[i], comparison.regions.t[i], comparison.regions.p[i])),
        )
        for i, region in enumerate(REGIONS)
    ]
