import pytest

from bids_anomaly.reconstruction.bundle import choose_bundles
from bids_anomaly.reports.text import methods_text, model_warnings, references
from bids_anomaly.scoring.findings import Threshold


@pytest.mark.parametrize(
    ("model", "steps", "said"),
    [
        ("restore", None, []),
        (
            "restore",
            77,
            [
                "restore-T1w: z-scores and thresholds hold for the number of steps of the "
                "calibration, ",
                "restore-FLAIR: ",
            ],
        ),
        ("ae", 7, ["ae-T1w and ae-FLAIR: the weights are from a short training, to compare"]),
        (
            "anoddpm",
            7,
            [
                "not to find disease. Use --model restore to find it.",
                "anoddpm-T1w: z-scores and thresholds hold for the number of steps of the "
                "calibration, 10, and --steps asks for 7.",
                "anoddpm-FLAIR: ",
            ],
        ),
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


def test_a_model_of_several_scans_is_warned_of_once():
    bundle = choose_bundles("anoddpm", ("T1w",))["T1w"]
    assert len(model_warnings([bundle, bundle], steps=7)) == 2


def test_a_model_calibrated_with_as_many_steps_is_not_warned_of():
    bundle = choose_bundles("restore", ("T1w",))["T1w"]
    calibrated = type(bundle)(bundle.folder, {**bundle.description, "steps": 7})
    assert model_warnings([calibrated], steps=7) == []
    assert model_warnings([calibrated], steps=None) == []
    assert model_warnings([bundle], steps=bundle.steps_taken(None)) == []


@pytest.mark.parametrize(
    ("model", "steps", "sentence"),
    [
        (
            "restore",
            8,
            "On T1w, the pseudo-healthy image was made in 8 steps by {bundle}, a few-step "
            "restoration network. It was trained on {people}. It learnt to remove procedural "
            "anomalies.",
        ),
        (
            "features",
            8,
            "On T1w, the score was made by {bundle}, a network whose features are compared with "
            "those of healthy people. It was trained on {people}, for a short time and to compare "
            "methods.",
        ),
        ("threshold", None, "On T1w, normalised intensity itself was the score."),
    ],
)
def test_the_methods_text_says_what_made_the_maps(model, steps, sentence):
    bundle = choose_bundles(model, ("T1w",))["T1w"]
    expected = sentence.format(
        bundle=f"{bundle.name} {bundle.version}",
        people=bundle.description.get("training", {}).get("data"),
    )
    assert expected in methods_text(
        [bundle], ["hd-bet"], steps=steps, threshold=Threshold(), spaces=["native"]
    )


PREPARED = "prepared by fMRIPrep 23.2.0"


@pytest.mark.parametrize(
    ("brains", "cited", "not_cited"),
    [
        (["hd-bet"], ["Isensee", "Ashburner", "Epstein"], ["Fisch"]),
        (["deepbet", "already stripped"], ["Fisch", "Ashburner", "Epstein"], ["Isensee"]),
        ([PREPARED], ["Epstein"], ["Fisch", "Isensee", "Ashburner"]),
        ([f"{PREPARED} (transforms too)", "deepbet"], ["Fisch", "Ashburner"], ["Epstein"]),
    ],
)
def test_references_follow_what_was_done_to_the_scans(brains, cited, not_cited):
    text = "\n".join(references(["anoddpm", "of another version"], brains, []))
    assert all(name in text for name in ["Wyatt", *cited])
    assert not any(name in text for name in not_cited)


@pytest.mark.parametrize(
    ("modality", "spaces", "cited"),
    [
        ("FLAIR", ["native"], {"Chambolle"}),
        ("T1w", ["native", "MNI152NLin6Asym:res-2"], {"Ciric"}),
        ("T1w", ["native"], set()),
    ],
)
def test_references_follow_what_the_text_says(modality, spaces, cited):
    bundle = choose_bundles("restore", (modality,))[modality]
    text = methods_text([bundle], ["deepbet"], steps=None, threshold=Threshold(), spaces=spaces)
    listed = "\n".join(references(["restore"], ["deepbet"], text))
    for name in ("Chambolle", "Ciric"):
        assert (name in listed) == (name in " ".join(text)) == (name in cited)
