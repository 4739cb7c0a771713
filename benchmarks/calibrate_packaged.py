"""Calibrate packaged bundles on people of several scanners, and print the rates on each.

Each scanner counts as much as every other. FLAIR has no healthy people: the lesion-free voxels of
patients stand for them. The scans are what the app makes of the people in question::

    bids-anomaly DATA/DATASET PREPROCESSED/DATASET participant --stage preprocess
    python benchmarks/calibrate_packaged.py DATA --preprocessed PREPROCESSED --bundles restore-T1w

It writes into the folders of the bundles. Their versions and scores are changed by hand.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from shared.data_folder import add_data_folder
from shared.people import people
from shared.real_scans import PATIENTS

from bids_anomaly.bids.writing import replacing, write_json
from bids_anomaly.reconstruction.bundle import named_bundle
from bids_anomaly.scoring.calibration import calibrate, healthy_exceedance, save_calibration
from bids_anomaly.settings import Settings
from bids_anomaly.training.controls import scores_by_person
from bids_anomaly.training.lesions import known_lesions
from bids_anomaly.training.people import load_people


class Calibrators(NamedTuple):
    """People of one dataset, by splits, and what to call them."""

    dataset: str
    splits: tuple[str, ...]
    words: str


CALIBRATORS = {
    "T1w": (
        Calibrators("ixi-healthy", ("calibration",), "healthy adults of IXI"),
        Calibrators("nsk-t1w", ("calibration",), "adults of OpenNeuro ds002748"),
        Calibrators(
            "ucla-t1w-t2w", ("train", "calibration"), "healthy adults of OpenfMRI ds000011"
        ),
    ),
    "T2w": (
        Calibrators(
            "ucla-t1w-t2w", ("train", "calibration"), "healthy adults of OpenfMRI ds000011"
        ),
    ),
    "FLAIR": (
        Calibrators("elderly-wmh", ("dev",), "elderly people (SBIA 2017), lesion-free voxels"),
        Calibrators("ms", ("dev",), "person with MS (Lesjak 2017), lesion-free voxels"),
    ),
}


def main() -> None:
    """Calibrate the bundles that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundles", nargs="+", required=True, help="such as restore-T1w")
    parser.add_argument(
        "--preprocessed", type=Path, required=True, help="a folder for each dataset"
    )
    add_data_folder(parser)
    arguments = parser.parse_args()
    for name in arguments.bundles:
        calibrate_bundle(name, arguments.data, arguments.preprocessed)


def calibrate_bundle(name: str, data: Path, preprocessed: Path) -> None:
    """Write the calibration of one bundle, and print the rate on each scanner."""
    bundle = named_bundle(name)
    scores: list[np.ndarray] = []
    scanners: list[str] = []
    told = []
    for who in CALIBRATORS[bundle.modality]:
        chosen = {f"sub-{label}" for label in people(who.dataset, *who.splits)}
        derivatives = preprocessed / who.dataset
        scans = load_people(derivatives, modality=bundle.modality, participants=chosen)
        left_out = {}
        for patients in PATIENTS:
            if patients.dataset == who.dataset:
                masks = patients.masks(data)
                left_out = {scan.path: known_lesions(scan, derivatives, masks) for scan in scans}
        found = scores_by_person(bundle, scans, device="cpu", left_out=left_out)
        scores += found
        scanners += [who.dataset] * len(found)
        told.append(f"{len(found)} {who.words}")
    calibration = calibrate(scores, scanners)
    print(f"{bundle.name} {bundle.version}: " + "; ".join(told))
    for scanner in dict.fromkeys(scanners):
        rates = [
            float((healthy_exceedance(calibration.zscore(own)) < Settings.healthy_fpr).mean())
            for own, place in zip(scores, scanners, strict=True)
            if place == scanner
        ]
        print(f"  {scanner}: {np.mean(rates):.2%} ({min(rates):.2%} to {max(rates):.2%})")
    with replacing(bundle.calibration) as temporary:
        save_calibration(calibration, temporary)
    description = json.loads((bundle.folder / "bundle.json").read_text())
    description["calibration"] = {"data": "; ".join(told), "people": calibration.people}
    write_json(bundle.folder / "bundle.json", description)


if __name__ == "__main__":
    main()
