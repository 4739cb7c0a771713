"""How the packaged model scores synthetic heads: they are like no scanner, so it is told."""

import json
from importlib.resources import files
from pathlib import Path

from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.scoring.calibration import Calibration, load_calibration

MODEL = "restore-T1w"
CONTROLS = "ten other synthetic heads"
FOLDER = Path(str(files("bids_anomaly.resources") / "demo"))
CALIBRATION, ABOUT = FOLDER / "calibration.npz", FOLDER / "calibration.json"


def calibration_of_controls() -> Calibration:
    """Return how :data:`MODEL` scores healthy heads drawn as those of the demo are.

    Made by ``benchmarks/calibrate_demo.py``.
    """
    return load_calibration(CALIBRATION)


def scored_with(bundle: Bundle) -> dict:
    """Return all of a bundle that decides the scores of a scan, as JSON holds it."""
    names = ("sha256", "levels", "score", "network")
    return json.loads(json.dumps({name: bundle.description.get(name) for name in names}))
