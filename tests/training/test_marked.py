"""Slabs of scans whose lesions raters have marked, beside painted ones."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.exceptions import NothingFoundError
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.training.data import draw_mixed
from bids_anomaly.training.losses import restoration_loss
from bids_anomaly.training.marked import MarkedVolumes, divide, draw_marked
from bids_anomaly.training.recipes import RECIPES, with_others

SLICES = 3


@pytest.fixture(scope="module")
def marked(ellipsoids):
    """The two ellipsoids as FLAIR scans, each with a bright lesion of its own size."""
    lesions = torch.zeros_like(ellipsoids.scans)
    lesions[0, 5:8, 12:18, 12:18] = 1
    lesions[1, 4:5, 20:22, 16:18] = 1
    scans = ellipsoids.scans + 0.8 * lesions
    modality = torch.full((2,), MODALITIES.index("FLAIR"))
    return MarkedVolumes(scans, ellipsoids.brains, lesions, modality)


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def test_what_is_marked_is_bright_in_every_slab(marked):
    batch = draw_marked(marked, 64, slices=SLICES, generator=draws())
    middle = batch.slab[:, 1:2]
    assert batch.slab.shape == (64, SLICES, 32, 32)
    assert (batch.lesion > 0).any(dim=(1, 2, 3)).float().mean() > 0.4
    assert middle[batch.lesion > 0.9].min() > 1.2
    assert middle[(batch.lesion == 0) & (batch.known > 0)].max() < 1.2


def test_the_healthy_slice_is_known_everywhere_but_in_lesions_and_beside_them(marked):
    batch = draw_marked(marked, 64, slices=SLICES, generator=draws())
    assert not batch.known[batch.lesion > 0].any()
    assert torch.equal(batch.healthy, batch.slab[:, 1:2])
    clean = batch.lesion.amax(dim=(1, 2, 3)) == 0
    assert batch.known[clean].all()
    # One voxel around.
    edge = torch.nn.functional.max_pool2d((batch.lesion > 0).float(), 5, 1, 2)
    assert batch.known[edge == 0].all()


def test_the_image_is_not_judged_where_nobody_knows_it(marked):
    batch = draw_marked(marked, 16, slices=SLICES, generator=draws())
    logit = torch.zeros_like(batch.healthy)
    right = restoration_loss(batch.healthy.clone(), logit, batch)
    wrong_inside = torch.where(batch.known > 0, batch.healthy, batch.healthy - 5)
    wrong_outside = torch.where(batch.known > 0, batch.healthy - 5, batch.healthy)
    same = restoration_loss(wrong_inside, logit, batch)
    worse = restoration_loss(wrong_outside, logit, batch)
    for name in ("l1", "ssim"):
        assert same[name] == right[name]
        assert worse[name] > right[name] + 0.1
    marks = restoration_loss(batch.healthy, 20 * (batch.lesion - 0.5), batch)
    assert marks["dice"] < right["dice"] - 0.1


def test_every_scan_counts_alike_however_large_its_lesions(marked):
    batch = draw_marked(marked, 4000, slices=SLICES, generator=draws())
    # The second scan has the smaller core of white matter.
    sizes = (batch.lesion > 0.5).sum(dim=(1, 2, 3))
    small, large = ((sizes > 0) & (sizes < 12)).sum(), (sizes >= 12).sum()
    assert 0.6 < small / large < 1.6


def test_a_batch_has_some_marked_slabs_among_painted_ones(ellipsoids, marked):
    options = {"slices": SLICES, "modalities": ["FLAIR"]}
    batch = draw_mixed(
        ellipsoids, 16, others=[partial(draw_marked, marked)], generator=draws(), **options
    )
    assert all(len(part) == 16 for part in vars(batch).values())
    assert batch.known[:12].all()
    again = draw_mixed(
        ellipsoids, 16, others=[partial(draw_marked, marked)], generator=draws(), **options
    )
    for one, other in zip(vars(batch).values(), vars(again).values(), strict=True):
        assert torch.equal(one, other)


def test_the_recipe_learns_them_and_stays_the_same_otherwise(ellipsoids, marked):
    recipe = with_others(RECIPES["restore"], [partial(draw_marked, marked)])
    assert recipe.levels == RECIPES["restore"].levels
    batch = recipe.draw(ellipsoids, 8, slices=SLICES, modalities=["FLAIR"], generator=draws())
    assert not batch.known.all()


def people_with(modalities):
    """As `find_marked` returns them: for each modality the people who have it."""
    return {
        modality: [SimpleNamespace(participant=f"sub-{label}") for label in labels]
        for modality, labels in modalities.items()
    }


@given(st.sets(st.integers(0, 50), min_size=1), st.data())
def test_nobody_learns_and_is_held_out(labels, data):
    count = data.draw(st.none() | st.integers(1, len(labels)))
    divided = divide(people_with({"FLAIR": labels}), count, seed=0)
    learning, held_out = (
        {one.participant for one in part["FLAIR"]} for part in (divided.learning, divided.held_out)
    )
    assert not learning & held_out
    assert learning | held_out == {f"sub-{label}" for label in labels}
    if count is not None:
        assert len(learning) == count
    else:
        assert len(held_out) >= 3 or not held_out


@pytest.mark.parametrize(("people", "learning"), [(1, 1), (5, 5), (7, 7), (8, 5), (9, 6)])
def test_by_default_a_third_is_held_out_where_that_is_enough_to_calibrate(people, learning):
    divided = divide(people_with({"FLAIR": range(people)}), None, seed=0)
    assert len(divided.learning["FLAIR"]) == learning


def test_more_people_than_there_are_and_a_modality_that_nobody_has_are_errors():
    with pytest.raises(NothingFoundError, match="asks for 3 people with lesions, and"):
        divide(people_with({"FLAIR": "ab"}), 3, seed=0)
    divided = divide(people_with({"FLAIR": "ab", "T1w": "ab"}), 1, seed=0)
    (learner,) = divided.learning["FLAIR"]
    other = ({"sub-a", "sub-b"} - {learner.participant}).pop().removeprefix("sub-")
    with pytest.raises(NothingFoundError, match="has a marked T1w scan"):
        divide(people_with({"FLAIR": "ab", "T1w": other}), 1, seed=0)


def test_the_draw_of_people_depends_on_the_seed_alone():
    found = people_with({"FLAIR": range(20)})
    chosen = [
        [one.participant for one in divide(found, 5, seed=seed).learning["FLAIR"]]
        for seed in (0, 0, 1)
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(np.unique(chosen[0])) == 5
