"""Which files of TemplateFlow's folder are taken, and what is said of those that are not there."""

from pathlib import Path

import pytest

from bids_anomaly.exceptions import BadTemplateError, MissingInputError
from bids_anomaly.preprocessing.templateflow import find_template, load_template, templateflow_home

NAME, OURS = "MNI152NLin2009cAsym", "MNI152NLin2009aSym"
IMAGE = f"tpl-{NAME}/tpl-{NAME}_res-02_T1w.nii.gz"
FINER = f"tpl-{NAME}/tpl-{NAME}_res-01_T1w.nii.gz"
BRAIN = f"tpl-{NAME}/tpl-{NAME}_res-02_desc-brain_mask.nii.gz"
THERE = f"tpl-{NAME}/tpl-{NAME}_from-{OURS}_mode-image_xfm.h5"
BACK = f"tpl-{OURS}/tpl-{OURS}_from-{NAME}_mode-image_xfm.h5"


def put(home: Path, *files: str, content: str = "something") -> None:
    for file in files:
        (home / file).parent.mkdir(exist_ok=True)
        (home / file).write_text(content)


def test_the_folder_is_where_templateflow_has_it(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert templateflow_home({}) == Path("/home/somebody/.cache/templateflow")
    assert templateflow_home({"TEMPLATEFLOW_HOME": "/data/tf"}) == Path("/data/tf")


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        ([], [IMAGE, BRAIN]),
        ([IMAGE], [BRAIN]),
        ([IMAGE, THERE], [BRAIN]),
        ([IMAGE, BRAIN], []),
        ([IMAGE, THERE, BACK], []),
    ],
)
def test_what_is_missing_is_named_with_how_to_get_it(there, missing, tmp_path):
    put(tmp_path, *there)
    if not missing:
        assert find_template(NAME, {2}, tmp_path).image == tmp_path / IMAGE
        return
    with pytest.raises(MissingInputError) as caught:
        find_template(NAME, {2}, tmp_path)
    said = str(caught.value)
    assert f"needs {', '.join(Path(file).name for file in missing)}, looked for" in said
    assert f"in {tmp_path / f'tpl-{NAME}'} (TEMPLATEFLOW_HOME" in said
    assert f"api.get('{NAME}', resolution=[2], desc=None, suffix='T1w')" in said
    assert caught.value.exit_code == 66
    assert "\n" not in said


def test_a_finer_grid_needs_its_image_too(tmp_path):
    put(tmp_path, IMAGE, BRAIN)
    with pytest.raises(MissingInputError, match=Path(FINER).name):
        find_template(NAME, {1}, tmp_path)
    put(tmp_path, FINER)
    assert sorted(find_template(NAME, {1}, tmp_path).images) == [1, 2]


def test_what_templateflow_did_not_fetch_is_missing_though_its_name_is_there(tmp_path):
    put(tmp_path, IMAGE, BRAIN, content="")
    with pytest.raises(MissingInputError, match=Path(BRAIN).name):
        find_template(NAME, {2}, tmp_path)


def test_transforms_are_taken_in_pairs(tmp_path):
    put(tmp_path, IMAGE, BRAIN, BACK)
    assert find_template(NAME, {2}, tmp_path).transforms == ()
    put(tmp_path, THERE)
    assert find_template(NAME, {2}, tmp_path).transforms == (tmp_path / THERE, tmp_path / BACK)


def test_other_files_are_another_template(tmp_path):
    put(tmp_path, IMAGE, BRAIN)
    before = find_template(NAME, {2}, tmp_path).digest
    assert find_template(NAME, {2}, tmp_path).digest == before
    put(tmp_path, BRAIN, content="something else")
    assert find_template(NAME, {2}, tmp_path).digest != before


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    put(tmp_path, IMAGE)
    with pytest.raises(BadTemplateError, match=Path(IMAGE).name) as caught:
        load_template(tmp_path / IMAGE)
    assert caught.value.exit_code == 65
