r"""Which score, at which levels of corruption, finds white matter hyperintensities: for designing.

Prints a markdown table for a bundle of the family ``restore`` and the elderly people of the split
``dev`` (SBIA 2017), whose masks are AUTOMATIC. Everything is in the model grid, with the same
smoothing; the threshold of each person is the one that the calibration by the lesion-free voxels
of the others presets::

    bids-anomaly DATA/elderly-wmh PREPROCESSED participant --stage preprocess
    python benchmarks/scores.py DATA --preprocessed PREPROCESSED --bundle restore-FLAIR
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from shared.data_folder import add_data_folder
from shared.models import RAW_INTENSITY
from shared.patients_in_grid import Patient, patients_in_grid
from shared.people import people
from shared.real_scans import PATIENTS
from shared.table import ABSENT, interval

from bids_anomaly.evaluation.metrics import auprc, dice
from bids_anomaly.reconstruction.bundle import Bundle, named_bundle
from bids_anomaly.reconstruction.registry import reconstruct
from bids_anomaly.scoring.calibration import calibrate, healthy_exceedance
from bids_anomaly.scoring.score import anomaly_score
from bids_anomaly.settings import Settings

ELDERLY = PATIENTS[0]
LEVELS = ((1.0,), (0.6,), (0.3,), (0.1,), (0.3, 0.1))
SMOOTHING = {"smoothing_mm": 1.2}
# Weights of intensity, residual and lesion output.
SCORES = {
    "FLAIR": {
        "intensity": (1, 0, 0),
        "residual": (0, 1, 0),
        "lesion output": (0, 0, 1),
        "intensity + residual": (1, 1, 0),
        "intensity + lesion output": (1, 0, 1),
        "residual + lesion output": (0, 1, 1),
    },
    "T1w": {
        "darkness": (1, 0, 0),
        "darkening": (0, 1, 0),
        "lesion output": (0, 0, 1),
        "darkening + lesion output": (0, 1, 1),
    },
}


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument("--preprocessed", type=Path, required=True, help="output of the app")
    parser.add_argument("--bundle", required=True, help="a folder, or a name such as restore-T1w")
    arguments = parser.parse_args()
    bundle = named_bundle(arguments.bundle)
    who = people(ELDERLY.dataset, "dev")
    found = list(
        patients_in_grid(arguments.data, arguments.preprocessed, ELDERLY, bundle.modality, who)
    )
    print(
        f"{bundle.name} {bundle.version} ({bundle.digest[:8]}), {len(found)} people of "
        f"{ELDERLY.dataset}, split dev; mean (95 % bootstrap interval of people).\n"
    )
    print("| levels | score | AUPRC | Dice |\n| --- | --- | --- | --- |")
    raw = interval([person.raw_auprc for person in found], ".3f")
    print(f"| | {RAW_INTENSITY} | {raw} | {ABSENT} |")
    for levels, name, scores in _scores(bundle, found):
        figures = _figures(scores, found)
        cells = [interval([person[column] for person in figures], ".3f") for column in range(2)]
        print(f"| {levels} | {name} | " + " | ".join(cells) + " |", flush=True)


def _scores(
    bundle: Bundle, found: Sequence[Patient]
) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    """Yield levels, name and the score of each person."""
    for levels in LEVELS:
        parts = [_parts(bundle, person, levels) for person in found]
        for name, weights in SCORES[bundle.modality].items():
            if weights[1:] == (0, 0) and levels != LEVELS[0]:
                continue
            scores = [np.tensordot(weights, part, axes=1) for part in parts]
            yield ("" if weights[1:] == (0, 0) else ", ".join(map(str, levels))), name, scores


def _parts(bundle: Bundle, person: Patient, levels: Sequence[float]) -> np.ndarray:
    """Return intensity, residual and lesion output, smoothed, (3, X, Y, Z)."""
    scan, brain = person.scan, person.brain
    at_levels = replace(bundle, description={**bundle.description, "levels": list(levels)})
    result = reconstruct(at_levels, scan, brain, device="cpu", batch_size=None, steps=None, seed=0)

    def score(image: np.ndarray, lesion: np.ndarray, **rule: object) -> np.ndarray:
        return anomaly_score(
            {**rule, **SMOOTHING},
            image,
            brain,
            pseudo_healthy=result.pseudo_healthy,
            anomaly=lesion,
            spacing=bundle.grid.spacing,
        )

    nothing = np.zeros_like(scan)
    lesion = score(scan, result.anomaly, rule="lesion_and_darkening", residual_weight=0)
    if bundle.modality == "T1w":
        darkening = score(scan, nothing, rule="lesion_and_darkening", residual_weight=1)
        return np.stack([score(scan, nothing, rule="dark_intensity"), darkening, lesion])
    bright = score(scan, nothing, rule="bright_intensity")
    healthy = score(result.pseudo_healthy, nothing, rule="bright_intensity")
    return np.stack([bright, bright - healthy, lesion])


def _figures(scores: Sequence[np.ndarray], found: Sequence[Patient]) -> list[tuple[float, float]]:
    """Return AUPRC, and Dice at the threshold that the others preset, of each person."""
    free = [score[person.lesion_free] for score, person in zip(scores, found, strict=True)]
    figures = []
    for number, (score, person) in enumerate(zip(scores, found, strict=True)):
        others = calibrate([*free[:number], *free[number + 1 :]])
        score, lesion = score[person.brain], person.truth[person.brain]
        marked = healthy_exceedance(others.zscore(score)) < Settings.healthy_fpr
        figures.append((auprc(score, lesion), dice(marked, lesion)))
    return figures


if __name__ == "__main__":
    main()
