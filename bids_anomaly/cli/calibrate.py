"""The command ``bids-anomaly-calibrate``."""

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence

from bids_anomaly.cli import values
from bids_anomaly.cli.main import report_errors
from bids_anomaly.exceptions import ExitCode, NothingFoundError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate a bundle on people without disease."""
    parser = argparse.ArgumentParser(
        prog="bids-anomaly-calibrate",
        description="Learn from your own controls which scores are unusual, and write a copy of a "
        "bundle that knows it, for --model. Where there are only patients, their lesion-free "
        "voxels can do (--exclude).",
    )
    parser.add_argument(
        "derivatives",
        metavar="DERIVATIVES",
        type=values.read_path,
        help="what bids-anomaly --stage preprocess wrote",
    )
    parser.add_argument(
        "bundle", metavar="BUNDLE", help="a folder, or a name such as restore-T1w; stays as it is"
    )
    parser.add_argument(
        "output", metavar="OUTPUT_BUNDLE", type=values.read_path, help="folder of the copy"
    )
    parser.add_argument(
        "--controls",
        metavar="COLUMN=VALUE",
        type=values.read_controls,
        help="who the controls are, by a column of the table of participants (default: everybody)",
    )
    parser.add_argument(
        "--participants-file",
        metavar="FILE",
        type=values.read_existing_file,
        help="table with participant_id and that column (default: DERIVATIVES/participants.tsv)",
    )
    parser.add_argument(
        "--exclude",
        metavar="MASKS",
        type=values.read_path,
        help="derivative dataset of lesion masks (*_mask.nii.gz, in the space of the "
        "scan); they are left out, with two voxels around them",
    )
    parser.add_argument(
        "--steps",
        metavar="N",
        type=values.read_count,
        help="levels at which the image is predicted, which the copy then takes too (default: what "
        "the bundle says)",
    )
    parser.add_argument(
        "--device",
        type=values.read_device,
        default="auto",
        help="auto, cpu or cuda[:N] (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    return report_errors(parser.prog, lambda: _calibrate(arguments))


def _calibrate(arguments: argparse.Namespace) -> ExitCode:
    from bids_anomaly.running.device import resolve_device
    from bids_anomaly.running.workfolder import make_folder

    device = resolve_device(arguments.device)

    from bids_anomaly.bids.participants import declared_controls
    from bids_anomaly.bids.reading import describe_dataset
    from bids_anomaly.preprocessing.template import Grid, same_grid
    from bids_anomaly.reconstruction.bundle import named_bundle
    from bids_anomaly.scoring.calibration import MANY, calibrate
    from bids_anomaly.training.controls import scores_by_person
    from bids_anomaly.training.export import write_recalibrated
    from bids_anomaly.training.lesions import known_lesions
    from bids_anomaly.training.people import (
        FEWEST,
        load_people,
    )

    derivatives = arguments.derivatives
    bundle = named_bundle(arguments.bundle)
    if arguments.output.resolve() == bundle.folder.resolve():
        raise UsageError("OUTPUT_BUNDLE is the folder of BUNDLE. Name another folder for the copy.")
    participants = None
    if arguments.controls:
        table = arguments.participants_file or derivatives / "participants.tsv"
        participants = declared_controls(table, arguments.controls)
    scans = load_people(derivatives, modality=bundle.modality, participants=participants)
    if not same_grid(Grid.of(scans[0].scan), bundle.grid):
        raise UsageError(
            f"The scan {scans[0].path} is not in the grid of the bundle {bundle.name}. Preprocess "
            f"again with --model {bundle.folder}."
        )
    count = len({scan.participant for scan in scans})
    if count < FEWEST["calibration"]:
        raise NothingFoundError(
            f"There are too few people to calibrate with: {count} of at least "
            f"{FEWEST['calibration']}. Preprocess more."
        )
    if count < MANY:
        print(
            f"Warning: {count} people calibrate, and thresholds of fewer than {MANY} say little of "
            "the next person. Add controls, or look at the rates of each.",
            file=sys.stderr,
        )
    make_folder(arguments.output)
    left_out = {}
    if arguments.exclude:
        left_out = {
            scan.path: known_lesions(scan, derivatives, arguments.exclude) for scan in scans
        }
    print(
        f"Scoring {len(scans)} {bundle.modality} scans of {count} people on {device}.", flush=True
    )
    scores = scores_by_person(
        bundle,
        scans,
        device=device,
        steps=arguments.steps,
        left_out=left_out,
        on_scan=say_each(len(scans)),
    )
    whom = f"{count} people of {describe_dataset(derivatives)['name']}"
    if arguments.controls:
        whom += f" with {arguments.controls}"
    if arguments.exclude:
        whom += ", lesion-free voxels"
    copy = write_recalibrated(
        bundle,
        arguments.output,
        calibration=calibrate(scores),
        calibration_data=whom,
        steps=arguments.steps,
    )
    print(f"Wrote {copy.name} {copy.version} to {copy.folder}.")
    say_rates(copy, scores)
    return ExitCode.OK


def say_rates(bundle, scores: Sequence) -> None:
    """Print and draw the rates that the people who calibrated a bundle have in turn.

    Parameters
    ----------
    bundle : Bundle
        That they calibrated.
    scores : sequence of (V,) arrays
        Of each person.
    """
    from bids_anomaly.training.rates import PICTURE, draw_rates, observed_rates, rates_table

    observed = observed_rates(scores)
    draw_rates(observed, bundle.folder / PICTURE, title=f"{bundle.name} {bundle.version}")
    print(rates_table(observed))
    print(f"Look at {bundle.folder / PICTURE}; --model {bundle.folder} uses it.")


def say_each(count: int) -> Callable[[object, float], None]:
    """Return what prints a line for each scan that is scored, with its seconds.

    Parameters
    ----------
    count : int
        Number of all scans.
    """
    numbers = itertools.count(1)

    def on_scan(scan, seconds: float) -> None:
        print(f"{next(numbers)} of {count}: {scan.path.name}: {seconds:.1f} s", flush=True)

    return on_scan


if __name__ == "__main__":
    sys.exit(main())
