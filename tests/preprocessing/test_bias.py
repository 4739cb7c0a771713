import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bids_anomaly.preprocessing.bias import correct_bias
from bids_anomaly.preprocessing.template import Grid, template_white_matter

GRID = Grid.isotropic((52, 60, 48), (-78.0, -90.0, -72.0), 3.0)
GREY, WHITE = 70.0, 100.0


def radius(grid):
    """Distance from the centre, 1 at the surface of an ellipsoid of the size of a brain."""
    position = nib.affines.apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    return np.linalg.norm(position / (66, 82, 60), axis=-1), position


def folds(position):
    """A pattern of tissues much finer than any bias field: white where high, grey where low."""
    return np.sin(position / (3.6, 4.0, 3.3)).sum(axis=-1)


@pytest.fixture(scope="module")
def phantom():
    """Two folded tissues in an ellipsoid, dim at the front right and bright at the back left."""
    distance, position = radius(GRID)
    tissues = np.where(folds(position) > 0, WHITE, GREY) * (distance < 1)
    noise = np.random.default_rng(0).normal(scale=1.0, size=GRID.shape)
    field = np.exp(-0.3 * position[..., 0] / 66 - 0.3 * position[..., 1] / 82)
    scan = (gaussian_filter(tissues, 0.4) + noise) * field
    return GRID.image(scan.astype(np.float32)), GRID.image((distance < 1).astype(np.uint8))


def tissue_masks():
    """Voxels inside the brain that are surely white, and surely grey."""
    distance, position = radius(GRID)
    inside = distance < 0.9
    return inside & (folds(position) > 1), inside & (folds(position) < -1)


@pytest.fixture(scope="module")
def corrected(phantom):
    return correct_bias(*phantom, [])


def variation(scan, tissue):
    values = scan.get_fdata()[tissue]
    return values.std() / values.mean()


def test_each_tissue_becomes_at_least_twice_as_even(phantom, corrected):
    for tissue in tissue_masks():
        assert variation(phantom[0], tissue) > 0.1
        assert variation(corrected, tissue) < 0.5 * variation(phantom[0], tissue)


def test_tissues_keep_their_contrast_and_the_scan_its_level(phantom, corrected):
    distance, _ = radius(GRID)
    white, grey = tissue_masks()
    values = corrected.get_fdata()
    assert values[grey].mean() / values[white].mean() == pytest.approx(GREY / WHITE, rel=0.05)
    before = phantom[0].get_fdata()[distance < 1].mean()
    assert values[distance < 1].mean() == pytest.approx(before, rel=0.1)


def test_the_result_lies_in_the_grid_of_the_scan(phantom, corrected):
    assert corrected.shape == phantom[0].shape
    np.testing.assert_array_equal(corrected.affine, phantom[0].affine)
    assert corrected.get_data_dtype() == np.float32


def test_thick_slices_stay_finite_and_bounded_up_to_the_edge():
    affine = np.diag([3.1, 2.9, 5.3, 1])
    affine[:3, 3] = (-74, -86, -66)
    grid = Grid((49, 61, 26), affine)
    distance, position = radius(grid)
    inside = distance < 1
    field = np.exp(0.3 * position[..., 2] / 60)
    scan = (20 + 80 * inside) * field  # something everywhere, up to the edge
    corrected = correct_bias(
        grid.image(scan.astype(np.float32)), grid.image(inside.astype(np.uint8)), []
    ).get_fdata()
    assert np.isfinite(corrected).all()
    assert corrected.min() >= 0
    assert corrected.max() < 3 * scan.max()


def test_zeros_inside_the_brain_do_no_harm(phantom, corrected):
    scan, brain = phantom
    values = scan.get_fdata(dtype=np.float32).copy()
    values[24:28, 28:32, 22:26] = 0
    with_hole = correct_bias(GRID.image(values), brain, []).get_fdata()
    assert np.isfinite(with_hole).all()
    assert not with_hole[24:28, 28:32, 22:26].any()
    far = np.asanyarray(brain.dataobj) > 0
    far[18:34, 22:38, 16:32] = False
    ratio = with_hole[far] / corrected.get_fdata()[far]
    assert np.abs(ratio / np.median(ratio) - 1).mean() < 0.05


def test_a_rind_of_grey_matter_and_csf_is_not_taken_for_bias():
    """The template's tissues, without any bias: the field should be flat."""
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_gm_template

    brain = load_mni152_brain_mask(resolution=2)
    grid = Grid.of(brain)
    white = template_white_matter(2).get_fdata()
    grey = load_mni152_gm_template(resolution=2).get_fdata()
    noise = np.random.default_rng(0).normal(scale=0.03, size=grid.shape)
    scan = (0.3 + 0.45 * grey + 0.7 * white + noise) * (brain.get_fdata() > 0)
    corrected = correct_bias(grid.image(scan.astype(np.float32)), brain, []).get_fdata()
    surely_white = white > 0.95
    field = scan[surely_white] / corrected[surely_white]
    assert field.std() / field.mean() < 0.02
