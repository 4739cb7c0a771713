"""What a dry run says of each session."""

from dataclasses import replace
from pathlib import Path

import pytest

from bids_anomaly.bids.query import find_sessions
from bids_anomaly.bids.scans import Prepared
from bids_anomaly.cli.plan import left_out, print_plan
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.reconstruction.bundle import choose_bundles
from bids_anomaly.settings import Settings

USED = "sub-01_run-1_T1w.nii.gz"
BESIDE = {
    "sub-01_ce-gad_T1w.nii.gz": "ce-gad says that a contrast agent was given",
    "sub-01_run-2_T1w.nii": "it does not pass the filter",
    "sub-01_T2w.nii.gz": "it is not among --modalities",
    "sub-01_UNIT1.nii.gz": "UNIT1 scans are not read",
    "sub-01_part-phase_FLAIR.nii.gz": "it is not a magnitude image",
    "sub-01_space-orig_FLAIR.nii.gz": "it is not a raw scan",
}
FILTER = {"T1w": {"run": [1, None]}}


@pytest.fixture
def dataset(tmp_path) -> Path:
    """One person with a T1w and a FLAIR scan, and images of all kinds beside them."""
    folder = tmp_path / "bids" / "sub-01" / "anat"
    folder.mkdir(parents=True)
    for name in (USED, "sub-01_FLAIR.nii.gz", *BESIDE, "sub-01_FLAIR.json", "._sub-01_T1w.nii.gz"):
        (folder / name).write_bytes(b"")
    (tmp_path / "bids" / "dataset_description.json").write_text(
        '{"Name": "one", "BIDSVersion": "1.10.0"}'
    )
    return tmp_path / "bids"


@pytest.fixture
def session(dataset):
    """That of the person."""
    (found,) = find_sessions(dataset, modalities=("T1w", "FLAIR"), bids_filter=FILTER)
    return found


def test_each_image_beside_the_scans_has_its_reason(dataset, session):
    assert [scan.path.name for scan in session.scans] == [USED, "sub-01_FLAIR.nii.gz"]
    said = left_out(dataset, session, bids_filter=FILTER, modalities=("T1w", "FLAIR"))
    assert said == BESIDE


def test_scans_that_another_pipeline_prepared_stand_for_the_raw_ones(dataset, session, tmp_path):
    first, second = session.scans
    prepared = Prepared("fmriprep", tmp_path, "fMRIPrep 25.2.0", brain=tmp_path / "brain.nii.gz")
    path = tmp_path / "sub-01_desc-preproc_T1w.nii.gz"
    session = replace(session, scans=(replace(first, path=path, prepared=prepared), second))
    said = left_out(dataset, session, bids_filter={}, modalities=MODALITIES)
    assert said[USED] == "what fMRIPrep 25.2.0 made of the T1w scans is used"


@pytest.mark.parametrize(
    ("stage", "is_said", "is_not"),
    [
        ("all", ["sub-01.html", "desc-zscore_<modality>", ", the primary scan"], ["desc-affine"]),
        ("preprocess", ["desc-affine_<modality>"], ["sub-01.html", "zscore", "primary"]),
    ],
)
def test_the_plan_says_scans_models_device_and_outputs(
    dataset, session, tmp_path, capsys, stage, is_said, is_not
):
    settings = Settings(
        bids_dir=dataset, output_dir=tmp_path / "out", analysis_level="participant", stage=stage
    )
    print_plan(settings, [session], choose_bundles("threshold", ("T1w", "FLAIR")))
    said = capsys.readouterr().out
    for text in (
        "on cpu with 1 processes",
        f"{session.scans[0].path}: ",
        "threshold-T1w",
        *is_said,
    ):
        assert text in said
    for text in is_not:
        assert text not in said
    assert f"writes: {tmp_path / 'out'}" in said
    assert "left out: sub-01_UNIT1.nii.gz: UNIT1 scans are not read" in said
