"""Which slices the report shows."""

import numpy as np

from bids_anomaly.reports.views import (
    axial_slices,
    centre_of,
    largest_component,
    slice_of_largest_area,
    window_around,
)

SHAPE = (20, 24, 40)


def box(x, y, z):
    mask = np.zeros(SHAPE, bool)
    mask[slice(*x), slice(*y), slice(*z)] = True
    return mask


BRAIN = box((2, 18), (2, 22), (4, 36))
NOTHING = np.zeros(SHAPE, bool)


def test_slices_are_in_order_within_the_brain_and_differ():
    slices = axial_slices(BRAIN, NOTHING, 7)
    assert len(slices) == 7
    assert slices == sorted(set(slices))
    assert all(BRAIN[..., index].any() for index in slices)


def test_the_slice_with_the_largest_anomaly_area_is_always_there():
    for level in range(4, 36):
        slices = axial_slices(BRAIN, box((5, 9), (5, 9), (level, level + 1)), 7)
        assert level in slices
        assert slices == sorted(set(slices))
        assert len(slices) == 7


def test_a_tiny_grid_shows_each_slice_once():
    assert axial_slices(np.ones((4, 4, 3), bool), np.zeros((4, 4, 3), bool), 7) == [0, 1, 2]


def test_the_largest_of_several_anomalies_is_found():
    small, large = box((2, 4), (2, 4), (5, 8)), box((10, 14), (10, 14), (10, 14))
    np.testing.assert_array_equal(largest_component(small | large), large)


def test_empty_masks_show_the_whole_grid():
    assert slice_of_largest_area(NOTHING, 2) is None
    assert centre_of(NOTHING) == (10, 12, 20)
    assert window_around(NOTHING, 2) == tuple(slice(0, length) for length in SHAPE)
    assert not largest_component(NOTHING).any()


def test_a_window_keeps_its_margin_within_the_grid():
    assert window_around(BRAIN, 3) == (slice(0, 20), slice(0, 24), slice(1, 39))
