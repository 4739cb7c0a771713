import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from bids_anomaly.preprocessing.midpoint import (
    halfway,
    mean_motion,
    midpoint_grid,
    register_midpoint,
)
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid, template_brain
from bids_anomaly.preprocessing.transforms import Chain, read_matrix, write_matrix

SEED = 3
angles = arrays(float, 3, elements=st.floats(-40, 40))
shifts = arrays(float, 3, elements=st.floats(-80, 80))


def motion(turn, shift) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


@given(angles, shifts)
def test_the_way_from_scan_to_scan_leads_through_the_midpoint(turn, shift):
    second_from_first = motion(turn, shift)
    first, second = halfway(second_from_first)
    np.testing.assert_allclose(second @ np.linalg.inv(first), second_from_first, atol=1e-6)
    # Half a turn for each.
    np.testing.assert_allclose(first @ second, np.eye(4), atol=1e-6)


@given(angles, shifts)
def test_to_exchange_the_scans_keeps_the_midpoint(turn, shift):
    there, back = halfway(motion(turn, shift)), halfway(np.linalg.inv(motion(turn, shift)))
    np.testing.assert_allclose(there[0], back[1], atol=1e-6)
    np.testing.assert_allclose(there[1], back[0], atol=1e-6)


@given(angles, shifts, angles, shifts)
def test_a_mean_motion_has_no_first_and_no_second(turn, shift, other_turn, other_shift):
    one, other = motion(turn / 4, shift), motion(other_turn / 4, other_shift)
    mean = mean_motion(one, other)
    np.testing.assert_allclose(mean, mean_motion(other, one), atol=1e-6)
    backwards = mean_motion(np.linalg.inv(one), np.linalg.inv(other))
    np.testing.assert_allclose(np.linalg.inv(mean), backwards, atol=1e-6)


def test_a_file_holds_the_matrix_and_resamples_as_it_says(tmp_path):
    matrix = motion((10, -20, 5), (3, -4, 5))
    for name in ("m.mat", "m.txt"):
        write_matrix(tmp_path / name, matrix)
        np.testing.assert_allclose(read_matrix(tmp_path / name), matrix, atol=1e-5)
    grid = Grid.isotropic((40, 44, 48), (-40, -44, -48), 2.0)
    where = nib.affines.apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    place = np.array([8.0, -6.0, 10.0])
    spot = grid.image(np.exp(-((where - place) ** 2).sum(-1) / 50).astype(np.float32))
    moved = resample(spot, grid, Chain.of(tmp_path / "m.mat")).get_fdata()
    highest = grid.affine @ [*np.unravel_index(moved.argmax(), moved.shape), 1]
    expected = nib.affines.apply_affine(np.linalg.inv(matrix), place)
    assert np.abs(highest[:3] - expected).max() <= 1


@pytest.fixture(scope="module")
def pair():
    """A brain, how it lay in two scanners, and the two scans with their masks."""
    image = template_brain(4)
    half = Grid(image.shape, np.diag([0.5, 0.5, 0.5, 1]) @ image.affine)
    brain = half.image(image.get_fdata(dtype=np.float32))
    return brain, motion((4, -3, 5), (12, -6, 9))


def test_two_scans_meet_half_way(pair, tmp_path):
    first, second_from_first = pair
    # Points of the second scanner are pulled from the first.
    write_matrix(tmp_path / "pose.mat", np.linalg.inv(second_from_first))
    grid = Grid(first.shape, first.affine + np.diag([0, 0, 0, 0]))
    grid.affine[:3, 3] += second_from_first[:3, 3]
    second = resample(first, grid, Chain.of(tmp_path / "pose.mat"))
    masks = [
        nib.Nifti1Image((scan.get_fdata() > 0.1).astype(np.uint8), scan.affine)
        for scan in (first, second)
    ]
    found = register_midpoint(first, masks[0], second, masks[1], seed=SEED)
    whole = found[1] @ np.linalg.inv(found[0])
    points = nib.affines.apply_affine(first.affine, np.argwhere(masks[0].get_fdata() > 0)[::97])
    errors = nib.affines.apply_affine(whole, points) - nib.affines.apply_affine(
        second_from_first, points
    )
    assert np.linalg.norm(errors, axis=1).max() < 0.7
    back = register_midpoint(second, masks[1], first, masks[0], seed=SEED)
    np.testing.assert_allclose(back[0], found[1], atol=1e-5)
    np.testing.assert_allclose(back[1], found[0], atol=1e-5)
    common = midpoint_grid(found, *masks, spacing=2.0)
    exchanged = midpoint_grid(back, *masks[::-1], spacing=2.0)
    assert common.shape == exchanged.shape
    np.testing.assert_allclose(common.affine, exchanged.affine, atol=1e-3)
    for scan, scan_from_midpoint in zip(masks, found, strict=True):
        inside = nib.affines.apply_affine(scan.affine, np.argwhere(scan.get_fdata() > 0))
        voxels = nib.affines.apply_affine(
            np.linalg.inv(common.affine) @ np.linalg.inv(scan_from_midpoint), inside
        )
        assert voxels.min() > 0
        assert (voxels < np.array(common.shape) - 1).all()
