"""Scans that are in no BIDS dataset: by the command, and from Python."""

import json
import os
import shutil
import subprocess
import sys
import urllib.parse
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

import bids_anomaly
from bids_anomaly.bids import given
from bids_anomaly.exceptions import AnalysisError
from bids_anomaly.preprocessing.atlas import atlas_regions
from bids_anomaly.settings import OWN_DATASETS

QUICK = ("--model", "threshold", "--brain-extraction", "none", "--output-spaces", "native")
ONE = ("--nprocs", "1")


@pytest.fixture(scope="module")
def files(tmp_path_factory, two_scans):
    """The scans of the dataset, with names that say nothing."""
    folder = tmp_path_factory.mktemp("my scans")
    anat = two_scans / "sub-01" / "anat"
    nib.load(anat / "sub-01_T1w.nii.gz").to_filename(folder / "scan 1.nii")
    shutil.copy(anat / "sub-01_FLAIR.nii.gz", folder / "scan2.nii.gz")
    return SimpleNamespace(t1w=folder / "scan 1.nii", flair=folder / "scan2.nii.gz", folder=folder)


@pytest.fixture(scope="module")
def flair_run(files, command, tmp_path_factory):
    """A quick run of the FLAIR alone, under its default label."""
    folder = tmp_path_factory.mktemp("flair")
    arguments = ("run", "--flair", files.flair, folder / "out", "-w", folder / "work", *QUICK, *ONE)
    finished = command(*arguments)
    assert finished.code == 0, finished.stderr
    return SimpleNamespace(
        arguments=arguments, finished=finished, out=folder / "out", work=folder / "work"
    )


@pytest.mark.slow
def test_single_files_give_the_maps_of_a_dataset_with_the_same_scans(
    files, finished_run, command, tmp_path
):
    out = tmp_path / "out"
    finished = command(
        "run", "--t1w", files.t1w, "--flair", files.flair, out, "-w", tmp_path / "work",
        "--participant-label", "sub-A", *ONE,
    )  # fmt: skip
    assert finished.code == 0, finished.stderr
    assert finished.stderr.splitlines()[-1].endswith(f"look at {out / 'sub-A.html'}")
    theirs = sorted(path.name for path in (finished_run.out / "sub-01" / "anat").iterdir())
    ours = sorted(path.name for path in (out / "sub-A" / "anat").iterdir())
    assert ours == [name.replace("sub-01", "sub-A") for name in theirs]
    for name in theirs:
        if name.endswith(".nii.gz"):
            one = nib.load(finished_run.out / "sub-01" / "anat" / name)
            other = nib.load(out / "sub-A" / "anat" / name.replace("sub-01", "sub-A"))
            np.testing.assert_array_equal(one.dataobj, other.dataobj, err_msg=name)
            np.testing.assert_array_equal(one.affine, other.affine, err_msg=name)


def test_the_results_are_valid_bids_and_the_files_stay_as_they_are(
    flair_run, files, two_scans, assert_valid_bids
):
    assert_valid_bids(flair_run.out)
    (dataset,) = (flair_run.work / OWN_DATASETS).iterdir()
    assert_valid_bids(dataset)
    raw = two_scans / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz"
    assert files.flair.read_bytes() == raw.read_bytes()


@pytest.mark.slow
def test_the_same_command_again_does_nothing_again(flair_run, command, run_records):
    again = command(*flair_run.arguments)
    assert again.code == 0, again.stderr
    record = run_records(flair_run.out)[-1]
    assert record["result"]["steps_run"] == 0
    assert record["command"].startswith("bids-anomaly run --flair ")
    by_file = command("--config-file", flair_run.out / "logs" / record["run"] / "config.toml")
    assert by_file.code == 0, by_file.stderr
    assert run_records(flair_run.out)[-1]["settings"] == record["settings"]
    assert run_records(flair_run.out)[-1]["result"]["steps_run"] == 0


def test_results_of_a_person_are_not_replaced_by_those_of_another_with_the_same_label(
    flair_run, files, command_here, tmp_path
):
    other = tmp_path / "other.nii.gz"
    image = nib.load(files.flair)
    nib.Nifti1Image(np.asanyarray(image.dataobj) * 2, image.affine).to_filename(other)
    page = (flair_run.out / "sub-01.html").read_bytes()
    refused = command_here("run", "--flair", other, flair_run.out, "-w", flair_run.work, *QUICK)
    assert refused.code == 2
    assert "has results of sub-01 already" in refused.stderr
    assert "--participant-label" in refused.stderr
    # Neither where the file of one has taken the place of the other's, nor in a new work folder.
    moved = tmp_path / "moved.nii.gz"
    shutil.copy(files.flair, moved)
    kept = moved.stat()
    dry = ("--dry-run", flair_run.out, "-w", flair_run.work, *QUICK)
    assert command_here("run", "--flair", moved, *dry).code == 0
    shutil.copy(other, moved)
    os.utime(moved, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert command_here("run", "--flair", moved, *dry).code == 2
    new = command_here("run", "--flair", files.flair, flair_run.out, "-w", tmp_path / "work")
    assert new.code == 2
    assert (flair_run.out / "sub-01.html").read_bytes() == page
    # But another occasion of the same person may come.
    later = command_here("run", "--flair", other, *dry, "--session-label", "2")
    assert later.code == 0, later.stderr


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(files, command_here, tmp_path):
    told = command_here(
        "run", "--t1w", files.t1w, "--scan", f"FLAIR={files.flair}", tmp_path / "out", "--dry-run",
        "-w", tmp_path / "work", "--session-id", "ses-2",
    )  # fmt: skip
    assert told.code == 0, told.stderr
    assert "sub-01_ses-2_T1w.nii" in told.stdout
    assert "sub-01_ses-2_FLAIR.nii.gz" in told.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_work_folder_can_be_cleaned(flair_run, files, command_here, tmp_path):
    work = shutil.copytree(flair_run.work, tmp_path / "work", symlinks=True)
    told = command_here(
        "run", "--flair", files.flair, tmp_path / "out", "-w", work, "--clean-workdir",
        "--stage", "preprocess", "--device", "cuda:9",
    )  # fmt: skip
    assert told.code == 69  # and not 2: nothing but the device stands in the way


def test_where_links_are_not_possible_files_are_copied(files, tmp_path, monkeypatch):
    def no_links(*_, **__):
        raise OSError("Operation not permitted")

    monkeypatch.setattr("pathlib.Path.symlink_to", no_links)
    scans = {"FLAIR": files.flair}
    digests = given.digests_of(scans)
    folder = given.dataset_folder(tmp_path, digests, {"sub": "01"})
    for _ in range(2):
        given.write_dataset(folder, scans, {"sub": "01"}, digests)
        (copy,) = folder.glob("sub-01/anat/*")
        assert copy.name == "sub-01_FLAIR.nii.gz"
        assert not copy.is_symlink()
        assert copy.read_bytes() == files.flair.read_bytes()
        copy.write_bytes(b"damaged")


def write_oddities(folder, flair) -> None:
    (folder / "text.nii.gz").write_bytes(b"no NIfTI")
    (folder / "scan.mgz").write_bytes(b"")
    image = nib.load(flair)
    values = np.asanyarray(image.dataobj)
    nib.Nifti1Image(np.stack([values, values], -1), image.affine).to_filename(folder / "4d.nii")
    (folder / "link.nii.gz").symlink_to(flair)
    nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine).to_filename(folder / "none.nii")
    shifted = image.affine.copy()
    shifted[0, 3] += 2
    brain = (values > 0).astype(np.uint8)
    nib.Nifti1Image(brain, shifted).to_filename(folder / "shifted.nii")
    nib.Nifti1Image(brain[:-1], image.affine).to_filename(folder / "smaller.nii")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("{0}/out", 2, "No scan is given"),
        ("--flair {0}/absent.nii.gz {0}/out", 2, "{0}/absent.nii.gz"),
        ("--flair {0}/text.nii.gz {0}/out", 65, "{0}/text.nii.gz is damaged"),
        ("--flair {0}/scan.mgz {0}/out", 65, "{0}/scan.mgz is no NIfTI file"),
        ("--flair {0}/4d.nii {0}/out", 65, "{0}/4d.nii has 4 dimensions"),
        ("--flair {flair} --t1w {flair} {0}/out", 2, "twice, as FLAIR and as T1w"),
        ("--flair {flair} --t1w {0}/link.nii.gz {0}/out", 2, "twice"),
        ("--flair {flair} --scan FLAIR={0}/4d.nii {0}/out", 2, "Two FLAIR scans"),
        ("--scan PDw={flair} {0}/out", 2, "No model bundle is made for PDw"),
        ("--scan {flair} {0}/out", 2, "SUFFIX=FILE"),
        ("--flair {flair}", 2, "OUTPUT_DIR"),
        ("--flair {flair} {0}/out --participant-label a_b", 2, "--participant-label"),
        ("--flair {flair} {0}/out --controls a=b", 2, "--controls"),
        ("--flair {flair} {0}/out --modalities T1w", 2, "--modalities"),
        ("--flair {flair} {0}/out -w {0}/out", 2, "is the output folder"),
        ("--flair {flair} --mask {0}/absent.nii {0}/out", 2, "{0}/absent.nii"),
        ("--flair {flair} --mask {0}/text.nii.gz {0}/out", 65, "mask {0}/text.nii.gz is damaged"),
        ("--flair {flair} --mask {0}/scan.mgz {0}/out", 65, "mask {0}/scan.mgz is no NIfTI file"),
        ("--flair {flair} --mask {0}/4d.nii {0}/out", 65, "mask {0}/4d.nii has 4 dimensions"),
        ("--flair {flair} --mask {0}/none.nii {0}/out", 65, "from {0}/none.nii has 0.00 litres"),
        ("--flair {flair} --mask {0}/shifted.nii {0}/out", 65, "shifted.nii has another grid"),
        ("--flair {flair} --mask {0}/smaller.nii {0}/out", 65, "95x120x44 voxels, not 96x120x44"),
        ("--flair {flair} --t2w {0}/4d.nii --mask {flair} {0}/out", 2, "Add the T1w scan"),
        ("--flair {flair} --mask {flair} {0}/out -d a={0}", 2, "--derivatives both say"),
        ("--flair {flair} --mask {flair} --fs-subjects-dir {0} {0}/out", 2, "-subjects-dir both"),
    ],
)
def test_what_cannot_be_processed_is_refused_in_a_sentence(
    arguments, code, said, files, command_here, tmp_path
):
    write_oddities(tmp_path, files.flair)
    before = sorted(tmp_path.rglob("*"))
    given = [part.format(tmp_path, flair=files.flair) for part in arguments.split()]
    if "-w" not in given:
        given = [*given, "-w", str(tmp_path / "work")]
    refused = command_here("run", *given)
    assert refused.code == code, refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert said.format(tmp_path) in refused.stderr
    assert "bids-filter-file" not in refused.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture(scope="module")
def masked(files, tmp_path_factory):
    """A run from Python with a mask that leaves a side of the brain out."""
    folder = tmp_path_factory.mktemp("masked")
    image = nib.load(files.flair)
    brain = (np.asanyarray(image.dataobj) > 0).astype(np.uint8)
    brain[:36] = 0
    mask = folder / "any name.nii"
    nib.Nifti1Image(brain, image.affine).to_filename(mask)
    found = bids_anomaly.analyse(
        {"FLAIR": files.flair},
        folder / "out",
        mask=mask,
        work_dir=folder / "work",
        options=[*ONE, *QUICK],
    )
    return SimpleNamespace(folder=folder, mask=mask, brain=brain, found=found)


@pytest.mark.slow
def test_a_mask_of_ones_own_is_the_brain(masked, files):
    name = masked.folder / "out" / "sub-01" / "anat" / "sub-01_desc-brainFLAIR_mask.nii.gz"
    np.testing.assert_array_equal(np.asanyarray(nib.load(name).dataobj), masked.brain)
    zscore = masked.found.images["FLAIR"]["zscore"].get_fdata()
    assert zscore[masked.brain > 0].any()
    assert not zscore[masked.brain == 0].any()


@pytest.mark.slow
def test_results_say_that_the_mask_was_given(masked, assert_valid_bids):
    out = masked.folder / "out"
    page = (out / "sub-01.html").read_text()
    assert "The brain mask of the FLAIR scan was taken from a file that was given." in page
    sidecar = json.loads((out / "sub-01/anat/sub-01_desc-brainFLAIR_mask.json").read_text())
    given_mask = "sub-01/anat/sub-01_desc-brain_mask.nii"
    assert f"bids:mask:{given_mask}" in sidecar["Sources"]
    links = json.loads((out / "dataset_description.json").read_text())["DatasetLinks"]
    dataset = Path(urllib.parse.unquote(links["mask"].removeprefix("file://")))
    assert (dataset / given_mask).read_bytes() == masked.mask.read_bytes()
    assert_valid_bids(out)
    assert_valid_bids(dataset.parents[1])


@pytest.mark.slow
def test_a_run_with_a_mask_goes_on_and_is_repeated_from_its_record(
    masked, files, command, run_records
):
    out = masked.folder / "out"
    arguments = ("--flair", files.flair, "--mask", masked.mask, "-w", masked.folder / "work")
    again = command("run", *arguments, *QUICK, *ONE, "--", out)
    assert again.code == 0, again.stderr
    assert "Brain masks from a file that was given: 1 scans." in again.stderr
    record = run_records(out)[-1]
    assert record["result"]["steps_run"] == 0
    by_file = command("--config-file", out / "logs" / record["run"] / "config.toml")
    assert by_file.code == 0, by_file.stderr
    assert run_records(out)[-1]["result"]["steps_run"] == 0


@pytest.mark.slow
def test_another_mask_is_another_run(masked, files, command_here, tmp_path):
    told = command_here(
        "run", "--flair", files.flair, "--mask", masked.mask, "--dry-run",
        "-w", tmp_path / "work", tmp_path / "out",
    )  # fmt: skip
    assert told.code == 0, told.stderr
    assert "brain mask from a file that was given" in told.stdout
    assert list(tmp_path.iterdir()) == []
    digests = given.digests_of({"FLAIR": files.flair})
    masks = [{}, given.digests_of({"mask": masked.mask}), {"mask": "another"}]
    folders = {given.dataset_folder(tmp_path, {**digests, **mask}, {"sub": "01"}) for mask in masks}
    assert len(folders) == 3


def test_a_dataset_of_others_with_a_folder_of_that_name_has_no_mask_given(tmp_path):
    (tmp_path / "derivatives" / given.MASK).mkdir(parents=True)
    (tmp_path / "dataset_description.json").write_text('{"Name": "raw", "BIDSVersion": "1.10.0"}')
    assert given.mask_dataset(tmp_path) is None


def test_a_dataset_may_be_called_run(two_scans, command_here, tmp_path, monkeypatch):
    (tmp_path / "run").symlink_to(two_scans)
    monkeypatch.chdir(tmp_path)
    told = command_here("run", "out", "participant", "--dry-run", "--skip-bids-validation")
    assert told.code == 0, told.stderr
    assert "sub-01_T1w.nii.gz" in told.stdout


@pytest.mark.slow
def test_from_python_the_results_are_images_and_tables(flair_run, files, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = bids_anomaly.analyse({"FLAIR": files.flair}, options=[*ONE, *QUICK])
    assert list(found.images) == list(found.tables) == [found.primary] == ["FLAIR"]
    assert found.folder is None
    assert list(tmp_path.iterdir()) == []
    names = {"zscore": "desc-zscore_FLAIR", "anomaly": "label-lesion_desc-anomalyFLAIR_mask"}
    for name, file in names.items():
        kept = nib.load(flair_run.out / "sub-01" / "anat" / f"sub-01_{file}.nii.gz")
        np.testing.assert_array_equal(found.images["FLAIR"][name].dataobj, kept.dataobj)
        np.testing.assert_array_equal(found.images["FLAIR"][name].affine, kept.affine)
    assert found.images["FLAIR"]["zscore"].shape == nib.load(files.flair).shape
    lesions = found.tables["FLAIR"]["lesions"]
    labels = np.unique(np.asanyarray(found.images["FLAIR"]["lesions"].dataobj))
    assert list(lesions["index"]) == [label for label in labels if label]
    assert len(found.tables["FLAIR"]["regions"]) == len(atlas_regions()) + 1
    assert len(found.quality) > 0


def test_from_python_a_failure_is_an_error_with_its_sentence_and_code(files, tmp_path):
    with pytest.raises(AnalysisError, match=r"^--scan: there is no file .*absent") as caught:
        bids_anomaly.analyse({"FLAIR": tmp_path / "absent.nii"}, tmp_path / "out")
    assert caught.value.exit_code == 2
    with pytest.raises(AnalysisError, match="no results"):
        bids_anomaly.analyse(
            {"FLAIR": files.flair}, tmp_path / "out", work_dir=tmp_path, options=["--dry-run"]
        )


def test_the_package_imports_nothing_until_it_is_asked_to():
    code = (
        "import sys; before = set(sys.modules); import bids_anomaly; "
        "print(*{n.partition('.')[0] for n in set(sys.modules) - before}, bids_anomaly.__all__);"
        "print(hasattr(bids_anomaly, 'nothing'), callable(bids_anomaly.analyse))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == ["bids_anomaly ['__version__', 'analyse']", "False True"]
