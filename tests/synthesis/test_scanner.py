from dataclasses import replace

import numpy as np
import pytest
import torch

from bids_anomaly.preprocessing.atlas import atlas_labels, atlas_regions
from bids_anomaly.preprocessing.template import MODEL_GRID_2MM
from bids_anomaly.synthesis.regions import TONES
from bids_anomaly.synthesis.scanner import Scanner, miss_the_brain
from bids_anomaly.training.loading import regions_in_grid

SHAPE = (200, 5, 32, 40)


@pytest.fixture(scope="module")
def brain():
    mask = torch.zeros(SHAPE)
    mask[..., 6:26, 8:32] = 1
    return mask


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def scanner(*, painted=True, repeated=False, seed=0):
    flags = (torch.full(SHAPE[:1], flag) for flag in (painted, repeated))
    return Scanner.draw(torch.Size(SHAPE), *flags, generator(seed))


def test_a_healthy_slab_and_one_with_an_anomaly_have_the_same_noise(brain):
    seen = scanner()
    anomalous = brain.clone()
    anomalous[:, :, 14:16, 16:20] = 2
    change = seen.scan(anomalous, brain) - seen.scan(brain, brain)
    far = torch.ones(SHAPE, dtype=torch.bool)
    far[:, :, 13:17, 15:21] = False
    assert change[far].abs().max() < 1e-5
    assert change[:, 2, 14:16, 16:20].min() > 0


def test_a_voxel_is_seen_as_large_as_the_scanner_resolves(brain):
    """The sharpest scanners leave it as it is, and the bluntest hardly show it."""
    point = torch.zeros(SHAPE)
    point[:, 2, 16, 20] = 1
    height = scanner().resolve(point)[:, 2, 16, 20]
    assert height.max() == pytest.approx(1)
    assert 0.02 < height.min() < 0.3


def test_thick_slices_show_what_lies_above_and_below(brain):
    slab = torch.zeros(SHAPE)
    slab[:, 3] = 1
    share = scanner().resolve(slab)[:, 2, 16, 20]
    assert (share > 0).float().mean() == pytest.approx(0.6, abs=0.12)
    assert share.max() <= 0.34


def test_a_single_slice_is_seen_and_as_noisy_in_all_of_its_slab(brain):
    slab = torch.rand(SHAPE, generator=generator()) * brain
    seen = scanner(repeated=True)
    shown = seen.scan(slab, brain)
    assert torch.equal(shown, shown[:, 2:3].expand_as(shown))
    # The middle one is as it would have been.
    assert torch.equal(shown[:, 2], scanner().scan(slab, brain)[:, 2])


def test_scanners_shade_and_make_noise_and_leave_nothing_outside_the_brain(brain):
    seen = scanner().scan(brain, brain)
    assert not seen[brain == 0].any()
    inside = seen[..., 8:24, 10:30].flatten(1)
    assert 0 < inside.std(1).min() < 0.03
    assert 0.08 < inside.std(1).max() < 0.3
    assert inside.mean(1).median() == pytest.approx(1, abs=0.02)


def test_masks_miss_the_brain_by_a_voxel_and_in_few_scans(brain):
    scan, missed = miss_the_brain(brain, brain, generator())
    assert not scan[missed == 0].any()
    wide = ((missed > brain).flatten(1).any(1)).float().mean()
    tight = ((missed < brain).flatten(1).any(1)).float().mean()
    assert 0.1 < wide < 0.3
    assert 0.1 < tight < 0.3
    # No voxel is won or lost that is further than one from the surface.
    assert (missed[..., 7:25, 9:31] == 1).all()
    assert not missed[..., :5, :].any()
    assert not missed[..., :7].any()


def test_the_same_seed_gives_the_same_scan(brain):
    first, second, other = (scanner(seed=seed).scan(brain, brain) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_each_region_with_a_tone_is_where_the_atlas_has_it():
    groups = regions_in_grid(MODEL_GRID_2MM)
    labels = atlas_labels(MODEL_GRID_2MM)
    names = {region.index: region.name for region in atlas_regions()}
    assert set(np.unique(groups)) == {*range(len(TONES) + 1)}
    for number, prefixes in enumerate(TONES, start=1):
        there = {names[index] for index in np.unique(labels[groups == number])}
        assert there
        assert all(name.startswith(prefixes) for name in there)
        # Every prefix names at least one region.
        assert all(any(name.startswith(prefix) for name in there) for prefix in prefixes)


def test_thick_axial_slices_are_seen_as_thick_in_coronal_slabs():
    cube = torch.rand((50, 9, 9, 9), generator=generator())
    flags = torch.ones(50, dtype=torch.bool), torch.zeros(50, dtype=torch.bool)
    axial, coronal = (
        replace(
            Scanner.draw(cube.shape, *flags, generator(), through=through),
            blur=torch.zeros(50, 1, 1, 1),
        )
        for through in (1, 2)
    )
    seen = coronal.resolve(cube.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(seen, axial.resolve(cube))
    assert (axial.resolve(cube) - cube).abs().max() > 0.05
