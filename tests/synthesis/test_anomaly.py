import pytest
import torch

from bids_anomaly.modalities import MODALITIES
from bids_anomaly.synthesis.anomaly import Anatomy, _along_ventricles, insert_anomalies
from bids_anomaly.synthesis.contrast import FLAIR, T1W, T2W
from bids_anomaly.synthesis.recipes import RECIPES

SPACING = 4.0
SHAPE = (5, 40, 48)  # slices, rows, columns: 160 by 192 mm
VISIBLE_CHANGE = RECIPES[T1W].visible_change
VENTRICLE = (slice(None), slice(17, 23), slice(20, 28))


def brain_mask():
    """An ellipse that fills most of the field of view."""
    row, column = torch.meshgrid(torch.arange(40.0), torch.arange(48.0), indexing="ij")
    inside = ((row - 19.5) / 17) ** 2 + ((column - 23.5) / 21) ** 2 < 1
    return inside.float().expand(SHAPE)


def insert(count, *, level=1.0, seed=0, texture=0.0, brain=None, modality=T1W, ventricle=False):
    """Insert anomalies into white matter of value 1; returns it too."""
    generator = torch.Generator().manual_seed(seed)
    brain = (brain_mask() if brain is None else brain).expand(count, *SHAPE)
    noise = torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(99))
    healthy = (1 + texture * noise) * brain
    t1w = brain.clone()
    if ventricle:
        csf = {T1W: 0.3, FLAIR: 0.2, T2W: 3.0}[modality]
        t1w[:, *VENTRICLE], healthy[:, *VENTRICLE] = 0.3, csf
    result = insert_anomalies(
        healthy,
        Anatomy(t1w, brain, brain[:, 2], brain[:, 2]),
        torch.full((count,), modality),
        torch.full((count,), level),
        spacing=SPACING,
        generator=generator,
    )
    return healthy, brain, result


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("modality", [T1W, FLAIR, T2W])
def test_nothing_happens_outside_the_brain(level, modality):
    _, brain, result = insert(64, level=level, modality=modality)
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


@pytest.mark.parametrize("modality", [FLAIR, T2W])
def test_lesions_on_flair_and_t2w_are_mostly_bright(modality):
    healthy, _, result = insert(300, modality=modality)
    change = (result.scan - healthy)[result.lesion == 1]
    assert (change > 0).float().mean() > 0.85


@pytest.mark.parametrize("modality", [T1W, FLAIR, T2W])
def test_a_ventricle_hardly_becomes_a_lesion(modality):
    _, _, result = insert(400, modality=modality, ventricle=True)
    in_ventricle = result.lesion[:, *VENTRICLE].mean()
    around = result.lesion[:, :, 13:27, 15:33].mean()
    assert in_ventricle < 0.5 * around


def test_a_band_follows_the_wall_of_the_ventricle_as_thick_as_asked():
    brain = brain_mask().expand(3, *SHAPE)
    t1w = brain.clone()
    t1w[:, *VENTRICLE] = 0.3
    thickness = torch.tensor([1.0, 1.5, 1.75]) * SPACING
    band = _along_ventricles(Anatomy(t1w, brain, brain[:, 2], brain[:, 2]), thickness, SPACING)
    assert not band[:, *VENTRICLE].any()
    _, rows, columns = VENTRICLE
    across = band[:, 2, (rows.start + rows.stop) // 2, columns.stop :]
    assert torch.allclose(across.sum(1), thickness / SPACING)
    assert (across[:, 0] == 1).all()


def test_many_small_lesions_lie_beside_the_ventricle():
    _, _, with_ventricle = insert(600, modality=FLAIR, ventricle=True)
    _, _, without = insert(600, modality=FLAIR)
    near, far = (slice(13, 27), slice(15, 33)), (slice(4, 36), slice(5, 43))

    def concentration(result):
        lesion = result.lesion[:, 2]
        small = lesion[lesion.flatten(1).sum(1) < 40]
        return small[:, *near].mean() / small[:, *far].mean()

    assert concentration(with_ventricle) > 1.3 * concentration(without)


def test_some_small_lesions_come_on_both_sides():
    _, _, result = insert(600, modality=FLAIR)
    lesion = result.lesion[:, 2].bool()
    both = (lesion & lesion.flip(-1)).flatten(1).sum(1) / lesion.flatten(1).sum(1).clamp(min=1)
    small = lesion.flatten(1).sum(1).clamp(max=40) < 40
    assert 0.1 < (both[small] > 0.7).float().mean() < 0.4


def test_every_modality_has_a_recipe_whose_shares_add_up():
    assert len(RECIPES) == len(MODALITIES)
    for recipe in RECIPES:
        assert sum(recipe.shares) == pytest.approx(1)


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
