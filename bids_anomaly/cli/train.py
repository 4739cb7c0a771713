"""The command ``bids-anomaly-train``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bids_anomaly.cli.main import report_errors
from bids_anomaly.exceptions import ExitCode, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Train a model bundle on healthy people."""
    parser = argparse.ArgumentParser(
        prog="bids-anomaly-train",
        description="Train a restoration model on healthy people and calibrate it on others. "
        "Started again with the same OUTPUT, it goes on where it stopped.",
    )
    parser.add_argument(
        "derivatives",
        metavar="DERIVATIVES",
        type=Path,
        help="what bids-anomaly --stage preprocess wrote",
    )
    parser.add_argument("output", metavar="OUTPUT", type=Path, help="folder of the bundle")
    parser.add_argument(
        "--splits",
        metavar="FILE",
        type=Path,
        required=True,
        help="table with the columns participant_id and split; the splits train and calibration "
        "are used",
    )
    parser.add_argument("--steps", type=int, default=30_000, help="(default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:N] (default: %(default)s)")
    parser.add_argument("--bundle-version", default="0.0.0", help="(default: %(default)s)")
    parser.add_argument("--licence", default="unknown", help="of the weights")
    parser.add_argument("--data-name", default="healthy people", help="for the model card")
    arguments = parser.parse_args(argv)
    return report_errors(parser.prog, lambda: _train(arguments))


def _train(arguments: argparse.Namespace) -> ExitCode:
    from bids_anomaly.cli.device import resolve_device

    device = resolve_device(arguments.device)
    try:
        from bids_anomaly.training.restoration import train_restoration
    except ImportError as error:
        raise UsageError(
            f'Training needs more packages ({error.name}). Run "pip install bids-anomaly[train]".'
        ) from error
    from bids_anomaly.training.people import load_people, read_split

    modality = "T1w"
    groups = {
        split: load_people(
            arguments.derivatives,
            modality=modality,
            participants=read_split(arguments.splits, split),
        )
        for split in ("train", "calibration")
    }
    count = {split: len(people) for split, people in groups.items()}
    name = arguments.data_name
    print(f"Training on {count['train']} scans, calibrating on {count['calibration']}.", flush=True)
    bundle = train_restoration(
        groups["train"],
        groups["calibration"],
        arguments.output.resolve(),
        modality=modality,
        steps=arguments.steps,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        device=device,
        description={
            "version": arguments.bundle_version,
            "licence": arguments.licence,
            "calibration_data": f"{count['calibration']} {name} (split calibration)",
            "training": {
                "data": f"{count['train']} {name}",
                "split": "train",
                "steps": arguments.steps,
                "batch_size": arguments.batch_size,
                "seed": arguments.seed,
            },
        },
        on_progress=_print_progress,
    )
    print(f"Wrote {bundle.name} {bundle.version} to {bundle.folder}.")
    return ExitCode.OK


def _print_progress(step: int, means: dict[str, float]) -> None:
    losses = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
    print(f"step {step}: {losses}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
