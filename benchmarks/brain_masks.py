"""How well the brain is found: masks against the intracranial masks of healthy adults.

Measures the Dice of ``brain_mask`` with the labels of DLMUSE that come with the IXI scans (label
> 0: what lies inside the skull, CSF included; automatic labels, not a rater's), for the first
people of the splits `train` and `dev`. Nothing in the extraction was trained on these people;
margins of the method `template` were chosen on some of them.

    python benchmarks/brain_masks.py DATA_FOLDER [--people N] [--method METHOD]

prints a table in Markdown. DATA_FOLDER holds the dataset `ixi-healthy` and defaults to the
environment variable BIDS_ANOMALY_DATA. Seconds are those of the clock and of the processor; they
include loading the network.
"""

import argparse
import csv
import os
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_anomaly import __version__
from bids_anomaly.preprocessing.brain import brain_mask
from bids_anomaly.preprocessing.conform import conform

DATASET = "ixi-healthy"
SPLITS = ("train", "dev")
BOOTSTRAP_DRAWS = 2000


def main() -> None:
    arguments = _parser().parse_args()
    if arguments.data is None:
        raise SystemExit("Name the folder of ixi-healthy, or set BIDS_ANOMALY_DATA.")
    rows = []
    for person in _people()[: arguments.people]:
        scan, cranium = _load(arguments.data / DATASET, person)
        clock, processor = time.perf_counter(), time.process_time()
        found = brain_mask(scan, method=arguments.method, use_gpu=arguments.gpu)
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        brain = np.asanyarray(found.mask.dataobj) > 0
        rows.append((person, found.method, _dice(brain, cranium), clock, processor))
    _print_table(rows, device="GPU" if arguments.gpu else "CPU")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    folder = os.environ.get("BIDS_ANOMALY_DATA")
    parser.add_argument("data", type=Path, nargs="?", default=Path(folder) if folder else None)
    parser.add_argument("--people", type=int, default=10, help="how many (default: 10)")
    parser.add_argument("--method", choices=("deepbet", "hd-bet", "template"), default="deepbet")
    parser.add_argument("--gpu", action="store_true", help="run the network on the GPU")
    return parser


def _people() -> list[str]:
    """Return the people that nothing is reported on, in the order of the list of splits."""
    with (Path(__file__).parent / "splits.tsv").open(newline="") as file:
        return [
            row["participant_id"]
            for row in csv.DictReader(file, delimiter="\t")
            if row["dataset"] == DATASET and row["split"] in SPLITS
        ]


def _load(dataset: Path, person: str) -> tuple[nib.Nifti1Image, np.ndarray]:
    """Return the T1w scan of a person and, in the same grid, what lies inside the skull."""
    labels = dataset / "derivatives" / "dlmuse" / person / "anat"
    cranium = conform(labels / f"{person}_desc-dlmuse_dseg.nii.gz")
    scan = conform(dataset / person / "anat" / f"{person}_T1w.nii.gz")
    return scan, cranium.get_fdata(dtype=np.float32) > 0


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def _print_table(rows: list[tuple[str, str, float, float, float]], *, device: str) -> None:
    dice = np.array([row[2] for row in rows])
    draws = np.random.default_rng(0).choice(dice, (BOOTSTRAP_DRAWS, dice.size)).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    print(
        f"{DATASET}, splits {' and '.join(SPLITS)}, n = {dice.size}, bids-anomaly {__version__}, "
        f"{device}; reference: DLMUSE > 0; 95 % interval: bootstrap over people\n"
    )
    print("| person | method | Dice | seconds | processor seconds |")
    print("| --- | --- | --- | --- | --- |")
    for person, method, value, clock, processor in rows:
        print(f"| {person} | {method} | {value:.4f} | {clock:.1f} | {processor:.1f} |")
    clock, processor = np.mean([row[3:] for row in rows], axis=0)
    print(
        f"| mean [95 % interval] | | {dice.mean():.4f} [{low:.4f}, {high:.4f}] | {clock:.1f} | "
        f"{processor:.1f} |"
    )
    print(f"| worst | | {dice.min():.4f} | | |")


if __name__ == "__main__":
    main()
