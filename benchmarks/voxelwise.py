r"""Whether scores should be compared with the healthy at the same place, or with all of them.

The app compares a score with those of all brain voxels of healthy people. Here each voxel is
divided, besides, by the standard deviation of the healthy at that place, smoothed and shrunk
towards that of the whole brain, with and without taking off their mean. The healthy are the people
of IXI who calibrate; the patients are the elderly of the split ``dev`` (SBIA 2017, AUTOMATIC masks,
T1w), in the model grid. AUPRC needs no threshold::

    bids-anomaly DATA/ixi-healthy PREPROCESSED/ixi-healthy participant --stage preprocess
    bids-anomaly DATA/elderly-wmh PREPROCESSED/elderly-wmh participant --stage preprocess
    python benchmarks/voxelwise.py DATA --preprocessed PREPROCESSED
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from shared.data_folder import add_data_folder
from shared.models import RAW_INTENSITY
from shared.patients_in_grid import patients_in_grid
from shared.people import people
from shared.real_scans import HEALTHY, PATIENTS
from shared.table import interval, line

from bids_anomaly.evaluation.metrics import auprc
from bids_anomaly.reconstruction.bundle import Bundle, named_bundle
from bids_anomaly.reconstruction.registry import reconstruct
from bids_anomaly.training.controls import score_of
from bids_anomaly.training.people import load_people

ELDERLY = PATIENTS[0]
SMOOTHING_MM = (2.0, 4.0, 8.0)
# Weights of the variance of the whole brain.
SHRINKAGE = (0.1, 0.5, 0.9)


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument("--preprocessed", type=Path, required=True, help="outputs of the app")
    parser.add_argument("--bundle", default="restore-T1w", help="of T1w; name or folder")
    arguments = parser.parse_args()
    bundle = named_bundle(arguments.bundle)

    controls = load_people(
        arguments.preprocessed / HEALTHY,
        modality=bundle.modality,
        participants={f"sub-{label}" for label in people(HEALTHY, "calibration")},
    )
    brains = np.array([np.asanyarray(one.brain.dataobj) > 0 for one in controls])
    healthy = np.array(
        [
            _score(bundle, one.scan.get_fdata(dtype=np.float32), brain)
            for one, brain in zip(controls, brains, strict=True)
        ]
    )
    who = people(ELDERLY.dataset, "dev")
    patients = [
        (_score(bundle, one.scan, one.brain), one)
        for one in patients_in_grid(
            arguments.data,
            arguments.preprocessed / ELDERLY.dataset,
            ELDERLY,
            bundle.modality,
            who,
        )
    ]

    def row(name: str, mean: np.ndarray | float, deviation: np.ndarray | float) -> str:
        found = [
            auprc(((score - mean) / deviation)[one.brain], one.truth[one.brain])
            for score, one in patients
        ]
        return line([name, interval(found, ".3f")])

    print(
        f"{bundle.name} {bundle.version}, {len(controls)} healthy people, {len(patients)} patients "
        "of the split dev; mean (95 % bootstrap interval).\n"
    )
    print(line(["score divided by", "AUPRC"]))
    print(line(["---", "---"]))
    print(line([RAW_INTENSITY, interval([one.raw_auprc for _, one in patients], ".3f")]))
    print(row("nothing: the same for all voxels", 0, 1))
    whole = healthy[brains].var()
    spacing = float(bundle.grid.spacing[0])
    for smoothing, shrinkage in product(SMOOTHING_MM, SHRINKAGE):
        mean, variance = _moments(healthy, brains, smoothing / spacing)
        deviation = np.sqrt((1 - shrinkage) * variance + shrinkage * whole)
        name = f"local deviation, smoothed by {smoothing:g} mm, {shrinkage:g} of the whole brain"
        print(row(name, 0, deviation))
        print(row(f"{name}, less the local mean", mean, deviation), flush=True)


def _score(bundle: Bundle, scan: np.ndarray, brain: np.ndarray) -> np.ndarray:
    found = reconstruct(bundle, scan, brain, device="cpu", batch_size=None, steps=None, seed=0)
    return score_of(bundle, scan, brain, found)


def _moments(
    healthy: np.ndarray, brains: np.ndarray, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the variance of the healthy at each voxel, smoothed."""

    def smoothed(values: np.ndarray) -> np.ndarray:
        total = gaussian_filter((values * brains).sum(axis=0, dtype=np.float32), sigma)
        return total / np.maximum(count, 1e-3)

    count = gaussian_filter(brains.sum(axis=0, dtype=np.float32), sigma)
    mean = smoothed(healthy)
    return mean, smoothed((healthy - mean) ** 2)


if __name__ == "__main__":
    main()
