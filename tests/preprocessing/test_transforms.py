import ants
import numpy as np
import pytest

from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import Chain, move_points, write_matrix

GRID = Grid.isotropic((24, 26, 28), (-24.0, -30.0, -20.0), 2.0)


@pytest.fixture
def affine(tmp_path):
    """A turned, scaled and shifted transform."""
    path = tmp_path / "affine.mat"
    parameters = [0.9, 0.2, 0.0, -0.2, 1.1, 0.1, 0.0, -0.1, 1.0, 3.0, -2.0, 4.0]
    transform = ants.create_ants_transform(
        transform_type="AffineTransform", dimension=3, parameters=parameters
    )
    ants.write_transform(transform, str(path))
    return Chain.of(path)


@pytest.mark.parametrize("inverted", [False, True])
def test_a_point_goes_where_resampling_looks(affine, inverted):
    chain = affine.inverse() if inverted else affine
    # An image whose values are coordinates says where each voxel of the result was read.
    at = np.moveaxis(np.indices(GRID.shape), 0, -1) @ GRID.affine[:3, :3].T + GRID.affine[:3, 3]
    voxels = np.array([[12, 13, 14], [10, 15, 12], [14, 11, 16]])
    moved = move_points(at[tuple(voxels.T)], chain)
    for axis in range(3):
        ramp = GRID.image((at[..., axis] + 100).astype(np.float32))
        seen = resample(ramp, GRID, chain).get_fdata()
        np.testing.assert_allclose(seen[tuple(voxels.T)] - 100, moved[:, axis], atol=1e-3)


def test_there_and_back_is_where_it_was(affine):
    points = np.array([[1.0, -2.0, 3.0], [0.0, 0.0, 0.0]])
    there = move_points(points, affine)
    assert np.abs(there - points).max() > 1
    np.testing.assert_allclose(move_points(there, affine.inverse()), points, atol=1e-4)


def test_the_inverse_of_a_chain_leads_back_over_all_its_transforms(affine, tmp_path):
    shift = tmp_path / "shift.mat"
    write_matrix(shift, np.array([[1, 0, 0, 5], [0, 1, 0, -6], [0, 0, 1, 7], [0, 0, 0, 1.0]]))
    chain = affine + Chain.of(shift)
    points = np.array([[1.0, -2.0, 3.0], [40.0, 50.0, -60.0]])
    back = move_points(move_points(points, chain), chain.inverse())
    np.testing.assert_allclose(back, points, atol=1e-4)
    assert chain.inverse().inverse() == chain
    assert (chain + Chain()) == chain


def test_without_transforms_or_points_nothing_moves(affine):
    np.testing.assert_array_equal(move_points(np.ones((2, 3)), Chain()), np.ones((2, 3)))
    assert move_points(np.zeros((0, 3)), affine).shape == (0, 3)
