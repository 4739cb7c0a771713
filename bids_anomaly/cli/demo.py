"""The command ``bids-anomaly-demo``: the whole pipeline on heads that it makes itself."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from bids_anomaly.cli import values
from bids_anomaly.cli.main import report_errors
from bids_anomaly.exceptions import ExitCode

# Of what the demo writes, the folder of intermediate files included.
SIZE_MB = 150


def main(argv: Sequence[str] | None = None) -> int:
    """Make the demo dataset, run the participant level on it, and say how well it went."""
    parser = argparse.ArgumentParser(
        prog="bids-anomaly-demo",
        description="Make a small BIDS dataset of synthetic heads, one with a lesion of known "
        "place, run bids-anomaly on it, and print how well the lesion was found. Needs no network, "
        "no GPU and no data.",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="gets dataset and results")
    parser.add_argument(
        "--seed",
        type=values.read_whole_number,
        default=0,
        help="other people (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    return report_errors(parser.prog, lambda: _demo(arguments.folder.resolve(), arguments.seed))


def _demo(folder: Path, seed: int) -> ExitCode:
    from bids_anomaly.bids.naming import report_path
    from bids_anomaly.cli.main import main as run_app
    from bids_anomaly.demo.dataset import HEALTHY, STROKE, write_demo_dataset
    from bids_anomaly.demo.found import how_well_found, what_is_marked
    from bids_anomaly.demo.model import CONTROLS, MODEL, calibration_of_controls
    from bids_anomaly.reconstruction.bundle import named_bundle
    from bids_anomaly.training.export import write_recalibrated

    dataset, results = folder / "bids", folder / "derivatives"
    print(
        f"The demo takes one or two minutes on two free CPU cores, more on a busy machine, and "
        f"{SIZE_MB} MB in {folder}.\nMaking a dataset of two synthetic heads in {dataset} ...",
        flush=True,
    )
    truth = write_demo_dataset(dataset, seed=seed)
    model = write_recalibrated(
        named_bundle(MODEL),
        folder / "model",
        calibration=calibration_of_controls(),
        calibration_data=CONTROLS,
    )
    command = [str(dataset), str(results), "participant", "--work-dir", str(folder / "work")]
    command += ["--model", str(model.folder), "--skip-bids-validation"]
    print(f"Running: {shlex.join(['bids-anomaly', *command])}", flush=True)
    code = run_app(command)
    if code != ExitCode.OK:
        return ExitCode(code)
    lesioned, healthy = (
        what_is_marked(results, name.removeprefix("sub-")) for name in (STROKE, HEALTHY)
    )
    found = how_well_found(
        results, STROKE.removeprefix("sub-"), scan=truth.stroke_scan, lesion=truth.lesion
    )
    print(
        f"""
{STROKE}, with an inserted lesion of {truth.lesion_ml:.1f} ml: {_in_words(lesioned)}.
  Dice of what is marked with the lesion, at the preset threshold: {found.dice:.2f}
  A voxel of the lesion has a higher z than {100 * found.rank:.1f} % of the other brain voxels
  (by the raw intensity of the scan, darkest first: {100 * found.rank_of_raw_intensity:.1f} %).
{HEALTHY}, healthy: {_in_words(healthy)} (nominal: 0.20 %).

The threshold is that of {CONTROLS}, as bids-anomaly-calibrate would make it of yours.
Synthetic heads say nothing about accuracy on people; docs/accuracy.md does.
Images and tables are in {results}, the report of the healthy head beside the other.

Open {report_path(results, STROKE)}"""
    )
    return ExitCode.OK


def _in_words(marked) -> str:
    """Say what was found in a head."""
    from bids_anomaly.reports.numbers import counted

    many = counted(marked.findings, "finding")
    return f"{many}, {marked.ml:.1f} ml, {100 * marked.share:.2f} % of the brain marked"


if __name__ == "__main__":
    sys.exit(main())
