"""The participant level with subjects of FreeSurfer, by its real command."""

import json
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.preprocessing.resample import resample, resample_mask
from bids_anomaly.preprocessing.template import Grid

pytestmark = pytest.mark.slow

# Conformed by FreeSurfer, but for the size of the voxels: left, inferior, anterior.
CONFORMED = Grid(
    (112, 112, 112), np.array([[-2, 0, 0, 112], [0, 0, 2, -130], [0, -2, 0, 115], [0, 0, 0, 1.0]])
)


def write_subject(folder, scan, *, shift=0.0):
    """Write what FreeSurfer would have made of a stripped scan, so much to the left."""
    mri = folder / "mri"
    mri.mkdir(parents=True)
    affine = CONFORMED.affine.copy()
    affine[0, 3] -= shift
    values = np.asanyarray(scan.dataobj).astype(np.float32)
    own = Grid(scan.shape, scan.affine)
    picture = resample(own.image(values), CONFORMED).get_fdata() / values.max() * 255
    labels = 2 * np.asanyarray(
        resample_mask(own.image((values > 0).astype(np.uint8)), CONFORMED).dataobj
    )
    nib.MGHImage(picture.astype(np.uint8), affine).to_filename(mri / "orig.mgz")
    nib.MGHImage(labels.astype(np.int32), affine).to_filename(mri / "aseg.mgz")


@pytest.fixture(scope="module")
def run(tmp_path_factory, stripped_brain, write_dataset, sagittal_grid, command):
    """Four people: segmented, not segmented, segmented elsewhere, and with a damaged file."""
    folder = tmp_path_factory.mktemp("freesurfer")
    scans = {
        f"sub-{label}_T1w": stripped_brain("T1w", number, sagittal_grid)
        for number, label in enumerate("ABCD")
    }
    bids = write_dataset(folder / "bids", scans)
    subjects = folder / "subjects"
    for label, shift in {"A": 0.0, "C": 9.0, "D": 0.0}.items():
        write_subject(subjects / f"sub-{label}", scans[f"sub-{label}_T1w"], shift=shift)
    damaged = subjects / "sub-D" / "mri" / "aseg.mgz"
    damaged.write_bytes(damaged.read_bytes()[:500])
    finished = command(
        *(bids, folder / "out", "participant", "-w", folder / "work"),
        *("--fs-subjects-dir", subjects, "--model", "threshold", "--output-spaces", "native"),
        *("--brain-extraction", "none", "--skip-bids-validation", "--nprocs", "1"),
    )
    return SimpleNamespace(
        finished=finished, out=folder / "out", subjects=subjects, scans=scans, bids=bids
    )


def page(run, label):
    return (run.out / f"sub-{label}.html").read_text()


def test_others_go_on_where_a_segmentation_cannot_be_used(run):
    assert run.finished.code == 1, run.finished.stderr
    assert "Brain masks from FreeSurfer (mri/aseg.mgz): 3 scans." in run.finished.stderr
    assert "2 of 4 sessions done" in run.finished.stderr


def test_the_brain_is_that_of_freesurfer_and_results_say_so(run, assert_valid_bids):
    name = run.out / "sub-A" / "anat" / "sub-A_desc-brainT1w_mask"
    written = nib.load(f"{name}.nii.gz")
    scan = run.scans["sub-A_T1w"]
    np.testing.assert_allclose(written.affine, scan.affine)
    brain, own = np.asanyarray(written.dataobj) > 0, np.asanyarray(scan.dataobj) > 0
    assert brain[own].mean() > 0.999
    assert own.sum() < brain.sum() < 1.08 * own.sum()  # gaps are filled
    sources = json.loads(name.with_suffix(".json").read_text())["Sources"]
    assert sources == ["bids:raw:sub-A/anat/sub-A_T1w.nii.gz", "bids:freesurfer:sub-A/mri/aseg.mgz"]
    links = json.loads((run.out / "dataset_description.json").read_text())["DatasetLinks"]
    assert links["freesurfer"] == run.subjects.resolve().as_uri()
    said = "The brain mask of the T1w scan was taken from FreeSurfer (mri/aseg.mgz)."
    assert said in page(run, "A")
    assert_valid_bids(run.out)


def test_whoever_is_not_segmented_is_named_and_done_without(run):
    assert "No segmentation of sub-B_T1w is in --fs-subjects-dir" in run.finished.stderr
    assert "was taken from FreeSurfer" not in page(run, "B")
    sidecar = run.out / "sub-B" / "anat" / "sub-B_desc-brainT1w_mask.json"
    assert json.loads(sidecar.read_text())["Sources"] == ["bids:raw:sub-B/anat/sub-B_T1w.nii.gz"]


def test_a_segmentation_that_lies_elsewhere_is_refused_in_a_sentence(run):
    assert "aseg.mgz) does not lie over its scan" in page(run, "C")
    assert not (run.out / "sub-C" / "anat" / "sub-C_desc-zscore_T1w.nii.gz").exists()


def test_a_damaged_file_is_named(run):
    assert "sub-D/mri/aseg.mgz is damaged" in page(run, "D")


def test_a_dry_run_says_where_brains_are_from(run, command_here, tmp_path):
    told = command_here(
        run.bids, tmp_path / "out", "participant", "--fs-subjects-dir", run.subjects,
        "--dry-run", "--skip-bids-validation", "-w", tmp_path / "work",
    )  # fmt: skip
    assert told.code == 0, told.stderr
    assert told.stdout.count("brain mask from FreeSurfer (mri/aseg.mgz)") == 3
