"""Change between two timepoints, on z maps of a phantom whose change is known."""

from typing import NamedTuple

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from bids_anomaly.preprocessing.midpoint import halfway, midpoint_grid
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import write_matrix
from bids_anomaly.scoring.change import (
    LesionChange,
    directions,
    judge_lesions,
    label_together,
    measure_change,
    verdict,
    volumes_of,
)
from bids_anomaly.scoring.lesions import label_lesions
from bids_anomaly.scoring.timepoints import Timepoint, align

RADII_MM = np.array([44.0, 52.0, 40.0])
THRESHOLD = 2.88
MIN_VOLUME = 24.0
THIN = ((66, 76, 60), (2.0, 2.0, 2.0))
THICK = ((130, 150, 30), (1.0, 1.0, 4.0))
STILL = np.eye(4)
SWAPPED = {"new": "gone", "gone": "new", "grown": "shrunk", "shrunk": "grown"}


class Judged(NamedTuple):
    """What was found out about two timepoints."""

    lesions: list[LesionChange]
    signs: np.ndarray
    noise: float
    shift: float
    share: float
    overlap: float

    @property
    def verdicts(self) -> list[str]:
        return [lesion.verdict for lesion in self.lesions]


def pose(angles=(0, 0, 0), shift=(0, 0, 0)) -> np.ndarray:
    """Return how a head lies: takes points of the head to points of the scanner."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


MOVED = pose((6, -4, 8), (5, -4, 6))


def scan(balls, *, lie=STILL, kind=THIN, noise=0.15, seed=0, scale=1.0) -> Timepoint:
    """Return z-scores of a brain with balls (centre, radius, height) in it."""
    shape, zooms = kind
    affine = np.diag([*zooms, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    where = nib.affines.apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    head = nib.affines.apply_affine(np.linalg.inv(lie), where)
    brain = ((head / RADII_MM) ** 2).sum(axis=-1) < 1
    random = np.random.default_rng(7)  # the texture belongs to the person
    z = sum(
        0.5 * np.sin(head @ (2 * np.pi * direction / np.linalg.norm(direction) / 22) + phase)
        for direction, phase in zip(
            random.normal(size=(5, 3)), random.uniform(0, 6, 5), strict=True
        )
    )
    for centre, radius, height in balls:
        distance = np.linalg.norm(head - centre, axis=-1)
        z = np.maximum(z, height * np.clip((radius - distance) / 3 + 0.5, 0, 1))
    z = scale * (z + np.random.default_rng((1, seed)).normal(0, noise, shape)) * brain
    labels = label_lesions((z > scale * THRESHOLD) & brain)
    sizes = np.bincount(labels.ravel()) * np.prod(zooms)
    labels[sizes[labels] < MIN_VOLUME] = 0
    grid = Grid(shape, affine)
    return Timepoint(
        grid.image(z.astype(np.float32)), grid.image(brain.astype(np.uint8)), grid.image(labels)
    )


@pytest.fixture
def judge(tmp_path):
    """Give a function that compares two timepoints, given the true motion between them."""

    def judge(first: Timepoint, second: Timepoint, motion=STILL) -> Judged:
        midpoint = halfway(motion)
        files = [tmp_path / "first.mat", tmp_path / "second.mat"]
        for file, matrix in zip(files, midpoint, strict=True):
            write_matrix(file, matrix)
        grid = midpoint_grid(midpoint, first.brain, second.brain, spacing=1.5)
        together = align((first, second), midpoint, grid, files)
        changes = measure_change(together)
        labels = label_together(together)
        volumes = [
            volumes_of(labels, together.compared, grid, timepoint.lesions, matrix)
            for timepoint, matrix in zip((first, second), midpoint, strict=True)
        ]
        lesions = judge_lesions(labels, together, changes, volumes, min_volume=MIN_VOLUME)
        return Judged(
            lesions,
            directions(lesions, labels),
            *changes.floor,
            together.share,
            together.overlap,
        )

    return judge


STABLE = ((20.0, 0.0, 5.0), 6.0, 8.0)
ELSEWHERE = (-18.0, 12.0, 0.0)


def test_what_did_not_change_is_unchanged(judge):
    found = judge(scan([STABLE], seed=1), scan([STABLE], seed=2))
    assert found.verdicts == ["unchanged"]
    assert not found.signs.any()
    assert found.share == pytest.approx(1, abs=0.02)
    # Two scans of noise 0.15 each, a little smoother after the interpolation.
    assert 0.1 < found.noise < 0.25


@pytest.mark.parametrize("kinds", [(THIN, THIN), (THIN, THICK), (THICK, THIN)])
def test_a_head_that_moved_has_not_changed(kinds, judge):
    first = scan([STABLE], kind=kinds[0], seed=1)
    second = scan([STABLE], kind=kinds[1], lie=MOVED, seed=2)
    found = judge(first, second, MOVED)
    assert found.verdicts == ["unchanged"]
    (lesion,) = found.lesions
    assert lesion.volumes[1] == pytest.approx(lesion.volumes[0], rel=0.25)
    assert found.overlap > 0.95


def test_a_registration_that_is_off_by_a_millimetre_is_no_change(judge):
    wrong = MOVED.copy()
    wrong[:3, 3] += (0.6, -0.6, 0.5)
    found = judge(scan([STABLE], seed=1), scan([STABLE], lie=MOVED, seed=2), wrong)
    assert found.verdicts == ["unchanged"]
    assert found.shift > 0.3


def test_noise_alone_has_no_lesions(judge):
    found = judge(scan([], seed=1), scan([], lie=MOVED, seed=2), MOVED)
    assert found.lesions == []


CHANGES = {
    "new": ([], [(ELSEWHERE, 5.0, 8.0)]),
    "gone": ([(ELSEWHERE, 5.0, 8.0)], []),
    "grown": ([(ELSEWHERE, 5.0, 8.0)], [(ELSEWHERE, 8.0, 8.0)]),
    "shrunk": ([(ELSEWHERE, 8.0, 8.0)], [(ELSEWHERE, 5.0, 8.0)]),
}


@pytest.mark.parametrize("kind", [THIN, THICK])
@pytest.mark.parametrize("expected", CHANGES)
def test_a_lesion_that_changes_is_told_from_one_that_does_not(expected, kind, judge):
    first, second = CHANGES[expected]
    found = judge(
        scan([STABLE, *first], seed=1),
        scan([STABLE, *second], lie=MOVED, kind=kind, seed=2),
        MOVED,
    )
    assert sorted(found.verdicts) == sorted(["unchanged", expected])
    (changed,) = (lesion for lesion in found.lesions if lesion.verdict == expected)
    radii = [balls[0][1] if balls else 0 for balls in (first, second)]
    # The threshold is at a third of the height, so half a millimetre further out.
    true = [4 / 3 * np.pi * (radius + 0.4) ** 3 if radius else 0 for radius in radii]
    for volume, truth in zip(changed.volumes, true, strict=True):
        assert volume == pytest.approx(truth, rel=0.25)
    assert np.sign(changed.change) == np.sign(true[1] - true[0])
    assert (changed.parts[0] > 0, changed.parts[1] > 0) == (radii[0] > 0, radii[1] > 0)
    assert set(np.unique(found.signs)) == {0, np.sign(changed.change)}


def test_a_lesion_that_falls_apart_is_one_lesion_of_several_parts(judge):
    whole = [(ELSEWHERE, 6.0, 8.0), ((-18.0, 21.0, 0.0), 6.0, 8.0)]
    apart = [(ELSEWHERE, 3.0, 8.0), ((-18.0, 22.0, 0.0), 3.0, 8.0)]
    found = judge(scan(whole, seed=1), scan(apart, lie=MOVED, seed=2), MOVED)
    (lesion,) = found.lesions
    assert (lesion.verdict, lesion.parts) == ("shrunk", (1, 2))
    assert lesion.change < 0
    again = judge(scan(apart, seed=1), scan(whole, lie=MOVED, seed=2), MOVED)
    (lesion,) = again.lesions
    assert (lesion.verdict, lesion.parts) == ("grown", (2, 1))


def test_to_exchange_the_scans_exchanges_the_verdicts(judge):
    first = scan([STABLE, (ELSEWHERE, 5.0, 8.0)], seed=1)
    second = scan(
        [STABLE, (ELSEWHERE, 8.0, 8.0), ((0, -30, 0), 5.0, 8.0)], lie=MOVED, kind=THICK, seed=2
    )
    there = judge(first, second, MOVED)
    back = judge(second, first, np.linalg.inv(MOVED))
    assert [SWAPPED.get(name, name) for name in there.verdicts] == back.verdicts
    for one, other in zip(there.lesions, back.lesions, strict=True):
        assert one.volumes == pytest.approx(other.volumes[::-1])
        assert one.difference == pytest.approx(-other.difference, abs=1e-3)
    assert (there.noise, there.shift) == pytest.approx((back.noise, back.shift), rel=1e-3)
    np.testing.assert_array_equal(there.signs, -back.signs)


def test_a_scanner_whose_z_scores_are_higher_all_over_changes_nothing(judge):
    lesions = [STABLE, (ELSEWHERE, 5.0, 8.0)]
    found = judge(scan(lesions, seed=1), scan(lesions, lie=MOVED, seed=2, scale=1.3), MOVED)
    assert found.verdicts == ["unchanged", "unchanged"]


def test_only_the_common_field_of_view_is_compared(judge):
    """The second scan ends in the middle of a lesion, and above another one."""
    cut, below = ((10.0, 0.0, -18.0), 6.0, 8.0), ((-10.0, 0.0, -30.0), 5.0, 8.0)
    first = scan([STABLE, cut, below], seed=1)
    whole = scan([STABLE, cut, below], seed=2)
    low = 21  # -17 mm
    affine = whole.brain.affine.copy()
    affine[2, 3] += 2.0 * low
    second = Timepoint(
        *(
            Grid((66, 76, 60 - low), affine).image(np.asanyarray(image.dataobj)[..., low:])
            for image in whole
        )
    )
    found = judge(first, second)
    assert set(found.verdicts) == {"unchanged"}
    assert len(found.lesions) == 2
    assert 0.6 < found.share < 0.9
    assert found.overlap > 0.95


def test_too_little_unaffected_brain_is_an_error(judge):
    affected = scan([((0, 0, 0), 70.0, 8.0)], seed=1)
    with pytest.raises(ValueError, match="without an anomaly"):
        judge(affected, affected)


volumes = st.floats(0, 5000)
parts = st.integers(0, 3)


@given(st.tuples(parts, parts), st.tuples(volumes, volumes), volumes, volumes)
def test_a_verdict_is_the_opposite_of_that_on_exchanged_scans(numbers, own, gained, lost):
    there = verdict(numbers, own, gained, lost, min_volume=MIN_VOLUME)
    back = verdict(numbers[::-1], own[::-1], lost, gained, min_volume=MIN_VOLUME)
    # A lesion of no session does not exist.
    if any(numbers):
        assert SWAPPED.get(there, there) == back


@given(st.tuples(parts, parts), st.tuples(volumes, volumes), volumes)
def test_what_gained_as_much_as_it_lost_is_unchanged(numbers, own, moved):
    assert verdict(numbers, own, moved, moved, min_volume=MIN_VOLUME) == "unchanged"


@pytest.mark.parametrize(
    ("parts", "volumes", "gained", "expected"),
    [
        ((0, 1), (0, 6670), 118, "unchanged"),
        ((0, 1), (0, 6670), 400, "new"),
        ((1, 1), (4000, 6670), 118, "unchanged"),
        ((1, 1), (4000, 6670), 600, "grown"),
        ((0, 1), (0, 100), 20, "unchanged"),
        ((0, 1), (0, 100), 60, "new"),
    ],
)
def test_a_lesion_of_which_hardly_anything_changed_is_unchanged(parts, volumes, gained, expected):
    assert verdict(parts, volumes, gained, 0, min_volume=24) == expected
    other = verdict(parts[::-1], volumes[::-1], 0, gained, min_volume=24)
    assert other == SWAPPED.get(expected, expected)
