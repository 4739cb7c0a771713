"""``bids-anomaly-train`` by its command, from preprocessed scans to bundles."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from bids_anomaly.cli.train import _lines, main
from bids_anomaly.reconstruction.bundle import load_bundle
from bids_anomaly.reconstruction.registry import load_network
from bids_anomaly.training.people import load_people, read_splits, write_splits

OPTIONS = ("--steps", "4", "--batch-size", "4", "--validate-every", "2", "--device", "cpu")
# How far scans lie to the left of the model grid (tests/conftest.py).
SHIFT_MM = 10.0
COMMAND = (sys.executable, "-m", "bids_anomaly.cli.train")
TORCHRUN = (
    *(sys.executable, "-m", "torch.distributed.run"),
    *("--standalone", "--nproc-per-node", "2"),
)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def one_thread():
    """Sums depend on the number of threads; processes of their own get one too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(preprocessed, tmp_path_factory, one_thread):
    """The output folder of a training for T1w and FLAIR."""
    output = tmp_path_factory.mktemp("trained") / "output"
    assert run(preprocessed, output, "--modalities", "FLAIR", "T1w") == 0
    return output


def run(*arguments):
    return main([*map(str, arguments), *OPTIONS])


def weights(output, modality="T1w"):
    return (output / f"restore-{modality}" / "model.safetensors").read_bytes()


def read_rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_modality_gets_a_bundle_with_the_same_weights(trained):
    bundles = [load_bundle(trained / f"restore-{modality}") for modality in ("T1w", "FLAIR")]
    assert [bundle.modality for bundle in bundles] == ["T1w", "FLAIR"]
    assert weights(trained, "T1w") == weights(trained, "FLAIR")
    assert bundles[0].description["score"] != bundles[1].description["score"]
    for bundle in bundles:
        assert bundle.description["training"]["data"] == "4 people of ellipsoids"
        assert bundle.description["licence"] == "CC0"
        assert bundle.description["calibration"]["people"] == 3


def test_scans_that_are_not_there_are_painted_and_the_bundle_says_so(trained):
    said = load_bundle(trained / "restore-FLAIR").description["calibration"]["data"]
    assert said.endswith("FLAIR synthesised from T1w")


def test_the_draw_of_people_is_written_and_nobody_is_in_two_splits(trained, preprocessed):
    table = trained / "splits.tsv"
    listed = read_splits(table)
    splits = [listed[name] for name in ("train", "calibration", "dev")]
    assert [len(people) for people in splits] == [4, 3, 1]
    everybody = {scan.participant for scan in load_people(preprocessed, modality="T1w")}
    assert set.union(*splits) == everybody


def test_losses_and_validations_are_tables_and_pictures(trained):
    folder = trained / "training"
    assert [row["step"] for row in read_rows(folder / "losses.csv")] == ["2", "4"]
    rows = read_rows(folder / "validation.csv")
    assert [row["step"] for row in rows] == ["2", "4"]
    assert all(0 <= float(rows[-1][f"{m}_auprc"]) <= 1 for m in ("T1w", "FLAIR"))
    pictures = sorted(path.name for path in (folder / "validation").iterdir())
    assert pictures == ["step-000002.png", "step-000004.png"]


@pytest.mark.slow
def test_the_command_says_nominal_and_observed_rates(preprocessed, trained, tmp_path, capsys):
    output = tmp_path / "output"
    shutil.copytree(trained, output)
    assert run(preprocessed, output, "--modalities", "FLAIR", "T1w") == 0
    said = capsys.readouterr()
    assert said.out.count("observed") == 2
    assert "bids-anomaly-calibrate" in said.out
    # No bar where there is no terminal.
    assert not said.err
    assert weights(output) == weights(trained)


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights(preprocessed, trained, tmp_path):
    output = tmp_path / "output"
    arguments = [*COMMAND, preprocessed, output, "--modalities", "FLAIR", "T1w", *OPTIONS]
    process = subprocess.Popen(
        list(map(str, arguments)), env=ENVIRONMENT, cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    checkpoint = output / "training" / "checkpoint.pt"
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run(preprocessed, output, "--modalities", "FLAIR", "T1w") == 0
    assert weights(output) == weights(trained)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seed", "1"], r"seed (0 there, 1 now)"),
        (["--batch-size", "2"], r"batch size (4 there, 2 now)"),
        (["--modalities", "T1w"], "modalities"),
        (["--from", "restore-T1w"], "another grid"),
    ],
)
def test_other_options_in_the_same_folder_are_refused(preprocessed, trained, capsys, options, said):
    before = weights(trained)
    arguments = [preprocessed, trained, "--modalities", "FLAIR", "T1w", *OPTIONS, *options]
    assert main(list(map(str, arguments))) != 0
    assert said in capsys.readouterr().err
    assert weights(trained) == before


@pytest.mark.slow
def test_training_goes_on_from_the_weights_of_a_bundle(preprocessed, trained, tmp_path):
    output = tmp_path / "output"
    start = trained / "restore-T1w"
    assert run(preprocessed, output, "--from", start, "--splits", trained / "splits.tsv") == 0
    bundle = load_bundle(output / "restore-T1w")
    assert bundle.description["training"]["from"].startswith("restore-T1w 0.0.0, sha256:")
    old, new = (load_network(load_bundle(folder)) for folder in (start, bundle.folder))
    # Four steps of warm-up hardly move weights; random ones would be elsewhere.
    before, after = old.enter.weight, new.enter.weight
    assert 0 < (after - before).abs().max() < 0.01


@pytest.mark.slow
def test_two_processes_train_as_one_command(preprocessed, tmp_path):
    output = tmp_path / "output"
    finished = subprocess.run(
        [*TORCHRUN, *COMMAND[1:], str(preprocessed), str(output), *OPTIONS],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("Wrote restore-T1w") == 1
    configuration = json.loads((output / "training" / "configuration.json").read_text())
    assert configuration["processes"] == 2
    assert len(read_rows(output / "training" / "losses.csv")) == 2
    state = torch.load(output / "training" / "checkpoint.pt", weights_only=True)
    assert not torch.equal(*state["generators"])


def test_the_preview_is_a_picture_and_nothing_is_trained(preprocessed, tmp_path):
    picture = tmp_path / "preview.png"
    assert run(preprocessed, tmp_path / "output", "--preview", picture) == 0
    assert Image.open(picture).width > 500
    assert not (tmp_path / "output").exists()


@pytest.mark.slow
def test_heads_that_are_label_maps_take_part(preprocessed, labelled_head, tmp_path, capsys):
    (tmp_path / "maps").mkdir()
    labelled_head.to_filename(tmp_path / "maps" / "head.nii.gz")
    trained = run(
        preprocessed, tmp_path / "output", "--steps", 1, "--label-maps", tmp_path / "maps"
    )
    assert trained == 0
    assert "and 1 label maps" in capsys.readouterr().out
    configuration = json.loads((tmp_path / "output/training/configuration.json").read_text())
    assert configuration["scans"].count("head.nii.gz") == 4


@pytest.mark.slow
def test_label_maps_of_people_who_are_held_out_are_not_trained_on(
    preprocessed, labelled_head, tmp_path, capsys
):
    people = sorted(scan.participant for scan in load_people(preprocessed, modality="T1w"))
    names = ["train"] * (len(people) - 4) + ["calibration"] * 3 + ["report"]
    rows = [f"{person}\t{name}" for person, name in zip(people, names, strict=True)]
    rows.append("sub-elsewhere\treport")
    table = tmp_path / "splits.tsv"
    table.write_text("\n".join(["participant_id\tsplit", *rows]) + "\n")
    maps = tmp_path / "maps"
    maps.mkdir()
    for person in (people[0], *people[-4:], "sub-elsewhere"):
        labelled_head.to_filename(maps / f"{person}_dseg.nii.gz")
    # As FreeSurfer and SynthSeg name them.
    for name in (f"{people[-1]}/mri/aseg_dseg.nii.gz", f"{people[-2]}.nii.gz"):
        (maps / name).parent.mkdir(parents=True, exist_ok=True)
        labelled_head.to_filename(maps / name)
    options = ("--steps", 1, "--label-maps", maps, "--splits", table)
    assert run(preprocessed, tmp_path / "output", *options) == 0
    configuration = json.loads((tmp_path / "output/training/configuration.json").read_text())
    drawn = [name for name in configuration["scans"] if not name.endswith("_T1w.nii.gz")]
    assert drawn == [f"{people[0]}_dseg.nii.gz"] * 4
    (maps / f"{people[0]}_dseg.nii.gz").unlink()
    assert run(preprocessed, tmp_path / "other", *options) == 18
    assert "not in the split train" in capsys.readouterr().err


def test_a_folder_without_label_maps_is_an_error(preprocessed, tmp_path, capsys):
    assert run(preprocessed, tmp_path / "output", "--label-maps", tmp_path) == 18
    assert "has no label map" in capsys.readouterr().err


@pytest.fixture
def with_lesions(preprocessed, write_person, write_masks, tmp_path):
    """The healthy people, and five others with a bright ball on FLAIR and masks of it."""
    folder = tmp_path / "with lesions"
    shutil.copytree(preprocessed, folder)
    people = [f"L{number}" for number in range(5)]
    for number, label in enumerate(people):
        for modality in ("T1w", "FLAIR"):
            write_person(folder, label, modality, seed=number)
    return folder, write_masks(folder, tmp_path / "masks", people)


@pytest.fixture
def write_masks():
    """Give a function that writes masks of a ball in the scans of people, and makes it bright."""

    def write(folder, masks, people, *, away_mm=0.0, empty=False):
        scans = load_people(
            folder, modality="FLAIR", participants={f"sub-{label}" for label in people}
        )
        for scan in scans:
            values, affine = scan.scan.get_fdata(dtype=np.float32), scan.scan.affine
            ball = np.zeros(values.shape, np.uint8)
            ball[12:16, 20:25, 14:18] = not empty
            nib.Nifti1Image(values * (1 + ball), affine).to_filename(scan.path)
            # The scan lies beside the model grid.
            moved = affine.copy()
            moved[0, 3] -= SHIFT_MM - away_mm
            anat = masks / scan.participant / "anat"
            anat.mkdir(parents=True, exist_ok=True)
            nib.Nifti1Image(ball, moved).to_filename(
                anat / f"{scan.participant}_label-lesion_mask.nii"
            )
        return masks

    return write


@pytest.mark.slow
def test_a_few_marked_scans_are_learned_from_and_others_calibrate(with_lesions, tmp_path, capsys):
    folder, masks = with_lesions
    output = tmp_path / "output"
    options = ("--modalities", "FLAIR", "--labels", masks, "--people", 2)
    assert run(folder, output, *options) == 0
    said = capsys.readouterr().out
    bundle = load_bundle(output / "restore-FLAIR")
    assert bundle.description["training"]["data"].endswith(
        "and on the lesion masks of 2 others with lesions"
    )
    assert bundle.description["calibration"]["data"].startswith("3 people with lesions")
    assert len(re.findall(r"^  sub-L\d: [01]\.\d{3}$", said, re.MULTILINE)) == 3
    chosen = read_splits(output / "lesions.tsv")
    assert sorted(map(len, chosen.values())) == [2, 3]
    assert not set(read_splits(output / "splits.tsv")["train"]) & set.union(*chosen.values())
    configuration = json.loads((output / "training" / "configuration.json").read_text())
    assert len(configuration["marked"]) == 2
    # Other people, or none, would be another training, and the tables stay those of this one.
    for other in (("--people", 3), ()):
        assert run(folder, output, *options[:4], *other, "--splits", output / "splits.tsv") == 2
        assert "marked" in capsys.readouterr().err
    assert run(folder, output, *options[:2], "--splits", output / "splits.tsv") == 2
    assert "marked" in capsys.readouterr().err
    assert read_splits(output / "lesions.tsv") == chosen


@pytest.mark.slow
def test_labels_come_too_late_for_a_training_without(with_lesions, tmp_path, capsys):
    folder, masks = with_lesions
    output = tmp_path / "output"
    options = ("--modalities", "FLAIR", "--splits", tmp_path / "splits.tsv")
    healthy = [scan.participant for scan in load_people(folder, modality="T1w")]
    healthy = sorted(set(healthy) - {f"sub-L{number}" for number in range(5)})
    splits = {"train": healthy[:4], "calibration": healthy[4:7], "dev": healthy[7:]}
    write_splits(tmp_path / "splits.tsv", splits)
    assert run(folder, output, *options) == 0
    assert run(folder, output, *options, "--labels", masks) == 2
    assert "marked" in capsys.readouterr().err
    assert not (output / "lesions.tsv").exists()


@pytest.mark.slow
def test_nobody_with_lesions_is_healthy_whatever_scan_the_mask_is_of(
    with_lesions, tmp_path, capsys
):
    folder, masks = with_lesions
    healthy = {scan.participant for scan in load_people(folder, modality="T1w")}
    ill = min(healthy - {f"sub-L{number}" for number in range(5)}).removeprefix("sub-")
    anat = masks / f"sub-{ill}" / "anat"
    anat.mkdir(parents=True)
    shutil.copy(
        masks / "sub-L0" / "anat" / "sub-L0_label-lesion_mask.nii",
        anat / f"sub-{ill}_space-T1w_label-lesion_mask.nii",
    )
    output = tmp_path / "output"
    assert run(folder, output, "--modalities", "FLAIR", "--labels", masks) == 0
    assert f"without a marked FLAIR scan: sub-{ill}." in capsys.readouterr().out
    assert f"sub-{ill}" not in set.union(*read_splits(output / "splits.tsv").values())


@pytest.mark.slow
def test_thresholds_are_of_healthy_people_where_too_few_are_held_out(
    with_lesions, tmp_path, capsys
):
    folder, masks = with_lesions
    start = tmp_path / "start"
    assert run(folder, start, "--modalities", "FLAIR", "--labels", masks) == 0
    assert "of those held out" not in capsys.readouterr().out
    assert "split calibration" in str(load_bundle(start / "restore-FLAIR").calibrated_on)
    output = tmp_path / "output"
    options = ("--labels", masks, "--people", 4, "--from", start / "restore-FLAIR")
    assert run(folder, output, "--modalities", "FLAIR", *options) == 0
    said = capsys.readouterr().out
    assert len(re.findall(r"^  sub-L\d: [01]\.\d{3}, before [01]\.\d{3}$", said, re.MULTILINE)) == 1


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        ("nowhere", 66, "There is no folder of masks"),
        ("empty masks", 18, "has a lesion in"),
        ("elsewhere", 65, "marks nothing of the brain"),
        ("too many people", 18, "asks for 6 people"),
        ("people alone", 2, "Add --labels"),
        ("other method", 2, "Use --method restore"),
        ("in both", 66, "take the row out"),
        ("other modality", 18, "No preprocessed T2w scan"),
    ],
)
def test_labels_that_cannot_be_learned_from_are_an_error_of_one_sentence(
    with_lesions, write_masks, tmp_path, capsys, wrong, code, said
):
    folder, masks = with_lesions
    people = [f"L{number}" for number in range(5)]
    options = ["--modalities", "FLAIR", "--labels", masks]
    if wrong == "nowhere":
        options[-1] = tmp_path / "nowhere"
    elif wrong == "empty masks":
        write_masks(folder, masks, people, empty=True)
    elif wrong == "elsewhere":
        write_masks(folder, masks, people, away_mm=-500)
    elif wrong == "too many people":
        options += ["--people", 6]
    elif wrong == "people alone":
        options = ["--people", 2]
    elif wrong == "other method":
        options += ["--method", "ae"]
    elif wrong == "other modality":
        options[1] = "T2w"
    else:
        table = tmp_path / "splits.tsv"
        rows = ["participant_id\tsplit", "sub-L1\ttrain", *(f"sub-P{n}\ttrain" for n in range(4))]
        table.write_text("\n".join([*rows, *(f"sub-P{n}\tcalibration" for n in range(4, 8))]))
        options += ["--splits", table]
    output = tmp_path / "output"
    assert run(folder, output, *options) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (output / "restore-FLAIR").exists()


def test_a_batch_of_which_no_quarter_can_be_marked_is_refused(with_lesions, tmp_path, capsys):
    folder, masks = map(str, with_lesions)
    output = str(tmp_path / "output")
    options = ["--modalities", "FLAIR", "--labels", masks, "--batch-size", "6", "--device", "cpu"]
    assert main([folder, output, *options]) == 2
    assert "Use a --batch-size of 4, 8 or another multiple" in capsys.readouterr().err


@pytest.fixture
def with_flair(preprocessed, write_person, tmp_path):
    """The healthy people, all but one of them with a FLAIR scan."""
    folder = tmp_path / "with FLAIR"
    shutil.copytree(preprocessed, folder)
    people = sorted({scan.participant for scan in load_people(folder, modality="T1w")})
    for number, person in enumerate(people[1:]):
        write_person(folder, person.removeprefix("sub-"), "FLAIR", seed=number)
    return folder


@pytest.mark.slow
def test_real_scans_of_the_healthy_are_learned_from_beside_painted_ones(
    with_flair, tmp_path, capsys
):
    output = tmp_path / "output"
    options = ("--modalities", "T1w", "FLAIR", "--real-scans")
    assert run(with_flair, output, *options) == 0
    table = output / "splits.tsv"
    have = {scan.participant for scan in load_people(with_flair, modality="FLAIR")}
    count = len(read_splits(table)["train"] & have)
    said = load_bundle(output / "restore-FLAIR").description["training"]["data"]
    assert said.endswith(f"and on {count} real FLAIR scans of them")
    # Without them it is another training.
    assert run(with_flair, output, *options[:-1], "--splits", table) == 2
    assert "real" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--modalities", "T2w"], 18, "Nobody who is trained on has a preprocessed T2w scan"),
        (["--modalities", "T1w"], 18, "Nobody who is trained on has a preprocessed FLAIR or T2w"),
        (["--modalities", "FLAIR", "--method", "ae"], 2, "cannot take --real-scans"),
    ],
)
def test_real_scans_that_cannot_be_learned_from_are_an_error_of_one_sentence(
    with_flair, tmp_path, capsys, options, code, said
):
    assert run(with_flair, tmp_path / "output", "--real-scans", *options) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "output" / "restore-T2w").exists()


def test_a_batch_that_does_not_fit_is_an_error_that_says_so(preprocessed, tmp_path, capsys):
    arguments = [str(preprocessed), str(tmp_path / "output"), "--device", "cpu"]
    assert main([*arguments, "--batch-size", str(10**13)]) == 69
    assert "Lower --batch-size" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folder", "options", "code", "said"),
    [
        ("empty", [], 18, "Run bids-anomaly with --stage preprocess"),
        ("preprocessed", ["--splits", "table"], 66, "has no column split"),
        ("preprocessed", ["--from", "nothing"], 69, "Known bundles: "),
        ("preprocessed", ["--from", "threshold-T1w"], 69, "has no weights"),
        ("preprocessed", ["--from", "restore-T1w", "--noise", "simplex"], 2, "Leave out --noise"),
        ("preprocessed", ["--device", "cuda:7"], 69, "--device cuda:7"),
    ],
)
def test_what_cannot_be_trained_is_an_error_of_one_sentence(
    preprocessed, tmp_path, capsys, folder, options, code, said
):
    (tmp_path / "table").write_text("participant_id\tage\nsub-P1\t40\n")
    derivatives = {"empty": tmp_path, "preprocessed": preprocessed}[folder]
    options = [str(tmp_path / option) if option == "table" else option for option in options]
    assert main([str(derivatives), str(tmp_path / "output"), "--device", "cpu", *options]) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_scans_whose_sides_the_network_cannot_halve_are_named(write_person, tmp_path, capsys):
    from bids_anomaly.preprocessing.template import Grid

    grid = Grid.isotropic((30, 40, 30), (-75.0, -120.0, -70.0), 5.0)
    for number in range(6):
        write_person(tmp_path / "in", f"{number:02d}", grid=grid, seed=number)
    assert run(tmp_path / "in", tmp_path / "out") == 65
    assert "multiples of 16" in capsys.readouterr().err


def test_without_a_terminal_a_line_says_now_and_then_where_a_training_is(capsys):
    seconds = iter([0.0, 1.0, 40.0, 41.0, 42.0])
    on_step = _lines(4, every_s=30, clock=lambda: next(seconds))
    for step in range(1, 5):
        on_step(step, {"l1": 0.5})
    assert capsys.readouterr().out.splitlines() == [
        "step 2 of 4: 40.0 s  l1 0.500",
        "step 4 of 4: 42.0 s  l1 0.500",
    ]
