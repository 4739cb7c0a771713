"""Other templates are reached once a run, by files that stay in the work folder."""

import os

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.cli.inputs import models_of_run
from bids_anomaly.cli.spaces import reach_templates, spaces_of_run
from bids_anomaly.exceptions import MissingInputError
from bids_anomaly.preprocessing.composite import write_composite
from bids_anomaly.preprocessing.template import OUTPUT_SPACE, TEMPLATE
from bids_anomaly.preprocessing.transforms import Chain, write_matrix
from bids_anomaly.settings import Settings

NAME = "MNI152NLin6Asym"
SPACES = (f"{NAME}:res-2", TEMPLATE, "native", f"{NAME}:res-1")


@pytest.fixture
def home(tmp_path, write_template, ours_from_other, monkeypatch):
    """A folder of TemplateFlow with another template, and transforms to ours."""
    home = tmp_path / "templates"
    write_template(home, NAME, ours_from_other, 1, 2)
    (home / f"tpl-{TEMPLATE}").mkdir()
    for origin, target, matrix in (
        (TEMPLATE, NAME, ours_from_other),
        (NAME, TEMPLATE, np.linalg.inv(ours_from_other)),
    ):
        write_matrix(tmp_path / "way.mat", matrix)
        path = home / f"tpl-{target}" / f"tpl-{target}_from-{origin}_mode-image_xfm.h5"
        write_composite(path, Chain.of(tmp_path / "way.mat"))
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(home))
    return home


def settings_of(tmp_path, *spaces, **changes):
    return Settings(
        bids_dir=tmp_path / "bids",
        output_dir=tmp_path / "out",
        work_dir=tmp_path / "work",
        analysis_level="participant",
        output_spaces=spaces,
        **changes,
    )


def test_spaces_have_the_grids_of_their_templates_and_one_way(home, tmp_path):
    spaces = spaces_of_run(settings_of(tmp_path, *SPACES))
    assert tuple(spaces) == SPACES
    assert spaces["native"] is None
    assert spaces[TEMPLATE] == OUTPUT_SPACE
    for number in (1, 2):
        image = nib.load(home / f"tpl-{NAME}" / f"tpl-{NAME}_res-0{number}_T1w.nii.gz")
        grid = spaces[f"{NAME}:res-{number}"].grid
        assert grid.shape == image.shape
        np.testing.assert_array_equal(grid.affine, image.affine)
        assert grid.resolution == f"{number} mm isotropic"
    one, other = (spaces[f"{NAME}:res-{number}"] for number in (1, 2))
    assert one.template_from_space == other.template_from_space
    assert one.space_from_template == other.space_from_template


def test_the_way_is_made_once_and_anew_where_it_was_damaged(home, tmp_path):
    settings, told = settings_of(tmp_path, f"{NAME}:res-2"), []
    for _ in range(2):
        reach_templates(settings, told.append)
    assert len(told) == 1
    (space,) = spaces_of_run(settings).values()
    (there,), (back,) = space.template_from_space, space.space_from_template
    whole = there.read_bytes()
    assert back.is_file()
    os.truncate(there, len(whole) // 2)
    reach_templates(settings, told.append)
    assert len(told) == 2
    np.testing.assert_array_equal(nib.load(there).get_fdata().shape[:3], space.shape)


def test_another_template_of_that_name_has_another_way(home, tmp_path):
    settings = settings_of(tmp_path, f"{NAME}:res-2")
    before = spaces_of_run(settings)
    image = nib.load(home / f"tpl-{NAME}" / f"tpl-{NAME}_res-02_T1w.nii.gz")
    brighter = nib.Nifti1Image(np.asanyarray(image.dataobj) + 1, image.affine)
    brighter.to_filename(image.get_filename())
    assert spaces_of_run(settings) != before


@pytest.mark.parametrize("stage", ["all", "preprocess"])
def test_a_template_that_is_not_there_stops_the_run_before_it_begins(stage, tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "empty"))
    settings = settings_of(tmp_path, "native", "MNI152NLin2009cAsym:res-2", stage=stage)
    with pytest.raises(MissingInputError, match=r"tpl-MNI152NLin2009cAsym_res-02_T1w\.nii\.gz"):
        models_of_run(settings)
    assert not (tmp_path / "work").exists()
