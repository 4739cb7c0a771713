r"""What a few marked cases are worth: a released bundle that learns from 0, 1, 3 or 5 of them.

In cross-validation by person: people are judged in pairs, by networks that have learned from some
of the others of the same dataset. Beside them stand the bundle as it is, and a plain supervised
U-Net of the same size, from random weights, that learns from the same cases and nothing else. AUPRC
of each person's lesions in the model grid::

    bids-anomaly DATA/DATASET PREPROCESSED/DATASET participant --stage preprocess
    python benchmarks/few_labels.py DATA --preprocessed PREPROCESSED --results FOLDER \
        --dataset wmh-manual --elsewhere elderly-wmh ms tumour-flair

Healthy people are those of ``train_release.py``, who have to be preprocessed too. What was trained
is kept in the results folder.
"""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from shared.data_folder import add_data_folder
from shared.people import people
from shared.real_scans import PATIENTS
from shared.table import markdown, rows_by_measure
from torch import Tensor
from train_release import people_of

from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.reconstruction.bundle import Bundle, load_bundle, named_bundle
from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.reconstruction.registry import load_network
from bids_anomaly.training.bundles import UNCALIBRATED
from bids_anomaly.training.data import Batch
from bids_anomaly.training.export import write_bundle
from bids_anomaly.training.loading import volumes_of
from bids_anomaly.training.loop import train
from bids_anomaly.training.losses import restoration_loss
from bids_anomaly.training.marked import (
    Marked,
    MarkedVolumes,
    auprc_by_person,
    draw_marked,
    find_marked,
    stack_marked,
)
from bids_anomaly.training.recipes import RECIPES, Recipe, with_others
from bids_anomaly.training.volumes import HealthyVolumes

# People who are judged by one network.
TOGETHER = 2
AS_IT_IS = "the bundle as it is"
SETS = {patients.dataset: patients for patients in PATIENTS}


def main() -> None:
    """Train what is missing, and print one table a dataset."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument("--preprocessed", type=Path, required=True, help="a folder a dataset")
    parser.add_argument("--results", type=Path, required=True, help="folder for what is kept")
    parser.add_argument("--dataset", default="wmh-manual", choices=SETS)
    parser.add_argument("--elsewhere", nargs="*", default=[], choices=SETS, help="judged too")
    parser.add_argument("--from", dest="start", default="restore-FLAIR", help="packaged bundle")
    parser.add_argument("--cases", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    start = named_bundle(arguments.start)
    cases = marked_of(arguments, arguments.dataset, start.modality)
    if max(arguments.cases) >= len(cases):
        parser.error(f"--cases: somebody of the {len(cases)} people has to be judged.")
    healthy = volumes_of(people_of(arguments.preprocessed, "train"))
    others = {
        name: marked_of(arguments, name, start.modality)
        for name in arguments.elsewhere
        if name != arguments.dataset
    }
    judge = partial(auprc_by_person, device="cpu")
    here = {AS_IT_IS: judge(start, cases)}
    there = {name: {AS_IT_IS: [judge(start, own)]} for name, own in others.items()}
    for count in arguments.cases:
        for learning, judged in folds(cases, count):
            for kind, bundle in networks(arguments, start, healthy, learning).items():
                column = f"{kind}, {count} {'case' if count == 1 else 'cases'}"
                here.setdefault(column, {}).update(judge(bundle, judged))
                for name, own in others.items():
                    there[name].setdefault(column, []).append(judge(bundle, own))
                print(column, here[column], flush=True)
    print(table(f"{arguments.dataset}, people who were not learned from", here))
    for name, found in there.items():
        print(table(f"{name}, mean over networks", {c: mean_of(own) for c, own in found.items()}))


def marked_of(arguments: argparse.Namespace, dataset: str, modality: str) -> list[Marked]:
    """Read the marked scans of the people of the split ``dev`` of a dataset."""
    masks = SETS[dataset].masks(arguments.data)
    found = find_marked(arguments.preprocessed / dataset, masks, [modality])[modality]
    chosen = {f"sub-{label}" for label in people(dataset, "dev")}
    return [marked for marked in found if marked.participant in chosen]


def folds(cases: Sequence[Marked], count: int) -> list[tuple[list[Marked], list[Marked]]]:
    """Return who is learned from, the next ones in turn, and who is judged: everybody once."""
    size = min(TOGETHER, len(cases) - count)
    found = []
    for first in range(0, len(cases), size):
        judged = list(cases[first : first + size])
        following = [*cases[first + size :], *cases[:first]]
        found.append((following[:count], judged))
    return found


def networks(
    arguments: argparse.Namespace,
    start: Bundle,
    healthy: HealthyVolumes,
    learning: Sequence[Marked],
) -> dict[str, Bundle]:
    """Return both networks that have learned from some cases."""
    marked = stack_marked({start.modality: learning})
    whose = "-".join(one.participant.removeprefix("sub-") for one in learning)
    own = with_others(RECIPES["restore"], [partial(draw_marked, marked)])
    from_scratch = Recipe(losses=marking, draw=partial(draw_only_marked, marked=marked))
    supervised = {"rule": "own_score", "smoothing_mm": 0.0, "direction": 1}
    torch.manual_seed(0)
    chosen = {
        start.name: (own, load_network(start).train(), start.description["score"]),
        "U-Net": (from_scratch, RestorationNet(**start.description["network"]), supervised),
    }
    found = {}
    for name, (recipe, network, score) in chosen.items():
        folder = arguments.results / f"{arguments.dataset}-{name}-{whose}-{arguments.steps}"
        if not (folder / "bundle.json").is_file():
            trained = train(
                healthy,
                network,
                recipe=recipe,
                modalities=[start.modality],
                steps=arguments.steps,
                batch_size=recipe.batch_size,
                seed=0,
                device=torch.device("cpu"),
                folder=folder / "training",
                interval=arguments.steps,
            )
            write_bundle(
                folder,
                method="restore",
                modality=start.modality,
                version="0.0.0",
                grid=Grid.of(learning[0].scan.scan),
                score=score,
                calibration=UNCALIBRATED,
                calibration_data="nobody",
                licence="not to be passed on",
                network=trained,
                levels=list(start.levels),
            )
        found[name] = load_bundle(folder)
    return found


def marking(network: RestorationNet, batch: Batch, **_: object) -> dict[str, Tensor]:
    """Mark lesions, and restore nothing."""
    healthy, lesion_logit = network(batch.slab, batch.mirrored, batch.level)
    losses = restoration_loss(healthy.float(), lesion_logit.float(), batch)
    return {name: losses[name] for name in ("cross_entropy", "dice")}


def draw_only_marked(
    volumes: HealthyVolumes,
    size: int,
    *,
    marked: MarkedVolumes,
    slices: int,
    modalities: Sequence[str],
    generator: torch.Generator,
) -> Batch:
    """Draw slabs of marked scans alone."""
    return draw_marked(marked, size, slices=slices, generator=generator)


def mean_of(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean over networks for each person."""
    return {person: float(np.mean([one[person] for one in found])) for person in found[0]}


def table(title: str, found: Mapping[str, Mapping[str, float]]) -> str:
    """Return a line with all columns, and their differences to the bundle as it is."""
    persons = sorted(found[AS_IT_IS])
    rows = rows_by_measure(
        title,
        {name: [{"AUPRC": own[person]} for person in persons] for name, own in found.items()},
    )
    return markdown(rows, list(found), [AS_IT_IS])


if __name__ == "__main__":
    main()
