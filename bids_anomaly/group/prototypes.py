"""Tell groups of few people apart by many regions: a prototype a group, each person left out.

Nearest shrunken centroids (Tibshirani et al. 2002), as in scikit-learn's ``NearestCentroid``, which
knows no missing values and would be fitted anew for everybody who is left out. Here people are left
out by subtracting them from sums, so that 200 permutations take seconds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bids_anomaly.evaluation.statistics import Interval, Statistic, bootstrap

# Below this many standard errors from the mean of all groups, a group's mean is that of all.
# benchmarks/likeness.py compares it with 0.
THRESHOLD = 1.0
PERMUTATIONS = 200
# How far distances are divided before they become probabilities: regions go together, so that
# hundreds of them are no hundreds of independent witnesses.
TEMPERATURES = np.geomspace(1, 1000, 31)
NO_GROUP = -1
# More people are left out in as many parts, not one by one.
PARTS = 40
# The least spread, as a share of the range of a value: 0 would make distances infinite.
LEAST_SPREAD = 1e-3


class Recognition(NamedTuple):
    """How well people who are left out are told apart.

    Attributes
    ----------
    confusion : (K, K) int array
        People by their group (rows) and by the one that they are most like (columns).
    accuracy : Interval
        Balanced accuracy, the mean share of a group that is recognised, with its 95 % bootstrap
        interval over people.
    chance : float
        Mean balanced accuracy when groups are dealt out at random.
    p : float
        How often that is as high as what was found.
    """

    confusion: np.ndarray
    accuracy: Interval
    chance: float
    p: float


class Profiles(NamedTuple):
    """What is known of N people, in parts that are left out together.

    Attributes
    ----------
    values, known : (N, P) float and bool arrays
        0 where not known.
    blocks : (P,) int array
    parts : sequence of int arrays
        Rows of the people of each part.
    """

    values: np.ndarray
    known: np.ndarray
    blocks: np.ndarray
    parts: Sequence[np.ndarray]


class Prototypes(NamedTuple):
    """Prototypes from everybody but a part, for each of F parts.

    Attributes
    ----------
    means : (F, K, P) array
    spreads : (F, P) array
        Within groups.
    """

    means: np.ndarray
    spreads: np.ndarray


def profiles_of(values: np.ndarray, blocks: np.ndarray, groups: np.ndarray) -> Profiles:
    """Say who is left out together: everybody alone, or parts where there are many people.

    Parameters
    ----------
    values : (N, P) array
        NaN where not known.
    blocks : (P,) int array
        Which values have one unit.
    groups : (N,) int array
        From 0 to K - 1; :data:`NO_GROUP` for people without one, whom all others are there for.
    """
    known = np.isfinite(values)
    # Far from 0, squares lose their digits. It changes no distance.
    centre = np.where(known, values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    labelled = np.flatnonzero(groups != NO_GROUP)
    count = min(PARTS, len(labelled))
    parts = [labelled[first::count] for first in range(count)]
    others = np.flatnonzero(groups == NO_GROUP)
    return Profiles(
        np.where(known, values - centre, 0.0),
        known,
        blocks,
        [*parts, *([others] * bool(others.size))],
    )


def make_prototypes(
    profiles: Profiles, groups: np.ndarray, *, threshold: float = THRESHOLD
) -> Prototypes:
    """Return the prototypes of each group, for every part from all people outside of it.

    Means, spreads, and which values count come from the others alone: nobody has a say in where
    they belong.

    Parameters
    ----------
    profiles : Profiles
    groups : (N,) int array
    threshold : float
        How far means are shrunk towards that of everybody, in standard errors.

    References
    ----------
    Tibshirani R, Hastie T, Narasimhan B, Chu G (2002). Diagnosis of multiple cancer types by
    shrunken centroids of gene expression. PNAS 99: 6567-6572.
    """
    values, known, blocks, parts = profiles
    count = int(groups.max()) + 1
    is_in = (groups[:, None] == np.arange(count)).astype(float)

    def outside(terms: np.ndarray) -> np.ndarray:
        inside = np.array([is_in[part].T @ terms[part] for part in parts])
        # Who has no group is in no sum.
        return is_in.T @ terms - inside

    people, sums = outside(known.astype(float)), outside(values)
    means = sums / np.maximum(people, 1)
    total = people.sum(axis=1)
    overall = sums.sum(axis=1) / np.maximum(total, 1)
    within = outside(values**2).sum(axis=1) - (sums * means).sum(axis=1)
    spreads = np.sqrt(np.maximum(within, 0) / np.maximum(total - count, 1))
    for block in np.unique(blocks):
        # So that values that hardly vary do not decide. The mean, not the median as by Tibshirani
        # et al.: most regions may never be marked.
        spreads[:, blocks == block] += spreads[:, blocks == block].mean(axis=1, keepdims=True)
    ranges = np.ptp(values, axis=0)
    spreads = np.maximum(spreads, np.where(ranges > 0, LEAST_SPREAD * ranges, 1.0))
    smallest = np.maximum(people, 1)
    errors = np.sqrt(np.maximum(1 / smallest - 1 / np.maximum(total, 1)[:, None], 0))
    away = np.where(people > 0, means - overall[:, None], 0.0)
    least = threshold * errors * spreads[:, None]
    shrunk = np.sign(away) * np.maximum(np.abs(away) - least, 0)
    return Prototypes(overall[:, None] + shrunk, spreads)


def distances(profiles: Profiles, prototypes: Prototypes) -> np.ndarray:
    """Return the (N, K) squared distances to the prototypes that a person had no part in.

    Values that are not known are as far from every group; distances are as if all were known.
    """
    values, known, _, parts = profiles
    found = np.empty((len(values), prototypes.means.shape[1]))
    for part, means, spreads in zip(parts, *prototypes, strict=True):
        weights = 1 / spreads**2
        x = values[part]
        found[part] = (
            (x**2 @ weights)[:, None]
            - 2 * x @ (means * weights).T
            + known[part] @ (means**2 * weights).T
        )
    return found / np.maximum(known.mean(axis=1, keepdims=True), 1 / known.shape[1])


def evidence(profiles: Profiles, prototypes: Prototypes, groups: np.ndarray) -> np.ndarray:
    """Return how much each value speaks for the group that people are of, (K, P).

    It is how much farther they are from the other prototypes than from their own, on average over
    the others and over the people of the group.
    """
    values, known, _, parts = profiles
    count = prototypes.means.shape[1]
    found = np.zeros((count, values.shape[1]))
    for part, means, spreads in zip(parts, *prototypes, strict=True):
        for person in part[groups[part] != NO_GROUP]:
            squares = known[person] * ((values[person] - means) / spreads) ** 2
            own = groups[person]
            found[own] += (squares.sum(axis=0) - count * squares[own]) / (count - 1)
    return found / np.bincount(groups[groups != NO_GROUP], minlength=count)[:, None]


def probabilities(far: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return how likely each group is for each person, if all groups are as likely before.

    Distances are divided by the one of :data:`TEMPERATURES` that makes what is true of all other
    people most likely (temperature scaling, Guo et al. 2017).

    Parameters
    ----------
    far : (N, K) array
        From :func:`distances`.
    groups : (N,) int array

    Returns
    -------
    (N, K) array
        Rows add up to 1.
    """
    nearer = (far.min(axis=1, keepdims=True) - far) / 2
    odds = np.exp(nearer[:, None, :] / TEMPERATURES[:, None])
    odds /= odds.sum(axis=2, keepdims=True)
    # As if one person more of each group had been told wrong: a few who are all right are not
    # reason enough to be sure.
    known = int((groups != NO_GROUP).sum())
    odds = (known * odds + 1) / (known + far.shape[1])
    people = np.arange(len(groups))
    true = np.where((groups != NO_GROUP)[:, None], odds[people, :, groups], 1.0)
    logs = np.log(np.maximum(true, np.finfo(float).tiny))
    best = np.argmax(logs.sum(axis=0) - logs, axis=1)
    return odds[people, best]


def recognise(
    profiles: Profiles,
    groups: np.ndarray,
    *,
    seed: int,
    threshold: float = THRESHOLD,
    permutations: int = PERMUTATIONS,
) -> Recognition:
    """Say how well groups are told apart, beside what chance does.

    Parameters
    ----------
    profiles : Profiles
    groups : (N,) int array
        Everybody has one.
    seed : int
        Of the permutations.
    threshold : float
    permutations : int
        How often groups are dealt out anew; no p is below 1 / (permutations + 1).
    """

    def most_like(these: np.ndarray) -> np.ndarray:
        made = make_prototypes(profiles, these, threshold=threshold)
        return distances(profiles, made).argmin(axis=1)

    found = most_like(groups)
    count = int(groups.max()) + 1
    confusion = np.zeros((count, count), dtype=int)
    np.add.at(confusion, (groups, found), 1)
    accuracy = bootstrap(balanced(found == groups, groups), len(groups))
    random = np.random.default_rng(seed)
    everybody = np.ones((1, len(groups)))
    dealt = (random.permutation(groups) for _ in range(permutations))
    by_chance = np.array([balanced(most_like(d) == d, d)(everybody)[0] for d in dealt])
    as_high = int((by_chance >= accuracy.estimate - 1e-9).sum())
    return Recognition(
        confusion, accuracy, float(by_chance.mean()), (as_high + 1) / (permutations + 1)
    )


def balanced(right: np.ndarray, groups: np.ndarray) -> Statistic:
    """Return the statistic that is the mean over groups of the share of people who are right.

    It is not defined (NaN) for draws that lack a group.

    Parameters
    ----------
    right : (N,) bool array
    groups : (N,) int array
    """
    is_in = (groups[:, None] == np.unique(groups)).astype(float)

    def mean(weights: np.ndarray) -> np.ndarray:
        people = weights @ is_in
        hits = weights @ (is_in * right[:, None])
        shares = np.divide(hits, people, out=np.full(people.shape, np.nan), where=people > 0)
        return shares.mean(axis=1)

    return mean
