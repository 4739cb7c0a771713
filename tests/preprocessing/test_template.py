import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.eulerangles import euler2mat

from bids_anomaly.preprocessing.template import Grid, same_grid
from bids_anomaly.scoring.findings import anomaly_mask

ANGLE = st.floats(-0.6, 0.6)


@given(angles=st.tuples(ANGLE, ANGLE, ANGLE))
def test_a_lesion_of_the_least_volume_is_kept_however_the_scan_is_tilted(angles):
    affine = np.eye(4)
    affine[:3, :3] = 2 * euler2mat(*angles)
    # As a file holds it.
    grid = Grid((5, 5, 5), affine.astype(np.float32).astype(float))
    assert grid.voxel_volume == 8
    lesion = np.zeros(grid.shape)
    lesion[1:4, 2, 2] = 1
    found = anomaly_mask(
        lesion, np.ones(grid.shape, bool), min_volume=24.0, voxel_volume=grid.voxel_volume
    )
    np.testing.assert_array_equal(found, lesion > 0)


@pytest.mark.parametrize("spacing", [0.1, 0.4297, 1.0, 5.0])
def test_the_volume_of_a_voxel_is_that_of_its_sides(spacing):
    grid = Grid.isotropic((4, 4, 4), (0.0, 0.0, 0.0), spacing)
    assert grid.voxel_volume == pytest.approx(spacing**3, rel=1e-5)


@given(
    size=st.floats(0.4, 5),
    shift=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda shift: np.linalg.norm(shift) > 0.1),
)
def test_grids_are_the_same_up_to_a_hundredth_of_a_voxel(size, shift):
    one = Grid.isotropic((40, 50, 60), (-80.0, -90.0, -70.0), size)

    def moved_by(voxels):
        affine = one.affine.copy()
        affine[:3, 3] += np.array(shift) / np.linalg.norm(shift) * voxels * size
        return Grid(one.shape, affine)

    assert same_grid(one, moved_by(0.0099))
    assert not same_grid(one, moved_by(0.011))
