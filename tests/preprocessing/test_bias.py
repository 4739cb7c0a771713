import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from bids_anomaly.preprocessing.bias import bias_field, correct_bias
from bids_anomaly.preprocessing.template import Grid, template_tissues, template_white_matter
from bids_anomaly.preprocessing.transforms import SAME_SPACE

GRID = Grid.isotropic((52, 60, 48), (-78.0, -90.0, -72.0), 3.0)
GREY, WHITE = 70.0, 100.0
SLOW = pytest.mark.slow


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
    return correct_bias(*phantom, SAME_SPACE)


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
        grid.image(scan.astype(np.float32)), grid.image(inside.astype(np.uint8)), SAME_SPACE
    ).get_fdata()
    assert np.isfinite(corrected).all()
    assert corrected.min() >= 0
    assert corrected.max() < 3 * scan.max()


def test_zeros_inside_the_brain_do_no_harm(phantom, corrected):
    scan, brain = phantom
    values = scan.get_fdata(dtype=np.float32).copy()
    values[24:28, 28:32, 22:26] = 0
    with_hole = correct_bias(GRID.image(values), brain, SAME_SPACE).get_fdata()
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
    corrected = correct_bias(grid.image(scan.astype(np.float32)), brain, SAME_SPACE).get_fdata()
    surely_white = white > 0.95
    field = scan[surely_white] / corrected[surely_white]
    assert field.std() / field.mean() < 0.025


@pytest.fixture(scope="module")
def template_head():
    """A FLAIR-like and a T1w-like brain of the template's tissues, with its mask."""
    from nilearn.datasets import load_mni152_brain_mask

    brain = load_mni152_brain_mask(resolution=3)
    grid = Grid.of(brain)
    inside = brain.get_fdata() > 0
    csf, grey, white = (tissue.get_fdata() for tissue in template_tissues(3))
    noise = np.random.default_rng(1).normal(scale=0.02, size=grid.shape)
    scans = {
        "FLAIR": (0.4 * csf + 1.15 * grey + white + noise) * inside,
        "T1w": (0.35 * csf + 0.7 * grey + white + noise) * inside,
    }
    return grid, inside, white > 0.95, scans


def field_of(grid, inside, values):
    brain = grid.image(inside.astype(np.uint8))
    return bias_field(grid.image(values.astype(np.float32)), brain, SAME_SPACE)


@pytest.mark.parametrize(("contrast", "level"), [("FLAIR", 1.6), ("T1w", 0.5)])
@pytest.mark.parametrize(
    "millilitres", [pytest.param(5, marks=SLOW), pytest.param(50, marks=SLOW), 100]
)
def test_a_lesion_keeps_its_contrast(template_head, contrast, level, millilitres):
    grid, inside, white, scans = template_head
    position = nib.affines.apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    radius_mm = (millilitres * 1000 * 3 / 4 / np.pi) ** (1 / 3)
    lesion = (np.linalg.norm(position - (30, -10, 25), axis=-1) < radius_mm) & inside
    share = gaussian_filter(lesion.astype(float), 0.7)
    healthy = field_of(grid, inside, scans[contrast])
    ill = field_of(grid, inside, scans[contrast] * (1 - share) + level * share)
    change = ill / healthy
    assert np.median(change[lesion]) == pytest.approx(np.median(change[white & ~lesion]), rel=0.03)


@pytest.mark.slow
def test_a_dark_lesion_is_not_taken_for_dim_grey_matter(template_head):
    """Tissues lie elsewhere than in the template, as in every person; the lesion is half a lobe."""
    grid, inside, _, _ = template_head
    random = np.random.default_rng(3)
    folded = np.stack([gaussian_filter(random.normal(size=grid.shape), 4) for _ in range(3)])
    places = np.indices(grid.shape) + 2.5 / folded.std() * folded
    csf, grey, white = (
        map_coordinates(tissue.get_fdata(), places, order=1) for tissue in template_tissues(3)
    )
    noise = np.random.default_rng(1).normal(scale=0.06, size=grid.shape)
    healthy = (0.35 * csf + 0.7 * grey + white + noise) * inside
    position = nib.affines.apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    middle = position[inside].mean(axis=0) + np.array([-35, -15, 15])
    lesion = np.linalg.norm((position - middle) / (0.85, 1.25, 0.95), axis=-1) < 36
    lesion &= inside
    texture = gaussian_filter(np.random.default_rng(0).normal(size=grid.shape), 1)
    share = gaussian_filter(lesion.astype(float), 0.7)
    ill = healthy * (1 - share) + 0.6 * (1 + 0.1 * texture) * share
    change = field_of(grid, inside, ill) / field_of(grid, inside, healthy)
    around = (white > 0.95) & ~lesion
    assert np.median(change[around]) / np.median(change[lesion]) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("contrast", ["FLAIR", "T1w"])
@pytest.mark.parametrize(
    "direction",
    [pytest.param((1, 0, 0), marks=SLOW), pytest.param((0, 1, 0), marks=SLOW), (0, 0.6, 0.8)],
)
def test_a_field_that_is_put_into_a_scan_comes_out_again(template_head, contrast, direction):
    grid, inside, _, scans = template_head
    position = nib.affines.apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    along = position @ np.array(direction) / 80
    known = np.exp(0.2 * along + 0.1 * np.cos(np.pi * along))
    before = field_of(grid, inside, scans[contrast])
    after = field_of(grid, inside, scans[contrast] * known)
    found, put_in = np.log(after / before)[inside], np.log(known)[inside]
    assert np.corrcoef(found, put_in)[0, 1] > 0.97
    assert np.std(found - put_in) < 0.3 * np.std(put_in)


def test_air_around_the_head_does_not_change_the_field(template_head):
    grid, inside, _, scans = template_head
    margin = ((5, 2), (0, 7), (3, 3))
    affine = grid.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ [before for before, _ in margin]
    padded = Grid(tuple(np.add(grid.shape, np.sum(margin, axis=1))), affine)
    alone = field_of(grid, inside, scans["FLAIR"])
    with_air = field_of(padded, np.pad(inside, margin), np.pad(scans["FLAIR"], margin))
    within = with_air[tuple(slice(b, b + n) for (b, _), n in zip(margin, grid.shape, strict=True))]
    np.testing.assert_allclose(within[inside], alone[inside], rtol=0.02)


@pytest.mark.slow
def test_intensities_of_any_scale_have_one_field(template_head):
    grid, inside, _, scans = template_head
    small, large = (field_of(grid, inside, factor * scans["T1w"]) for factor in (1e-3, 1e4))
    np.testing.assert_allclose(small[inside], large[inside], rtol=1e-3)


def test_an_empty_scan_has_no_field(template_head):
    """What is wrong with it is said where its white matter is measured."""
    grid, inside, _, _ = template_head
    np.testing.assert_array_equal(field_of(grid, inside, np.zeros(grid.shape)), 1)
