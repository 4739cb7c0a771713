"""Evaluate one scan after the other; no image stays in memory."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bids_anomaly.evaluation.curves import Curves
from bids_anomaly.evaluation.loading import ScanMaps, load_healthy, load_maps, load_raw
from bids_anomaly.evaluation.matching import (
    Pair,
    Prediction,
    find_predictions,
    find_truth,
    match,
    threshold_of,
)
from bids_anomaly.evaluation.measures import MEASURES
from bids_anomaly.evaluation.raw import RAW_INTENSITY, raw_score
from bids_anomaly.evaluation.restoration import Moments
from bids_anomaly.evaluation.scan import evaluate_scan, ranking_figures
from bids_anomaly.exceptions import (
    BadScanError,
    BidsAnomalyError,
    MissingInputError,
    NothingFoundError,
    some_of,
)
from bids_anomaly.modalities import in_usual_order

CONTROL, PATIENT = "control", "patient"


@dataclass(frozen=True, eq=False)
class Row:
    """One scan as one model sees it.

    Attributes
    ----------
    model : str
        Or :data:`bids_anomaly.evaluation.raw.RAW_INTENSITY`, the baseline.
    pair : Pair
    group : str
        :data:`CONTROL` or :data:`PATIENT`, see :func:`evaluate`.
    figures : mapping of str to float
        By the names of :data:`bids_anomaly.evaluation.measures.MEASURES`.
    curves : Curves or None
        None for the baseline, which has no threshold.
    scan_texture, restored_texture : Moments or None
    """

    model: str
    pair: Pair
    group: str
    figures: Mapping[str, float]
    curves: Curves | None
    scan_texture: Moments | None = None
    restored_texture: Moments | None = None

    @property
    def participant(self) -> str:
        """Label without ``sub-``."""
        return self.pair.prediction.entities["sub"]

    @property
    def modality(self) -> str:
        """BIDS suffix."""
        return self.pair.prediction.modality


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All rows, and what a reader has to know of the rest.

    Attributes
    ----------
    rows : list of Row
        In the order of models and scans, the baseline first.
    notes : list of str
        Who or what was left out, and why.
    failures : mapping of str to BidsAnomalyError
        By the name of a scan.
    """

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: dict[str, BidsAnomalyError] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order in which they were given, without the baseline."""
        return list(dict.fromkeys(row.model for row in self.rows if row.model != RAW_INTENSITY))

    @property
    def modalities(self) -> list[str]:
        """Modalities that were evaluated."""
        return in_usual_order(row.modality for row in self.rows)

    def of_modality(self, modality: str) -> dict[str, list[Row]]:
        """Return the rows of a modality by model, the baseline first, as far as there are any."""
        rows: dict[str, list[Row]] = {}
        for row in self.rows:
            if row.modality == modality:
                rows.setdefault(row.model, []).append(row)
        return rows


def pair_up(
    derivatives: Mapping[str, Path],
    truth: Path,
    *,
    space: str | None,
    modalities: Collection[str] | None,
    participants: Collection[str] | None,
    controls: Collection[str],
    chosen: Mapping[str, str],
) -> tuple[dict[str, list[Pair]], list[str]]:
    """Match what models found with masks, before anything is computed.

    Parameters
    ----------
    derivatives : mapping of str to Path
        Output folders by the names of models.
    truth : Path
        Derivative dataset of masks.
    space : str or None
        Template in whose grid to evaluate; None is the grid of each scan.
    modalities : collection of str or None
        Which to evaluate; None is all.
    participants : collection of str or None
        Labels without ``sub-``; None is everybody.
    controls : collection of str
        Participants without disease (without ``sub-``), who need no mask.
    chosen : mapping
        Entities of the masks to use.

    Returns
    -------
    dict
        Pairs by the names of models.
    list of str
        Sentences about those who are left out.

    Raises
    ------
    NothingFoundError
        If a folder has no results, or none of them has a mask.
    """
    masks = find_truth(truth, chosen)
    pairs: dict[str, list[Pair]] = {}
    notes = []
    for model, folder in derivatives.items():
        predictions = [
            prediction
            for prediction in find_predictions(folder, space=space, modalities=modalities)
            if participants is None or prediction.entities["sub"] in participants
        ]
        if not predictions:
            raise NothingFoundError(
                f"The folder {folder} has no results of bids-anomaly "
                f"of {some_of(sorted(participants)) if participants else 'anybody'} "
                f"({', '.join(modalities) if modalities else 'any modality'} in "
                f"{space or 'native'} space, *_desc-zscore_*). Check the path, and "
                "--output-spaces of the run."
            )
        pairs[model], missing = _match_all(predictions, masks, controls)
        if not pairs[model]:
            raise NothingFoundError(
                f"None of the {len(predictions)} results in {folder} has a mask in {truth} "
                "(sub-*/**/*_mask.nii.gz with the entities of the scan, such as "
                f"{predictions[0].entities}). Check --truth and --truth-entities."
            )
        if missing:
            notes.append(
                f"{model}: left out, because {truth.name} has no mask of them: {some_of(missing)}."
            )
    seen = {pair.prediction.entities["sub"] for found in pairs.values() for pair in found}
    unseen = sorted(f"sub-{label}" for label in set(masks) - seen)
    if unseen and participants is None:
        notes.append(f"Masks without results: {some_of(unseen)}.")
    return pairs, notes


def evaluate(
    pairs: Mapping[str, Sequence[Pair]],
    *,
    controls: Collection[str],
    healthy: Path | None = None,
    bids_dir: Path | None = None,
    notes: Sequence[str] = (),
    tell: Callable[[str], None] = print,
) -> Evaluation:
    """Evaluate pairs from :func:`pair_up`, one at a time.

    A scan that cannot be evaluated is recorded, and the others go on. Without declared controls,
    scans with an empty mask are those of controls. The baseline is what the scan as it came shows
    within the brain of the first model; where that scan is not found, its figures are NaN and a
    note says why.

    Parameters
    ----------
    pairs : mapping
        By the names of models.
    controls : collection of str
        Participants without disease, without ``sub-``.
    healthy : Path, optional
        Output of the app for the same scans without lesions, where lesions are synthetic.
    bids_dir : Path, optional
        The input dataset, where it is no longer where the output folders say.
    notes : sequence of str
        Passed on.
    tell : callable
        Called with a line about each scan.
    """
    rows: list[Row] = []
    baseline: dict[tuple, Row] = {}
    lacking: dict[str, list[str]] = {}
    failures: dict[str, BidsAnomalyError] = {}
    total, done = sum(len(found) for found in pairs.values()), 0
    for model, found in pairs.items():
        for pair in found:
            done += 1
            prediction = pair.prediction
            name = f"{model}: {prediction.name}"
            tell(f"[{done}/{total}] {name}")
            try:
                maps = load_maps(pair)
                rows.append(_row(model, pair, maps, controls, healthy))
            except BidsAnomalyError as error:
                failures[name] = error
                continue
            if prediction.key not in baseline:
                row, reason = _baseline_row(pair, maps, rows[-1].group, bids_dir)
                baseline[prediction.key] = row
                if reason:
                    lacking.setdefault(reason, []).append(prediction.name)
    notes = [
        *notes,
        *(
            f"{RAW_INTENSITY.capitalize()} is n/a for {some_of(names)}. {reason}"
            for reason, names in lacking.items()
        ),
    ]
    return Evaluation([*baseline.values(), *rows], notes, failures)


def _row(
    model: str, pair: Pair, maps: ScanMaps, controls: Collection[str], healthy: Path | None
) -> Row:
    prediction = pair.prediction
    healthy_scan = load_healthy(prediction, healthy, window=maps.window) if healthy else None
    min_volume = threshold_of(prediction).min_lesion_volume
    result = evaluate_scan(maps, min_volume=min_volume, healthy_scan=healthy_scan)
    is_control = prediction.entities["sub"] in controls if controls else not maps.lesioned
    return Row(
        model=model,
        pair=pair,
        group=CONTROL if is_control else PATIENT,
        figures={name: result.figures[name] for name in MEASURES},
        curves=result.curves,
        scan_texture=result.scan_texture,
        restored_texture=result.restored_texture,
    )


def _baseline_row(
    pair: Pair, maps: ScanMaps, group: str, bids_dir: Path | None
) -> tuple[Row, str | None]:
    """Return the row of the scan as it came, and why it has no figures, if it has none."""
    figures, reason = dict.fromkeys(MEASURES, np.nan), None
    try:
        scan = load_raw(pair.prediction, bids_dir, window=maps.window)
    except (MissingInputError, BadScanError) as error:
        reason = str(error)
    else:
        score = raw_score(scan, maps.brain, maps.grid.spacing, modality=pair.prediction.modality)
        figures |= ranking_figures(score, maps)
    return Row(RAW_INTENSITY, pair, group, figures, curves=None), reason


def _match_all(
    predictions: Sequence[Prediction], masks: Mapping[str, list], controls: Collection[str]
) -> tuple[list[Pair], list[str]]:
    """Return pairs, and the names of scans without a mask."""
    pairs, missing = [], []
    for prediction in predictions:
        label = prediction.entities["sub"]
        truth = match(prediction, masks.get(label, ()))
        if truth is None and label not in controls:
            missing.append(prediction.name)
        else:
            pairs.append(Pair(prediction, truth))
    return pairs, missing
