"""The participant level after fMRIPrep, by its real command."""

import json
from pathlib import Path

import ants
import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.demo.dataset import STROKE, write_demo_dataset
from bids_anomaly.demo.found import how_well_found

pytestmark = pytest.mark.slow

LABEL = STROKE.removeprefix("sub-")


def read(path: Path) -> np.ndarray:
    return nib.load(path).get_fdata(dtype=np.float32)


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
    description = json.loads((chained / "dataset_description.json").read_text())
    assert description["DatasetLinks"][name] == fmriprep.resolve().as_uri()
    for path in (chained / STROKE / "anat").glob("*.json"):
        assert json.loads(path.read_text())["Sources"] == [
            f"bids:{name}:{STROKE}/anat/{STROKE}_desc-preproc_T1w.nii.gz",
            f"bids:{name}:{STROKE}/anat/{STROKE}_desc-brain_mask.nii.gz",
        ]


def test_the_report_names_fmriprep(chained):
    page = (chained / f"{STROKE}.html").read_text()
    assert "brain mask were taken from fMRIPrep 23.2.0" in page
    assert "extracted with deepbet" not in page


def test_chained_outputs_are_valid_bids(chained, assert_valid_bids):
    assert_valid_bids(chained)
