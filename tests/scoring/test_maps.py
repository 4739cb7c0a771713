import ants
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.stats import norm

from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import SAME_SPACE, Chain
from bids_anomaly.scoring.findings import Threshold, find
from bids_anomaly.scoring.maps import FADING_MM, resample_in_brain, scan_maps

NATIVE = Grid.isotropic((32, 34, 30), (-16.0, -17.0, -15.0), 1.0)
MODEL = Grid.isotropic((18, 20, 18), (-18.0, -20.0, -18.0), 2.0)
LESION = (16, 17, 15)


def smooth(grid, seed):
    noise = np.random.default_rng(seed).normal(size=grid.shape)
    return gaussian_filter(noise, 2).astype(np.float32)


@pytest.fixture
def scan():
    """A head: something everywhere."""
    return NATIVE.image(1 + 5 * smooth(NATIVE, 0))


@pytest.fixture
def brain():
    mask = np.zeros(NATIVE.shape, np.uint8)
    mask[6:-6, 6:-6, 6:-6] = 1
    return NATIVE.image(mask)


@pytest.fixture
def zscore():
    """Typical everywhere but for one lesion in the middle, of 8 by 8 by 8 mm."""
    z = np.zeros(NATIVE.shape, np.float32)
    z[12:20, 13:21, 11:19] = 9
    return NATIVE.image(z)


@pytest.fixture
def maps(scan, brain, zscore):
    return make(scan, brain, zscore)


def make(scan, brain, zscore, *, min_lesion_volume=0.0, to_model=SAME_SPACE, **changes):
    given = {
        "covered": MODEL.image(np.ones(MODEL.shape, np.uint8)),
        "pseudo_healthy": MODEL.image(1 + smooth(MODEL, 4)),
        "residual": MODEL.image(smooth(MODEL, 1)),
        "spread": MODEL.image(np.abs(smooth(MODEL, 2))),
        "network": MODEL.image(np.abs(smooth(MODEL, 3))),
        **changes,
    }
    found = find(
        zscore.get_fdata(dtype=np.float32),
        np.asanyarray(brain.dataobj) > 0,
        Threshold(min_lesion_volume=min_lesion_volume),
        voxel_volume=NATIVE.voxel_volume,
    )
    return scan_maps(scan, brain, found, to_model=to_model, **given)


def test_all_maps_lie_in_the_grid_of_the_scan(maps, scan):
    assert set(maps) == {
        "preproc", "pseudohealthy", "residual", "zscore", "spread", "network", "brain",
        "probability", "anomaly",
    }  # fmt: skip
    for name, image in maps.items():
        assert image.shape == scan.shape, name
        np.testing.assert_array_equal(image.affine, scan.affine)
        mask = name in ("brain", "anomaly")
        assert image.get_data_dtype() == (np.uint8 if mask else np.float32), name


def test_scan_minus_pseudo_healthy_is_the_residual(maps):
    difference = maps["preproc"].get_fdata() - maps["pseudohealthy"].get_fdata()
    np.testing.assert_allclose(difference, maps["residual"].get_fdata(), atol=1e-6)
    assert np.abs(maps["residual"].get_fdata()).max() > 0.05


def test_outside_the_brain_the_scan_is_kept_and_nothing_is_found(maps, brain, scan):
    outside = np.asanyarray(brain.dataobj) == 0
    for name in ("preproc", "pseudohealthy"):
        np.testing.assert_array_equal(maps[name].get_fdata()[outside], scan.get_fdata()[outside])
    for name in ("residual", "zscore", "spread", "network", "probability", "anomaly"):
        assert not maps[name].get_fdata()[outside].any(), name


def test_the_mask_is_where_the_probability_is_above_one_half(maps):
    probability = maps["probability"].get_fdata()
    np.testing.assert_array_equal(maps["anomaly"].get_fdata() > 0, probability > 0.5)
    np.testing.assert_array_equal(probability > 0.5, maps["zscore"].get_fdata() > norm.isf(0.002))
    assert maps["anomaly"].get_fdata()[LESION] == 1
    assert 300 < maps["anomaly"].get_fdata().sum() < 1100  # mm3


def test_the_smallest_volume_is_counted_in_mm3(scan, brain, zscore, maps):
    volume = maps["anomaly"].get_fdata().sum()
    kept = make(scan, brain, zscore, min_lesion_volume=volume)
    gone = make(scan, brain, zscore, min_lesion_volume=volume + 1)
    assert kept["anomaly"].get_fdata().sum() == volume
    assert not gone["anomaly"].get_fdata().any()


def test_where_nothing_was_found_the_pseudo_healthy_image_keeps_the_detail_of_the_scan(
    scan, brain, zscore, maps
):
    nothing = make(scan, brain, NATIVE.image(np.zeros(NATIVE.shape, np.float32)))
    inside = np.asanyarray(brain.dataobj) > 0
    coarse = resample(MODEL.image(smooth(MODEL, 1)), NATIVE).get_fdata()
    kept = scan.get_fdata() - coarse * inside
    np.testing.assert_allclose(nothing["pseudohealthy"].get_fdata(), kept, atol=1e-5)
    far = distance_transform_edt(maps["anomaly"].get_fdata() == 0) > 4 * FADING_MM + 1
    assert (far & inside).any()
    np.testing.assert_allclose(maps["pseudohealthy"].get_fdata()[far], kept[far], atol=1e-5)


def test_where_something_was_found_the_detail_of_the_scan_is_gone(scan, brain, zscore, maps):
    """A pattern finer than the model grid cannot be in what the model sees, nor in its image."""
    found = maps["anomaly"].get_fdata() > 0
    pattern = np.indices(NATIVE.shape).sum(axis=0) % 2
    striped = make(NATIVE.image(scan.get_fdata() + pattern), brain, zscore)
    own = resample(MODEL.image(1 + smooth(MODEL, 4)), NATIVE).get_fdata()
    for one in (maps, striped):
        np.testing.assert_allclose(one["pseudohealthy"].get_fdata()[found], own[found], atol=1e-5)


def test_a_finding_beyond_what_the_model_saw_stays_as_it_was_scanned(scan, brain, zscore):
    half = np.ones(MODEL.shape, np.uint8)
    half[: MODEL.shape[0] // 2] = 0
    seen = {name: MODEL.image(half * smooth(MODEL, 1)) for name in ("pseudo_healthy", "residual")}
    maps = make(scan, brain, zscore, covered=MODEL.image(half), **seen)
    unseen = resample(MODEL.image(half), NATIVE).get_fdata() == 0
    assert (unseen & (maps["anomaly"].get_fdata() > 0)).any()
    image = maps["pseudohealthy"].get_fdata()
    np.testing.assert_allclose(image[unseen], scan.get_fdata()[unseen], atol=1e-5)


def test_what_a_method_does_not_give_is_left_out(scan, brain, zscore):
    without = {"pseudo_healthy": None, "residual": None, "spread": None, "network": None}
    maps = make(scan, brain, zscore, **without)
    assert set(maps) == {"preproc", "zscore", "brain", "probability", "anomaly"}


def test_maps_follow_the_transform(scan, brain, tmp_path):
    shift = ants.create_ants_transform(
        transform_type="AffineTransform", translation=(-4.0, 0.0, 0.0)
    )
    ants.write_transform(shift, str(tmp_path / "shift.mat"))
    chain = Chain.of(tmp_path / "shift.mat")
    outside, inside = slice(2, -6), slice(6, -2)
    # What is found lies in the scan, and does not move.
    zscore = NATIVE.image(np.zeros(NATIVE.shape, np.float32))
    for name in ("residual", "spread", "network"):
        here = make(scan, brain, zscore)[name].get_fdata()
        there = make(scan, brain, zscore, to_model=chain)[name].get_fdata()
        # LPS -4 is 4 mm to the right in the model grid, so all comes 4 mm further left.
        both = there[outside].astype(bool) & here[inside].astype(bool)
        assert both.any()
        np.testing.assert_allclose(there[outside][both], here[inside][both], atol=1e-5)


def test_the_zero_outside_the_brain_does_not_leak_into_its_surface():
    """A brain full of one value has that value up to its last voxel, in a finer grid too."""
    brain = np.zeros(MODEL.shape, np.float32)
    brain[5:-5, 6:-6, 5:-5] = 1
    brought = resample_in_brain(MODEL.image(3.2 * brain), MODEL.image(brain), NATIVE, SAME_SPACE)
    share = resample(MODEL.image(brain), NATIVE).get_fdata()
    np.testing.assert_allclose(brought.get_fdata()[share > 0.01], 3.2, rtol=1e-5)
    assert ((share > 0.02) & (share < 0.98)).any()
    assert not brought.get_fdata()[share == 0].any()


def test_beyond_what_is_known_stands_what_was_asked_for():
    brain = np.zeros(MODEL.shape, np.float32)
    brain[5:-5, 6:-6, 5:-5] = 1
    scan = np.random.default_rng(0).random(NATIVE.shape).astype(np.float32)
    brought = resample_in_brain(
        MODEL.image(3.2 * brain), MODEL.image(brain), NATIVE, SAME_SPACE, beyond=scan
    ).get_fdata(dtype=np.float32)
    share = resample(MODEL.image(brain), NATIVE).get_fdata()
    np.testing.assert_array_equal(brought[share == 0], scan[share == 0])
    np.testing.assert_allclose(brought[share > 0.01], 3.2, rtol=1e-5)
