"""The participant level, by its real command, from a BIDS dataset to BIDS derivatives."""

import json
import os
import shlex
import shutil
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

import bids_anomaly
from bids_anomaly.reconstruction.bundle import choose_bundles
from bids_anomaly.reports.session import write_failure_report
from bids_anomaly.reports.session_page import Failure

TEMPLATE = "MNI152NLin2009aSym"
MODALITIES = ("T1w", "FLAIR")
SPACES = ("", f"_space-{TEMPLATE}")
# Components of the mask below this volume are removed, by default.
SMALLEST_LESION_MM3 = 24


def has_image(modality: str) -> bool:
    """Say whether the model of a modality makes a pseudo-healthy image."""
    return choose_bundles("restore", (modality,))[modality].weights is not None


def map_names(modality: str) -> list[str]:
    """List the maps of one scan as they follow entities and space."""
    made = ["preproc", "zscore"]
    if has_image(modality):
        made += ["pseudohealthy", "residual", "spread", "network"]
    return [
        *(f"desc-{name}_{modality}" for name in made),
        f"desc-brain{modality}_mask",
        f"label-lesion_desc-anomaly{modality}_probseg",
        f"label-lesion_desc-anomaly{modality}_mask",
    ]


def all_images(prefix: str, modalities: tuple[str, ...]) -> dict[str, str]:
    """List all images of a session, each with the modality whose grid the native one has."""
    return {
        f"{prefix}{space}_{name}": modality
        for space in SPACES
        for modality in modalities
        for name in map_names(modality)
    }


IMAGES = all_images("sub-01", MODALITIES)
MASKS = [name for name in IMAGES if name.endswith("_mask")]


@pytest.fixture(scope="module")
def anat(finished_run):
    return finished_run.out / "sub-01" / "anat"


@pytest.fixture
def run_again(finished_run, command, tmp_path):
    """Repeat the finished run, by its command or another; its folders are put back afterwards."""
    folders = (finished_run.out, finished_run.work)
    kept = [shutil.copytree(folder, tmp_path / folder.name, symlinks=True) for folder in folders]
    first = (finished_run.bids, finished_run.out, "participant", "-w", finished_run.work)
    yield lambda *arguments: command(*(arguments or first))
    for folder, copy in zip(folders, kept, strict=True):
        shutil.rmtree(folder)
        shutil.copytree(copy, folder, symlinks=True)


def read(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())


def outputs(out: Path) -> dict[str, bytes]:
    """Read every file of the output folder but the logs."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "logs" not in path.relative_to(out).parts
    }


def test_every_promised_file_is_there_and_no_other(anat, finished_run):
    transforms = [
        f"sub-01_from-T1w_to-{TEMPLATE}_mode-image_xfm.h5",
        f"sub-01_from-{TEMPLATE}_to-T1w_mode-image_xfm.h5",
        "sub-01_from-FLAIR_to-T1w_mode-image_xfm.txt",
    ]
    images = [f"{name}{end}" for name in IMAGES for end in (".nii.gz", ".json")]
    there = {path.name for path in anat.iterdir()}
    assert {*images, *transforms} <= there
    assert {name for name in there if name.endswith(".nii.gz")} <= set(images) | {
        name for name in there if "_dseg" in name
    }
    for name in ("dataset_description.json", ".bidsignore", "participants.tsv", "sub-01.html"):
        assert (finished_run.out / name).stat().st_size > 0
    (citation,) = finished_run.out.glob("logs/*/CITATION.md")
    assert "deepbet" in citation.read_text()
    assert not list(finished_run.out.rglob(".*-*"))  # nothing half-written


def test_an_image_has_the_grid_of_its_scan_or_of_the_template(anat, two_scans):
    for name, modality in IMAGES.items():
        image = nib.load(anat / f"{name}.nii.gz")
        if "space-" in name:
            assert image.shape == (99, 117, 95), name
            np.testing.assert_allclose(image.header.get_zooms(), 2, err_msg=name)
            assert nib.aff2axcodes(image.affine) == ("R", "A", "S"), name
        else:
            scan = nib.load(two_scans / "sub-01" / "anat" / f"sub-01_{modality}.nii.gz")
            assert image.shape == scan.shape, name
            np.testing.assert_allclose(image.affine, scan.affine, atol=1e-5, err_msg=name)
            # Programs that read the other form of orientation find the same place.
            np.testing.assert_allclose(
                image.get_qform(), image.get_sform(), atol=1e-4, err_msg=name
            )
        assert np.isfinite(image.get_fdata()).all(), name


def test_a_sidecar_says_what_the_image_is_and_what_it_is_from(anat, two_scans):
    for name in IMAGES:
        sidecar = read_json(anat / f"{name}.json")
        assert sidecar["Description"], name
        assert sidecar["Sources"], name
        for source in sidecar["Sources"]:
            assert (two_scans / source.removeprefix("bids:raw:")).is_file(), name
        if name.endswith("_mask"):
            assert sidecar["Type"] == ("Lesion" if "label-lesion" in name else "Brain"), name
        else:
            assert isinstance(sidecar["SkullStripped"], bool), name
        resolution = "2 mm isotropic" if "space-" in name else None
        assert sidecar.get("Resolution") == resolution, name
        if any(part in name for part in ("desc-brain", "desc-preproc", "desc-affine")):
            assert "Model" not in sidecar, name
        else:
            assert len(sidecar["Model"]["Digest"]) == len("sha256:") + 64, name


def test_a_mask_is_of_zeros_and_ones(anat):
    for name in MASKS:
        image = nib.load(anat / f"{name}.nii.gz")
        assert image.get_data_dtype() == np.uint8, name
        assert set(np.unique(image.dataobj)) <= {0, 1}, name


@pytest.mark.parametrize("name", [name for name in MASKS if "lesion" in name])
def test_the_mask_is_the_probability_above_one_half_without_small_components(name, anat):
    mask = read(anat / f"{name}.nii.gz") > 0
    image = nib.load(anat / f"{name.removesuffix('mask')}probseg.nii.gz")
    probability = image.get_fdata()
    assert probability.min() >= 0
    assert probability.max() <= 1
    above = probability > 0.5
    assert not (mask & ~above).any()
    components, count = ndimage.label(above, structure=np.ones((3, 3, 3)))
    volumes = np.bincount(components.ravel(), minlength=count + 1)[1:] * np.prod(
        image.header.get_zooms()
    )
    kept = np.flatnonzero(volumes >= SMALLEST_LESION_MM3) + 1
    np.testing.assert_array_equal(mask, np.isin(components, kept))


@pytest.mark.parametrize("space", SPACES)
def test_scan_pseudo_healthy_image_and_residual_add_up(space, anat):
    scan, healthy, residual = (
        read(anat / f"sub-01{space}_desc-{name}_T1w.nii.gz")
        for name in ("preproc", "pseudohealthy", "residual")
    )
    np.testing.assert_allclose(scan - healthy, residual, atol=1e-5)
    assert np.abs(residual).max() > 0
    brain = read(anat / f"sub-01{space}_desc-brainT1w_mask.nii.gz") > 0
    assert not residual[~brain].any()


@pytest.mark.parametrize("modality", MODALITIES)
def test_white_matter_of_the_preprocessed_scan_is_one(modality, anat):
    from bids_anomaly.preprocessing.template import template_white_matter

    name = f"sub-01_space-{TEMPLATE}_desc-preproc_{modality}.nii.gz"
    white = template_white_matter(2).get_fdata() > 0.95
    assert np.median(read(anat / name)[white]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("modality", MODALITIES)
def test_scans_of_both_modalities_lie_on_the_template(modality, anat):
    from nilearn.datasets import load_mni152_brain_mask

    template = load_mni152_brain_mask(resolution=2).get_fdata() > 0
    brain = read(anat / f"sub-01_space-{TEMPLATE}_desc-brain{modality}_mask.nii.gz") > 0
    assert 2 * (brain & template).sum() / (brain.sum() + template.sum()) > 0.93


def test_the_transforms_work_in_other_programs(anat):
    import ants

    from bids_anomaly.preprocessing.template import template_brain

    scan = ants.image_read(str(anat / "sub-01_desc-preproc_T1w.nii.gz"))
    flair = ants.image_read(str(anat / "sub-01_desc-preproc_FLAIR.nii.gz"))
    template = ants.from_nibabel_nifti(template_brain(2))

    def pull(fixed, moving, origin: str, target: str, extension: str) -> np.ndarray:
        name = f"sub-01_from-{origin}_to-{target}_mode-image_xfm.{extension}"
        return ants.apply_transforms(fixed, moving, [str(anat / name)]).numpy()

    onto_template = pull(template, scan, "T1w", TEMPLATE, "h5")
    written = read(anat / f"sub-01_space-{TEMPLATE}_desc-preproc_T1w.nii.gz")
    np.testing.assert_allclose(onto_template, written, atol=1e-3)
    brain = template.numpy() > 0.2
    assert np.corrcoef(onto_template[brain], template.numpy()[brain])[0, 1] > 0.75
    back = pull(scan, template, TEMPLATE, "T1w", "h5")
    inside = scan.numpy() > 0
    assert np.corrcoef(back[inside], scan.numpy()[inside])[0, 1] > 0.75
    onto_scan = pull(scan, flair, "FLAIR", "T1w", "txt") > 0
    assert 2 * (onto_scan & inside).sum() / (onto_scan.sum() + inside.sum()) > 0.95


def test_the_output_is_valid_bids(finished_run, assert_valid_bids):
    assert_valid_bids(finished_run.out)


def test_the_dataset_says_who_made_it_and_from_what(finished_run, two_scans):
    description = read_json(finished_run.out / "dataset_description.json")
    assert description["DatasetType"] == "derivative"
    made_by = description["GeneratedBy"][0]
    assert made_by["Name"] == "bids-anomaly"
    assert made_by["Version"] == bids_anomaly.__version__
    assert made_by["CodeURL"].startswith("https://")
    assert description["SourceDatasets"][0]["URL"] == two_scans.resolve().as_uri()
    assert description["License"] == "CC0"
    table = (finished_run.out / "participants.tsv").read_text()
    assert table == (two_scans / "participants.tsv").read_text()


def test_the_record_is_enough_to_do_the_run_again(finished_run, run_records):
    from bids_anomaly.cli.parser import parse_args

    record = run_records(finished_run.out)[0]
    program, *arguments = shlex.split(record["command"])
    assert program == "bids-anomaly"
    settings = parse_args(arguments)
    again, recorded = settings.to_json_dict(), record["settings"]
    # How much memory is free is another thing each time.
    assert again.pop("mem_gb") > 0
    assert recorded.pop("mem_gb") > 0
    assert again == recorded
    assert settings.bids_dir == finished_run.bids
    assert settings.work_dir == finished_run.work
    assert Path(record["folder"]).name.startswith("command")
    assert record["seed"] == settings.seed == 0
    assert record["version"] == bids_anomaly.__version__
    assert {"antspyx", "deepbet", "nipype", "numpy", "torch"} <= set(record["packages"])
    bundle = choose_bundles("restore", ("T1w",))["T1w"]
    assert record["models"][bundle.name]["digest"] == bundle.digest
    assert record["models"][bundle.name]["weights_sha256"] == bundle.description["sha256"]
    assert record["result"]["exit_code"] == 0
    assert record["result"]["failed_sessions"] == []
    assert record["result"]["steps_run"] > 0


def test_the_configuration_of_a_run_does_the_run_again(finished_run, run_again, run_records):
    (log,) = (finished_run.out / "logs").iterdir()
    again = run_again("--config-file", log / "config.toml")
    assert again.code == 0, again.stderr
    first, second = run_records(finished_run.out)
    assert second["settings"] == first["settings"]
    assert (second["models"], second["seed"]) == (first["models"], first["seed"])
    assert second["result"]["steps_run"] == 0
    assert second["result"]["steps"] == first["result"]["steps"]
    (later,) = (folder for folder in (finished_run.out / "logs").iterdir() if folder != log)
    assert (later / "config.toml").read_text() == (log / "config.toml").read_text()


@pytest.mark.slow
def test_lesion_masks_for_other_programs_are_written_when_asked_for(
    finished_run, run_again, run_records, digests, tmp_path
):
    copy = tmp_path / "copy"
    arguments = (finished_run.bids, finished_run.out, "participant", "-w", finished_run.work)
    run = run_again(*arguments, "--lesion-roi", copy)
    assert run.code == 0, run.stderr
    assert "sub-01: lesion mask for other programs:" in run.stderr
    roi = copy / "sub-01" / "anat" / "sub-01_label-lesion_roi.nii.gz"
    found = read(finished_run.out / "sub-01/anat/sub-01_label-lesion_desc-anomalyFLAIR_mask.nii.gz")
    assert roi.exists() == bool(found.any())
    assert digests(finished_run.bids) == finished_run.input_before
    # What somebody has drawn is in the way.
    roi.parent.mkdir(parents=True, exist_ok=True)
    roi.write_bytes(b"drawn")
    roi.with_name("sub-01_label-lesion_roi.json").unlink(missing_ok=True)
    run = run_again(*arguments, "--lesion-roi", copy)
    assert run.code == 1
    assert "sub-01: no lesion mask" in run.stderr
    assert roi.read_bytes() == b"drawn"
    assert run_records(finished_run.out)[-1]["result"]["sessions_without_lesion_roi"] == ["sub-01"]


def test_no_step_takes_more_memory_than_steps_are_scheduled_by(finished_run):
    (table,) = finished_run.out.glob("logs/*/sub-01_steps.tsv")
    header, *rows = (line.split("\t") for line in table.read_text().splitlines())
    assert header[2:] == ["peak_memory_mb", "estimated_memory_mb"]
    assert len(rows) > 20
    for step, _, peak, estimate in rows:
        assert int(peak) <= int(estimate), step


def test_pybids_finds_the_pseudo_healthy_images(finished_run):
    from bids import BIDSLayout

    layout = BIDSLayout(finished_run.out, is_derivative=True, validate=False)
    found = layout.get(desc="pseudohealthy", suffix="T1w", extension=".nii.gz")
    assert {image.entities.get("space") for image in found} == {None, TEMPLATE}
    assert {image.entities["subject"] for image in found} == {"01"}


def test_the_input_stays_as_it_is(finished_run, digests):
    assert set(finished_run.input_before) == {
        "dataset_description.json",
        "README",
        "participants.tsv",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_FLAIR.nii.gz",
    }
    assert digests(finished_run.bids) == finished_run.input_before


def test_standard_output_is_left_to_data(finished_run):
    assert finished_run.finished.stdout == ""
    assert "Traceback" not in finished_run.finished.stderr
    assert str(finished_run.out) in finished_run.finished.stderr


def test_a_run_that_is_done_does_nothing_when_started_again(finished_run, run_again, run_records):
    before = outputs(finished_run.out)
    again = run_again()
    assert again.code == 0, again.stderr
    result = run_records(finished_run.out)[-1]["result"]
    assert result["steps_run"] == 0
    *lines, last = again.stderr.splitlines()
    assert "sub-01: done before" in lines
    assert f"({result['steps']} of {result['steps']} steps were done before)" in last
    assert last.endswith(f"look at {finished_run.out / 'sub-01.html'}")
    assert outputs(finished_run.out) == before


@pytest.mark.slow
def test_a_lost_file_is_written_again_without_computing_again(
    finished_run, run_again, run_records, anat
):
    before = outputs(finished_run.out)
    (anat / "sub-01_desc-zscore_T1w.nii.gz").unlink()
    again = run_again()
    assert again.code == 0, again.stderr
    record = run_records(finished_run.out)[-1]
    assert record["result"]["steps_run"] == 1
    log = (finished_run.out / "logs" / record["run"] / "sub-01.log").read_text()
    done_now = [line for line in log.splitlines() if "done before" not in line]
    assert len(done_now) == 1
    assert "write native" in done_now[0]
    assert outputs(finished_run.out) == before


@pytest.mark.slow
def test_a_lost_sidecar_and_a_report_of_a_failure_are_written_again(
    finished_run, run_again, run_records, anat
):
    before = outputs(finished_run.out)
    (anat / "sub-01_desc-quality_stats.json").unlink()
    write_failure_report(finished_run.out, "sub-01", [Failure("reorient", "Broken.", "")])
    again = run_again()
    assert again.code == 0, again.stderr
    record = run_records(finished_run.out)[-1]
    assert record["result"]["steps_run"] == 2
    after = outputs(finished_run.out)
    assert "Broken." not in after["sub-01.html"].decode()
    # The report tells of the last run that worked on the session.
    assert {name for name in before if after[name] != before[name]} <= {"sub-01.html"}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_images(finished_run, command, tmp_path):
    again = command(finished_run.bids, tmp_path / "out", "participant", "-w", tmp_path / "work")
    assert again.code == 0, again.stderr
    for name in IMAGES:
        paths = [
            folder / "sub-01" / "anat" / f"{name}.nii.gz"
            for folder in (finished_run.out, tmp_path / "out")
        ]
        np.testing.assert_array_equal(read(paths[0]), read(paths[1]), err_msg=name)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(
    finished_run, start, command, run_records, tmp_path, assert_valid_bids
):
    out = tmp_path / "out"
    arguments = (
        finished_run.bids, out, "participant", "--modalities", "T1w", "-w", tmp_path / "work",
    )  # fmt: skip
    running = start(*arguments)
    deadline = time.monotonic() + 600
    while "correct bias" not in "".join(log.read_text() for log in out.glob("logs/*/sub-01.log")):
        assert time.monotonic() < deadline
        assert running.process.poll() is None
        time.sleep(0.05)
    running.kill()
    assert "result" not in run_records(out)[0]
    lost = out / "sub-01" / "anat" / ".0123456789ab-sub-01_desc-zscore_T1w.nii.gz"
    lost.parent.mkdir(parents=True)
    lost.write_text("half")
    os.utime(lost, (0, 0))

    finished = command(*arguments)
    assert finished.code == 0, finished.stderr
    record = run_records(out)[-1]
    log = (out / "logs" / record["run"] / "sub-01.log").read_text()
    for step in ("reorient", "extract brain", "correct bias"):
        assert f"{step} (preprocess sub-01_T1w): done before" in log
    assert record["result"]["steps_run"] <= record["result"]["steps"] - 3
    assert not lost.exists()
    for name in all_images("sub-01", ("T1w",)):
        assert np.isfinite(read(out / "sub-01" / "anat" / f"{name}.nii.gz")).all()
    assert_valid_bids(out)


@pytest.fixture(scope="module")
def many_people(tmp_path_factory, stripped_brain, write_dataset, sagittal_grid, oblique_grid):
    """A dataset of people who were scanned in different ways."""

    def make(modality: str, person: int, scan: int = 0) -> nib.Nifti1Image:
        grid = sagittal_grid if modality == "T1w" else oblique_grid
        return stripped_brain(modality, person, grid, scan)

    scans = {
        "sub-long_ses-1_T1w": make("T1w", 2),
        "sub-long_ses-2_T1w": make("T1w", 2, scan=1),
        "sub-twice_acq-mprage_run-01_T1w": make("T1w", 3),
        "sub-twice_acq-mprage_run-02_T1w": make("T1w", 3, scan=1),
        "sub-flair_FLAIR": make("FLAIR", 4),
        "sub-without_FLAIR": make("FLAIR", 5),
        "sub-without_T2w": make("T2w", 5),
    }
    return write_dataset(tmp_path_factory.mktemp("many-people") / "bids", scans)


@pytest.mark.slow
def test_sessions_runs_and_people_without_t1w_keep_their_names(
    many_people, command, tmp_path, assert_valid_bids
):
    out = tmp_path / "out"
    finished = command(many_people, out, "participant", "-w", tmp_path / "work", timeout=3000)
    assert finished.code == 0, finished.stderr
    assert_valid_bids(out)
    reports = {path.stem for path in out.glob("*.html")}
    assert reports == {
        "sub-long_ses-1", "sub-long_ses-2", "sub-twice", "sub-flair", "sub-without",
    }  # fmt: skip
    expected = {
        "sub-long/ses-1/anat": all_images("sub-long_ses-1", ("T1w",)),
        "sub-long/ses-2/anat": all_images("sub-long_ses-2", ("T1w",)),
        "sub-flair/anat": all_images("sub-flair", ("FLAIR",)),
        "sub-without/anat": all_images("sub-without", ("FLAIR", "T2w")),
        "sub-twice/anat": {
            **all_images("sub-twice_acq-mprage_run-01", ("T1w",)),
            **{
                f"sub-twice_acq-mprage_run-02{space}_{name}": "T1w"
                for space in SPACES
                for name in map_names("T1w")
            },
        },
    }
    for folder, names in expected.items():
        there = {
            path.name.removesuffix(".nii.gz")
            for path in (out / folder).glob("*.nii.gz")
            # What is between two sessions has tests of its own.
            if "_dseg" not in path.name and "_space-midpoint" not in path.name
        }
        assert there == set(names), folder
    assert list((out / "sub-long" / "anat").glob("*_desc-changesT1w_dseg.tsv"))
    # A person without T1w reaches the template from the first scan there is.
    assert list((out / "sub-flair" / "anat").glob("*_from-FLAIR_to-*_xfm.h5"))
    assert list((out / "sub-twice" / "anat").glob("*_run-02_from-T1w_to-T1w_*_xfm.txt"))


@pytest.mark.slow
@pytest.mark.parametrize("work_folders", [("work", "work"), ("work-1", "work-2")])
def test_jobs_side_by_side_share_an_output_folder(
    work_folders, many_people, start, tmp_path, assert_valid_bids
):
    out = tmp_path / "out"
    people = ("flair", "without")
    running = [
        start(many_people, out, "participant", "--participant-label", label, "-w", tmp_path / work)
        for label, work in zip(people, work_folders, strict=True)
    ]
    for job in running:
        finished = job.wait(timeout=2000)
        assert finished.code == 0, finished.stderr
    assert_valid_bids(out)
    assert read_json(out / "dataset_description.json")["GeneratedBy"][0]["Name"] == "bids-anomaly"
    assert (out / "participants.tsv").read_text() == (many_people / "participants.tsv").read_text()
    assert len(list(out.glob("logs/*/run.json"))) == len(people)
    for label in people:
        assert (out / f"sub-{label}.html").is_file()
        assert list((out / f"sub-{label}" / "anat").glob("*_desc-anomaly*_mask.nii.gz"))


@pytest.mark.slow
def test_a_copied_output_folder_still_validates(finished_run, tmp_path, assert_valid_bids):
    shutil.copytree(finished_run.out, tmp_path / "copy")
    assert_valid_bids(tmp_path / "copy")


@pytest.mark.slow
def test_a_whole_head_is_stripped_and_its_stroke_stands_out(command, tmp_path, assert_valid_bids):
    from bids_anomaly.demo.dataset import write_demo_dataset

    truth = write_demo_dataset(tmp_path / "bids", seed=0)
    out = tmp_path / "out"
    finished = command(
        *(tmp_path / "bids", out, "participant", "-w", tmp_path / "work"),
        *("--participant-label", "demo02"),
    )
    assert finished.code == 0, finished.stderr
    assert_valid_bids(out)
    anat = out / "sub-demo02" / "anat"
    brain = read(anat / "sub-demo02_desc-brainT1w_mask.nii.gz") > 0
    true_brain = read(truth.stroke_brain) > 0
    assert 2 * (brain & true_brain).sum() / (brain.sum() + true_brain.sum()) > 0.9
    lesion = (read(truth.lesion) > 0) & brain
    zscore = read(anat / "sub-demo02_desc-zscore_T1w.nii.gz")
    assert np.median(zscore[lesion]) > np.percentile(zscore[brain & ~lesion], 90)
    # The scan keeps its skull: only the maps are of the brain alone.
    preprocessed = read(anat / "sub-demo02_desc-preproc_T1w.nii.gz")
    assert np.median(preprocessed[~brain & (preprocessed > 0.1)]) > 0.1
    sidecar = read_json(anat / "sub-demo02_desc-preproc_T1w.json")
    assert sidecar["SkullStripped"] is False
