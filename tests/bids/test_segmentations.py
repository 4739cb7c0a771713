"""Which folder of FreeSurfer or FastSurfer stands for which scan; files here are empty."""

import json
import os

import pytest

from bids_anomaly.bids.query import find_sessions
from bids_anomaly.bids.scans import GivenBrain, Prepared
from bids_anomaly.bids.segmentations import FILES, use_segmentations
from bids_anomaly.exceptions import MissingInputError, NothingFoundError

FREESURFER = ("aseg.mgz", "aseg.auto_noCCseg.mgz", "brainmask.mgz", "orig.mgz", "T1.mgz")
FASTSURFER = ("mask.mgz", "aparc.DKTatlas+aseg.deep.mgz", "aseg.auto_noCCseg.mgz", "orig.mgz")


@pytest.fixture
def raw(tmp_path):
    """Give a function that writes a raw dataset of scans without their extension."""

    def write(*names):
        folder = tmp_path / "raw"
        folder.mkdir()
        content = {"Name": "raw", "BIDSVersion": "1.10.0"}
        (folder / "dataset_description.json").write_text(json.dumps(content))
        for name in names:
            levels = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
            path = folder.joinpath(*levels, "anat", f"{name}.nii.gz")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return folder

    return write


@pytest.fixture
def subjects(tmp_path):
    """Give a function that writes subjects of FreeSurfer, by name, with some files in ``mri``."""
    folder = tmp_path / "subjects"
    (folder / "fsaverage" / "mri").mkdir(parents=True)

    def write(*names, files=FREESURFER):
        for name in names:
            (folder / name / "mri").mkdir(parents=True, exist_ok=True)
            for file in files:
                (folder / name / "mri" / file).touch()
        return folder

    return write


def use(raw, folder, *, strict=False):
    """Return the scans of each session after segmentations were taken."""
    sessions = use_segmentations(find_sessions(raw), folder, strict=strict)
    return {session.label: list(session.scans) for session in sessions}


def test_a_subject_of_freesurfer_gives_the_brain_of_the_t1w_scan_alone(raw, subjects):
    folder = subjects("sub-01")
    scripts = folder / "sub-01" / "scripts"
    scripts.mkdir()
    stamp = "freesurfer-linux-centos7_x86_64-7.4.1-20230614-7eb8460\n"
    (scripts / "build-stamp.txt").write_text(stamp)
    t1w, flair = use(raw("sub-01_T1w", "sub-01_FLAIR"), folder)["sub-01"]
    assert t1w.brain.path == folder / "sub-01" / "mri" / "aseg.mgz"
    assert t1w.brain.picture == folder / "sub-01" / "mri" / "orig.mgz"
    assert t1w.brain.pipeline == "FreeSurfer 7.4.1 (mri/aseg.mgz)"
    assert t1w.brain.above == 0
    assert t1w.sources == (
        "bids:raw:sub-01/anat/sub-01_T1w.nii.gz",
        "bids:freesurfer:sub-01/mri/aseg.mgz",
    )
    assert flair.brain is None


@pytest.mark.parametrize(
    ("files", "taken", "program", "above"),
    [
        (FASTSURFER, "mask.mgz", "FastSurfer", 0),
        (FASTSURFER[1:], "aparc.DKTatlas+aseg.deep.mgz", "FastSurfer", 0),
        (FASTSURFER[2:], "aseg.auto_noCCseg.mgz", "FreeSurfer or FastSurfer", 0),
        ((*FREESURFER, "synthseg.mgz", "synthseg.rca.mgz"), "synthseg.rca.mgz", "FreeSurfer", 0),
        ((*FREESURFER, "synthseg.mgz"), "synthseg.mgz", "FreeSurfer", 0),
        (("brainmask.mgz",), "brainmask.mgz", "FreeSurfer", 1),
    ],
)
def test_the_file_that_is_closest_to_the_masks_of_models_is_taken(
    raw, subjects, files, taken, program, above
):
    (scan,) = use(raw("sub-01_T1w"), subjects("sub-01", files=files))["sub-01"]
    assert scan.brain.path.name == taken
    assert scan.brain.pipeline == f"{program} (mri/{taken})"
    assert scan.brain.above == above
    assert (scan.brain.picture is not None) == ("orig.mgz" in files)
    assert taken in {file.name for file in FILES}


def test_a_subject_of_the_session_goes_before_one_of_the_person(raw, subjects):
    dataset = raw("sub-01_ses-1_T1w", "sub-01_ses-2_T1w")
    scans = use(dataset, subjects("sub-01", "sub-01_ses-1"))
    assert scans["sub-01_ses-1"][0].brain.path.parts[-3] == "sub-01_ses-1"
    assert scans["sub-01_ses-2"][0].brain.path.parts[-3] == "sub-01"


@pytest.mark.parametrize(
    "scans", [("ses-1_T1w", "ses-2_T1w"), ("ses-1_run-1_T1w", "ses-1_run-2_T1w")]
)
def test_of_several_scans_none_is_taken_for_the_one_that_was_segmented(
    raw, subjects, scans, caplog
):
    found = use(raw(*(f"sub-01_{scan}" for scan in scans)), subjects("sub-01"))
    assert [scan.brain for session in found.values() for scan in session] == [None, None]
    assert "sub-01 of --fs-subjects-dir stands for several scans" in caplog.text
    assert all(f"sub-01_{scan}" in caplog.text for scan in scans)
    assert "the brain is found here instead" in caplog.text


def test_whoever_is_not_segmented_has_the_brain_found_here_and_is_named(raw, subjects, caplog):
    dataset = raw("sub-01_T1w", "sub-02_T1w", "sub-03_FLAIR")
    scans = use(dataset, subjects("sub-01"))
    assert scans["sub-01"][0].brain is not None
    assert scans["sub-02"][0].brain is scans["sub-03"][0].brain is None
    assert "No segmentation of sub-02_T1w is in" in caplog.text
    assert "sub-03" not in caplog.text


def test_a_strict_run_wants_everybody_segmented(raw, subjects):
    with pytest.raises(MissingInputError, match=r"sub-02_T1w.*--strict") as error:
        use(raw("sub-01_T1w", "sub-02_T1w"), subjects("sub-01"), strict=True)
    assert error.value.exit_code == 66


def test_one_task_of_an_array_does_as_all_would(raw, subjects, caplog):
    """A person who is missing from a good folder is no sign of a wrong one."""
    assert use(raw("sub-02_T1w"), subjects("sub-01"))["sub-02"][0].brain is None
    assert "sub-02_T1w" in caplog.text


def test_a_folder_of_something_else_is_refused_at_once(raw, subjects):
    dataset = raw("sub-01_T1w")
    for folder in (dataset, subjects("sub-01", files=("orig.mgz",))):
        with pytest.raises(NothingFoundError, match=r"aseg\.mgz.*SUBJECTS_DIR") as error:
            use(dataset, folder)
        assert error.value.exit_code == 18


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_named(raw, subjects):
    dataset, folder = raw("sub-01_T1w"), subjects("sub-01")
    folder.chmod(0)
    try:
        with pytest.raises(MissingInputError, match="Give read permission"):
            use(dataset, folder)
    finally:
        folder.chmod(0o755)


def test_a_file_that_datalad_has_not_fetched_counts_as_there(raw, subjects):
    folder = subjects("sub-01", files=())
    (folder / "sub-01" / "mri" / "aseg.mgz").symlink_to("../.git/annex/objects/x/aseg.mgz")
    assert use(raw("sub-01_T1w"), folder)["sub-01"][0].brain.path.name == "aseg.mgz"


def test_scans_with_a_mask_of_others_keep_it(raw, subjects, tmp_path, caplog):
    from dataclasses import replace

    (session,) = find_sessions(raw("sub-01_acq-a_T1w", "sub-01_acq-b_T1w"))
    prepared = Prepared("fmriprep", tmp_path, "fMRIPrep", brain=tmp_path / "brain.nii.gz")
    own = GivenBrain(tmp_path / "mask.nii.gz", "a file")
    first, second = session.scans
    scans = (replace(first, prepared=prepared), replace(second, brain=own))
    (after,) = use_segmentations([replace(session, scans=scans)], subjects("sub-01"), strict=True)
    assert after.scans == scans
    assert not caplog.text
