import nibabel as nib
import numpy as np
import pytest
import torch

from bids_anomaly.modalities import MODALITIES
from bids_anomaly.training.data import draw_batch, draw_in_two_views
from bids_anomaly.training.loading import load_volumes
from bids_anomaly.training.volumes import slices_first

SHAPE = (48, 40, 16)  # x, y, z


def head(seed):
    """A brain-like ellipsoid with a bright right half and noise; its scan and mask."""
    x, y, z = np.indices(SHAPE)
    inside = ((x - 23.5) / 19) ** 2 + ((y - 19.5) / 16) ** 2 + ((z - 7.5) / 6) ** 2 < 1
    noise = np.random.default_rng(seed).normal(scale=0.05, size=SHAPE)
    affine = np.diag([4.0, 4.0, 4.0, 1])
    affine[:3, 3] = (-94, -96, -20)
    scan = ((np.where(x > 23.5, 1.0, 0.7) + noise) * inside).astype(np.float32)
    return nib.Nifti1Image(scan, affine), nib.Nifti1Image(inside.astype(np.uint8), affine)


@pytest.fixture(scope="module")
def volumes():
    scans, brains = zip(*(head(seed) for seed in range(3)), strict=True)
    return load_volumes(scans, brains)


def draw(volumes, size=24, *, slices=5, seed=0, modalities=("T1w",)):
    return draw_batch(
        volumes,
        size,
        slices=slices,
        modalities=modalities,
        generator=torch.Generator().manual_seed(seed),
    )


def test_volumes_lie_slice_by_slice_with_left_and_right_last(volumes):
    scan, brain = head(1)
    assert volumes.scans.shape == (3, 16, 40, 48)
    np.testing.assert_allclose(volumes.scans[1].float(), slices_first(scan.get_fdata()), atol=1e-3)
    np.testing.assert_array_equal(volumes.brains[1], slices_first(np.asanyarray(brain.dataobj)) > 0)
    assert volumes.spacing == 4


def test_turning_a_volume_twice_changes_nothing():
    values = np.random.default_rng(0).normal(size=SHAPE)
    np.testing.assert_array_equal(slices_first(slices_first(values)), values)


@pytest.mark.parametrize("slices", [1, 3, 5])
def test_a_batch_has_slabs_and_their_middle_slices(volumes, slices):
    batch = draw(volumes, slices=slices)
    assert batch.slab.shape == (24, slices, 40, 48)
    for middle in (batch.mirrored, batch.healthy, batch.lesion, batch.brain):
        assert middle.shape == (24, 1, 40, 48)
    assert batch.level.shape == (24,)
    assert 0 <= batch.level.min() < batch.level.max() <= 1
    assert all(torch.isfinite(value).all() for value in vars(batch).values())


def test_modalities_are_drawn_evenly_and_only_those_asked_for(volumes):
    batch = draw(volumes, 300, modalities=["FLAIR", "T2w"])
    flair = (batch.modality == MODALITIES.index("FLAIR")).float().mean()
    assert 0.4 < flair < 0.6
    assert set(batch.modality.tolist()) == {1, 2}


@pytest.mark.parametrize("modality", MODALITIES)
def test_about_one_slab_in_twelve_is_a_single_slice(volumes, modality):
    batch = draw(volumes, 300, modalities=[modality])
    alike = (batch.slab == batch.slab[:, 2:3]).flatten(1).all(1)
    assert 0.03 < alike.float().mean() < 0.15
    assert (batch.brains == batch.brains[:, 2:3])[alike].all()


@pytest.mark.parametrize("modality", MODALITIES)
def test_nothing_lies_outside_the_brain(volumes, modality):
    batch = draw(volumes, modalities=[modality])
    outside = batch.brain == 0
    for values in (batch.healthy, batch.lesion, batch.slab[:, 2:3]):
        assert not values[outside].any()


def test_where_nothing_was_marked_the_scan_is_nearly_the_healthy_one(volumes):
    batch = draw(volumes, 64)
    change = (batch.slab[:, 2:3] - batch.healthy).abs()
    assert change[batch.lesion == 1].min() > 0.04
    assert change[batch.lesion == 1].mean() > 5 * change[batch.lesion == 0].mean()


def test_the_mirrored_slice_is_shown_half_the_time(volumes):
    batch = draw(volumes, 200)
    hidden = (batch.mirrored == 0).flatten(1).all(1)
    assert 0.35 < hidden.float().mean() < 0.65
    mirrored = batch.slab[:, 2:3].flip(-1)
    assert torch.equal(batch.mirrored[~hidden], mirrored[~hidden])


def test_every_slab_holds_brain(volumes):
    assert (draw(volumes, 100).brain.flatten(1).sum(1) > 0).all()


def test_both_sides_come_as_either_side(volumes):
    batch = draw(volumes, 100)
    left, right = (
        (batch.healthy[..., half] * batch.brain[..., half]).flatten(1).sum(1)
        for half in (slice(0, 24), slice(24, 48))
    )
    assert 0.3 < (left > right).float().mean() < 0.7


def test_the_same_seed_draws_the_same_batch_and_another_one_another(volumes):
    first, second, other = (draw(volumes, seed=seed) for seed in (1, 1, 2))
    for name, value in vars(first).items():
        assert torch.equal(value, getattr(second, name)), name
    assert not torch.equal(first.slab, other.slab)


def test_the_volumes_are_not_written_to(volumes):
    before = volumes.scans.clone()
    draw(volumes)
    assert torch.equal(volumes.scans, before)


def test_half_of_a_batch_in_two_views_is_coronal(volumes):
    generator = torch.Generator().manual_seed(0)
    batch = draw_in_two_views(volumes, 7, slices=5, modalities=["T1w"], generator=generator)
    assert batch.slab.shape == (7, 5, 40, 48)
    # Coronal slices have margins above and below, as there are fewer axial ones than rows.
    margin = (40 - 16) // 2
    within = batch.brains[:, :, margin:-margin].sum((1, 2, 3)) == batch.brains.sum((1, 2, 3))
    assert within.tolist() == [False] * 4 + [True] * 3
