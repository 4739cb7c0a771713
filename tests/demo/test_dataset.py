import itertools
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.demo.anatomy import template_anatomy
from bids_anomaly.demo.dataset import write_demo_dataset
from bids_anomaly.demo.person import Person
from bids_anomaly.demo.subject import BRAIN_VOXELS, FIELD_OF_VIEW, synthesise_subject
from bids_anomaly.exceptions import CannotWriteError
from bids_anomaly.preprocessing.brain import extract_brain, strip_mask
from bids_anomaly.preprocessing.registration import masked, register_linear
from bids_anomaly.preprocessing.reorient import reorient
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid, template_brain
from bids_anomaly.preprocessing.transforms import Chain

VALIDATOR = Path(sys.executable).with_name("bids-validator-deno")
FIELD_BOX = FIELD_OF_VIEW.affine[:3, 3] + 2 * np.array([[0, 0, 0], FIELD_OF_VIEW.shape])
BRAIN_BOX = FIELD_OF_VIEW.affine[:3, 3] + 2 * np.array(
    [[side.start for side in BRAIN_VOXELS], [side.stop for side in BRAIN_VOXELS]]
)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return write_demo_dataset(tmp_path_factory.mktemp("demo") / "dataset", seed=0)


@pytest.fixture(scope="module")
def dataset(truth):
    return truth.healthy_scan.parents[2]


def values(path):
    return reorient(path).get_fdata(dtype=np.float32)


def dice(one, other):
    return 2 * np.sum(one & other) / (one.sum() + other.sum())


def people(truth):
    return [
        (truth.healthy_scan, truth.healthy_brain),
        (truth.stroke_scan, truth.stroke_brain),
    ]


@pytest.mark.parametrize("part", [".", "derivatives/truth"])
def test_the_dataset_and_its_truth_are_valid_bids(dataset, part):
    result = subprocess.run([VALIDATOR, dataset / part], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_headers_are_those_of_a_sagittal_scan_in_scanner_space(truth):
    for path in (truth.healthy_scan, truth.stroke_scan, truth.lesion):
        image = nib.load(path)
        assert nib.aff2axcodes(image.affine) == ("P", "S", "R")
        np.testing.assert_allclose(image.get_sform(), image.get_qform(), atol=1e-4)
        np.testing.assert_allclose(image.header.get_zooms(), 2)
    assert nib.load(truth.healthy_scan).get_data_dtype() == np.int16


@pytest.mark.slow
def test_the_same_seed_gives_the_same_scan(truth):
    # The way in which the dataset draws its healthy person.
    again = synthesise_subject(stroke_ml=0, random=np.random.default_rng([0, 0]))
    np.testing.assert_array_equal(again.scan, values(truth.healthy_scan))


def test_another_seed_gives_another_person():
    box = np.array([[-90.0] * 3, [90.0] * 3])
    axes = tuple(np.meshgrid(*[np.arange(-60.0, 60, 10)] * 3, indexing="ij", sparse=True))
    one, other = (
        np.stack(Person.draw(box, np.random.default_rng([seed, 0])).place_in_template(axes))
        for seed in (0, 1)
    )
    assert np.linalg.norm(one - other, axis=0).mean() > 2


def test_heads_of_many_seeds_lie_in_the_field_of_view():
    axes = tuple(
        np.meshgrid(*[np.arange(*side, 6.0) for side in FIELD_BOX.T], indexing="ij", sparse=True)
    )
    for seed in itertools.product(range(15), (0, 1)):
        person = Person.draw(FIELD_BOX, np.random.default_rng(seed))
        cranium = template_anatomy().cranium_depth.at(person.place_in_template(axes)) > 0
        for axis, (low, high) in enumerate(BRAIN_BOX.T):
            found = np.ravel(axes[axis])[cranium.any(axis=tuple({0, 1, 2} - {axis}))]
            assert low < found.min() < found.max() < high


@pytest.mark.slow
def test_the_two_brains_align_to_the_template_and_are_not_it(truth, tmp_path):
    template = template_brain(2)
    reference = template.get_fdata(dtype=np.float32)
    inside = reference > 0.2
    aligned = []
    for index, (scan, brain) in enumerate(people(truth)):
        moving = masked(reorient(scan), reorient(brain))
        folder = tmp_path / str(index)
        folder.mkdir()
        affine = register_linear(moving, template, kind="Affine", seed=1, folder=folder)
        aligned.append(
            resample(moving, Grid.of(template), Chain.of(affine)).get_fdata(dtype=np.float32)
        )
        assert dice(aligned[-1] > 50, inside) > 0.95
    for one, other in ((*aligned,), (aligned[0], reference), (aligned[1], reference)):
        assert 0.4 < np.corrcoef(one[inside], other[inside])[0, 1] < 0.85


@pytest.mark.slow
def test_brain_extraction_finds_the_brain_in_the_head(truth):
    for scan, brain in people(truth):
        head = reorient(scan)
        assert strip_mask(head) is None
        found = np.asanyarray(extract_brain(head, use_gpu=False).dataobj) > 0
        assert dice(found, values(brain) > 0) >= 0.95


def test_the_stroke_lies_left_and_is_darker_than_its_mirrored_place(truth):
    lesion = reorient(truth.lesion)
    inside = lesion.get_fdata() > 0
    places = nib.affines.apply_affine(lesion.affine, np.argwhere(inside))
    assert places[:, 0].max() < 0
    np.testing.assert_allclose(places.mean(axis=0), truth.lesion_centre, atol=1e-3)

    scan = values(truth.stroke_scan)
    brain = values(truth.stroke_brain) > 0
    # Mirrored at the middle of the brain, whose axis is the first one in RAS+.
    first, last = np.flatnonzero(brain.any(axis=(1, 2)))[[0, -1]]
    voxels = np.argwhere(inside)
    voxels[:, 0] = first + last - voxels[:, 0]
    assert scan[inside].mean() < 0.6 * scan[tuple(voxels.T)].mean()
    assert np.all(brain[inside])


def test_the_stroke_has_the_volume_that_the_truth_states(truth):
    voxels = np.count_nonzero(values(truth.lesion))
    assert voxels * 8 / 1000 == pytest.approx(truth.lesion_ml)
    assert 10 < truth.lesion_ml < 20


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CannotWriteError, match="something other"):
        write_demo_dataset(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
