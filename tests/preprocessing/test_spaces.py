"""Points and labels reach another template, and come back."""

import numpy as np
import pytest
from nibabel.affines import apply_affine

from bids_anomaly.exceptions import BadTemplateError
from bids_anomaly.preprocessing.composite import write_composite
from bids_anomaly.preprocessing.resample import resample_mask
from bids_anomaly.preprocessing.spaces import write_way
from bids_anomaly.preprocessing.template import OUTPUT_GRID, TEMPLATE, Grid, template_brain_mask
from bids_anomaly.preprocessing.templateflow import find_template, load_template
from bids_anomaly.preprocessing.transforms import Chain, move_points, write_matrix

NAME = "MNI152NLin6Asym"


@pytest.fixture
def home(tmp_path, write_template, ours_from_other):
    write_template(tmp_path / "templates", NAME, ours_from_other, 2)
    return tmp_path / "templates"


def put_transform(home, tmp_path, origin, target, matrix):
    write_matrix(tmp_path / "way.mat", matrix)
    folder = home / f"tpl-{target}"
    folder.mkdir(exist_ok=True)
    write_composite(
        folder / f"tpl-{target}_from-{origin}_mode-image_xfm.h5", Chain.of(tmp_path / "way.mat")
    )


@pytest.fixture
def with_transforms(home, tmp_path, ours_from_other):
    """The template with transforms to ours, in a folder whose name ITK would read as a list."""
    put_transform(home, tmp_path, TEMPLATE, NAME, ours_from_other)
    put_transform(home, tmp_path, NAME, TEMPLATE, np.linalg.inv(ours_from_other))
    home.rename(home.with_name("of, [others]"))
    return find_template(NAME, {2}, home.with_name("of, [others]"))


def in_the_brain_of(template):
    brain = load_template(template.images[2])
    return apply_affine(brain.affine, np.argwhere(brain.get_fdata() > 100)[::40])


def test_points_go_the_way_that_templateflow_has(with_transforms, tmp_path, ours_from_other):
    there, back = tmp_path / "there.nii.gz", tmp_path / "back.nii.gz"
    write_way(there, back, with_transforms, seed=0)
    points = in_the_brain_of(with_transforms)
    ours = apply_affine(ours_from_other, points)
    assert np.abs(ours - points).max() > 6
    np.testing.assert_allclose(move_points(points, Chain.of(there)), ours, atol=0.05)
    np.testing.assert_allclose(move_points(ours, Chain.of(back)), points, atol=0.05)


def test_a_label_of_a_scan_lands_where_both_ways_together_lead(
    with_transforms, tmp_path, ours_from_other
):
    there, back, pose = (tmp_path / name for name in ("there.nii.gz", "back.nii.gz", "pose.mat"))
    write_way(there, back, with_transforms, seed=0)
    scan_from_ours = np.diag([1.0, 1.0, 1.0, 1.0])
    scan_from_ours[:3, 3] = -7, 4, 2
    write_matrix(pose, scan_from_ours)
    label = np.zeros(OUTPUT_GRID.shape, np.uint8)
    label[30:36, 60:66, 50:56] = 1
    middle = apply_affine(OUTPUT_GRID.affine, np.argwhere(label)).mean(axis=0)
    onto = Grid.of(load_template(with_transforms.image))
    landed = resample_mask(OUTPUT_GRID.image(label), onto, Chain.of(there, pose))
    found = apply_affine(onto.affine, np.argwhere(np.asanyarray(landed.dataobj))).mean(axis=0)
    expected = apply_affine(np.linalg.inv(scan_from_ours @ ours_from_other), middle)
    assert np.abs(found - expected).max() < onto.spacing[0] / 2


def test_transforms_that_lead_the_same_way_are_refused(home, tmp_path, ours_from_other):
    for origin, target in ((TEMPLATE, NAME), (NAME, TEMPLATE)):
        put_transform(home, tmp_path, origin, target, ours_from_other)
    template = find_template(NAME, {2}, home)
    with pytest.raises(BadTemplateError, match="do not undo each other") as caught:
        write_way(tmp_path / "there.nii.gz", tmp_path / "back.nii.gz", template, seed=0)
    assert all(path.name in str(caught.value) for path in template.transforms)


@pytest.mark.slow
def test_without_transforms_brains_are_registered_to_less_than_a_voxel(
    home, tmp_path, ours_from_other
):
    template = find_template(NAME, {2}, home)
    there, back = tmp_path / "there.nii.gz", tmp_path / "back.nii.gz"
    write_way(there, back, template, seed=0)
    points = in_the_brain_of(template)
    ours = apply_affine(ours_from_other, points)
    for moved, expected in (
        (move_points(points, Chain.of(there)), ours),
        (move_points(ours, Chain.of(back)), points),
    ):
        assert np.linalg.norm(moved - expected, axis=1).mean() < 1.0
    mask, onto = template_brain_mask(2), Grid.of(load_template(template.brain))
    brought = resample_mask(mask, onto, Chain.of(there)).get_fdata() > 0
    there_already = load_template(template.brain).get_fdata() > 0
    assert 2 * (brought & there_already).sum() / (brought.sum() + there_already.sum()) > 0.97
