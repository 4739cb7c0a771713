"""The participant level after an earlier run of this app, by its real command."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

TEMPLATE = "MNI152NLin2009aSym"


def read(path: Path) -> np.ndarray:
    return nib.load(path).get_fdata(dtype=np.float32)


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_other_contrasts_stay_raw(again):
    sidecar = read_json(again / "sub-01" / "anat" / "sub-01_desc-zscore_FLAIR.json")
    assert sidecar["Sources"] == ["bids:raw:sub-01/anat/sub-01_FLAIR.nii.gz"]
    of_all = again / "sub-01" / "anat" / "sub-01_desc-quality_stats.json"
    sources = read_json(of_all)["Sources"]
    assert {source.split(":")[1] for source in sources} == {"raw", "mine"}
    assert any(source.endswith("_xfm.h5") for source in sources)


@pytest.mark.slow
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
