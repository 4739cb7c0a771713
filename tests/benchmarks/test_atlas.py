import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


@pytest.fixture(scope="module")
def atlas():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        return importlib.import_module("atlas")


@given(maps=arrays(np.int16, (5, 4, 3), elements=st.sampled_from([0, 1, 4, 23, 207])))
def test_the_most_frequent_label_wins_and_unnamed_ones_count_as_none(atlas, maps):
    named = np.where(maps == 1, 0, maps)
    winner, share = atlas.vote(list(maps), [4, 23, 207])
    counts = {label: (named == label).sum(axis=0) for label in (0, 4, 23, 207)}
    most = np.max(list(counts.values()), axis=0)
    for label, count in counts.items():
        assert (count[winner == label] == most[winner == label]).all()
    np.testing.assert_array_equal(share, most / 5)


def test_islands_take_the_label_around_them_and_larger_pieces_stay(atlas):
    labels = np.zeros((9, 9, 9), np.int16)
    labels[1:8, 1:8, 1:8] = 4
    expected = labels.copy()
    labels[4, 4, 4] = 23
    labels[2, 2, 2] = 0
    labels[6, 6, 4:7] = expected[6, 6, 4:7] = 23
    np.testing.assert_array_equal(atlas.without_islands(labels, smallest=3), expected)


def test_dice_is_that_of_every_region_and_unknown_where_there_is_none(atlas):
    one = np.array([0, 4, 4, 23, 23, 0])
    other = np.array([0, 4, 23, 23, 23, 23])
    dice = atlas.dice_of_labels(one, other, [4, 23, 207])
    assert dice[4] == pytest.approx(2 / 3)
    assert dice[23] == pytest.approx(4 / 6)
    assert np.isnan(dice[207])
