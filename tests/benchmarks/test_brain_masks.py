"""The benchmark of brain masks counts what its table says."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import SAME_SPACE

GRID = Grid((60, 60, 50), np.diag([2.0, 2.0, 2.0, 1.0]))
RADIUS_MM = 45.0


@pytest.fixture(scope="module")
def brain_masks():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        return importlib.import_module("brain_masks")


def ball(radius_mm):
    centre = np.reshape(np.array(GRID.shape) - 1, (3, 1, 1, 1)) / 2
    return 2 * np.linalg.norm(np.indices(GRID.shape) - centre, axis=0) < radius_mm


def image(mask):
    return GRID.image(mask.astype(np.uint8))


@pytest.fixture
def case(brain_masks):
    scan, lesions = image(ball(RADIUS_MM)), ball(10)
    reach = brain_masks.carried(image(ball(RADIUS_MM)), scan, SAME_SPACE)
    return brain_masks.Case("01", Path(), scan, *reach, lesions)


def test_the_reference_itself_is_perfect(brain_masks, case):
    found = brain_masks.measure(case, image(case.brain), 1.0)
    assert found == ("01", 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    assert found.is_brain


def test_a_rim_is_neither_outside_nor_cut_off(brain_masks, case):
    for radius_mm in (RADIUS_MM - 1.5, RADIUS_MM + 1.5):
        found = brain_masks.measure(case, image(ball(radius_mm)), 1.0)
        assert found.dice < 1
        assert (found.outside_ml, found.cut_off_ml) == (0, 0)


def test_what_is_beyond_the_rim_is_counted_in_ml(brain_masks, case):
    wide, hollow = ball(RADIUS_MM + 10), ball(RADIUS_MM) & ~ball(20)
    found = brain_masks.measure(case, image(wide), 1.0)
    assert found.outside_ml == pytest.approx(0.008 * (wide & (case.outside > 2)).sum())
    assert found.outside_ml > 100
    assert found.lost_percent == 0
    found = brain_masks.measure(case, image(hollow), 1.0)
    assert found.cut_off_ml == pytest.approx(0.008 * ball(20).sum())
    assert found.lesions_lost_percent == 100


def test_what_the_reference_does_not_show_is_left_out(brain_masks, case):
    shown = case.shown.copy()
    shown[:20] = False
    found = brain_masks.measure(case._replace(shown=shown), image(np.ones(GRID.shape)), 1.0)
    everything = brain_masks.measure(case, image(np.ones(GRID.shape)), 1.0)
    assert found.outside_ml < everything.outside_ml
    assert not brain_masks.measure(case, None, 1.0).is_brain


def test_tumours_lie_in_the_brain_and_differ_between_people(brain_masks, case):
    tumours = [brain_masks.tumour(GRID, case.inside, seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(tumours[0], tumours[1])
    assert (tumours[0] != tumours[2]).any()
    for tumour in tumours:
        assert 30 < 0.008 * tumour.sum() < 55
        assert (case.inside[tumour] > brain_masks.RIM_MM).all()


def test_every_row_of_the_table_has_a_name_of_its_own(brain_masks):
    assert len({str(scans) for scans in brain_masks.SCANS}) == len(brain_masks.SCANS)
