import importlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.preprocessing.registration import Warp
from bids_anomaly.preprocessing.template import MODEL_GRID_2MM


@pytest.fixture(scope="module")
def registration():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        return importlib.import_module("registration")


@pytest.fixture
def shift(tmp_path):
    """Give a function that writes a displacement by a constant vector (mm, LPS+)."""

    def write(vector):
        field = np.broadcast_to(np.float32(vector), (*MODEL_GRID_2MM.shape, 1, 3))
        image = nib.Nifti1Image(field, MODEL_GRID_2MM.affine)
        image.header.set_intent("vector")
        path = tmp_path / f"{'_'.join(map(str, vector))}.nii.gz"
        image.to_filename(path)
        return Warp(path, path)

    return write


@pytest.fixture
def lesion():
    lesion = np.zeros(MODEL_GRID_2MM.shape, bool)
    lesion[20:30, 40:50, 40:50] = True
    return lesion


def lesioned(registration, lesion, push_voxels=(0, 0, 0)):
    push = np.broadcast_to(np.reshape(push_voxels, (3, 1, 1, 1)), (3, *lesion.shape))
    return registration.Lesioned(lesion.astype(float), lesion, push.astype(float))


def test_the_error_is_the_distance_to_the_reference_in_mm(registration, shift, lesion):
    zones = registration.zones_around(lesion, 2.0)
    errors = registration.displacement_errors(
        [shift((0, 0, 0)), shift((0, 0, 0)), shift((3, 0, 4))],
        lesioned(registration, lesion),
        zones,
        MODEL_GRID_2MM,
    )
    for (measure, _), values in errors.items():
        assert values == pytest.approx([0, 0, 5], abs=1e-4), measure


def test_the_reference_moves_along_with_the_tissue(registration, shift, lesion):
    # The mass pushes everything by one voxel along RAS+ x, which is -2 mm along LPS+.
    errors = registration.displacement_errors(
        [shift((0, 0, 0)), shift((0, 0, 0)), shift((-2, 0, 0))],
        lesioned(registration, lesion, push_voxels=(1, 0, 0)),
        registration.zones_around(lesion, 2.0),
        MODEL_GRID_2MM,
    )
    for values in errors.values():
        assert values == pytest.approx([0, 2, 0], abs=1e-4)


def test_zones_part_the_volume_by_distance(registration, lesion):
    inside, near, beyond = registration.zones_around(lesion, 2.0).values()
    assert (inside == lesion).all()
    assert (inside.astype(int) + near + beyond == 1).all()
    assert near[39, 45, 45]
    assert beyond[40, 45, 45]
