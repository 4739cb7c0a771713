"""How well the brain is found: masks against the intracranial masks of healthy adults.

Measures the Dice of ``brain_mask`` with the labels of DLMUSE that come with the IXI scans (label
> 0: what lies inside the skull, CSF included; automatic labels, not a rater's), for the first
people of the splits `train` and `dev`. Nothing in the extraction was trained on these people;
margins of the method `template` were chosen on some of them.

    python benchmarks/brain_masks.py DATA [--people N] [--method METHOD]

prints a table in Markdown. DATA holds the dataset `ixi-healthy` and defaults to the
environment variable BIDS_ANOMALY_DATA. Seconds are those of the clock and of the processor; they
include loading the network.
"""

import argparse
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from shared.data_folder import add_data_folder
from shared.people import people

from bids_anomaly import __version__
from bids_anomaly.evaluation.metrics import dice
from bids_anomaly.evaluation.statistics import bootstrap, mean_of
from bids_anomaly.preprocessing.brain import brain_mask
from bids_anomaly.preprocessing.reorient import reorient, reorient_labels

DATASET = "ixi-healthy"
SPLITS = ("train", "dev")


def main() -> None:
    arguments = _parser().parse_args()
    rows = []
    for person in people(DATASET, *SPLITS)[: arguments.people]:
        scan, cranium = _load(arguments.data / DATASET, person)
        clock, processor = time.perf_counter(), time.process_time()
        found = brain_mask(scan, method=arguments.method, use_gpu=arguments.gpu)
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        brain = np.asanyarray(found.mask.dataobj) > 0
        rows.append((person, found.method, dice(brain, cranium), clock, processor))
    _print_table(rows, device="GPU" if arguments.gpu else "CPU")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_data_folder(parser)
    parser.add_argument("--people", type=int, default=10, help="how many (default: 10)")
    parser.add_argument("--method", choices=("deepbet", "hd-bet", "template"), default="deepbet")
    parser.add_argument("--gpu", action="store_true", help="run the network on the GPU")
    return parser


def _load(dataset: Path, person: str) -> tuple[nib.Nifti1Image, np.ndarray]:
    """Return the T1w scan of a person and, in the same grid, what lies inside the skull."""
    labels = dataset / "derivatives" / "dlmuse" / f"sub-{person}" / "anat"
    cranium = reorient_labels(labels / f"sub-{person}_desc-dlmuse_dseg.nii.gz")
    scan = reorient(dataset / f"sub-{person}" / "anat" / f"sub-{person}_T1w.nii.gz")
    return scan, cranium.get_fdata(dtype=np.float32) > 0


def _print_table(rows: list[tuple[str, str, float, float, float]], *, device: str) -> None:
    overlaps = np.array([row[2] for row in rows])
    mean, low, high = bootstrap(mean_of(overlaps), overlaps.size)
    print(
        f"{DATASET}, splits {' and '.join(SPLITS)}, n = {overlaps.size}, "
        f"bids-anomaly {__version__}, {device}; reference: DLMUSE > 0; "
        "95 % interval: bootstrap over people\n"
    )
    print("| person | method | Dice | seconds | processor seconds |")
    print("| --- | --- | --- | --- | --- |")
    for person, method, value, clock, processor in rows:
        print(f"| {person} | {method} | {value:.4f} | {clock:.1f} | {processor:.1f} |")
    clock, processor = np.mean([row[3:] for row in rows], axis=0)
    print(
        f"| mean [95 % interval] | | {mean:.4f} [{low:.4f}, {high:.4f}] | {clock:.1f} | "
        f"{processor:.1f} |"
    )
    print(f"| worst | | {overlaps.min():.4f} | | |")


if __name__ == "__main__":
    main()
