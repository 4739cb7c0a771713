import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bids_anomaly.preprocessing.template import MODEL_GRID_2MM, Grid
from bids_anomaly.preprocessing.transforms import SAME_SPACE
from bids_anomaly.scoring.lesions import describe_lesions, label_lesions, side_of

TOUCHING = np.ones((3, 3, 3))


@st.composite
def masks(draw, shape=(9, 10, 8)):
    share = draw(st.sampled_from([0.02, 0.1, 0.3]))
    return np.random.default_rng(draw(st.integers(0, 2**31))).random(shape) < share


def describe(mask, *, z=None, probability=None, grid=MODEL_GRID_2MM):
    """Describe lesions of a mask that lies in the space of the template."""
    return describe_lesions(
        label_lesions(mask),
        z=mask * 4.0 if z is None else z,
        probability=mask * 0.9 if probability is None else probability,
        grid=grid,
        template_from_scan=SAME_SPACE,
    )


def ball(centre_mm, radius_mm, grid=MODEL_GRID_2MM):
    """Return the voxels within a distance of a place."""
    at = np.moveaxis(np.indices(grid.shape), 0, -1) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    return np.linalg.norm(at - centre_mm, axis=-1) <= radius_mm


@given(masks())
def test_lesions_are_the_connected_components_of_the_mask(mask):
    labels = label_lesions(mask)
    np.testing.assert_array_equal(labels > 0, mask)
    _, count = ndimage.label(mask, structure=TOUCHING)
    assert labels.max() == count
    for index in range(1, count + 1):
        _, pieces = ndimage.label(labels == index, structure=TOUCHING)
        assert pieces == 1


@given(masks())
def test_the_largest_lesion_is_the_first(mask):
    sizes = np.bincount(label_lesions(mask).ravel())[1:]
    assert (np.diff(sizes) <= 0).all()


@given(masks(), st.integers(0, 2))
def test_mirroring_a_mask_keeps_number_and_sizes_of_lesions(mask, axis):
    sizes = np.bincount(label_lesions(mask).ravel())[1:]
    mirrored = np.bincount(label_lesions(np.flip(mask, axis)).ravel())[1:]
    np.testing.assert_array_equal(sizes, mirrored)


def test_without_an_anomaly_there_is_no_lesion():
    empty = np.zeros(MODEL_GRID_2MM.shape, bool)
    assert not label_lesions(empty).any()
    assert describe(empty) == []


@settings(max_examples=15)
@given(x=st.floats(12, 45), y=st.floats(-60, 30), z=st.floats(0, 40), radius=st.floats(4, 10))
def test_mirroring_a_person_swaps_the_sides_and_nothing_else(x, y, z, radius):
    mask = ball((x, y, z), radius)
    (right,) = describe(mask)
    # Flipping the first axis of the model grid mirrors the brain at the midline.
    (left,) = describe(mask[::-1])
    assert (right.side, left.side) == ("right", "left")
    assert left.volume == right.volume
    np.testing.assert_allclose(np.multiply(left.centroid, (-1, 1, 1)), right.centroid, atol=1e-6)


@settings(max_examples=15)
@given(st.tuples(st.floats(-40, 40), st.floats(-70, 40), st.floats(-20, 50)))
def test_a_centroid_is_where_the_lesion_is(centre):
    (lesion,) = describe(ball(centre, 7.0))
    np.testing.assert_allclose(lesion.centroid, centre, atol=1.0)


def test_volume_and_scores_are_those_of_the_voxels_of_the_lesion():
    grid = Grid.isotropic((30, 30, 30), (-40.0, -20.0, -20.0), 1.5)
    mask = np.zeros(grid.shape, bool)
    mask[5:9, 10:14, 10:14] = True
    mask[20, 20, 20] = True
    z, probability = np.full(grid.shape, 99.0), np.full(grid.shape, 0.1)
    z[mask], probability[mask] = 3.0, 0.6
    z[6, 11, 11], probability[6, 11, 11] = 7.0, 0.99
    large, small = describe(mask, z=z, probability=probability, grid=grid)
    assert (large.index, small.index) == (1, 2)
    assert large.volume == pytest.approx(64 * 1.5**3)
    assert small.volume == pytest.approx(1.5**3)
    assert (large.z_peak, small.z_peak) == (7.0, 3.0)
    assert large.z_mean == pytest.approx((63 * 3 + 7) / 64)
    assert (large.confidence, small.confidence) == (0.99, 0.6)


@pytest.mark.parametrize(
    ("place", "region"),
    [
        ((-26, 2, 0), "Putamen_L"),
        ((26, 2, 0), "Putamen_R"),
        ((0, -28, -36), "BrainStem"),
    ],
)
def test_a_lesion_has_the_name_of_the_place_it_is_in(place, region):
    (lesion,) = describe(ball(place, 4.0))
    assert lesion.region == region


@pytest.mark.parametrize(
    ("place", "radius", "location"),
    [
        ((-26, 2, 0), 4.0, "other"),  # putamen
        ((20, -60, -36), 4.0, "infratentorial"),
        ((0, -28, -36), 4.0, "infratentorial"),
        ((-40, -22, 56), 4.0, "juxtacortical"),
        ((-15, -9, 30), 6.0, "periventricular"),
        ((0, 24, 6), 4.0, "periventricular"),  # corpus callosum
        ((-28, -20, 30), 2.0, "deep white matter"),
    ],
)
def test_a_lesion_has_the_location_of_the_criteria(place, radius, location):
    (lesion,) = describe(ball(place, radius))
    assert lesion.location == location


def test_a_lesion_that_grows_until_it_touches_a_ventricle_becomes_periventricular():
    at = (-28, -20, 30)
    (deep,), (large,) = (describe(ball(at, radius)) for radius in (2.0, 9.0))
    assert deep.region == large.region
    assert (deep.location, large.location) == ("deep white matter", "periventricular")


def test_a_lesion_outside_every_region_has_the_name_of_the_nearest():
    (above_the_head,) = describe(ball((-35, -22, 78), 3.0))
    assert above_the_head.region.endswith("_L")
    assert above_the_head.side == "left"


def test_a_lesion_across_the_midline_is_on_both_sides():
    assert side_of(np.array([-1.0, 1.0])) == "both"
    assert side_of(np.array([-3.0, -2.0, -1.0, 1.0])) == "left"
    assert side_of(np.array([3.0, 2.0, 1.0, -1.0])) == "right"
