import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.exceptions import MissingInputError
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.training.lesions import known_lesions
from bids_anomaly.training.people import load_people

# Where the scan of the fixture lies relative to the model grid, see conftest.py; RAS+.
SHIFT = np.array([-10.0, 0, 0])


@pytest.fixture
def flair(preprocessed):
    return load_people(preprocessed, modality="FLAIR", participants={"sub-P1"})[0]


@pytest.fixture
def write_mask(tmp_path, flair):
    """Give a function that writes a mask of one voxel of 2.5 mm at a place in mm of the scan."""

    def write(name, place):
        affine = np.diag([-2.5, 2.5, 2.5, 1.0])
        affine[:3, 3] = [80, -120, -80]
        values = np.zeros((64, 80, 64), np.uint8)
        voxel = np.rint(nib.affines.apply_affine(np.linalg.inv(affine), place)).astype(int)
        values[tuple(slice(v - 1, v + 2) for v in voxel)] = 7
        path = tmp_path / "sub-P1" / "anat" / f"{name}_mask.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.Nifti1Image(values, affine).to_filename(path)
        return tmp_path

    return write


def test_a_mask_of_the_scan_is_brought_to_the_model_grid_with_a_margin(
    preprocessed, flair, write_mask
):
    place = np.array([20.0, 10.0, 30.0])
    masks = write_mask("sub-P1_space-FLAIR_label-WMH", place)
    left_out = known_lesions(flair, preprocessed, masks)
    voxels = np.argwhere(left_out)
    in_model = nib.affines.apply_affine(Grid.of(flair.scan).affine, voxels.mean(axis=0))
    np.testing.assert_allclose(in_model - place, -SHIFT, atol=3)
    # A lesion of 7.5 mm and two voxels of 5 mm on each side.
    extent = np.ptp(voxels, axis=0) + 1
    assert ((extent >= 6) & (extent <= 7)).all()


def test_all_masks_of_the_scan_count_and_those_of_other_spaces_do_not(
    preprocessed, flair, write_mask
):
    write_mask("sub-P1_label-lesion", [20.0, 10.0, 30.0])
    one = known_lesions(flair, preprocessed, write_mask("sub-P1_space-T1w_label-a", [-20, 10, 30]))
    two = known_lesions(flair, preprocessed, write_mask("sub-P1_label-stroke", [-20, 10, 30]))
    assert two.sum() == 2 * one.sum() > 0


def test_a_person_without_lesions_needs_an_empty_mask(preprocessed, flair, write_mask, tmp_path):
    with pytest.raises(MissingInputError, match="empty if the person has no lesions"):
        known_lesions(flair, preprocessed, tmp_path)
    masks = write_mask("sub-P1_label-lesion", [20.0, 10.0, 30.0])
    path = next(masks.rglob("*_mask.nii.gz"))
    image = nib.load(path)
    nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine).to_filename(path)
    assert not known_lesions(flair, preprocessed, masks).any()


def test_without_the_transform_the_error_says_how_to_get_it(
    preprocessed, flair, write_mask, tmp_path
):
    masks = write_mask("sub-P1_label-lesion", [20.0, 10.0, 30.0])
    with pytest.raises(MissingInputError, match="--stage preprocess again"):
        known_lesions(flair, tmp_path, masks)
