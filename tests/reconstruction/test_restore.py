import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import (
    MODEL_GRID_2MM,
    template_brain,
    template_white_matter,
)
from bids_anomaly.reconstruction.bundle import choose_bundles, load_bundle
from bids_anomaly.reconstruction.registry import reconstruct

PACKAGED = choose_bundles("restore", ("T1w",))["T1w"]
# Part of the brain, around the ventricles: fewer slices are faster. They are whole in one view.
BUNDLE = replace(PACKAGED, description={**PACKAGED.description, "views": ["axial"]})
SLICES = slice(40, 56)


@pytest.fixture(scope="module")
def brain():
    """Slices of the template brain as if preprocessed (white matter = 1), and their mask."""
    scan = resample(template_brain(2), MODEL_GRID_2MM).get_fdata(dtype=np.float32)
    white = resample(template_white_matter(2), MODEL_GRID_2MM).get_fdata() > 0.95
    inside = scan > 0.1
    scan = scan / np.median(scan[white]) * inside
    noise = np.random.default_rng(0).normal(scale=0.02, size=scan.shape)
    return ((scan + noise) * inside).astype(np.float32)[..., SLICES], inside[..., SLICES]


@pytest.fixture(scope="module")
def blob(brain):
    """10 ml in the white matter of one hemisphere."""
    offset = np.indices(brain[0].shape) - np.array([53, 46, 8])[:, None, None, None]
    ball = np.sum(offset**2, axis=0) < (13.4 / 2) ** 2
    assert 0.009 < ball.sum() * 8e-6 < 0.011
    return ball & brain[1]


@pytest.fixture(scope="module")
def lesioned(brain, blob):
    """The same brain with a dark lesion."""
    opacity = gaussian_filter(blob.astype(np.float32), 0.7)
    return brain[0] + opacity * (0.45 - brain[0]) * brain[1]


@pytest.fixture(scope="module")
def result(lesioned, brain):
    return restored(lesioned, brain[1])


def restored(scan, inside, *, steps=None, batch_size=8, seed=0):
    return reconstruct(
        BUNDLE, scan, inside, device="cpu", batch_size=batch_size, steps=steps, seed=seed
    )


def test_the_result_has_the_shape_of_the_scan_and_nothing_outside_the_brain(result, brain):
    for volume in (result.pseudo_healthy, result.spread, result.anomaly):
        assert volume.shape == brain[0].shape
        assert volume.dtype == np.float32
        assert np.isfinite(volume).all()
        assert not volume[~brain[1]].any()


def test_the_spread_is_a_deviation_and_the_lesion_output_a_probability(result):
    assert result.spread.min() >= 0
    assert result.anomaly.min() >= 0
    assert result.anomaly.max() <= 1
    assert result.evaluations == 2 * len(BUNDLE.description["levels"]) + 2


def test_most_of_a_dark_lesion_is_removed_and_marked(result, lesioned, brain, blob):
    residual = result.pseudo_healthy - lesioned
    elsewhere = brain[1] & ~(gaussian_filter(blob.astype(np.float32), 2) > 0.01)
    assert residual[blob].mean() > 0.8 * (brain[0] - lesioned)[blob].mean()
    assert residual[blob].mean() > 5 * np.abs(residual[elsewhere]).mean()
    assert result.anomaly[blob].mean() > 5 * result.anomaly[elsewhere].mean()


def test_away_from_the_lesion_the_scan_is_kept(result, lesioned, brain, blob):
    elsewhere = brain[1] & ~(gaussian_filter(blob.astype(np.float32), 2) > 0.01)
    residual = np.abs(result.pseudo_healthy - lesioned)[elsewhere]
    assert residual.mean() < 0.1


def test_the_same_scan_gives_the_same_bytes(lesioned, brain):
    first, second = (restored(lesioned, brain[1], steps=1) for _ in range(2))
    for name in ("pseudo_healthy", "spread", "anomaly"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


def test_the_batch_size_changes_nothing_that_matters(lesioned, brain):
    few = restored(lesioned, brain[1], steps=1, batch_size=5)
    many = restored(lesioned, brain[1], steps=1, batch_size=16)
    for name in ("pseudo_healthy", "spread", "anomaly"):
        np.testing.assert_allclose(getattr(few, name), getattr(many, name), atol=1e-4)


def test_a_mirrored_brain_gives_the_mirrored_result(lesioned, brain):
    as_it_is = restored(lesioned, brain[1], steps=1)
    mirrored = restored(lesioned[::-1].copy(), brain[1][::-1].copy(), steps=1)
    np.testing.assert_allclose(mirrored.pseudo_healthy[::-1], as_it_is.pseudo_healthy, atol=1e-4)
    np.testing.assert_allclose(mirrored.anomaly[::-1], as_it_is.anomaly, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 2])
def test_steps_say_at_how_many_levels_the_network_is_asked(lesioned, brain, steps):
    few = (slice(None), slice(None), slice(6, 10))
    assert restored(lesioned[few], brain[1][few], steps=steps).evaluations == 2 * steps + 2


def test_the_threshold_makes_no_image(lesioned, brain):
    bundle = choose_bundles("threshold", ("T1w",))["T1w"]
    nothing = reconstruct(
        bundle, lesioned, brain[1], device="cpu", batch_size=None, steps=None, seed=0
    )
    assert nothing.pseudo_healthy is None
    assert nothing.spread is None
    assert nothing.anomaly is None
    assert nothing.evaluations == 0


def test_two_views_are_averaged_each_in_its_own_slices(tmp_path):
    random = np.random.default_rng(0)
    shape = (32, 48, 32)
    inside = np.zeros(shape, bool)
    inside[4:-4, 6:-6, 5:-5] = True
    scan = (random.uniform(0.5, 1, shape) * inside).astype(np.float32)

    def seen(views, scan=scan, inside=inside):
        folder = shutil.copytree(BUNDLE.folder, tmp_path / "bundle", dirs_exist_ok=True)
        described = json.loads((folder / "bundle.json").read_text())
        (folder / "bundle.json").write_text(json.dumps(described | {"views": views}))
        bundle = load_bundle(folder)
        return reconstruct(bundle, scan, inside, device="cpu", batch_size=8, steps=1, seed=0)

    axial, both = seen(["axial"]), seen(["axial", "coronal"])
    turned = (0, 2, 1)

    def framed(volume):
        # The frame of axial slices has 48 rows, and coronal ones have 32.
        return np.pad(volume.transpose(turned), ((0, 0), (8, 8), (0, 0)))

    coronal = seen(["axial"], framed(scan), framed(inside))
    assert both.evaluations == 2 * axial.evaluations
    for name in ("pseudo_healthy", "spread", "anomaly"):
        second = getattr(coronal, name)[:, 8:-8].transpose(turned)
        expected = (getattr(axial, name) + second) / 2
        np.testing.assert_allclose(getattr(both, name), expected, atol=1e-6)
        assert getattr(both, name).dtype == np.float32
    alone = seen(["coronal"]).anomaly
    np.testing.assert_array_equal(alone, coronal.anomaly[:, 8:-8].transpose(turned))
