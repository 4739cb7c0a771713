"""Segmentations in a grid of FreeSurfer give the brains of scans, or are refused."""

import gzip
import os

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.exceptions import BadScanError, BrainExtractionError, MissingInputError
from bids_anomaly.preprocessing.brain import had_no_skull, is_exact
from bids_anomaly.preprocessing.segmentation import load_mgh, segmented_mask
from bids_anomaly.preprocessing.template import Grid

# An oblique scan, and FreeSurfer's order of axes (left, inferior, anterior) with other voxels.
TILT = np.deg2rad(10)
SCAN_GRID = Grid(
    (70, 76, 64),
    np.array(
        [
            [3, 0, 0, -104.0],
            [0, 3 * np.cos(TILT), -3 * np.sin(TILT), -95.0],
            [0, 3 * np.sin(TILT), 3 * np.cos(TILT), -120.0],
            [0, 0, 0, 1],
        ]
    ),
)
CONFORMED = Grid(
    (96, 96, 96), np.array([[-2.5, 0, 0, 122], [0, 0, 2.5, -118], [0, -2.5, 0, 116], [0, 0, 0, 1]])
)
FREESURFER = "FreeSurfer 7.4.1 (mri/aseg.mgz)"


def positions(grid):
    return nib.affines.apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))


def distance(grid, centre=(0.0, 0.0, 0.0)):
    """1 at the surface of the brain."""
    return np.linalg.norm((positions(grid) - centre) / (68, 84, 62), axis=-1)


def head(grid):
    """A head with a textured brain, skull and scalp."""
    x, y, z = np.moveaxis(positions(grid), -1, 0)
    texture = 1 + 0.4 * np.sin(x / 4) * np.cos(y / 5) * np.sin(z / 4)
    far = distance(grid)
    values = np.where(far < 1, 500 * texture, np.where(far < 1.1, 60, 700))
    return grid.image(np.where(far < 1.2, values, 5).astype(np.float32))


def labels(grid, centre=(0.0, 0.0, 0.0)):
    """A map of two halves, with a hole and a gap between gyri of 6 mm."""
    x, y, z = np.moveaxis(positions(grid), -1, 0)
    brain = distance(grid, centre) < 1
    brain &= np.linalg.norm(positions(grid) - (20, 0, 10), axis=-1) > 8
    brain &= ~((np.abs(y) < 3) & (z > 40))
    return grid.image((brain * np.where(x < 0, 2, 41)).astype(np.int16))


def as_mgh(image, path):
    values = np.asanyarray(image.dataobj)
    nib.MGHImage(values, image.affine).to_filename(path)
    return path


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.fixture(scope="module")
def scan():
    return head(SCAN_GRID)


@pytest.mark.parametrize("picture", [head(CONFORMED), None], ids=["with picture", "without"])
def test_the_brain_reaches_the_scan_by_the_affines_with_gaps_and_holes_filled(
    scan, picture, tmp_path
):
    segmentation = load_mgh(as_mgh(labels(CONFORMED), tmp_path / "aseg.mgz"))
    found = segmented_mask(scan, segmentation, picture, above=0, pipeline=FREESURFER)
    brain = np.asanyarray(found.mask.dataobj)
    assert brain.dtype == np.uint8
    assert found.mask.shape == scan.shape
    np.testing.assert_array_equal(found.mask.affine, scan.affine)
    assert dice(brain > 0, distance(SCAN_GRID) < 1) > 0.98
    without_label = np.asanyarray(labels(SCAN_GRID).dataobj) == 0
    assert brain[without_label & (distance(SCAN_GRID) < 0.94)].all()
    assert found.method == f"brain mask from {FREESURFER}"
    assert is_exact(found.method)
    assert not had_no_skull(found.method)


def test_what_a_person_has_erased_from_the_stripped_image_is_not_brain(scan):
    values = head(CONFORMED).get_fdata() * (distance(CONFORMED) < 1)
    values[(distance(CONFORMED) >= 1) & (distance(CONFORMED) < 1.15)] = 1
    stripped = CONFORMED.image(values.astype(np.uint8))
    found = segmented_mask(scan, stripped, None, above=1, pipeline="FreeSurfer (mri/brainmask.mgz)")
    assert dice(np.asanyarray(found.mask.dataobj) > 0, distance(SCAN_GRID) < 1) > 0.98


def test_a_scan_without_skull_is_noticed():
    x = np.where(distance(SCAN_GRID) < 1, head(SCAN_GRID).get_fdata(), 0).astype(np.float32)
    found = segmented_mask(
        SCAN_GRID.image(x), labels(CONFORMED), None, above=0, pipeline=FREESURFER
    )
    assert had_no_skull(found.method)


def test_a_segmentation_of_another_field_of_view_is_refused(scan):
    elsewhere = Grid(CONFORMED.shape, CONFORMED.affine + np.eye(4)[:, 3:] @ [[0, 0, 0, 0]])
    elsewhere.affine[2, 3] += 70
    moved = elsewhere.image(np.asanyarray(labels(CONFORMED).dataobj))
    with pytest.raises(BrainExtractionError, match=r"does not lie over .*beyond the field of view"):
        segmented_mask(scan, moved, None, above=0, pipeline=FREESURFER)


def test_a_segmentation_that_lies_beside_the_brain_or_is_of_another_head_is_refused(scan):
    """It is within the field of view, and only the picture tells."""
    aside = Grid(CONFORMED.shape, CONFORMED.affine.copy())
    aside.affine[0, 3] += 8
    moved, picture = (
        aside.image(np.asanyarray(image.dataobj)) for image in (labels(CONFORMED), head(CONFORMED))
    )
    with pytest.raises(
        BrainExtractionError, match=r"correlate with those of the scan by -?0\.\d\d, where"
    ):
        segmented_mask(scan, moved, picture, above=0, pipeline=FREESURFER)
    flat = CONFORMED.image(np.full(CONFORMED.shape, 7, np.uint8))
    with pytest.raises(BrainExtractionError, match=r"by 0\.00.*leave --fs-subjects-dir out"):
        segmented_mask(scan, labels(CONFORMED), flat, above=0, pipeline=FREESURFER)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_what_cannot_be_a_brain_is_refused(scan, share):
    few = CONFORMED.image((distance(CONFORMED) < share).astype(np.uint8))
    with pytest.raises(BrainExtractionError, match=r"aseg\.mgz\) has 0\.0\d litres"):
        segmented_mask(scan, few, None, above=0, pipeline=FREESURFER)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = as_mgh(labels(CONFORMED), tmp_path / "aseg.mgz")
    with gzip.open(path) as file:
        content = file.read()
    for name, damaged in {
        "text.mgz": b"no image",
        "short.mgz": gzip.compress(content[: len(content) // 2]),
        "cut.mgz": path.read_bytes()[:-2000],
        "empty.mgz": b"",
    }.items():
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(BadScanError, match=rf"{name} is damaged.*--fs-subjects-dir") as error:
            load_mgh(tmp_path / name)
        assert error.value.exit_code == 65
    nib.save(labels(CONFORMED), tmp_path / "nifti.nii.gz")
    four = nib.MGHImage(np.zeros((4, 5, 6, 3), np.float32), np.eye(4))
    four.to_filename(tmp_path / "4d.mgz")
    for name in ("nifti.nii.gz", "4d.mgz"):
        with pytest.raises(BadScanError, match=rf"{name} is not one 3-D image of FreeSurfer"):
            load_mgh(tmp_path / name)


def test_a_file_that_is_not_here_is_named(tmp_path):
    with pytest.raises(MissingInputError, match=r"absent\.mgz cannot be opened"):
        load_mgh(tmp_path / "absent.mgz")
    link = tmp_path / "aseg.mgz"
    os.symlink(tmp_path / ".git/annex/objects/x/y/z", link)
    with pytest.raises(MissingInputError, match="datalad get"):
        load_mgh(link)
