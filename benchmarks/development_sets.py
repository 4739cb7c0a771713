r"""Choose among weights: AUPRC of candidates on all development sets at once, in the model grid.

A quick look before ``accuracy.py``, which runs the whole app: prints a markdown table with a row
for each bundle, AUPRC of its score and of its lesion output alone (smoothed as T1w scores are),
means over the people of a set. Sets that the modality does not have are left out::

    bids-anomaly DATA/DATASET PREPROCESSED/DATASET participant --stage preprocess
    python benchmarks/development_sets.py DATA --preprocessed PREPROCESSED --kept FOLDER \
        restore-FLAIR candidates/FLAIR-a candidates/FLAIR-b
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from shared.data_folder import add_data_folder
from shared.patients_in_grid import patients_in_grid
from shared.people import Split, people
from shared.real_scans import PATIENTS
from shared.scored import reconstructed
from shared.stroke_slices import DATASET, precisions, read_slices
from shared.table import line

from bids_anomaly.evaluation.metrics import auprc
from bids_anomaly.reconstruction.bundle import Bundle, named_bundle
from bids_anomaly.scoring.score import smoothed
from bids_anomaly.training.controls import score_of
from bids_anomaly.training.recipes import SMOOTHING_MM


class Set(NamedTuple):
    """A development set: its name, how many people, and AUPRC of the score and lesion output."""

    name: str
    people: int
    score: float
    lesion: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument("bundles", nargs="+", help="folders or names, of one modality")
    parser.add_argument("--preprocessed", type=Path, required=True, help="a folder a dataset")
    parser.add_argument("--kept", type=Path, required=True, help="keeps reconstructions")
    arguments = parser.parse_args()
    head = None
    for name in arguments.bundles:
        sets = list(judged(arguments.data, arguments.preprocessed, arguments.kept, name))
        if head is None:
            head = ["bundle", *(f"{one.name}, {one.people}" for one in sets), "mean"]
            print(line(head) + "\n" + line(["---"] * len(head)))
        mean = [np.mean(values) for values in zip(*(one[2:] for one in sets), strict=True)]
        cells = [f"{one.score:.3f}, {one.lesion:.3f}" for one in sets]
        print(line([Path(name).name, *cells, "{:.3f}, {:.3f}".format(*mean)]), flush=True)


def judged(data: Path, preprocessed: Path, kept: Path, name: str) -> Iterator[Set]:
    """Yield the sets of a bundle's modality."""
    bundle = named_bundle(name)
    for patients in PATIENTS:
        if bundle.modality not in patients.modalities:
            continue
        who = people(patients.dataset, "dev")
        folder = preprocessed / patients.dataset
        figures = [
            figures_of(bundle, person.scan, person.brain, person.truth, kept)
            for person in patients_in_grid(data, folder, patients, bundle.modality, who)
        ]
        yield Set(patients.dataset, len(figures), *np.mean(figures, axis=0))
    if bundle.modality == "FLAIR":
        yield strokes(data, bundle, kept)


def figures_of(
    bundle: Bundle, scan: np.ndarray, brain: np.ndarray, truth: np.ndarray, kept: Path
) -> tuple[float, float]:
    """Return AUPRC of the score and of the lesion output of a person."""
    result = reconstructed(bundle, scan, brain, kept).result
    lesion = smoothed(result.anomaly, brain, SMOOTHING_MM, bundle.grid.spacing)
    score = score_of(bundle, scan, brain, result)
    return auprc(score[brain], truth[brain]), auprc(lesion[brain], truth[brain])


def strokes(data: Path, bundle: Bundle, kept: Path) -> Set:
    """Return the figures of the people with a stroke in their slice."""
    slices = [one for one in read_slices(data, Split("dev", None), bundle) if one.truth.any()]
    means = np.mean(precisions(bundle, slices, kept), axis=0)
    return Set(DATASET, len(slices), *means)


if __name__ == "__main__":
    main()
