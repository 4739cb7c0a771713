r"""What masks could teach: strokes in single FLAIR slices, found by a network that learned them.

An unsupervised network can hardly find what one cannot that has seen the same raters' masks of a
hundred other people. So this is about how much of these lesions can be told from one slice at all.
Two networks go on from the packaged one, each on half of the people of the split ``dev`` with a
stroke in their slice, and are judged on the other half. They are not for release. Prints a markdown
table, also by how much brighter a stroke is than what surrounds it; what was trained is kept::

    python benchmarks/ceiling.py DATA --results FOLDER
"""

import argparse
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from few_labels import draw_only_marked
from scipy.ndimage import binary_dilation
from shared.candidates import write_candidate
from shared.data_folder import add_data_folder
from shared.people import Split
from shared.stroke_slices import Slice, precisions, read_slices
from shared.table import markdown, rows_by_measure

from bids_anomaly.modalities import MODALITIES
from bids_anomaly.reconstruction.bundle import Bundle, load_bundle, named_bundle
from bids_anomaly.reconstruction.registry import load_network
from bids_anomaly.training.loop import train
from bids_anomaly.training.marked import MarkedVolumes
from bids_anomaly.training.objectives import restoring
from bids_anomaly.training.recipes import Recipe
from bids_anomaly.training.volumes import stack

STEPS = 800
BATCH_SIZE = 16
FOLDS = 2
# Limits of contrast, and how wide the surroundings are that it is taken from.
CONTRASTS = (-1.0, 0.1, 0.2, 0.3, 2.0)
RING_VOXELS = 4
MEASURES = ("AUPRC of the score", "AUPRC of the lesion output")
AS_IT_IS, TAUGHT = "the packaged network", "taught by masks"


def main() -> None:
    """Train what was not trained yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument("--results", type=Path, required=True, help="keeps what was trained")
    arguments = parser.parse_args()
    start = named_bundle("restore-FLAIR")
    everybody = read_slices(arguments.data, Split("dev", None), start)
    ill = [person for person in everybody if person.truth.any()]
    folds = [ill[first::FOLDS] for first in range(FOLDS)]
    found: dict[str, list[dict[str, float]]] = {AS_IT_IS: [], TAUGHT: []}
    contrasts = np.array([contrast(person) for fold in folds for person in fold])
    for number, judged in enumerate(folds):
        learning = [person for other in folds if other is not judged for person in other]
        network = taught(start, learning, arguments.results / f"strokes-{number}")
        for name, bundle in {AS_IT_IS: start, TAUGHT: network}.items():
            figures = precisions(bundle, judged, arguments.results / "reconstructed")
            found[name] += [dict(zip(MEASURES, both, strict=True)) for both in figures]
    rows = rows_by_measure("all", found)
    for low, high in pairwise(CONTRASTS):
        chosen = np.flatnonzero((contrasts >= low) & (contrasts < high))
        some = {name: [figures[index] for index in chosen] for name, figures in found.items()}
        rows += rows_by_measure(f"brighter by {low:g} to {high:g}", some)
    print(markdown(rows, list(found), [AS_IT_IS]))


def contrast(person: Slice) -> float:
    """Return how much brighter a stroke is than what surrounds it, in units of white matter."""
    near, beside = (binary_dilation(person.truth, iterations=reach) for reach in (1, RING_VOXELS))
    around = beside & ~near & person.brain
    return float(np.median(person.scan[person.truth]) - np.median(person.scan[around]))


def taught(start: Bundle, learning: list[Slice], folder: Path) -> Bundle:
    """Return a bundle that has learned the lesions of some people, or read it."""
    if not folder.is_dir():
        slabs = start.description["network"]["slices"]
        repeated = (
            stack([np.repeat(getattr(one, name)[..., None], slabs, axis=2) for one in learning])
            for name in ("scan", "brain", "truth")
        )
        scans, brains, lesions = repeated
        modality = torch.full((len(learning),), MODALITIES.index(start.modality))
        marked = MarkedVolumes(scans.half(), brains, lesions.half(), modality)
        network = train(
            marked,
            load_network(start).train(),
            recipe=Recipe(losses=restoring, draw=partial(draw_only_marked, marked=marked)),
            modalities=[start.modality],
            steps=STEPS,
            batch_size=BATCH_SIZE,
            seed=0,
            device=torch.device("cpu"),
            folder=folder.with_name(f"{folder.name}-training"),
            interval=STEPS // 2,
        )
        told = {"masks": len(learning), "steps": STEPS, "from": start.identity}
        write_candidate(start.folder, folder, network.state_dict(), told)
    return load_bundle(folder)


if __name__ == "__main__":
    main()
