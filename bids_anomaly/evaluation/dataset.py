"""Evaluate one scan after the other; no image stays in memory."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bids_anomaly.evaluation.curves import Curves
from bids_anomaly.evaluation.loading import load_healthy, load_maps
from bids_anomaly.evaluation.matching import (
    Pair,
    Prediction,
    find_predictions,
    find_truth,
    mask_settings,
    match,
)
from bids_anomaly.evaluation.measures import MEASURES
from bids_anomaly.evaluation.restoration import Moments
from bids_anomaly.evaluation.scan import evaluate_scan
from bids_anomaly.exceptions import BidsAnomalyError, NothingFoundError, some_of
from bids_anomaly.settings import MODALITIES

CONTROL, PATIENT = "control", "patient"


@dataclass(frozen=True, eq=False)
class Row:
    """One scan as one model sees it.

    Attributes
    ----------
    model : str
    pair : Pair
    group : str
        :data:`CONTROL` or :data:`PATIENT`, see :func:`evaluate`.
    figures : mapping of str to float
        By the names of :data:`bids_anomaly.evaluation.measures.MEASURES`.
    curves : Curves
    scan_texture, restored_texture : Moments or None
    """

    model: str
    pair: Pair
    group: str
    figures: Mapping[str, float]
    curves: Curves
    scan_texture: Moments | None
    restored_texture: Moments | None

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
        In the order of models and scans.
    notes : list of str
        Who was left out, and why.
    failures : mapping of str to BidsAnomalyError
        By the name of a scan.
    """

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: dict[str, BidsAnomalyError] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order in which they were given."""
        return list(dict.fromkeys(row.model for row in self.rows))

    @property
    def modalities(self) -> list[str]:
        """Modalities that were evaluated."""
        return list(dict.fromkeys(sorted((row.modality for row in self.rows), key=_order)))


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
    notes: Sequence[str] = (),
    tell: Callable[[str], None] = print,
) -> Evaluation:
    """Evaluate pairs from :func:`pair_up`, one at a time.

    A scan that cannot be evaluated is recorded, and the others go on. Without declared controls,
    scans with an empty mask are those of controls.

    Parameters
    ----------
    pairs : mapping
        By the names of models.
    controls : collection of str
        Participants without disease, without ``sub-``.
    healthy : Path, optional
        Output of the app for the same scans without lesions, where lesions are synthetic.
    notes : sequence of str
        Passed on.
    tell : callable
        Called with a line about each scan.
    """
    evaluation = Evaluation(notes=list(notes))
    total, done = sum(len(found) for found in pairs.values()), 0
    for model, found in pairs.items():
        for pair in found:
            done += 1
            name = f"{model}: {pair.prediction.name}"
            tell(f"[{done}/{total}] {name}")
            try:
                evaluation.rows.append(_row(model, pair, controls, healthy))
            except BidsAnomalyError as error:
                evaluation.failures[name] = error
    return evaluation


def _row(model: str, pair: Pair, controls: Collection[str], healthy: Path | None) -> Row:
    prediction = pair.prediction
    maps = load_maps(pair)
    healthy_scan = load_healthy(prediction, healthy, window=maps.window) if healthy else None
    _, min_volume = mask_settings(prediction)
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


def _order(modality: str) -> int:
    return MODALITIES.index(modality) if modality in MODALITIES else len(MODALITIES)
