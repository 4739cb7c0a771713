import pytest
import torch

from bids_anomaly.synthesis.anomaly import VISIBLE_CHANGE, insert_anomalies

SPACING = 4.0
SHAPE = (5, 40, 48)  # slices, rows, columns: 160 by 192 mm


def brain_mask():
    """An ellipse that fills most of the field of view."""
    row, column = torch.meshgrid(torch.arange(40.0), torch.arange(48.0), indexing="ij")
    inside = ((row - 19.5) / 17) ** 2 + ((column - 23.5) / 21) ** 2 < 1
    return inside.float().expand(SHAPE)


def insert(count, *, level=1.0, seed=0, texture=0.0, brain=None):
    """Insert anomalies into white matter of value 1; returns it too."""
    generator = torch.Generator().manual_seed(seed)
    brain = (brain_mask() if brain is None else brain).expand(count, *SHAPE)
    noise = torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(99))
    healthy = (1 + texture * noise) * brain
    result = insert_anomalies(
        healthy,
        brain,
        brain[:, 2],
        torch.full((count,), level),
        spacing=SPACING,
        generator=generator,
    )
    return healthy, brain, result


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_nothing_happens_outside_the_brain(level):
    _, brain, result = insert(64, level=level)
    assert not result.scan[brain == 0].any()
    assert not result.lesion[brain == 0].any()


def test_every_value_is_finite_and_the_truth_is_0_or_1():
    healthy, _, result = insert(64, texture=0.05)
    assert result.scan.shape == result.lesion.shape == healthy.shape
    assert torch.isfinite(result.scan).all()
    assert set(result.lesion.unique().tolist()) == {0, 1}


def test_about_15_percent_come_back_as_they_were():
    healthy, _, result = insert(600)
    clean = (result.scan == healthy).flatten(1).all(1)
    assert 0.10 < clean.float().mean() < 0.25
    assert not result.lesion[clean].any()


def test_most_of_the_others_have_a_visible_lesion():
    healthy, _, result = insert(300)
    changed = (result.scan != healthy).flatten(1).any(1)
    marked = result.lesion.flatten(1).any(1)
    assert (marked & changed).sum() > 0.75 * changed.sum()


def test_the_scan_differs_visibly_wherever_a_lesion_is_marked():
    healthy, _, result = insert(64, texture=0.05)
    change = (result.scan - healthy).abs()
    assert change[result.lesion == 1].min() > VISIBLE_CHANGE


def test_deep_in_even_tissue_every_strong_change_is_a_marked_lesion():
    # A mass moves even tissue onto even tissue: only the surface of the brain could show it.
    healthy, _, result = insert(200, brain=torch.ones(SHAPE))
    change = (result.scan - healthy).abs()[:, :, 6:-6, 6:-6]
    marked = result.lesion[:, :, 6:-6, 6:-6] == 1
    assert change[~marked].max() < 0.35
    assert (change[marked] > 0.35).sum() > 1000


def test_a_mass_moves_tissue_beyond_its_own_extent():
    healthy, _, result = insert(200, texture=0.1)
    change = (result.scan - healthy).abs() > VISIBLE_CHANGE
    outside = (change & (result.lesion == 0)).flatten(1).sum(1)
    assert (outside > 100).float().mean() > 0.05


def test_the_same_seed_gives_the_same_sample_and_another_one_another():
    first, second, other = (insert(32, seed=seed)[2] for seed in (5, 5, 6))
    assert torch.equal(first.scan, second.scan)
    assert torch.equal(first.lesion, second.lesion)
    assert not torch.equal(first.scan, other.scan)


def test_the_level_is_the_opacity():
    whole = torch.ones(SHAPE)
    changes = []
    for level in (0.0, 0.5, 1.0):
        healthy, _, result = insert(128, level=level, brain=whole)
        changes.append((result.scan - healthy).abs()[:, :, 6:-6, 6:-6].mean().item())
    assert changes[0] < changes[1] < changes[2]
    assert changes[0] / changes[2] == pytest.approx(0.3, abs=0.08)
    assert changes[1] / changes[2] == pytest.approx(0.65, abs=0.08)


def test_the_lowest_level_still_shows():
    _, _, result = insert(128, level=0.0)
    assert result.lesion.any()


@pytest.mark.parametrize("seed", range(12))
def test_a_batch_of_one_works(seed):
    healthy, _, result = insert(1, seed=seed)
    assert result.scan.shape == healthy.shape
    assert torch.isfinite(result.scan).all()


def test_lesions_on_t1w_are_mostly_dark():
    healthy, _, result = insert(300)
    change = (result.scan - healthy)[result.lesion == 1]
    assert (change < 0).float().mean() > 0.85


def test_lesions_are_of_all_sizes():
    _, _, result = insert(400)
    volumes = result.lesion.flatten(1).sum(1) * SPACING**3 / 1000
    assert ((volumes > 0) & (volumes < 1)).any()
    assert (volumes > 20).any()


def test_a_slab_without_brain_is_left_alone():
    healthy, _, result = insert(16, brain=torch.zeros(SHAPE))
    assert torch.equal(result.scan, healthy)
    assert not result.lesion.any()


def test_the_healthy_scan_is_not_written_to():
    healthy, _, _ = insert(16)
    again, _, _ = insert(16)
    assert torch.equal(healthy, again)
    assert torch.equal(healthy, brain_mask().expand_as(healthy))
