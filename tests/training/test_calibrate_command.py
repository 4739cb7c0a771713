"""``bids-anomaly-calibrate`` by its command, from preprocessed scans to a bundle."""

import json
import re
import shutil

import nibabel as nib
import numpy as np
import pytest
import torch

from bids_anomaly.cli.calibrate import main
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.reconstruction.bundle import load_bundle
from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.reconstruction.registry import reconstruct
from bids_anomaly.scoring.calibration import calibrate, load_calibration
from bids_anomaly.training.export import write_bundle
from bids_anomaly.training.people import load_people

DEVICE = ("--device", "cpu")


def reconstruct_person(bundle, person, *, steps):
    return reconstruct(
        bundle,
        person.scan.get_fdata(dtype=np.float32),
        np.asanyarray(person.brain.dataobj) > 0,
        device="cpu",
        batch_size=None,
        steps=steps,
        seed=0,
    )


@pytest.fixture(scope="module")
def bundles(preprocessed, tmp_path_factory):
    """A network with random weights for T1w, and the intensity threshold for FLAIR."""
    folder = tmp_path_factory.mktemp("bundles")
    torch.manual_seed(0)
    network = RestorationNet(slices=3, channels=(8, 16))
    torch.nn.init.normal_(network.leave[-1].weight, std=0.05)
    common = {
        "version": "1.0",
        "grid": Grid.of(load_people(preprocessed, modality="T1w")[0].scan),
        "calibration": calibrate([np.linspace(0, 1, 1000)]),
        "calibration_data": "nobody",
        "licence": "CC0",
    }
    write_bundle(
        folder / "T1w",
        method="restore",
        modality="T1w",
        score={"rule": "lesion_and_darkening", "smoothing_mm": 1.2, "residual_weight": 1.0},
        network=network,
        levels=[0.5],
        **common,
    )
    write_bundle(
        folder / "FLAIR",
        method="threshold",
        modality="FLAIR",
        score={"rule": "bright_intensity", "smoothing_mm": 1.2},
        **common,
    )
    return folder


def test_the_copy_knows_the_controls_and_the_original_stays(preprocessed, bundles, tmp_path):
    before = load_bundle(bundles / "T1w").digest
    output = tmp_path / "copy"
    arguments = [str(preprocessed), str(bundles / "T1w"), str(output), *DEVICE]
    assert main([*arguments, "--controls", "group=control"]) == 0
    original, copy = load_bundle(bundles / "T1w"), load_bundle(output)
    assert (output / "rates.png").stat().st_size > 1000
    assert original.digest == before != copy.digest
    assert copy.weights.read_bytes() == original.weights.read_bytes()
    assert copy.version == "1.0+recalibrated"
    assert copy.description["calibration"] == {
        "data": "4 people of ellipsoids with group=control",
        "people": 4,
    }
    assert load_calibration(copy.calibration).people == 4


def test_the_copy_of_a_bundle_with_shared_weights_has_its_own(preprocessed, bundles, tmp_path):
    sharing = shutil.copytree(bundles / "T1w", tmp_path / "sharing")
    original = (sharing / "model.safetensors").rename(tmp_path / "shared.safetensors")
    description = json.loads((sharing / "bundle.json").read_text())
    description["weights"] = "../shared.safetensors"
    (sharing / "bundle.json").write_text(json.dumps(description))
    assert main([str(preprocessed), str(sharing), str(tmp_path / "copy"), *DEVICE]) == 0
    copy = load_bundle(tmp_path / "copy")
    assert copy.weights.parent == copy.folder.resolve()
    assert copy.weights.read_bytes() == original.read_bytes()


def test_without_a_choice_everybody_is_a_control(preprocessed, bundles, tmp_path, capsys):
    assert main([str(preprocessed), str(bundles / "T1w"), str(tmp_path / "copy"), *DEVICE]) == 0
    assert load_bundle(tmp_path / "copy").description["calibration"]["people"] == 8
    said, warned = capsys.readouterr()
    assert "False positive rate in 8 people" in said
    assert "Warning: 8 people calibrate, and thresholds of fewer than 10" in warned
    assert "nominal" in said
    lines = said.splitlines()
    assert (
        sum(re.fullmatch(r"\d of 8: .*T1w.*: \d+\.\d s", line) is not None for line in lines) == 8
    )
    assert lines[-1].startswith(f"Look at {tmp_path / 'copy' / 'rates.png'}")


@pytest.fixture
def masks(preprocessed, tmp_path):
    """Lesion masks of all that is above the middle of each FLAIR scan."""
    for scan in load_people(preprocessed, modality="FLAIR"):
        values = np.zeros(scan.scan.shape, np.uint8)
        values[:, :, 16:] = 1
        path = tmp_path / "masks" / scan.participant / "anat" / f"{scan.participant}_label-WMH_mask"
        path.parent.mkdir(parents=True)
        nib.Nifti1Image(values, scan.scan.affine).to_filename(path.with_suffix(".nii.gz"))
    return tmp_path / "masks"


def test_known_lesions_of_patients_are_left_out(write_person, masks, bundles, tmp_path):
    folder = tmp_path / "patients"
    for number in range(4):
        write_person(folder, f"P{number}", "FLAIR", seed=number)
    for scan in load_people(folder, modality="FLAIR"):
        values = scan.scan.get_fdata(dtype=np.float32)
        values[:, :, 16:] *= 3
        scan.scan.__class__(values, scan.scan.affine).to_filename(scan.path)
    highest = {}
    for name, options in {"all": [], "lesion-free": ["--exclude", str(masks)]}.items():
        arguments = [str(folder), str(bundles / "FLAIR"), str(tmp_path / name), *DEVICE, *options]
        assert main(arguments) == 0
        copy = load_bundle(tmp_path / name)
        highest[name] = load_calibration(copy.calibration).score.max()
        assert ("lesion-free" in copy.description["calibration"]["data"]) == bool(options)
    assert highest["all"] > 3
    assert highest["lesion-free"] < 1.5


@pytest.mark.parametrize(
    ("bundle", "options", "code", "said"),
    [
        ("T1w", ["--controls", "group=alien"], 18, "Nobody in"),
        ("T1w", ["--controls", "age=3"], 66, "has no column age (columns: participant_id, group)"),
        ("FLAIR", ["--controls", "group=control"], 18, "too few people to calibrate with: 2"),
        ("FLAIR", ["--exclude", "nowhere"], 66, "There is no folder of masks"),
        ("packaged", [], 2, "not in the grid of the bundle restore-T1w"),
        ("unknown", [], 69, "Known bundles: "),
    ],
)
def test_what_cannot_be_calibrated_is_an_error_of_one_sentence(
    preprocessed, bundles, tmp_path, capsys, bundle, options, code, said
):
    named = {"packaged": "restore-T1w", "unknown": "unknown"}.get(bundle, str(bundles / bundle))
    output = tmp_path / "copy"
    assert main([str(preprocessed), named, str(output), *DEVICE, *options]) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (output / "bundle.json").exists()


@pytest.mark.parametrize("broken", ["all lesion", "no contrast"])
def test_scans_that_say_nothing_are_an_error_of_one_sentence(
    write_person, bundles, tmp_path, capsys, broken
):
    folder, options = tmp_path / "patients", []
    for number in range(3):
        write_person(folder, f"P{number}", "FLAIR", seed=number)
    for scan in load_people(folder, modality="FLAIR"):
        if broken == "no contrast":
            values = np.asanyarray(scan.brain.dataobj).astype(np.float32)
            nib.Nifti1Image(values, scan.scan.affine).to_filename(scan.path)
        else:
            path = tmp_path / "masks" / scan.participant / "anat" / f"{scan.participant}_mask.nii"
            path.parent.mkdir(parents=True)
            affine = np.diag([5.0, 5, 5, 1])
            affine[:3, 3] = -200
            # More than the brain, and less than half of the image.
            lesion = np.pad(np.ones((60, 60, 60), np.uint8), 10)
            nib.Nifti1Image(lesion, affine).to_filename(path)
            options = ["--exclude", str(tmp_path / "masks")]
    output = tmp_path / "copy"
    assert main([str(folder), str(bundles / "FLAIR"), str(output), *DEVICE, *options]) == 65
    error = capsys.readouterr().err
    assert {"all lesion": "free of known lesions", "no contrast": "do not vary"}[broken] in error
    assert "Traceback" not in error
    assert not (output / "bundle.json").exists()


def test_the_copy_takes_as_many_steps_as_it_was_calibrated_with(preprocessed, bundles, tmp_path):
    scores = {}
    for steps in (1, 3):
        output = tmp_path / str(steps)
        arguments = [str(preprocessed), str(bundles / "T1w"), str(output), *DEVICE]
        assert main([*arguments, "--steps", str(steps)]) == 0
        copy = load_bundle(output)
        assert copy.description["steps"] == steps
        person = load_people(preprocessed, modality="T1w")[0]
        # Each level is gone through as it is and mirrored, and the one of the image too.
        assert reconstruct_person(copy, person, steps=None).evaluations == 2 * steps + 2
        assert reconstruct_person(copy, person, steps=2).evaluations == 6
        scores[steps] = load_calibration(copy.calibration).score
    assert len(scores[1]) != len(scores[3]) or (scores[1] != scores[3]).any()


def test_a_bundle_is_not_overwritten_by_its_copy(preprocessed, bundles, capsys):
    folder = str(bundles / "T1w")
    assert main([str(preprocessed), folder, folder, *DEVICE]) == 2
    assert "another folder" in capsys.readouterr().err
