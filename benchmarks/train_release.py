r"""Train the networks of the release, on healthy people of several scanners and on label maps.

The scans are what the app makes of the people of the splits ``train``, ``dev`` and
``calibration``, a folder for each dataset::

    bids-anomaly DATA/DATASET PREPROCESSED/DATASET participant --stage preprocess --modalities T1w
    python benchmarks/train_release.py DATA --preprocessed PREPROCESSED --output FOLDER \
        --modalities FLAIR T2w --from restore-FLAIR

With ``--real`` one slab in four is of a real scan with anomalies painted into it: for FLAIR slices
of stroke patients, where they are healthy for sure, and for T2w people of OpenfMRI ds000011.

The same command goes on from the last checkpoint. Bundles are calibrated afterwards, by
``calibrate_packaged.py``: painted people are a start, and real ones decide.
"""

import argparse
from pathlib import Path

from shared.data_folder import add_data_folder
from shared.people import people
from shared.stroke_slices import real_flair

from bids_anomaly.modalities import MODALITIES
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.reconstruction.bundle import named_bundle
from bids_anomaly.reconstruction.views import AXES
from bids_anomaly.training.bundles import train_bundles
from bids_anomaly.training.loading import controls_of, people_from_labels
from bids_anomaly.training.people import Preprocessed, load_people
from bids_anomaly.training.real import RealVolumes, real_volumes

# Healthy people, and how their datasets are called in the description of a bundle.
HEALTHY = {
    "ixi-healthy": "IXI",
    "nsk-t1w": "OpenNeuro ds002748",
    "ucla-t1w-t2w": "OpenfMRI ds000011",
}
REAL_T2W = "ucla-t1w-t2w"
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
    parser.add_argument(
        "--real", action="store_true", help="learn from real scans of the one modality as well"
    )
    parser.add_argument(
        "--views",
        nargs="+",
        choices=AXES,
        default=[],
        help="of the slabs, axial first; by default those of --from",
    )
    parser.add_argument("--from", dest="start", metavar="BUNDLE", help="whose weights to start at")
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bundle-version", default="0.0.0")
    arguments = parser.parse_args()
    if arguments.real and arguments.modalities not in (["FLAIR"], ["T2w"]):
        parser.error("--real takes --modalities FLAIR or --modalities T2w.")
    train(arguments)


def train(arguments: argparse.Namespace) -> None:
    """Train as the arguments of the command say."""
    scans = {split: people_of(arguments.preprocessed, split) for split in ("dev", "calibration")}
    learned_from, told = training_people(
        arguments.data, arguments.preprocessed, seed=arguments.seed
    )
    start = named_bundle(arguments.start) if arguments.start else None
    real = []
    if arguments.real:
        volumes, whose = real_scans(arguments.data, arguments.preprocessed, *arguments.modalities)
        real.append(volumes)
        told += f", and {whose}"
    print(f"Training on {told}.", flush=True)
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
        views=arguments.views,
        real=real,
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


def real_scans(data: Path, preprocessed: Path, modality: str) -> tuple[RealVolumes, str]:
    """Return real scans of a modality that is painted otherwise, and whose they are in words."""
    if modality == "FLAIR":
        slices = real_flair(data, named_bundle("restore-FLAIR"))
        return slices, f"{len(slices.scans)} FLAIR slices of OpenNeuro ds004889"
    scans = people_of(preprocessed, "train", REAL_T2W, modality=modality)
    t1w = people_of(preprocessed, "train", REAL_T2W)
    return real_volumes(scans, t1w), f"T2w of {len(scans)} people of {HEALTHY[REAL_T2W]}"


def people_of(
    preprocessed: Path, split: str, *datasets: str, modality: str = "T1w"
) -> list[Preprocessed]:
    """Read the scans of a modality of a split of some datasets, or of all."""
    return [
        scan
        for dataset in datasets or HEALTHY
        for scan in load_people(
            preprocessed / dataset,
            modality=modality,
            participants={f"sub-{label}" for label in people(dataset, split)},
        )
    ]


if __name__ == "__main__":
    main()
