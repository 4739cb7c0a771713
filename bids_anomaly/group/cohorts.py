"""Groups of people that are compared with controls, and what is known of everybody."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bids_anomaly.bids.participants import (
    SITE,
    canonical_column,
    clean,
    declared_controls,
    read_participants,
    stated,
)
from bids_anomaly.bids.tables import MISSING
from bids_anomaly.reconstruction.covariates import COVARIATES, as_numbers

# Four people a group can be told from four others in 70 ways, so that a p of .05 is within reach.
FEWEST = 4
# Where covariates explain a share of the groups, people tell as much as the rest of that share of
# them would otherwise: here half. Of the studies of benchmarks/sites.py --uneven that find a region
# if nothing is explained, a third (44 people) to two thirds (132) still do.
ENTANGLED = 0.5
# A covariate that fewer know is left out; who lacks one that is used is not compared.
KNOWN_SHARE = 0.8


@dataclass(frozen=True)
class Cohorts:
    """Who is in which group, by a column of ``participants.tsv``.

    Attributes
    ----------
    column : str
    controls : str
        The value of controls.
    of : mapping of str to str
        From participant (without ``sub-``) to value; people without one are absent.
    """

    column: str
    controls: str
    of: Mapping[str, str]


def read_cohorts(output_dir: Path, declaration: str) -> Cohorts:
    """Return the groups of the column that says who the controls are.

    Parameters
    ----------
    output_dir : Path
        Dataset with ``participants.tsv``.
    declaration : str
        ``COLUMN=VALUE`` of the controls.

    Raises
    ------
    MissingInputError
        If the table cannot be read or lacks the column.
    NothingFoundError
        If nobody is a control.
    """
    declared_controls(output_dir / "participants.tsv", declaration)
    column, _, value = (clean(part) for part in declaration.partition("="))
    column = canonical_column(column)
    known = {
        label.removeprefix("sub-"): row.get(column, "").strip()
        for label, row in read_participants(output_dir).items()
    }
    return Cohorts(column, value, {key: of for key, of in known.items() if of not in ("", MISSING)})


def cohort_labels(names: Sequence[str]) -> dict[str, str]:
    """Turn values of a table into labels for file names, different for different values.

    Parameters
    ----------
    names : sequence of str
        Any text.

    Returns
    -------
    dict
        From name to letters and digits.
    """
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        stem = re.sub(r"[^A-Za-z0-9]", "", name) or "group"
        # Some disks do not tell upper from lower case.
        label = next(
            label
            for number in range(len(names) + 1)
            if (label := stem + (str(number + 1) if number else "")).lower() not in taken
        )
        taken.add(label.lower())
        labels[name] = label
    return labels


@dataclass(frozen=True)
class Design:
    """Who is compared with whom, and what is held constant.

    Attributes
    ----------
    rows : (M,) int array
        Which of all people are compared.
    is_case : (M,) bool array
        Who of them is not a control.
    covariates : (M, K) float array
    names : tuple of str
        Of the covariates.
    notes : tuple of str
        What a reader has to know.
    """

    rows: np.ndarray
    is_case: np.ndarray
    covariates: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str, ...]


def design(
    values: Sequence[str | None],
    known: Sequence[Mapping[str, str]],
    *,
    cases: str,
    controls: str,
) -> Design | str:
    """Set up the comparison of two groups, with age, sex and site where they are known.

    Parameters
    ----------
    values : sequence of str or None
        The group of each person.
    known : sequence of mappings
        Each person's row of ``participants.tsv``.
    cases, controls : str
        The two groups.

    Returns
    -------
    Design or str
        A sentence if they cannot be compared.
    """
    who = f"{cases} against {controls}"
    rows = np.flatnonzero([value in (cases, controls) for value in values])
    is_case = np.array([values[row] == cases for row in rows], dtype=bool)
    used, notes = {}, []
    for name, numbers in numbers_known([known[row] for row in rows]).items():
        there = np.isfinite(numbers).all(axis=1)
        shares = [there[group].mean() if group.any() else 0.0 for group in (is_case, ~is_case)]
        if min(shares) < KNOWN_SHARE:
            if there.any():
                notes.append(
                    f"{who}: {name} is not accounted for, because it is known of {there.sum()} of "
                    f"{len(rows)} people only."
                )
        elif np.ptp(numbers[there], axis=0).any():
            used[name] = numbers
    complete = np.ones(len(rows), dtype=bool)
    for numbers in used.values():
        complete &= np.isfinite(numbers).all(axis=1)
    if not complete.all():
        notes.append(
            f"{who}: {(~complete).sum()} people are left out, because their {' or '.join(used)} is "
            "not known."
        )
    rows, is_case = rows[complete], is_case[complete]
    counts = {cases: int(is_case.sum()), controls: int((~is_case).sum())}
    for name, count in counts.items():
        if count < FEWEST:
            return (
                f"{who}: not compared, because {name} has {count} of at least {FEWEST} people. Run "
                "the participant level for more."
            )
    columns = [(name, column) for name, numbers in used.items() for column in numbers[complete].T]
    kept = _told_apart(is_case, [column for _, column in columns])
    dropped = dict.fromkeys(name for at, (name, _) in enumerate(columns) if at not in kept)
    names = tuple(dict.fromkeys(columns[at][0] for at in kept))
    lost = [f"part of {name}" if name in names else name for name in dropped]
    if lost:
        notes.append(
            f"{who}: {' and '.join(lost)} cannot be told from the group (or from each other), and "
            f"{'is' if len(lost) == 1 else 'are'} not accounted for."
        )
    covariates = np.array([columns[at][1] for at in kept]).reshape(len(kept), len(rows)).T
    explained = _explained(is_case, covariates)
    if explained > ENTANGLED:
        notes.append(
            f"{who}: {100 * explained:.0f} % of who is in which group is explained by "
            f"{' and '.join(names)}. With that held constant {len(rows)} people tell as little as "
            f"{(1 - explained) * len(rows):.0f} would otherwise."
        )
    return Design(rows, is_case, covariates, names, tuple(notes))


def numbers_known(known: Sequence[Mapping[str, str]]) -> dict[str, np.ndarray]:
    """Return by name what is known of each of M people, (M, C) arrays; NaN where it is not.

    A site has a column that says whether a person is of it; the first site has none.
    """
    numbers = np.array([as_numbers(row) for row in known]).reshape(len(known), -1)
    found = {name: numbers[:, [column]] for column, name in enumerate(COVARIATES)}
    sites = np.array([stated(row, SITE) for row in known])
    lacking = sites == ""
    others = np.unique(sites[~lacking])[1:]
    # One site, or none that is known, is one column that does not vary.
    indicators = sites[:, None] == (others if others.size else np.array([""]))
    found[SITE] = np.where(lacking[:, None], np.nan, indicators.astype(float))
    return found


def _told_apart(is_case: np.ndarray, covariates: Sequence[np.ndarray]) -> list[int]:
    """Return which (M,) covariates neither the group nor those before them explain."""
    kept: list[int] = []
    for place in range(len(covariates)):
        others = [covariates[at] for at in (*kept, place)]
        design = np.column_stack([np.ones(len(is_case)), is_case, *others])
        if np.linalg.matrix_rank(design) == design.shape[1]:
            kept.append(place)
    return kept


def _explained(is_case: np.ndarray, covariates: np.ndarray) -> float:
    """Return the share of the variance of the group that covariates explain."""
    group = is_case - is_case.mean()
    centred = covariates - covariates.mean(axis=0)
    weights, *_ = np.linalg.lstsq(centred, group, rcond=None)
    return float(1 - ((group - centred @ weights) ** 2).sum() / (group**2).sum())
