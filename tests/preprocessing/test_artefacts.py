"""Values that are no tissue are recognised and mended, and clean scans come out as they went in."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.preprocessing.artefacts import mend_intensities
from bids_anomaly.preprocessing.reorient import reorient_labels, reorient_scan

SHAPE = (50, 56, 52)
VOXEL_MM = 4.0
RADIUS = np.linalg.norm(np.moveaxis(np.indices(SHAPE), 0, -1) - np.array(SHAPE) / 2, axis=-1)


def noise(level, seed):
    return np.random.default_rng(seed).normal(0, level, SHAPE)


def tissues():
    """A fluid core in white and grey matter, nothing around."""
    values = np.select([RADIUS < 6, RADIUS < 14, RADIUS < 18], [150, 700, 500], 0)
    return np.where(RADIUS < 18, values + noise(20, 0), 0)


def whole_head():
    """The same in dark bone and a bright scalp, in noisy air."""
    air = np.hypot(noise(8, 1), noise(8, 2))
    return np.select([RADIUS < 18, RADIUS < 19.5, RADIUS < 22], [tissues(), 40, 800], 0) + air


SCANS = {
    "whole head": np.round(whole_head()).astype(np.float32),
    "stripped": np.round(np.maximum(tissues(), 0)).astype(np.float32),
    "stripped, background -1024": np.where(RADIUS < 18, tissues(), -1024).astype(np.float32),
    "stripped, background 1000": np.where(RADIUS < 18, tissues(), 1000).astype(np.float32),
    "air of zeros": np.where(RADIUS < 22, whole_head(), 0).astype(np.float32),
    "noisy": (whole_head() + np.abs(noise(60, 3))).astype(np.float32),
    "resampled": ndimage.shift(whole_head(), (0.4, 0.5, 0.45), order=5).astype(np.float32),
}
HEAD = SCANS["whole head"]


def mend(values, step=1.0):
    image = nib.Nifti1Image(values.astype(np.float32), np.diag([VOXEL_MM] * 3 + [1.0]))
    return mend_intensities(image, step=step, name="sub-01_T1w.nii.gz")


def regions():
    """Where padding lies: outside a circle, in a frame, at one side."""
    x, y, z = np.indices(SHAPE)
    circle = np.hypot(x - SHAPE[0] / 2, y - SHAPE[1] / 2) > SHAPE[0] / 2
    frame = (
        np.minimum.reduce(
            [*(i for i in (x, y, z)), *(n - 1 - i for n, i in zip(SHAPE, (x, y, z), strict=True))]
        )
        < 2
    )
    return {"circle": circle, "frame": frame, "one side": y < 3}


REGIONS = regions()


@pytest.mark.parametrize("scan", SCANS)
def test_clean_scans_come_out_as_they_went_in(scan):
    mended = mend(SCANS[scan])
    assert mended.remarks == ()
    np.testing.assert_array_equal(mended.values, SCANS[scan])


@settings(max_examples=20)
@given(
    scan=st.sampled_from(["whole head", "stripped", "air of zeros"]),
    count=st.integers(1, 5),
    factor=st.sampled_from([4, 20, 1e3, 1e6, -4, -100]),
    in_line=st.booleans(),
    seed=st.integers(0, 99),
)
def test_hot_and_cold_voxels_get_the_value_around_them_and_are_told(
    scan, count, factor, in_line, seed
):
    clean = SCANS[scan]
    inside = np.argwhere(RADIUS < 12)
    places = inside[np.random.default_rng(seed).choice(len(inside), count, replace=False)]
    if in_line:
        places = places[0] + np.outer(np.arange(count), (0, 0, 1))
    values = clean.copy()
    values[tuple(places.T)] = factor * clean.max()
    mended = mend(values)
    assert len(mended.remarks) == 1
    assert f"{count} voxel" in mended.remarks[0]
    others = np.ones(SHAPE, bool)
    others[tuple(places.T)] = False
    np.testing.assert_array_equal(mended.values[others], clean[others])
    assert mended.values.min() >= 0
    assert mended.values.max() <= clean.max()


@settings(max_examples=10)
@given(
    scan=st.sampled_from(["whole head", "stripped", "air of zeros"]),
    corner=st.tuples(*[st.integers(1, 4)] * 3),
    thick=st.integers(1, 5),
    factor=st.sampled_from([4, 70]),
)
def test_text_that_was_burned_into_a_scan_becomes_air_and_is_told(scan, corner, thick, factor):
    clean = SCANS[scan]
    x, y, z = corner
    text = np.zeros(SHAPE, bool)
    text[x : x + thick, y : y + 8, z : z + 6] = True
    text[x : x + 6, y : y + thick, z : z + 6] = True
    values = np.where(text, factor * clean.max(), clean)
    mended = mend(values)
    assert f"{text.sum()} voxels are far beyond" in mended.remarks[0]
    np.testing.assert_array_equal(mended.values[~text], clean[~text])
    assert mended.values[text].max() <= clean[RADIUS > 26].max()


@settings(max_examples=20)
@given(
    scan=st.sampled_from(["whole head", "stripped", "air of zeros"]),
    level=st.floats(0.2, 10),
)
def test_a_pedestal_is_taken_off_and_told(scan, level):
    clean = SCANS[scan]
    mended = mend(clean + 700 * level)
    assert len(mended.remarks) == 1
    assert "air is not dark" in mended.remarks[0]
    np.testing.assert_allclose(mended.values, clean, atol=5)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("value", [63536, 65535, 32767, -2000, -32768, 650])
def test_padding_of_any_value_and_shape_becomes_air_and_is_told(region, value):
    values = np.where(REGIONS[region], value, HEAD)
    mended = mend(values)
    assert len(mended.remarks) == 1
    assert f"padding of the value {value}" in mended.remarks[0]
    np.testing.assert_array_equal(mended.values[~REGIONS[region]], HEAD[~REGIONS[region]])
    assert 0 <= mended.values[REGIONS[region]].max() < 40


def test_padding_that_was_interpolated_leaves_no_rim():
    values = np.where(REGIONS["circle"], 63536.0, HEAD)
    blurred = ndimage.shift(values, (0.3, 0.3, 0), order=1, mode="nearest")
    assert mend(blurred).values.max() < 1200


def test_zeros_around_a_field_of_view_do_not_hide_a_pedestal():
    values = np.where(REGIONS["circle"], 0, HEAD + 300)
    mended = mend(values)
    assert len(mended.remarks) == 2
    np.testing.assert_allclose(mended.values[~REGIONS["circle"]], HEAD[~REGIONS["circle"]], atol=5)


@pytest.mark.parametrize("quantile", [99.9, 99.0, 95.0])
@pytest.mark.parametrize("scan", ["whole head", "stripped"])
@pytest.mark.parametrize(
    ("kind", "signed", "step"), [("u2", "i2", 1.0), ("u2", "i2", 0.01), ("u1", "i1", 1.0)]
)
def test_an_overflow_of_integers_is_undone_and_told(scan, quantile, kind, signed, step):
    clean = SCANS[scan]
    top = np.iinfo(signed).max
    stored = np.minimum(clean / np.percentile(clean[clean > 0], quantile) * top, 2 * top)
    stored = stored.astype(kind)
    mended = mend(stored.view(signed) * step, step=step)
    assert "were given it back" in mended.remarks[0]
    np.testing.assert_allclose(mended.values, stored * step, rtol=1e-5)


def test_negative_voxels_in_tissue_that_cannot_be_explained_are_refused():
    values = np.where(RADIUS < 4, -700, HEAD)
    with pytest.raises(BadScanError, match=r"sub-01_T1w\.nii\.gz has \d+ voxels .*negative"):
        mend(values)


def test_noise_in_air_as_bright_as_tissue_is_told():
    wild = np.random.default_rng(0).uniform(0, 1000, SHAPE)
    (remark,) = mend(np.where(RADIUS < 22, HEAD, wild)).remarks
    assert "MP2RAGE" in remark


def test_what_a_file_holds_is_mended_when_it_is_read_and_labels_are_left_alone(tmp_path):
    path = tmp_path / "sub-01_T1w.nii.gz"
    values = np.where(REGIONS["circle"], 63536, HEAD + 300)
    nib.Nifti1Image(values.astype(np.uint16), np.diag([-VOXEL_MM] * 2 + [VOXEL_MM, 1])).to_filename(
        path
    )
    reoriented = reorient_scan(path)
    assert [word in " ".join(reoriented.remarks) for word in ("padding", "air is not dark")] == [
        True,
        True,
    ]
    assert reoriented.scan.get_fdata().max() < 1200
    assert reorient_labels(path).get_fdata().max() == 63536
