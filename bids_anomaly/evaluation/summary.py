"""From rows of scans to figures with intervals, and comparisons of models."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd

from bids_anomaly.evaluation.dataset import CONTROL, PATIENT, Evaluation, Row
from bids_anomaly.evaluation.measures import (
    FROC_LEVELS,
    GROUP_MEASURES,
    MEASURES,
    OF_CONTROLS,
    SUMMARY,
)
from bids_anomaly.evaluation.raw import RAW_INTENSITY
from bids_anomaly.evaluation.restoration import FEWEST_HEALTHY, Moments, group_ahi
from bids_anomaly.evaluation.statistics import (
    FEWEST,
    Interval,
    Statistic,
    agreement_of,
    bootstrap,
    difference_of,
    holm,
    mean_of,
    paired_wilcoxon,
)

# Limits of agreement hold 95 % of normally distributed differences.
AGREEMENT_DEVIATIONS = 1.96


def summarise(evaluation: Evaluation) -> pd.DataFrame:
    """Return a row for each modality, group, measure and model, and for differences of models.

    Measures that nobody has are left out, and of controls those of lesions; models are compared by
    measures of which more is better or worse, each also with the scan as it came. People are what
    is averaged and drawn: several scans of a person are averaged first.

    Returns
    -------
    pandas.DataFrame
        With the columns of :data:`bids_anomaly.evaluation.measures.SUMMARY`.
    """
    lines = []
    for modality in evaluation.modalities:
        by_model = evaluation.of_modality(modality)
        for group, measure in [*product([PATIENT], MEASURES), *product([CONTROL], OF_CONTROLS)]:
            values = {
                model: by_person([row for row in rows if row.group == group], measure)
                for model, rows in by_model.items()
            }
            values = {model: known for model, known in values.items() if known}
            about = {"modality": modality, "group": group, "measure": measure}
            for model, known in values.items():
                interval = bootstrap(mean_of(list(known.values())), len(known))
                lines.append({**about, "model": model, "people": len(known), **interval._asdict()})
            if MEASURES[measure].more_is_better is not None:
                lines += [about | line for line in _differences(values)]
        for model, rows in by_model.items():
            about = {"modality": modality, "group": "all", "model": model}
            if model != RAW_INTENSITY:
                lines += [about | line for line in _group_lines(rows)]
    return pd.DataFrame(lines, columns=list(SUMMARY))


def by_person(rows: Sequence[Row], measure: str) -> dict[str, float]:
    """Return the mean of a measure over the scans of each person who has it."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if np.isfinite(row.figures[measure]):
            found.setdefault(row.participant, []).append(row.figures[measure])
    return {person: float(np.mean(values)) for person, values in found.items()}


def _differences(values: Mapping[str, Mapping[str, float]]) -> list[dict]:
    """Compare all pairs of models on the people whom both have; the baseline is what is taken."""
    lines = []
    models = sorted(values, key=lambda model: model == RAW_INTENSITY)
    for one, other in combinations(models, 2):
        people = [person for person in values[one] if person in values[other]]
        if not people:
            continue
        first, second = (np.array([values[name][p] for p in people]) for name in (one, other))
        interval = bootstrap(difference_of(mean_of(first), mean_of(second)), len(people))
        p_value = paired_wilcoxon(first, second) if len(people) > 1 else np.nan
        line = {"model": one, "versus": other, "people": len(people), **interval._asdict()}
        lines.append(line | {"p_value": p_value})
    for line, p_holm in zip(lines, holm([line["p_value"] for line in lines]), strict=True):
        line["p_holm"] = p_holm
    return lines


def _group_lines(rows: Sequence[Row]) -> list[dict]:
    """Return what only all scans together have."""
    people = list(dict.fromkeys(row.participant for row in rows))
    # (P, S): which scans are a person's.
    whose = np.array([[row.participant == person for row in rows] for person in people])
    statistics: dict[str, Statistic] = {
        "patients_vs_controls_auroc": _patients_vs_controls(rows, whose),
        "group_ahi": _group_ahi(rows, whose),
    }
    for level in FROC_LEVELS:
        statistics[f"froc_sensitivity_at_{level}"] = _froc_sensitivity(rows, whose, level)
    found = {
        measure: (len(people), bootstrap(statistic, len(people)))
        for measure, statistic in statistics.items()
    } | _volumes(rows)
    return [
        {"measure": measure, "people": count, **interval._asdict()}
        for measure, (count, interval) in ((name, found[name]) for name in GROUP_MEASURES)
        if np.isfinite(interval.estimate)
    ]


def _volumes(rows: Sequence[Row]) -> dict[str, tuple[int, Interval]]:
    """Return how far volumes of mask and truth agree over patients, and how many there are."""
    patients = [row for row in rows if row.group == PATIENT]
    marked, true = (by_person(patients, volume) for volume in ("burden_ml", "lesion_ml"))
    pairs = np.array([(marked[who], true[who]) for who in marked if who in true]).reshape(-1, 2)
    statistics = {
        "volume_agreement_low_ml": _limit_of_agreement(pairs, -AGREEMENT_DEVIATIONS),
        "volume_agreement_high_ml": _limit_of_agreement(pairs, AGREEMENT_DEVIATIONS),
        "volume_icc": agreement_of(pairs) if len(pairs) >= FEWEST else _undefined,
    }
    return {
        measure: (
            len(pairs),
            bootstrap(statistic, len(pairs)) if len(pairs) else Interval(*[np.nan] * 3),
        )
        for measure, statistic in statistics.items()
    }


def _undefined(weights: np.ndarray) -> np.ndarray:
    return np.full(len(weights), np.nan)


def _limit_of_agreement(pairs: np.ndarray, deviations: float) -> Statistic:
    """Return the mean difference of (N, 2) volumes, and so many standard deviations."""
    errors = pairs[:, 0] - pairs[:, 1]

    def statistic(weights: np.ndarray) -> np.ndarray:
        people = weights.sum(axis=1)
        # One person has no standard deviation.
        known = people > 1
        safe = np.where(known, people, 2)
        mean = weights @ errors / safe
        square = (weights * (errors - mean[:, None]) ** 2).sum(axis=1) / (safe - 1)
        return np.where(known, mean + deviations * np.sqrt(square), np.nan)

    return statistic


def _froc_sensitivity(rows: Sequence[Row], whose: np.ndarray, level: float) -> Statistic:
    found, false, lesions = froc_arrays(rows)

    def statistic(weights: np.ndarray) -> np.ndarray:
        scans = weights @ whose
        return sensitivity_at(
            *froc(scans @ found, scans @ false, scans @ lesions, scans.sum(axis=1)), level
        )

    return statistic


def froc_arrays(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return found lesions (S, T), false components (S, T) and lesions (S,) of scans."""
    return (
        np.array([row.curves.found for row in rows]),
        np.array([row.curves.false for row in rows]),
        np.array([row.curves.lesions for row in rows]),
    )


def froc(
    found: np.ndarray, false: np.ndarray, lesions: np.ndarray, scans: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sensitivity to lesions and the false components a scan at each threshold.

    Parameters
    ----------
    found, false : (..., T) arrays
    lesions, scans : (...) arrays
    """
    lesions = np.asarray(lesions, dtype=float)[..., None]
    sensitivity = np.divide(found, lesions, out=np.full(found.shape, np.nan), where=lesions > 0)
    return sensitivity, false / np.asarray(scans, dtype=float)[..., None]


def sensitivity_at(sensitivity: np.ndarray, false_a_scan: np.ndarray, level: float) -> np.ndarray:
    """Return the highest sensitivity with at most so many false components a scan.

    Parameters
    ----------
    sensitivity, false_a_scan : (..., T) arrays
    level : float

    Returns
    -------
    (...) array
        0 if every threshold has more; NaN without lesions.
    """
    allowed = np.where(false_a_scan <= level, sensitivity, 0)
    return np.where(np.isnan(sensitivity).any(axis=-1), np.nan, allowed.max(axis=-1))


def _patients_vs_controls(rows: Sequence[Row], whose: np.ndarray) -> Statistic:
    burden = whose @ [row.figures["burden_ml"] for row in rows] / whose.sum(axis=1)
    patient = whose @ [row.group == PATIENT for row in rows] > 0

    higher = np.subtract.outer(burden[patient], burden[~patient])
    wins = (higher > 0) + 0.5 * (higher == 0)

    def statistic(weights: np.ndarray) -> np.ndarray:
        # The AUROC is the share of pairs of patient and control that are in the right order.
        ill, well = weights[:, patient], weights[:, ~patient]
        pairs = ill.sum(axis=1) * well.sum(axis=1)
        won = ((ill @ wins) * well).sum(axis=1)
        return np.divide(won, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)

    return statistic


def _group_ahi(rows: Sequence[Row], whose: np.ndarray) -> Statistic:
    """Return the statistic of :func:`group_ahi`; NaN without reconstructions or controls."""
    control = whose @ [row.group == PATIENT for row in rows] == 0
    known = all(row.scan_texture and row.restored_texture for row in rows)
    if not known or control.sum() < FEWEST_HEALTHY or control.all():
        return lambda weights: np.full(len(weights), np.nan)
    # Controls alternate between the healthy and the other healthy people.
    position = np.cumsum(control)
    first, second = control & (position % 2 == 1), control & (position % 2 == 0)
    scans = _stacked([row.scan_texture for row in rows])
    restored = _stacked([row.restored_texture for row in rows])

    def statistic(weights: np.ndarray) -> np.ndarray:
        def added(moments: Moments, group: np.ndarray) -> Moments:
            drawn = (weights * group) @ whose
            return Moments(
                drawn @ moments.count,
                drawn @ moments.total,
                np.tensordot(drawn, moments.products, axes=1),
            )

        # A draw may have nobody of a group.
        with np.errstate(divide="ignore", invalid="ignore"):
            complete = np.all([weights @ group > 0 for group in (first, second, ~control)], axis=0)
            values = np.full(len(weights), np.nan)
            groups = [
                added(scans, ~control),
                added(restored, ~control),
                added(scans, first),
                added(scans, second),
            ]
            kept = [
                Moments(m.count[complete], m.total[complete], m.products[complete]) for m in groups
            ]
            if complete.any():
                values[complete] = group_ahi(*kept)
        return values

    return statistic


def _stacked(moments: Sequence[Moments]) -> Moments:
    return Moments(
        np.array([one.count for one in moments]),
        np.array([one.total for one in moments]),
        np.array([one.products for one in moments]),
    )
