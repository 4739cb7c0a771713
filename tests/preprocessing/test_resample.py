import ants
import nibabel as nib
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from bids_anomaly.preprocessing.resample import isotropic_grid, resample, resample_mask
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import Chain

GRID = Grid.isotropic((30, 32, 28), (-15.0, 4.0, -9.0), 1.0)


@pytest.fixture
def smooth():
    """Return smooth random values well inside the grid, 0 to 1."""
    values = np.random.default_rng(0).normal(size=GRID.shape)
    window = np.zeros(GRID.shape)
    window[10:-10, 10:-10, 10:-10] = 1
    values = gaussian_filter(np.abs(values) * window, 1.2)
    return GRID.image((values / values.max()).astype(np.float32))


@pytest.fixture
def itk(tmp_path):
    """Write an affine (matrix, translation; LPS) as an ITK file."""

    def write(name, matrix=None, translation=(0, 0, 0)):
        transform = ants.create_ants_transform(
            transform_type="AffineTransform",
            matrix=np.eye(3) if matrix is None else matrix,
            translation=translation,
            center=(0, -20, 5),
        )
        ants.write_transform(transform, str(tmp_path / f"{name}.mat"))
        return Chain.of(tmp_path / f"{name}.mat")

    return write


def values_of(image):
    return image.get_fdata(dtype=np.float32)


def test_onto_its_own_grid_an_image_stays_as_it_is(smooth):
    same = resample(smooth, GRID)
    np.testing.assert_allclose(values_of(same), values_of(smooth), atol=1e-6)
    np.testing.assert_array_equal(same.affine, smooth.affine)
    assert same.get_data_dtype() == np.float32


def test_an_image_moves_by_what_an_itk_transform_says(smooth, itk):
    # Points of the result go 2 mm to the left (LPS +x), 3 mm forward and 1 mm up in the image.
    chain = itk("shift", translation=(2, -3, 1))
    moved = values_of(resample(smooth, GRID, chain))
    np.testing.assert_allclose(
        moved, np.roll(values_of(smooth), (2, -3, -1), axis=(0, 1, 2)), atol=1e-4
    )


def test_an_inverted_transform_moves_it_the_other_way(smooth, itk):
    chain = itk("shift", translation=(2, -3, 1))
    moved = values_of(resample(smooth, GRID, chain.inverse()))
    np.testing.assert_allclose(
        moved, np.roll(values_of(smooth), (-2, 3, 1), axis=(0, 1, 2)), atol=1e-4
    )


def test_a_transform_followed_by_its_inverse_changes_nothing(smooth, itk):
    turned = Rotation.from_euler("xyz", (8, -5, 12), degrees=True).as_matrix() * 1.1
    chain = itk("turn", turned, (3, 1, -2))
    same = resample(smooth, GRID, chain + chain.inverse())
    np.testing.assert_allclose(values_of(same), values_of(smooth), atol=1e-3)


def test_there_and_back_is_the_same_up_to_interpolation(smooth, itk):
    turned = Rotation.from_euler("z", 6, degrees=True).as_matrix()
    chain = itk("turn", turned)
    there = resample(smooth, GRID, chain)
    assert np.abs(values_of(there) - values_of(smooth)).max() > 0.05
    back = resample(there, GRID, chain.inverse())
    assert np.abs(values_of(back) - values_of(smooth)).mean() < 0.01


def test_the_last_transform_acts_on_the_image_first(smooth, itk):
    turn = itk("turn", Rotation.from_euler("z", 30, degrees=True).as_matrix())
    shift = itk("shift", translation=(4, 0, 0))
    at_once = values_of(resample(smooth, GRID, turn + shift))
    one_by_one = values_of(resample(resample(smooth, GRID, shift), GRID, turn))
    other_order = values_of(resample(smooth, GRID, shift + turn))
    # Shifting by whole voxels does not interpolate, so only float rounding is left.
    assert np.abs(at_once - one_by_one).max() < 1e-3
    assert np.abs(at_once - other_order).max() > 0.1


def test_outside_the_field_of_view_is_nothing():
    ones = GRID.image(np.ones(GRID.shape, np.float32))
    wide = Grid.isotropic((50, 52, 48), (-25.0, -6.0, -19.0), 1.0)
    moved = values_of(resample(ones, wide))
    np.testing.assert_array_equal(moved[10:40, 10:42, 10:38], 1)
    assert moved.sum() == pytest.approx(np.prod(GRID.shape))


def test_a_voxel_belongs_to_a_mask_when_most_of_it_does():
    shape = (36, 18, 18)
    fine = Grid.isotropic(shape, (0.0, 0.0, 0.0), 1.0)
    thirds = Grid.isotropic((12, 6, 6), (1.0, 1.0, 1.0), 3.0)
    for boundary, expected in ((15, 5), (16, 5), (17, 6), (18, 6)):
        mask = np.zeros(shape, np.uint8)
        mask[:boundary] = 1
        coarse = resample_mask(fine.image(mask), thirds)
        assert coarse.get_data_dtype() == np.uint8
        inside = np.asanyarray(coarse.dataobj)[:, 2:-2, 2:-2]
        assert inside[:expected].all(), boundary
        assert not inside[expected:].any(), boundary


def test_masks_hold_only_0_and_1_after_a_rotation(itk):
    mask = np.zeros(GRID.shape, np.uint8)
    mask[8:20, 8:20, 8:20] = 1
    chain = itk("turn", Rotation.from_euler("xyz", (5, 9, 20), degrees=True).as_matrix())
    turned = np.asanyarray(resample_mask(GRID.image(mask), GRID, chain).dataobj)
    assert set(np.unique(turned)) == {0, 1}


@pytest.mark.parametrize("spacing", [2, 3, 4])
def test_a_checkerboard_becomes_grey_on_a_coarser_grid(spacing):
    shape = (48, 48, 48)
    board = (np.indices(shape).sum(0) % 2).astype(np.float32)
    image = Grid.isotropic(shape, (0.0, 0.0, 0.0), 1.0).image(board)
    coarse = values_of(resample(image, isotropic_grid(image, spacing)))
    np.testing.assert_allclose(coarse[2:-2, 2:-2, 2:-2], 0.5, atol=0.01)


@pytest.mark.parametrize("spacing", [1, 2, 3, 5])
def test_a_coarser_grid_keeps_the_amount_of_signal(smooth, spacing):
    coarse = resample(smooth, isotropic_grid(smooth, spacing))
    amount = values_of(coarse).sum() * spacing**3
    assert amount == pytest.approx(values_of(smooth).sum(), rel=0.02)


@settings(max_examples=50)
@example(shape=(36, 35, 34), zooms=(1, 1, 1), angles=(0, 0, 0), origin=(0, 0, 0), spacing=2)
@given(
    shape=st.tuples(*[st.integers(1, 60)] * 3),
    zooms=st.tuples(*[st.floats(0.3, 7)] * 3),
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    origin=st.tuples(*[st.floats(-200, 200)] * 3),
    spacing=st.floats(0.5, 5),
)
def test_an_isotropic_grid_covers_the_field_of_view_and_little_more(
    shape, zooms, angles, origin, spacing
):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * zooms
    affine[:3, 3] = origin
    image = nib.Nifti1Image(np.zeros(shape, np.uint8), affine)
    grid = isotropic_grid(image, spacing)
    np.testing.assert_allclose(grid.spacing, spacing, rtol=1e-5)
    edges = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in shape])).reshape(3, -1).T
    in_grid = nib.affines.apply_affine(np.linalg.inv(grid.affine) @ affine, edges)
    assert (in_grid >= -0.5 - 1e-3).all()
    assert (in_grid <= np.array(grid.shape) - 0.5 + 1e-3).all()
    extent = np.array(grid.shape) * spacing
    assert (extent < np.array(shape) * zooms + spacing * (1 + 1e-6)).all()


@settings(max_examples=60)
@example(shape=(12, 14, 9), zooms=(1.0, 1.0, 5.0), turn=(0, 0, 0), seed=0)
@example(shape=(16, 12, 8), zooms=(0.5, 0.5, 4.0), turn=(20, -10, 5), seed=1)
@given(
    shape=st.tuples(*[st.integers(3, 14)] * 3),
    zooms=st.tuples(*[st.floats(0.4, 6)] * 3),
    turn=st.tuples(*[st.floats(-180, 180)] * 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_onto_its_own_grid_a_mask_stays_as_it_is_whatever_its_voxels(shape, zooms, turn, seed):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() * zooms
    mask = (np.random.default_rng(seed).random(shape) < 0.2).astype(np.uint8)
    image = nib.Nifti1Image(mask, affine)
    same = resample_mask(image, Grid.of(image))
    np.testing.assert_array_equal(np.asanyarray(same.dataobj), mask)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_thick_slices_keep_what_is_small_in_the_plane(axes):
    # A column of 2 x 2 x 30 mm on a grid of 1 x 1 x 5 mm, whose axes are in any order.
    fine = np.zeros((20, 20, 60), np.float32)
    fine[9:11, 9:11, 15:45] = 1
    target = Grid((20, 20, 12), nib.affines.from_matvec(np.diag([1, 1, 5]), (0, 0, 2)))
    image = nib.Nifti1Image(fine.transpose(axes), np.eye(4)[:, [*axes, 3]])
    thick = np.asanyarray(resample_mask(image, target).dataobj)
    assert thick.sum() == 2 * 2 * 6
    assert thick[9:11, 9:11, 3:9].all()
