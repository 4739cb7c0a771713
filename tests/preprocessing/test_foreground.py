"""Scans whose intensities were centred are told from those with noise and ripples around 0."""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.preprocessing.foreground import has_negative_tissue
from bids_anomaly.preprocessing.reorient import reorient

SHAPE = (48, 56, 48)
RADIUS = np.linalg.norm(np.moveaxis(np.indices(SHAPE), 0, -1) - np.array(SHAPE) / 2, axis=-1)


@pytest.fixture(scope="module")
def tissues():
    """A fluid core in white and grey matter."""
    random = np.random.default_rng(0)
    return np.select([RADIUS < 6, RADIUS < 14, RADIUS < 18], [150, 700, 500], 0) + np.where(
        RADIUS < 18, random.normal(0, 20, SHAPE), 0
    )


@pytest.fixture(scope="module")
def head(tissues):
    """The same in dark bone and a bright scalp, in noisy air."""
    air = np.abs(np.random.default_rng(1).normal(0, 15, SHAPE))
    return np.select([RADIUS < 18, RADIUS < 19.5, RADIUS < 22], [tissues, 40, 800], 0) + air


def centred(values, where):
    return (values - values[where].mean()) / values[where].std()


def test_z_scores_within_a_mask_are_negative_tissue(tissues):
    inside = tissues > 0
    assert has_negative_tissue(np.where(inside, centred(tissues, inside), 0))
    assert has_negative_tissue(np.where(inside, tissues - tissues[inside].mean(), 0))


def test_z_scores_of_a_whole_image_are_negative_tissue(head):
    assert has_negative_tissue(centred(head, head > 100))
    assert has_negative_tissue(centred(head, np.ones(SHAPE, bool)))


@pytest.mark.parametrize("background", [0, -1, -1024, -32768, 1000])
def test_a_background_of_any_value_is_no_tissue(tissues, background):
    assert not has_negative_tissue(np.where(tissues > 0, tissues, background))


def test_noise_and_ripples_around_zero_are_no_tissue(tissues, head):
    noise = np.random.default_rng(2).normal(0, 1, SHAPE)
    for scan in (tissues, head):
        for level in (10, 50, 100):
            assert not has_negative_tissue(scan + level * noise)
        for order in (3, 5):
            moved = ndimage.shift(scan, (0.4, 0.5, 0.45), order=order)
            assert moved.min() < 0
            assert not has_negative_tissue(moved)


def test_a_centred_scan_is_refused_by_name_and_told_what_to_give(tissues, tmp_path):
    path = tmp_path / "sub-01_T1w.nii.gz"
    values = np.where(tissues > 0, centred(tissues, tissues > 0), 0).astype(np.float32)
    nib.Nifti1Image(values, np.eye(4)).to_filename(path)
    with pytest.raises(BadScanError, match=r"sub-01_T1w\.nii\.gz .*negative.* not centred"):
        reorient(path)
