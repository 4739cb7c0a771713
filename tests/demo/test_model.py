import json

from bids_anomaly.demo.model import ABOUT, CONTROLS, MODEL, calibration_of_controls, scored_with
from bids_anomaly.reconstruction.bundle import named_bundle


def test_the_heads_were_scored_with_the_model_that_is_packaged():
    """Run benchmarks/calibrate_demo.py again if this fails."""
    about = json.loads(ABOUT.read_text())
    people = about.pop("people")
    assert about == scored_with(named_bundle(MODEL))
    assert people == calibration_of_controls().people == 10
    assert CONTROLS.startswith("ten")
