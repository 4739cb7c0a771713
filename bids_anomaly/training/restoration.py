"""Train a bundle of the family ``restore`` from preprocessed healthy people."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid, template_white_matter
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.reconstruction.registry import reconstruct
from bids_anomaly.scoring.calibration import Calibration, calibrate
from bids_anomaly.scoring.score import anomaly_score
from bids_anomaly.training.data import load_volumes
from bids_anomaly.training.export import write_bundle
from bids_anomaly.training.loop import train
from bids_anomaly.training.people import Preprocessed

# Levels of corruption at which the healthy image is predicted and averaged.
LEVELS = (1.0, 0.6, 0.3)
SCORES: dict[str, dict[str, Any]] = {
    "T1w": {"rule": "lesion_and_darkening", "smoothing_mm": 1.2, "residual_weight": 1.0},
}
# Small lesions are centred where the template is mostly white matter.
LESION_CENTRES = 0.5


def train_restoration(
    people: Sequence[Preprocessed],
    controls: Sequence[Preprocessed],
    folder: Path,
    *,
    modality: str,
    steps: int,
    batch_size: int,
    seed: int,
    device: str,
    description: Mapping[str, Any],
    on_progress: Callable[[int, dict[str, float]], None],
) -> Bundle:
    """Train, calibrate and write a bundle; go on where an earlier training stopped.

    Parameters
    ----------
    people : sequence of Preprocessed
        Healthy people to train on.
    controls : sequence of Preprocessed
        Other healthy people, whose scores say what is unusual.
    folder : Path
        Gets the bundle, and in ``training/`` checkpoints and losses.
    modality : str
        BIDS suffix.
    steps, batch_size, seed, device
        See :func:`bids_anomaly.training.loop.train`.
    description : mapping
        ``version``, ``licence``, ``calibration_data`` and ``training`` of the bundle.
    on_progress : callable
        Gets the step and the mean losses from time to time.
    """
    grid = Grid.of(people[0].scan)
    white_matter = resample(template_white_matter(1), grid).get_fdata(dtype=np.float32)
    torch.manual_seed(seed)
    network = train(
        load_volumes(
            [person.scan for person in people],
            [person.brain for person in people],
            white_matter * (white_matter > LESION_CENTRES),
        ),
        RestorationNet(),
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        device=torch.device(device),
        folder=folder / "training",
        on_progress=on_progress,
    )
    contents = {
        **description,
        "method": "restore",
        "modality": modality,
        "grid": grid,
        "score": SCORES[modality],
        "network": network,
        "levels": list(LEVELS),
        "dimensions": "2.5-D",
    }
    # A bundle needs a calibration to be loaded, and a calibration the scores of the bundle.
    unknown = Calibration(np.array([0.0, 1.0]), np.array([0.9, 0.1]), people=0)
    bundle = write_bundle(folder, calibration=unknown, **contents)
    scores = [healthy_scores(bundle, person, device=device) for person in controls]
    return write_bundle(folder, calibration=calibrate(scores), **contents)


def healthy_scores(bundle: Bundle, person: Preprocessed, *, device: str) -> np.ndarray:
    """Return the anomaly scores of all brain voxels of a person, (V,) array."""
    scan = person.scan.get_fdata(dtype=np.float32)
    brain = np.asanyarray(person.brain.dataobj) > 0
    result = reconstruct(bundle, scan, brain, device=device, batch_size=None, steps=None, seed=0)
    score = anomaly_score(
        bundle.description["score"],
        scan,
        brain,
        pseudo_healthy=result.pseudo_healthy,
        anomaly=result.anomaly,
        spacing=float(bundle.grid.spacing[0]),
    )
    return score[brain]
