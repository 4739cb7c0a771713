import pytest

from bids_anomaly.reconstruction.bundle import choose_bundles
from bids_anomaly.reports.text import model_warnings


@pytest.mark.parametrize(
    ("model", "steps", "said"),
    [
        ("restore", None, []),
        ("restore", 2, []),
        (
            "restore",
            7,
            [
                f"restore-{m}: z-scores and thresholds hold for the number of steps of the "
                "calibration, 2, and --steps asks for 7"
                for m in ("T1w", "FLAIR")
            ],
        ),
        ("ae", 7, []),
        ("threshold", None, ["FLAIR and T1w: no trained model is used"]),
        ("threshold", 7, ["FLAIR and T1w: no trained model is used"]),
    ],
)
def test_what_to_know_of_a_model_is_said(model, steps, said):
    bundles = choose_bundles(model, ("T1w", "FLAIR"))
    warnings = model_warnings(list(bundles.values()), steps=steps)
    assert len(warnings) == len(said)
    for warning, part in zip(warnings, said, strict=True):
        assert part in warning


def test_a_model_calibrated_with_as_many_steps_is_not_warned_of():
    bundle = choose_bundles("restore", ("T1w",))["T1w"]
    calibrated = type(bundle)(bundle.folder, {**bundle.description, "steps": 7})
    assert model_warnings([calibrated], steps=7) == []
    assert model_warnings([calibrated], steps=None) == []
