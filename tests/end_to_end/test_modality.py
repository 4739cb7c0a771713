"""A modality that the app has no row for: its model is all that is needed, from scan to group."""

import json
import shutil
from pathlib import Path

import pytest

from bids_anomaly.bids.tables import read_table
from bids_anomaly.cli.evaluate import main as evaluate
from bids_anomaly.reconstruction.bundle import choose_bundles

NEW = "PDw"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """A model of a modality that no packaged one reads."""
    folder = tmp_path_factory.mktemp("bundle") / f"threshold-{NEW}"
    shutil.copytree(choose_bundles("threshold")["FLAIR"].folder, folder)
    description = json.loads((folder / "bundle.json").read_text())
    description |= {"name": folder.name, "modality": NEW}
    (folder / "bundle.json").write_text(json.dumps(description))
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, stripped_brain, write_dataset, sagittal_grid) -> Path:
    """Two people, of whom the second has nothing that any model reads."""
    scans = {
        f"sub-01_{NEW}": stripped_brain("FLAIR", 1, sagittal_grid),
        "sub-02_T2star": stripped_brain("FLAIR", 2, sagittal_grid),
    }
    return write_dataset(tmp_path_factory.mktemp("new-modality") / "bids", scans)


@pytest.fixture(scope="module")
def finished(dataset, bundle, command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run = command(dataset, folder / "out", "participant", "-w", folder / "work", "--model", bundle)
    return run, folder / "out"


@pytest.mark.slow
def test_a_scan_of_a_new_modality_is_read_scored_and_named(finished):
    run, out = finished
    assert run.code == 0, run.stderr
    names = {path.name for path in (out / "sub-01" / "anat").iterdir()}
    assert f"sub-01_desc-zscore_{NEW}.nii.gz" in names
    assert f"sub-01_label-lesion_desc-anomaly{NEW}_mask.nii.gz" in names
    page = (out / "sub-01.html").read_text()
    assert f"threshold-{NEW}" in page
    assert "sub-02 is left out" in run.stderr


@pytest.mark.slow
def test_it_comes_to_the_group_and_is_evaluated(finished, dataset, command, tmp_path):
    _, out = finished
    group = command(dataset, out, "group", "-w", tmp_path / "work")
    assert group.code == 0, group.stderr
    (row,) = read_table(out / "group" / "desc-people_stats.tsv")
    assert row["participant_id"] == "sub-01"
    assert row["primary"] == NEW
    truth = tmp_path / "truth" / "sub-01" / "anat"
    truth.mkdir(parents=True)
    mask = out / "sub-01" / "anat" / f"sub-01_label-lesion_desc-anomaly{NEW}_mask.nii.gz"
    shutil.copy(mask, truth / f"sub-01_space-{NEW}_label-lesion_mask.nii.gz")
    arguments = [out, "--truth", truth.parents[1], "--output", tmp_path / "evaluation"]
    assert evaluate([str(argument) for argument in arguments]) == 0
    rows = read_table(next((tmp_path / "evaluation").glob("metrics.tsv")))
    assert {row["modality"] for row in rows} == {NEW}


@pytest.mark.parametrize("option", ["--modalities", "--primary"])
def test_without_its_model_it_is_refused(option, dataset, command_here, tmp_path):
    run = command_here(dataset, tmp_path / "out", "participant", option, NEW)
    assert run.code == 2
    assert f"No model bundle is made for {NEW}" in run.stderr
