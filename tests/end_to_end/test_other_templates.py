"""Results in a template of TemplateFlow, by the real command."""

import json
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from bids_anomaly.preprocessing.transforms import Chain, move_points

pytestmark = pytest.mark.slow

OURS, NAME = "MNI152NLin2009aSym", "MNI152NLin6Asym"
SPACES = ("--output-spaces", OURS, NAME, f"{NAME}:res-1")
QUICK = ("--model", "threshold", "--brain-extraction", "none", "--modalities", "T1w")


@pytest.fixture(scope="module")
def reached(two_scans, command, write_template, ours_from_other, tmp_path_factory):
    """A run with maps in the own template and in a made-up one."""
    folder = tmp_path_factory.mktemp("reached")
    templates = write_template(folder / "templates", NAME, ours_from_other, 1, 2)
    out, work = folder / "out", folder / "work"
    arguments = (two_scans, out, "participant", "-w", work, *QUICK, *SPACES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPLATEFLOW_HOME", str(folder / "templates"))
        finished, again = command(*arguments), command(*arguments)
    assert finished.code == again.code == 0, finished.stderr + again.stderr
    anat = out / "sub-01" / "anat"
    return SimpleNamespace(
        out=out, anat=anat, work=work, templates=templates, finished=finished, again=again
    )


def test_maps_lie_in_the_grid_of_the_template_and_say_its_resolution(reached):
    for number in (1, 2):
        template = nib.load(reached.templates / f"tpl-{NAME}_res-0{number}_T1w.nii.gz")
        stem = reached.anat / f"sub-01_space-{NAME}_res-{number}_desc-zscore_T1w"
        image = nib.load(f"{stem}.nii.gz")
        assert image.shape == template.shape
        np.testing.assert_allclose(image.affine, template.affine)
        sidecar = json.loads(stem.with_suffix(".json").read_text())
        assert sidecar["Resolution"] == f"{number} mm isotropic"


def test_the_brain_lies_where_that_of_the_template_does(reached):
    template = nib.load(reached.templates / f"tpl-{NAME}_res-02_desc-brain_mask.nii.gz")
    brain = nib.load(reached.anat / f"sub-01_space-{NAME}_res-2_desc-brainT1w_mask.nii.gz")
    one, other = (np.asanyarray(image.dataobj) > 0 for image in (template, brain))
    assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.95


def test_the_transforms_lead_through_both_templates(reached, ours_from_other):
    brain = nib.load(reached.templates / f"tpl-{NAME}_res-02_desc-brain_mask.nii.gz")
    points = apply_affine(brain.affine, np.argwhere(np.asanyarray(brain.dataobj) > 0)[::40])
    ours = apply_affine(ours_from_other, points)
    transform = str(reached.anat / "sub-01_from-{}_to-{}_mode-image_xfm.h5")
    scan = move_points(ours, Chain.of(transform.format("T1w", OURS)))
    found = move_points(points, Chain.of(transform.format("T1w", NAME)))
    assert np.linalg.norm(found - scan, axis=1).mean() < 1.0
    back = move_points(found, Chain.of(transform.format(NAME, "T1w")))
    assert np.linalg.norm(back - points, axis=1).mean() < 0.5


def test_the_templates_are_registered_once_for_all_runs_in_a_work_folder(reached):
    said = f"Bringing {OURS} to {NAME} by registration"
    assert reached.finished.stderr.count(said) == 1
    assert said not in reached.again.stderr
    assert len(list((reached.work / "bids_anomaly_templates").iterdir())) == 2


def test_the_output_is_valid_and_its_report_names_the_other_template(reached, assert_valid_bids):
    assert_valid_bids(reached.out)
    assert NAME in (reached.out / "sub-01.html").read_text()
