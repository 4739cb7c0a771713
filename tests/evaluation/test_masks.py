"""What a mask calls lesion, whatever it holds at its edges."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bids_anomaly.evaluation.masks import read_mask
from bids_anomaly.exceptions import BadScanError

SHAPE = (24, 26, 22)
DISTANCE = np.linalg.norm(np.moveaxis(np.indices(SHAPE), 0, -1) - (10, 12, 11), axis=-1)
BALL = DISTANCE < 6
TWO = BALL | (np.linalg.norm(np.moveaxis(np.indices(SHAPE), 0, -1) - (20, 22, 18), axis=-1) < 3)


def lesion(path, values, slope=None):
    image = nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1]))
    if slope:
        image.header.set_slope_inter(slope, 0)
    image.to_filename(path)
    return np.asanyarray(read_mask(path).dataobj) > 0


@settings(max_examples=30)
@given(
    sigma=st.floats(0.5, 1.0),
    top=st.sampled_from([0.3, 1.0, 255.0, 1000.0]),
    kind=st.sampled_from(["f4", "f8", "i2", "u1"]),
)
def test_of_a_mask_with_soft_edges_what_is_above_half_of_its_maximum_counts(
    sigma, top, kind, tmp_path_factory
):
    soft = ndimage.gaussian_filter(BALL.astype(float), sigma)
    values = soft * (top if kind[0] == "f" else 250)
    path = tmp_path_factory.mktemp("mask") / "sub-01_label-lesion_mask.nii"
    found = lesion(path, np.round(values).astype(kind) if kind[0] != "f" else values.astype(kind))
    assert 0.85 * BALL.sum() < found.sum() < 1.1 * BALL.sum()


def test_ringing_around_a_lesion_is_none(tmp_path):
    moved = ndimage.shift(BALL.astype(np.float32), (0.4, 0.3, 0.5), order=3)
    assert moved.min() < 0
    found = lesion(tmp_path / "sub-01_mask.nii", moved)
    assert 0.85 * BALL.sum() < found.sum() < 1.1 * BALL.sum()


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
@pytest.mark.parametrize("value", [1, 2, 255])
def test_a_mask_of_one_value_counts_wholly(value, dtype, tmp_path):
    values = (BALL * value).astype(dtype)
    np.testing.assert_array_equal(lesion(tmp_path / "sub-01_mask.nii", values), BALL)


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1), (1, 57), (4, 1)])
def test_numbered_lesions_count_wholly(numbers, tmp_path):
    labels, _ = ndimage.label(TWO)
    values = np.choose(labels, [0, *numbers]).astype(np.int16)
    np.testing.assert_array_equal(lesion(tmp_path / "sub-01_mask.nii", values), TWO)


def test_an_image_that_is_no_mask_is_refused(tmp_path):
    path = tmp_path / "sub-01_mask.nii"
    with pytest.raises(BadScanError, match="of its image lesion"):
        lesion(path, np.where(BALL, 0, 1).astype(np.uint8))
