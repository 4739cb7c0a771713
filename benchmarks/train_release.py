r"""Train the networks of the release, on healthy people of several scanners and on label maps.

The scans are what the app makes of the people of the splits ``train``, ``dev`` and
``calibration``, a folder for each dataset::

    bids-anomaly DATA/DATASET PREPROCESSED/DATASET participant --stage preprocess --modalities T1w
    python benchmarks/train_release.py DATA --preprocessed PREPROCESSED --output FOLDER \
        --modalities FLAIR T2w --from restore-FLAIR

The same command goes on from the last checkpoint. Bundles are calibrated afterwards, by
``calibrate_packaged.py``: painted people are a start, and real ones decide.
"""

import argparse
from pathlib import Path

from shared.data_folder import add_data_folder
from shared.people import people

from bids_anomaly.modalities import MODALITIES
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.reconstruction.bundle import named_bundle
from bids_anomaly.training.bundles import train_bundles
from bids_anomaly.training.loading import controls_of, people_from_labels
from bids_anomaly.training.people import Preprocessed, load_people

# Healthy people, and how their datasets are called in the description of a bundle.
HEALTHY = {
    "ixi-healthy": "IXI",
    "nsk-t1w": "OpenNeuro ds002748",
    "ucla-t1w-t2w": "OpenfMRI ds000011",
}
LABEL_MAPS = "head-labels"
# Weights that learned from IXI are passed on under its licence.
LICENCE = "CC-BY-SA-4.0"
EVERY = 500
# Few painted people are enough for a bundle to be loaded.
EVERY_CONTROL = 10


def main() -> None:
    """Train, and write a bundle for each modality."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument(
        "--preprocessed", type=Path, required=True, help="a folder for each dataset"
    )
    parser.add_argument("--output", type=Path, required=True, help="gets checkpoints and bundles")
    parser.add_argument("--modalities", nargs="+", choices=MODALITIES, default=list(MODALITIES))
    parser.add_argument("--from", dest="start", metavar="BUNDLE", help="whose weights to start at")
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bundle-version", default="0.0.0")
    arguments = parser.parse_args()
    train(arguments)


def train(arguments: argparse.Namespace) -> None:
    """Train as the arguments of the command say."""
    scans = {split: people_of(arguments.preprocessed, split) for split in ("dev", "calibration")}
    learned_from, told = training_people(
        arguments.data, arguments.preprocessed, seed=arguments.seed
    )
    print(f"Training on {told}.", flush=True)
    start = named_bundle(arguments.start) if arguments.start else None
    painted_from = scans["calibration"][::EVERY_CONTROL]
    controls = {
        modality: controls_of([], painted_from, modality=modality, seed=arguments.seed)[0]
        for modality in arguments.modalities
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    train_bundles(
        "restore",
        learned_from,
        scans["dev"],
        controls,
        arguments.output,
        steps=arguments.steps,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        device=arguments.device,
        start=start,
        interval=EVERY,
        description={
            "version": arguments.bundle_version,
            "licence": LICENCE,
            "calibration_data": dict.fromkeys(
                arguments.modalities, f"{len(painted_from)} healthy people"
            ),
            "training": {
                "data": told,
                "split": "train",
                "modalities": arguments.modalities,
                "steps": arguments.steps,
                "batch_size": arguments.batch_size,
                "seed": arguments.seed,
                "from": start and start.identity,
            },
        },
        on_step=lambda step, losses: (
            print(step, {name: round(value, 4) for name, value in losses.items()}, flush=True)
            if step % EVERY == 0
            else None
        ),
    )


def training_people(data: Path, preprocessed: Path, *, seed: int) -> tuple[list[Preprocessed], str]:
    """Return real and drawn T1w scans to train on, and who they are in words."""
    real = people_of(preprocessed, "train")
    drawn = people_from_labels(data / LABEL_MAPS, grid=Grid.of(real[0].scan), seed=seed)
    counts = {
        words: sum(scan.path.is_relative_to(preprocessed / name) for scan in real)
        for name, words in HEALTHY.items()
    }
    told = ", ".join(f"{count} people of {words}" for words, count in counts.items())
    told += f" and {len({scan.path for scan in drawn})} label maps of SynthSeg"
    return [*real, *drawn], told


def people_of(preprocessed: Path, split: str) -> list[Preprocessed]:
    """Read the T1w scans of a split of all datasets."""
    return [
        scan
        for dataset in HEALTHY
        for scan in load_people(
            preprocessed / dataset,
            modality="T1w",
            participants={f"sub-{label}" for label in people(dataset, split)},
        )
    ]


if __name__ == "__main__":
    main()
