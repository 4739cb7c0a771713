import ants
import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_anomaly.preprocessing.labels import resample_labels
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import Chain

GRID = Grid.isotropic((14, 16, 12), (-15.0, 4.0, -9.0), 2.0)
FINE = Grid.isotropic((27, 31, 23), (-15.0, 4.0, -9.0), 1.0)


@pytest.fixture
def blobs():
    """Return random labels in blocks of three voxels, with a margin of zeros."""
    blocks = np.random.default_rng(0).choice([0, 4, 23, 207], size=(4, 4, 3))
    labels = np.pad(blocks.repeat(3, 0).repeat(3, 1).repeat(3, 2), ((1, 1), (2, 2), (1, 2)))
    return GRID.image(labels.astype(np.int16))


@pytest.fixture
def shear(tmp_path):
    matrix = np.eye(3) + 0.1 * np.random.default_rng(1).normal(size=(3, 3))
    transform = ants.create_ants_transform(
        transform_type="AffineTransform", matrix=matrix, translation=(1, -2, 0.5), center=(0, 0, 0)
    )
    ants.write_transform(transform, str(tmp_path / "shear.mat"))
    return tmp_path / "shear.mat"


def labels_of(image):
    return np.asanyarray(image.dataobj)


def test_onto_its_own_grid_a_label_map_stays_as_it_is(blobs):
    same = resample_labels(blobs, GRID)
    np.testing.assert_array_equal(labels_of(same), labels_of(blobs))
    np.testing.assert_array_equal(same.affine, blobs.affine)
    assert same.get_data_dtype() == np.int16


@pytest.mark.parametrize("share", [0.0, 0.02, 1.0])
def test_where_nothing_is_asked_for_there_is_nothing_and_elsewhere_the_same(blobs, shear, share):
    within = np.zeros(FINE.shape, bool)
    within[4:19, 8:25, 3:14] = np.random.default_rng(2).random((15, 17, 11)) < share
    whole = labels_of(resample_labels(blobs, FINE, Chain.of(shear)))
    found = labels_of(resample_labels(blobs, FINE, Chain.of(shear), within=within))
    np.testing.assert_array_equal(found, whole * within)


@pytest.mark.parametrize("inverted", [False, True])
def test_the_label_with_the_largest_linear_share_wins(blobs, shear, inverted):
    chain = Chain.of(shear).inverse() if inverted else Chain.of(shear)
    shares = {
        label: resample(
            GRID.image((labels_of(blobs) == label).astype(np.float32)),
            FINE,
            chain,
        ).get_fdata()
        for label in (0, 4, 23, 207)
    }
    stacked = np.stack(list(shares.values()))
    first, second = np.sort(stacked, axis=0)[-1:-3:-1]
    # Ties, and what lies outside the field of view, are left out.
    clear = (first - second > 1e-3) & (stacked.sum(axis=0) > 0.999)
    assert clear.mean() > 0.3
    found = labels_of(resample_labels(blobs, FINE, chain))
    expected = np.array(list(shares))[stacked.argmax(axis=0)]
    np.testing.assert_array_equal(found[clear], expected[clear])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_no_label_comes_up_that_was_not_there(seed):
    random = np.random.default_rng(seed)
    labels = random.choice(random.integers(1, 1000, 3), size=GRID.shape).astype(np.int16)
    shifted = Grid.isotropic(GRID.shape, tuple(random.uniform(-10, 10, 3)), random.uniform(0.5, 4))
    found = labels_of(resample_labels(GRID.image(labels), shifted))
    assert set(np.unique(found)) <= {0, *np.unique(labels)}


def test_outside_the_field_of_view_there_is_no_label():
    full = GRID.image(np.full(GRID.shape, 7, np.int16))
    far = Grid.isotropic((5, 5, 5), (500.0, 0.0, 0.0), 2.0)
    assert not labels_of(resample_labels(full, far)).any()


def test_a_label_map_in_another_orientation_gives_the_same_labels(blobs):
    flipped = nib.as_closest_canonical(blobs)
    turned = flipped.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    found = resample_labels(turned, GRID)
    np.testing.assert_array_equal(labels_of(found), labels_of(blobs))
