"""Slabs of real scans without disease, with anomalies painted into them."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from bids_anomaly.modalities import MODALITIES
from bids_anomaly.training.losses import restoration_loss
from bids_anomaly.training.real import RealVolumes, draw_real
from bids_anomaly.training.recipes import RECIPES, with_others

SLICES = 5
FLAIR = MODALITIES.index("FLAIR")


@pytest.fixture(scope="module")
def real(ellipsoids):
    """The two ellipsoids as FLAIR scans, of which nobody knows whether the left half is healthy."""
    healthy = torch.ones_like(ellipsoids.brains)
    healthy[..., :14] = False
    return RealVolumes(
        scans=ellipsoids.scans,
        t1w=ellipsoids.scans,
        brains=ellipsoids.brains,
        healthy=healthy,
        white_matter=ellipsoids.white_matter,
        deep=ellipsoids.deep,
        modality=FLAIR,
        spacing=ellipsoids.spacing,
    )


@pytest.fixture(scope="module")
def single(real):
    """One slice of each, over and over."""
    middle = {name: getattr(real, name)[:, 5:6] for name in ("scans", "t1w", "brains", "healthy")}
    maps = {name: getattr(real, name)[5:6] for name in ("white_matter", "deep")}
    repeated = {name: part.repeat(1, SLICES, 1, 1) for name, part in middle.items()}
    maps = {name: part.repeat(SLICES, 1, 1) for name, part in maps.items()}
    return replace(real, single=True, **repeated, **maps)


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("volumes", ["real", "single"])
def test_anomalies_are_painted_where_the_scan_is_known_to_be_healthy(volumes, request):
    batch = draw_real(request.getfixturevalue(volumes), 64, slices=SLICES, generator=draws())
    middle = batch.slab[:, 2:3]
    assert batch.slab.shape == (64, SLICES, 32, 32)
    assert (batch.modality == FLAIR).all()
    assert (batch.lesion > 0).any(dim=(1, 2, 3)).float().mean() > 0.3
    assert not (batch.lesion * (1 - batch.brain)).any()
    # Bright or dark, what is called a lesion differs from the healthy slice.
    assert (middle - batch.healthy).abs()[batch.lesion > 0].min() > 0.05
    # Half of the slabs are mirrored, so that either half can be the unknown one, but never both.
    assert (
        not batch.brain[..., :12]
        .any(dim=(1, 2, 3))
        .logical_and(batch.brain[..., 20:].any(dim=(1, 2, 3)))
        .any()
    )


def test_nothing_is_learned_where_nobody_knows(real):
    batch = draw_real(real, 16, slices=SLICES, generator=draws())
    logit = torch.zeros_like(batch.healthy)
    right = restoration_loss(batch.healthy.clone(), logit, batch)
    unknown = 1 - batch.brain
    same = restoration_loss(batch.healthy + 5 * unknown, 9 * unknown, batch)
    worse = restoration_loss(batch.healthy + 5 * batch.brain, 9 * batch.brain, batch)
    for name, value in right.items():
        assert same[name] == pytest.approx(float(value), abs=1e-6)
        # To call everything a lesion overlaps as little as to doubt everything.
        assert worse[name] > value + 0.05 or name == "dice"


def test_neighbours_of_a_single_slice_differ_from_it(single):
    batch = draw_real(single, 64, slices=SLICES, generator=draws())
    apart = (batch.slab - batch.slab[:, 2:3]).abs().amax(dim=(1, 2, 3))
    assert (apart > 0.02).float().mean() > 0.8


def test_a_recipe_learns_real_slabs_among_painted_ones(ellipsoids, real):
    recipe = with_others(RECIPES["restore"], [partial(draw_real, real)])
    options = {"slices": SLICES, "modalities": ["FLAIR"]}
    batch, again = (recipe.draw(ellipsoids, 16, generator=draws(), **options) for _ in range(2))
    assert batch.known[:12].all()
    assert not batch.known[12:].all()
    for one, other in zip(vars(batch).values(), vars(again).values(), strict=True):
        assert torch.equal(one, other)


def test_of_several_other_kinds_all_come_even_in_small_batches(ellipsoids, real):
    """One slab of four is of another kind, so that only many batches show all of them."""
    seen = {"first": 0, "second": 0}

    def other(name):
        def draw(size, **options):
            seen[name] += size
            return draw_real(real, size, **options)

        return draw

    recipe = with_others(RECIPES["restore"], [other("first"), other("second")])
    generator = draws()
    for _ in range(24):
        options = {"slices": SLICES, "modalities": ["FLAIR"], "generator": generator}
        assert len(recipe.draw(ellipsoids, 4, **options).slab) == 4
    assert sum(seen.values()) == 24
    assert min(seen.values()) >= 5
