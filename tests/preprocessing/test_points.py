import ants
import numpy as np
import pytest

from bids_anomaly.preprocessing.points import move_points
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid

GRID = Grid.isotropic((24, 26, 28), (-24.0, -30.0, -20.0), 2.0)


@pytest.fixture
def affine(tmp_path):
    """A file with a turned, scaled and shifted transform."""
    path = tmp_path / "affine.mat"
    parameters = [0.9, 0.2, 0.0, -0.2, 1.1, 0.1, 0.0, -0.1, 1.0, 3.0, -2.0, 4.0]
    transform = ants.create_ants_transform(
        transform_type="AffineTransform", dimension=3, parameters=parameters
    )
    ants.write_transform(transform, str(path))
    return path


@pytest.mark.parametrize("invert", [False, True])
def test_a_point_goes_where_resampling_looks(affine, invert):
    # An image whose values are coordinates says where each voxel of the result was read.
    at = np.moveaxis(np.indices(GRID.shape), 0, -1) @ GRID.affine[:3, :3].T + GRID.affine[:3, 3]
    voxels = np.array([[12, 13, 14], [10, 15, 12], [14, 11, 16]])
    moved = move_points(at[tuple(voxels.T)], [affine], invert=[invert])
    for axis in range(3):
        ramp = GRID.image((at[..., axis] + 100).astype(np.float32))
        seen = resample(ramp, GRID, [affine], invert=[invert]).get_fdata()
        np.testing.assert_allclose(seen[tuple(voxels.T)] - 100, moved[:, axis], atol=1e-3)


def test_there_and_back_is_where_it_was(affine):
    points = np.array([[1.0, -2.0, 3.0], [0.0, 0.0, 0.0]])
    there = move_points(points, [affine], invert=[False])
    assert np.abs(there - points).max() > 1
    np.testing.assert_allclose(move_points(there, [affine], invert=[True]), points, atol=1e-4)


def test_without_transforms_or_points_nothing_moves(affine):
    np.testing.assert_array_equal(move_points(np.ones((2, 3)), [], invert=[]), np.ones((2, 3)))
    assert move_points(np.zeros((0, 3)), [affine], invert=[False]).shape == (0, 3)
