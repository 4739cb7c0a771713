"""Calibrate the model of the demo on healthy heads that are drawn as those of the demo are.

Draws them, runs the real command, and writes into the package. Run it again whenever weights or
score of the packaged T1w model change; a test says when::

    python benchmarks/calibrate_demo.py FOLDER
"""

import argparse
import subprocess
import sys
from pathlib import Path

from bids_anomaly.bids.writing import replacing, write_json
from bids_anomaly.demo.dataset import write_controls
from bids_anomaly.demo.model import ABOUT, CALIBRATION, MODEL, scored_with
from bids_anomaly.reconstruction.bundle import named_bundle
from bids_anomaly.scoring.calibration import calibrate, save_calibration
from bids_anomaly.training.controls import scores_by_person
from bids_anomaly.training.people import load_people
from bids_anomaly.training.rates import observed_rates, rates_table

PEOPLE = 10


def main() -> None:
    """Draw, preprocess, score, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="gets heads and results")
    folder = parser.parse_args().folder.resolve()
    dataset, preprocessed = folder / "bids", folder / "preprocessed"
    write_controls(dataset, PEOPLE)
    call = [sys.executable, "-m", "bids_anomaly.cli.main", dataset, preprocessed, "participant"]
    call += ["--stage", "preprocess", "--skip-bids-validation", "-w", folder / "work"]
    subprocess.run([str(part) for part in call], check=True)
    bundle = named_bundle(MODEL)
    scores = scores_by_person(bundle, load_people(preprocessed, modality="T1w"), device="cpu")
    ABOUT.parent.mkdir(exist_ok=True)
    with replacing(CALIBRATION) as temporary:
        save_calibration(calibrate(scores), temporary)
    write_json(ABOUT, {"people": PEOPLE, **scored_with(bundle)})
    print(rates_table(observed_rates(scores)))


if __name__ == "__main__":
    main()
