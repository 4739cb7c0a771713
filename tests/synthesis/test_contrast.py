from itertools import pairwise

import pytest
import torch

from bids_anomaly.modalities import MODALITIES
from bids_anomaly.synthesis import regions
from bids_anomaly.synthesis.contrast import (
    FLAIR,
    T1W_CSF,
    T1W_GREY,
    T2W,
    TONES,
    paint,
    ventricle_neighbourhood,
)

SHAPE = (5, 32, 40)


def slabs(count, *values):
    """Blocks of tissue side by side along the rows, with air around."""
    t1w = torch.zeros(count, *SHAPE)
    rows = torch.linspace(4, 28, len(values) + 1).int().tolist()
    for start, end, value in zip(rows, rows[1:], values, strict=False):
        t1w[:, :, start:end, 4:36] = value
    return t1w, [slice(start + 2, end - 2) for start, end in pairwise(rows)]


def painted(t1w, modality, seed=0, deep=0.0, region=0):
    count = len(t1w)
    return paint(
        t1w,
        (t1w > 0).float(),
        torch.full((count, *SHAPE[1:]), deep),
        torch.full((count, *SHAPE[1:]), region),
        torch.full((count,), modality),
        generator=torch.Generator().manual_seed(seed),
    )


def levels(modality):
    """The level of CSF, grey and white matter in each of many painted scans."""
    t1w, rows = slabs(200, T1W_CSF - 0.06, T1W_GREY, 1.0)
    scan = painted(t1w, modality)
    return [scan[:, 2, block, 8:32].flatten(1).median(1).values for block in rows]


def test_on_t2w_fluid_is_brightest_and_white_matter_darkest():
    csf, grey, white = levels(T2W)
    assert (csf > grey).float().mean() > 0.97
    assert (grey > white).float().mean() > 0.95
    assert white.median() == pytest.approx(1, abs=0.03)
    low, high = TONES[T2W].csf
    # Flow makes one fluid space brighter than the next.
    assert 0.8 * low < csf.min() < csf.max() < 1.25 * high


def test_on_flair_fluid_is_dark_and_grey_matter_about_as_bright_as_white():
    csf, grey, white = levels(FLAIR)
    assert csf.median() < 0.4
    # On some scanners it is suppressed badly.
    assert 0.75 < (csf < 0.7 * grey).float().mean() <= 0.95
    assert (csf < grey).float().mean() > 0.97
    assert 0.75 < grey.min() < grey.max() < 1.65
    assert white.median() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("modality", [FLAIR, T2W])
def test_outside_the_brain_is_nothing(modality):
    t1w, _ = slabs(20, 0.3, 0.7, 1.0)
    scan = painted(t1w, modality)
    assert scan.shape == t1w.shape
    assert not scan[t1w == 0].any()
    assert torch.isfinite(scan).all()
    assert scan.min() >= 0


def test_the_same_seed_paints_the_same_scan_and_another_one_another():
    t1w, _ = slabs(4, 0.3, 0.7, 1.0)
    assert torch.equal(painted(t1w, FLAIR, 3), painted(t1w, FLAIR, 3))
    assert (painted(t1w, FLAIR, 3) - painted(t1w, FLAIR, 4)).abs().max() > 0.01


@pytest.mark.parametrize("modality", [FLAIR, T2W])
def test_very_bright_or_dark_t1w_values_stay_in_range(modality):
    t1w, _ = slabs(50, 0.01, 3.0)
    assert painted(t1w, modality).max() < 6


def test_a_batch_may_mix_contrasts():
    t1w, rows = slabs(2, 0.2, 1.0)
    scan = paint(
        t1w,
        (t1w > 0).float(),
        torch.zeros(2, *SHAPE[1:]),
        torch.zeros(2, *SHAPE[1:], dtype=torch.long),
        torch.tensor([FLAIR, T2W]),
        generator=torch.Generator().manual_seed(0),
    )
    flair, t2w = scan[:, 2, rows[0], 8:32].flatten(1).median(1).values
    assert flair < 0.6 < 1.5 < t2w


def test_cortex_varies_over_the_brain_as_in_real_t2w_scans():
    t1w, _ = slabs(200, T1W_GREY)
    places = painted(t1w, T2W)[:, 2, 6:26, 6:34].reshape(200, 4, 5, 4, 7).mean((2, 4))
    spread = places.flatten(1).std(1) / places.flatten(1).mean(1)
    # A standard deviation of 10 % in the person in whom it was measured.
    assert 0.03 < spread.median() < 0.12
    assert spread.quantile(0.9) > 0.1


def test_only_tissue_beside_deep_csf_is_near_a_ventricle():
    t1w, _ = slabs(1, 1.0, 1.0)
    t1w[:, :, 14:18, 16:24] = 0.2  # a ventricle
    t1w[:, :, 6:8, 10:30] = 0.2  # a sulcus
    deep = torch.zeros(1, *SHAPE[1:])
    deep[:, 12:20, 12:28] = 1
    near = ventricle_neighbourhood(t1w, deep, reach=2)
    assert near[0, 2, 12:14, 18].all()
    assert not near[0, 2, 14:18, 16:24].any()
    assert not near[0, 2, 8:11, 10:30].any()


@pytest.mark.parametrize("modality", [FLAIR, T2W])
def test_regions_have_tones_of_their_own(modality):
    """The same tissue is brighter or darker in a region than elsewhere, in each scan otherwise."""
    t1w, _ = slabs(100, 1.0)
    names = list(regions.TONES)
    pallidum = 1 + next(i for i, group in enumerate(names) if "Pallidum" in group)
    inside, elsewhere = (
        painted(t1w, modality, region=region)[:, 2, 10:20, 10:30].flatten(1).median(1).values
        for region in (pallidum, 0)
    )
    mean, deviation = regions.tones(MODALITIES[modality])[pallidum]
    change = inside / elsewhere - 1
    assert change.mean() == pytest.approx(mean, abs=0.03)
    assert change.std() == pytest.approx(deviation, rel=0.3)
