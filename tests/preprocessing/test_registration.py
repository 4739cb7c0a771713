import ants
import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from bids_anomaly.preprocessing.composite import write_composite, write_displacement_field
from bids_anomaly.preprocessing.registration import masked, register_linear
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid, template_brain
from bids_anomaly.preprocessing.transforms import Chain, read_matrix

SEED = 3


@pytest.fixture(scope="module")
def brain():
    """The template brain at half its size (to be fast), with a soft dark spot on one side."""
    image = template_brain(4)
    half = Grid(image.shape, np.diag([0.5, 0.5, 0.5, 1]) @ image.affine)
    spot = np.zeros(image.shape, np.float32)
    spot[16, 36, 26] = 1
    spot = gaussian_filter(spot, 3)
    return half.image(image.get_fdata(dtype=np.float32) * (1 - 0.7 * spot / spot.max()))


@pytest.fixture(scope="module")
def pose(tmp_path_factory):
    """How the head lies in the scanner: an ITK file."""
    turned = Rotation.from_euler("xyz", (6, -4, 8), degrees=True).as_matrix()
    transform = ants.create_ants_transform(
        transform_type="AffineTransform", matrix=turned, translation=(5, -4, 6), center=(0, 10, 5)
    )
    path = tmp_path_factory.mktemp("pose") / "pose.mat"
    ants.write_transform(transform, str(path))
    return path


@pytest.fixture(scope="module")
def moved(brain, pose):
    return resample(brain, Grid.of(brain), Chain.of(pose))


@pytest.fixture(scope="module")
def found(brain, moved, tmp_path_factory):
    return register_linear(
        moved, brain, kind="Rigid", seed=SEED, folder=tmp_path_factory.mktemp("found")
    )


def test_a_head_that_lay_askew_is_brought_back_within_a_millimetre(brain, pose, found):
    moved_from_brain = ants.read_transform(str(found))
    brain_from_moved = ants.read_transform(str(pose))
    voxels = np.argwhere(np.asanyarray(brain.dataobj) > 0.1)[::97]
    points = nib.affines.apply_affine(brain.affine, voxels) * (-1, -1, 1)
    errors = [
        np.subtract(brain_from_moved.apply_to_point(moved_from_brain.apply_to_point(p)), p)
        for p in points.tolist()
    ]
    assert np.linalg.norm(errors, axis=1).max() < 1


def test_a_rigid_registration_keeps_sizes(found):
    matrix = read_matrix(found)[:3, :3]
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-4)
    assert np.linalg.det(matrix) > 0


def test_the_same_seed_finds_the_same_transform(brain, moved, found, tmp_path):
    again = register_linear(moved, brain, kind="Rigid", seed=SEED, folder=tmp_path)
    np.testing.assert_array_equal(
        ants.read_transform(str(again)).parameters, ants.read_transform(str(found)).parameters
    )


@pytest.fixture
def warp(brain, tmp_path):
    """A smooth displacement field of a few millimetres, as ANTs writes it."""
    noise = np.random.default_rng(0).normal(size=(*brain.shape, 1, 3))
    field = gaussian_filter(noise, (4, 4, 4, 0, 0))
    image = nib.Nifti1Image((3 * field / np.abs(field).max()).astype(np.float32), brain.affine)
    image.header.set_intent("vector")
    image.to_filename(tmp_path / "warp.nii.gz")
    return tmp_path / "warp.nii.gz"


@pytest.mark.parametrize("inverted", [False, True])
def test_one_composite_file_does_what_the_chain_does(brain, pose, warp, tmp_path, inverted):
    last = Chain.of(pose).inverse() if inverted else Chain.of(pose)
    chain = Chain.of(warp) + last
    path = tmp_path / "composite.h5"
    write_composite(path, chain)
    by_chain = resample(brain, Grid.of(brain), chain).get_fdata()
    by_file = resample(brain, Grid.of(brain), Chain.of(path)).get_fdata()
    assert np.abs(by_chain - brain.get_fdata()).max() > 0.2
    np.testing.assert_allclose(by_file, by_chain, atol=1e-3)


@pytest.mark.parametrize("inverted", [False, True])
def test_one_displacement_field_does_what_the_chain_does(brain, pose, warp, tmp_path, inverted):
    """The members of a chain may be composites, such as those of fMRIPrep."""
    composite, field = tmp_path / "composite.h5", tmp_path / "field.nii.gz"
    write_composite(composite, Chain.of(warp, pose))
    last = Chain.of(pose).inverse() if inverted else Chain.of(pose)
    chain = Chain.of(composite) + last
    write_displacement_field(field, chain, Grid.of(brain))
    by_chain = resample(brain, Grid.of(brain), chain).get_fdata()
    by_field = resample(brain, Grid.of(brain), Chain.of(field)).get_fdata()
    np.testing.assert_allclose(by_field, by_chain, atol=1e-3)


def test_a_transform_without_its_affine_is_the_deformation(brain, pose, warp, tmp_path):
    """So the transforms of another pipeline serve where an affine comes first."""
    composite, field = tmp_path / "composite.h5", tmp_path / "field.nii.gz"
    write_composite(composite, Chain.of(warp, pose))
    chain = Chain.of(composite) + Chain.of(pose).inverse()
    write_displacement_field(field, chain, Grid.of(brain))
    np.testing.assert_allclose(nib.load(field).get_fdata(), nib.load(warp).get_fdata(), atol=1e-4)


def test_a_composite_that_cannot_be_written_is_an_error(pose, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="composite"):
        write_composite(tmp_path / "file" / "composite.h5", Chain.of(pose))


def test_outside_its_mask_a_scan_is_nothing(brain):
    mask = np.zeros(brain.shape, np.uint8)
    mask[10:20] = 1
    inside = masked(brain, Grid.of(brain).image(mask)).get_fdata()
    np.testing.assert_array_equal(inside[10:20], brain.get_fdata()[10:20])
    assert not inside[:10].any()
    assert not inside[20:].any()
