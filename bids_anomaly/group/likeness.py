"""Which group each person is most like, by what is unusual in which regions: no diagnosis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bids_anomaly.bids.participants import SITE
from bids_anomaly.evaluation.statistics import Interval
from bids_anomaly.exceptions import some_of
from bids_anomaly.group.burden import REGIONS, Burden
from bids_anomaly.group.cohorts import KNOWN_SHARE, Cohorts, numbers_known
from bids_anomaly.group.comparison import LEVEL
from bids_anomaly.group.people import PRIMARY
from bids_anomaly.group.prototypes import (
    NO_GROUP,
    Recognition,
    distances,
    evidence,
    make_prototypes,
    probabilities,
    profiles_of,
    recognise,
)
from bids_anomaly.reconstruction.covariates import COVARIATES

# With fewer a group, who is left out is told from three or less.
FEWEST = 5
# Who lacks more than this of what is compared is not judged.
LEAST_KNOWN = 0.5


class Alike(NamedTuple):
    """Whom a person is most like.

    Attributes
    ----------
    burden : int
        Which of all burdens the person is.
    most_like : str
        The group.
    probabilities : (K,) array
        Of each group, from prototypes that the person had no part in.
    """

    burden: int
    most_like: str
    probabilities: np.ndarray


class Deciding(NamedTuple):
    """A region that speaks for a group: its mean there and in the others, and its share, 0 to 1.

    Means of z are of what decides: less the median over regions of each person.
    """

    group: str
    region: int
    modality: str
    mean: float
    mean_others: float
    share: float


class Recognised(NamedTuple):
    """How well a group is told apart, or all of them.

    Attributes
    ----------
    by : sequence of str
        ``profiles``, or what was known of people.
    group : str or None
        None for all.
    people : int
    share : Interval
        That is most like its own group; of a single group without an interval. Of all, the mean
        over groups.
    chance, p : float
        Of all; NaN for a single group.
    taken_for : sequence of int
        How many are most like each of the groups.
    """

    by: Sequence[str]
    group: str | None
    people: int
    share: Interval
    chance: float
    p: float
    taken_for: Sequence[int]


@dataclass(frozen=True)
class Likeness:
    """What profiles of people tell of their groups.

    Attributes
    ----------
    groups : sequence of str
        That have enough people, controls first.
    profiles, known : Recognition or None
        By profiles; and by age, sex and site alone. None where it cannot be judged.
    known_names : sequence of str
        Which of age, sex and site were known.
    people : sequence of Alike
        Nobody where profiles tell groups no better than chance.
    regions : sequence of Deciding
        The strongest of each group first; none likewise.
    notes : sequence of str
        What a reader has to know.
    """

    groups: Sequence[str] = ()
    profiles: Recognition | None = None
    known: Recognition | None = None
    known_names: Sequence[str] = ()
    people: Sequence[Alike] = ()
    regions: Sequence[Deciding] = ()
    notes: Sequence[str] = ()

    @property
    def is_above_chance(self) -> bool:
        """Whether profiles tell the groups apart better than chance does."""
        return self.profiles is not None and self.profiles.p < LEVEL

    @property
    def recognised(self) -> list[Recognised]:
        """Who is recognised by profiles, then by what is known: all groups, then each."""
        rows = []
        for by, found in ((["profiles"], self.profiles), (self.known_names, self.known)):
            if found is None:
                continue
            of_all = (None, found.confusion.sum(axis=0), found.accuracy, found.chance, found.p)
            of_each = (
                (name, row, Interval(float(row[at] / row.sum()), np.nan, np.nan), np.nan, np.nan)
                for at, (name, row) in enumerate(zip(self.groups, found.confusion, strict=True))
            )
            rows += [
                Recognised(by, group, int(row.sum()), share, chance, p, row.tolist())
                for group, row, share, chance, p in (of_all, *of_each)
            ]
        return rows


def judge_likeness(burdens: Sequence[Burden], cohorts: Cohorts, *, seed: int) -> Likeness:
    """Compare the profile of each person with the prototypes of groups, each person left out.

    Parameters
    ----------
    burdens : sequence of Burden
        Of everybody; the first timepoint of each person counts.
    cohorts : Cohorts
    seed : int
        Of the permutations.
    """
    rows = [row for row, burden in enumerate(burdens) if burden.member.is_first]
    people = [burdens[row] for row in rows]
    of = np.array([cohorts.of.get(one.member.participant, "") for one in people])
    names, counts = np.unique(of[of != ""], return_counts=True)
    few = [f"{n} ({c})" for n, c in zip(names, counts, strict=True) if c < FEWEST]
    groups = sorted(names[counts >= FEWEST].tolist(), key=lambda n: (n != cohorts.controls, n))
    notes = []
    if few:
        notes.append(
            f"Likeness to {', '.join(few)} cannot be judged: it takes at least {FEWEST} people a "
            "group."
        )
    if len(groups) < 2:
        notes.append(
            f"Which group people are like cannot be judged: fewer than two groups have {FEWEST} "
            "people."
        )
        return Likeness(notes=notes)
    numbers = np.array([groups.index(n) if n in groups else NO_GROUP for n in of])
    features, measured = _measured(people, numbers, notes)
    if not features:
        notes.append(
            "Which group people are like cannot be judged: no modality is there for four in five "
            "people of every group."
        )
        return Likeness(notes=notes)
    is_known = np.isfinite(measured).mean(axis=1) >= LEAST_KNOWN
    # People of a group that is too small belong to none of the prototypes.
    kept = is_known & ((numbers != NO_GROUP) | (of == ""))
    if not is_known.all():
        notes.append(
            "Left out of likeness, because less than half of what is compared is known of them: "
            + some_of(people[at].member.label for at in np.flatnonzero(~is_known))
            + "."
        )
    if min(np.bincount(numbers[kept & (numbers != NO_GROUP)], minlength=len(groups))) < FEWEST:
        notes.append(
            f"Which group people are like cannot be judged: a group has fewer than {FEWEST} people "
            "of whom enough is known."
        )
        return Likeness(notes=notes)
    people = [one for one, is_kept in zip(people, kept, strict=True) if is_kept]
    rows = np.array(rows)[kept]
    numbers, measured = numbers[kept], measured[kept]
    values, blocks = _compared(features, measured)
    labelled = numbers != NO_GROUP
    found = recognise(
        profiles_of(values[labelled], blocks, numbers[labelled]), numbers[labelled], seed=seed
    )
    known_names, known = _by_what_is_known(
        [one for one, is_one in zip(people, labelled, strict=True) if is_one],
        numbers[labelled],
        cohorts,
        seed,
    )
    notes += _of_what_is_known(known_names, known)
    if found.p >= LEVEL:
        return Likeness(groups, found, known, known_names, notes=notes)
    profiles = profiles_of(values, blocks, numbers)
    prototypes = make_prototypes(profiles, numbers)
    far = distances(profiles, prototypes)
    alike = [
        Alike(int(row), groups[nearest], shares)
        for row, nearest, shares in zip(
            rows, far.argmin(axis=1), probabilities(far, numbers), strict=True
        )
    ]
    speaks = evidence(profiles, prototypes, numbers)
    # Of shares people are told the means, not those of their roots.
    told = np.where([modality == PRIMARY for _, modality in features], measured, values)
    deciding = _deciding(groups, features, told, numbers, speaks)
    return Likeness(groups, found, known, known_names, alike, deciding, notes)


def _measured(
    people: Sequence[Burden], numbers: np.ndarray, notes: list[str]
) -> tuple[list[tuple[int, str]], np.ndarray]:
    """Return what is known of enough people of every group: (region, modality), and (N, P) values.

    What one group lacks more often than another would tell them by who was scanned how.
    """
    columns = {}
    labelled = numbers != NO_GROUP
    unknown = np.full(len(REGIONS), np.nan)
    for modality in sorted({m for one in people for m in one.region_z}):
        columns[modality] = np.array([one.region_z.get(modality, unknown) for one in people])
    primaries = {one.member.primary for one, is_one in zip(people, labelled, strict=True) if is_one}
    if len(primaries) == 1:
        columns[PRIMARY] = np.array(
            [one.fractions if one.member.primary in primaries else unknown for one in people]
        )
    else:
        notes.append("Likeness is without anomalous shares, as people have other primary scans.")
    features, kept = [], []
    for modality, values in columns.items():
        is_known = np.isfinite(values)
        enough = np.all(
            [is_known[numbers == g].mean(axis=0) >= KNOWN_SHARE for g in set(numbers[labelled])],
            axis=0,
        )
        if not enough.any():
            notes.append(
                f"Likeness is without {modality}, which fewer than four in five people of a group "
                "have."
            )
        features += [(int(region), modality) for region in np.flatnonzero(enough)]
        kept.append(values[:, enough])
    return features, np.hstack(kept)


def _compared(
    features: Sequence[tuple[int, str]], measured: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is compared, (N, P), and the block of each value.

    A scanner may lift z in all regions of a person alike, so that the median of the person is taken
    out. The root keeps a few large shares from deciding everything.
    """
    names = list(dict.fromkeys(modality for _, modality in features))
    blocks = np.array([names.index(modality) for _, modality in features])
    values = measured.copy()
    for block, name in enumerate(names):
        own = measured[:, blocks == block]
        if name == PRIMARY:
            values[:, blocks == block] = np.sqrt(own)
            continue
        has_any = np.isfinite(own).any(axis=1)
        own[has_any] -= np.nanmedian(own[has_any], axis=1, keepdims=True)
        values[:, blocks == block] = own
    return values, blocks


def _by_what_is_known(
    people: Sequence[Burden], numbers: np.ndarray, cohorts: Cohorts, seed: int
) -> tuple[list[str], Recognition | None]:
    """Tell groups by age, sex and site alone, as far as four in five of every group have them."""
    # What the groups are named by is not to explain them.
    known: list[Mapping[str, str]] = [
        {k: v for k, v in one.known.items() if k != cohorts.column} for one in people
    ]
    used = {}
    for name, columns in numbers_known(known).items():
        there = np.isfinite(columns).all(axis=1)
        shares = [there[numbers == group].mean() for group in set(numbers)]
        if min(shares) >= KNOWN_SHARE and np.ptp(columns[there], axis=0).any():
            used[name] = columns
    if not used:
        return [], None
    values = np.hstack(list(used.values()))
    profiles = profiles_of(values, np.arange(values.shape[1]), numbers)
    return list(used), recognise(profiles, numbers, seed=seed, threshold=0)


def _of_what_is_known(names: Sequence[str], known: Recognition | None) -> list[str]:
    """Say whether age, sex and site could be what makes people alike."""
    lacking = [name for name in (*COVARIATES, SITE) if name not in names]
    notes = []
    if known is not None and known.p < LEVEL:
        notes.append(
            f"{_all_of(names).capitalize()} alone tell the groups apart too (balanced "
            f"accuracy {known.accuracy.estimate:.2f}): what makes people alike may be that, and "
            "not disease."
        )
    if lacking:
        notes.append(
            f"Whether {_all_of(lacking)} could explain likeness is not known: participants.tsv "
            "does not say it of enough people, or all are the same."
        )
    return notes


def _all_of(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _deciding(groups, features, told, numbers, speaks) -> list[Deciding]:
    """List what speaks for each group, the strongest first, and how much of all that does."""
    found = []
    for group, name in enumerate(groups):
        own = numbers == group
        others = ~own & (numbers != NO_GROUP)
        shares = np.maximum(speaks[group], 0)
        shares = shares / shares.sum() if shares.any() else shares
        for at in np.argsort(-shares, kind="stable"):
            if shares[at] > 0:
                means = [float(np.nanmean(told[these, at])) for these in (own, others)]
                found.append(Deciding(name, *features[at], *means, float(shares[at])))
    return found
