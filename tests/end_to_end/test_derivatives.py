"""The participant level on what other pipelines have prepared, by its real command."""

import json
import shutil
from pathlib import Path

import ants
import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.demo.dataset import STROKE, write_demo_dataset
from bids_anomaly.demo.found import how_well_found

TEMPLATE = "MNI152NLin2009aSym"
LABEL = STROKE.removeprefix("sub-")


def read(path: Path) -> np.ndarray:
    return nib.load(path).get_fdata(dtype=np.float32)


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Two synthetic heads, one with a stroke."""
    return write_demo_dataset(tmp_path_factory.mktemp("demo") / "bids")


@pytest.fixture(scope="module")
def fmriprep(demo, tmp_path_factory) -> Path:
    """What fMRIPrep would make of the head with the stroke: RAS, N4 of the whole head, a mask."""
    folder = tmp_path_factory.mktemp("fmriprep") / "fmriprep-23.2.0"
    anat = folder / STROKE / "anat"
    anat.mkdir(parents=True)
    description = {
        "Name": "fMRIPrep - fMRI PREProcessing workflow",
        "BIDSVersion": "1.4.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "fMRIPrep", "Version": "23.2.0"}],
    }
    (folder / "dataset_description.json").write_text(json.dumps(description))
    scan = nib.as_closest_canonical(nib.load(demo.stroke_scan))
    brain = nib.as_closest_canonical(nib.load(demo.stroke_brain))
    corrected = ants.n4_bias_field_correction(
        ants.from_nibabel_nifti(
            nib.Nifti1Image(scan.get_fdata(dtype=np.float32).clip(1), scan.affine)
        ),
        shrink_factor=4,
    )
    image = nib.Nifti1Image(corrected.numpy().astype(np.float32), scan.affine)
    image.to_filename(anat / f"{STROKE}_desc-preproc_T1w.nii.gz")
    brain.to_filename(anat / f"{STROKE}_desc-brain_mask.nii.gz")
    # In another space, and not to be taken.
    for name in ("desc-preproc_T1w", "desc-brain_mask"):
        image.to_filename(anat / f"{STROKE}_space-MNI152NLin2009cAsym_res-2_{name}.nii.gz")
    for way in ("from-T1w_to-MNI152NLin2009cAsym", "from-MNI152NLin2009cAsym_to-T1w"):
        (anat / f"{STROKE}_{way}_mode-image_xfm.h5").touch()
    return folder


@pytest.fixture(scope="module")
def chained(demo, fmriprep, command, tmp_path_factory) -> Path:
    """The output folder of a run after fMRIPrep."""
    folder = tmp_path_factory.mktemp("chained")
    finished = command(
        *(demo.stroke_scan.parents[2], folder / "out", "participant", "-w", folder / "work"),
        *("--participant-label", LABEL, "--derivatives", fmriprep, "--output-spaces", "native"),
    )
    assert finished.code == 0, finished.stderr
    assert "fMRIPrep 23.2.0" in finished.stderr
    assert "warning" not in finished.stderr.replace("Warning: T1w", "").lower().split("done")[0]
    return folder / "out"


def test_scan_and_brain_are_those_of_fmriprep(chained, fmriprep):
    theirs, ours = (folder / STROKE / "anat" for folder in (fmriprep, chained))
    given = nib.load(theirs / f"{STROKE}_desc-preproc_T1w.nii.gz")
    written = nib.load(ours / f"{STROKE}_desc-preproc_T1w.nii.gz")
    np.testing.assert_allclose(written.affine, given.affine)
    ratio = written.get_fdata() / given.get_fdata()
    assert ratio.min() == pytest.approx(ratio.max(), rel=1e-4)  # white matter is 1
    np.testing.assert_array_equal(
        read(ours / f"{STROKE}_desc-brainT1w_mask.nii.gz"),
        read(theirs / f"{STROKE}_desc-brain_mask.nii.gz"),
    )


def test_the_lesion_is_found_as_in_the_raw_scan(chained, demo):
    # In the order of voxels of what fMRIPrep made of the scan.
    scan, lesion = (chained.parent / f"{name}.nii.gz" for name in ("scan", "lesion"))
    for path, original in ((scan, demo.stroke_scan), (lesion, demo.lesion)):
        nib.as_closest_canonical(nib.load(original)).to_filename(path)
    assert how_well_found(chained, LABEL, scan=scan, lesion=lesion).rank > 0.9


def test_the_outputs_say_whose_files_they_are_from(chained, fmriprep):
    name = fmriprep.name
    description = read_json(chained / "dataset_description.json")
    assert description["DatasetLinks"][name] == fmriprep.resolve().as_uri()
    for path in (chained / STROKE / "anat").glob("*.json"):
        assert read_json(path)["Sources"] == [
            f"bids:{name}:{STROKE}/anat/{STROKE}_desc-preproc_T1w.nii.gz",
            f"bids:{name}:{STROKE}/anat/{STROKE}_desc-brain_mask.nii.gz",
        ]


def test_the_report_names_fmriprep(chained):
    page = (chained / f"{STROKE}.html").read_text()
    assert "brain mask were taken from fMRIPrep 23.2.0" in page
    assert "extracted with deepbet" not in page


def test_chained_outputs_are_valid_bids(chained, assert_valid_bids):
    assert_valid_bids(chained)


@pytest.fixture(scope="module")
def again(finished_run, command, tmp_path_factory) -> Path:
    """The output folder of a run after an earlier one of this app, on T1w and FLAIR."""
    folder = tmp_path_factory.mktemp("again")
    finished = command(
        *(finished_run.bids, folder / "out", "participant", "-w", folder / "work"),
        *("--derivatives", f"mine={finished_run.out}"),
    )
    assert finished.code == 0, finished.stderr
    return folder / "out"


@pytest.mark.parametrize("space", ["", f"_space-{TEMPLATE}"])
@pytest.mark.parametrize("name", ["desc-preproc_T1w", "desc-zscore_T1w", "desc-zscore_FLAIR"])
def test_after_this_app_maps_are_the_same(name, space, again, finished_run):
    """In template space, the transforms are those of the earlier run too."""
    anat = Path("sub-01") / "anat" / f"sub-01{space}_{name}.nii.gz"
    before, after = read(finished_run.out / anat), read(again / anat)
    inside = before != 0
    difference = np.abs(before - after)[inside]
    assert np.corrcoef(before[inside], after[inside])[0, 1] > 0.99
    assert np.median(difference) < 0.05 * before[inside].std()


def test_other_contrasts_stay_raw(again):
    sidecar = read_json(again / "sub-01" / "anat" / "sub-01_desc-zscore_FLAIR.json")
    assert sidecar["Sources"] == ["bids:raw:sub-01/anat/sub-01_FLAIR.nii.gz"]
    of_all = again / "sub-01" / "anat" / "sub-01_desc-quality_stats.json"
    sources = read_json(of_all)["Sources"]
    assert {source.split(":")[1] for source in sources} == {"raw", "mine"}
    assert any(source.endswith("_xfm.h5") for source in sources)


def test_a_scan_that_came_without_skull_still_has_none(again):
    sidecar = read_json(again / "sub-01" / "anat" / "sub-01_desc-preproc_T1w.json")
    assert sidecar["SkullStripped"] is True


def test_a_folder_without_anything_prepared_costs_seconds(two_scans, command, tmp_path):
    (tmp_path / "empty").mkdir()
    shutil.copy(two_scans / "dataset_description.json", tmp_path / "empty")
    (tmp_path / "empty" / "sub-01").mkdir()
    finished = command(
        *(two_scans, tmp_path / "out", "participant", "-w", tmp_path / "work"),
        *("--derivatives", f"fmriprep={tmp_path / 'empty'}"),
    )
    assert finished.code == 18
    assert "has no desc-preproc_T1w with a brain mask of anybody" in finished.stderr
