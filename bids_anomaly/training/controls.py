"""How a bundle scores people without disease."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.reconstruction.registry import reconstruct
from bids_anomaly.reconstruction.result import Reconstruction
from bids_anomaly.scoring.score import anomaly_score
from bids_anomaly.training.people import Preprocessed


def scores_by_person(
    bundle: Bundle,
    scans: Sequence[Preprocessed],
    *,
    device: str,
    steps: int | None = None,
    left_out: Mapping[Path, np.ndarray] | None = None,
    on_scan: Callable[[Preprocessed, float], None] = lambda scan, seconds: None,
) -> list[np.ndarray]:
    """Score all brain voxels of some people; several scans of one person count as one.

    Parameters
    ----------
    bundle : Bundle
        The model.
    scans : sequence of Preprocessed
        In the grid of the bundle.
    device : str
        A torch device.
    steps : int, optional
        See :func:`bids_anomaly.reconstruction.registry.reconstruct`.
    left_out : mapping, optional
        By the path of a scan, an (X, Y, Z) bool array that is 1 in voxels not to count, such as
        those of known lesions.
    on_scan : callable
        Called after each scan with it and the seconds that it took.

    Returns
    -------
    list of (V,) arrays
        One for each person.

    Raises
    ------
    BadScanError
        If nothing of a scan counts.
    """
    scores: dict[str, list[np.ndarray]] = {}
    for scan in scans:
        started = time.monotonic()
        ignored = (left_out or {}).get(scan.path)
        scores.setdefault(scan.participant, []).append(
            _scores_of(bundle, scan, ignored, device=device, steps=steps)
        )
        on_scan(scan, time.monotonic() - started)
    return [np.concatenate(parts) for parts in scores.values()]


def _scores_of(
    bundle: Bundle,
    person: Preprocessed,
    ignored: np.ndarray | None,
    *,
    device: str,
    steps: int | None,
) -> np.ndarray:
    scan = person.scan.get_fdata(dtype=np.float32)
    brain = np.asanyarray(person.brain.dataobj) > 0
    result = reconstruct(
        bundle,
        scan,
        brain,
        device=device,
        batch_size=None,
        steps=steps,
        seed=0,
        covariates=person.known,
    )
    counted = brain if ignored is None else brain & ~ignored
    if not counted.any():
        raise BadScanError(
            f"Nothing of the brain in {person.path} is free of known lesions. Look at its mask, or "
            "choose other people."
        )
    return score_of(bundle, scan, brain, result)[counted]


def score_of(
    bundle: Bundle, scan: np.ndarray, brain: np.ndarray, result: Reconstruction
) -> np.ndarray:
    """Score a reconstruction as its bundle says, (X, Y, Z) array in the grid of the bundle."""
    return anomaly_score(
        bundle.description["score"],
        scan,
        brain,
        pseudo_healthy=result.pseudo_healthy,
        anomaly=result.anomaly,
        spacing=bundle.grid.spacing,
    )
