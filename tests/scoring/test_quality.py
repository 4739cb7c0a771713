"""Good scans pass, and every way to break one is noticed by the measure that is made for it."""

import numpy as np
import pytest
from nilearn.datasets import load_mni152_brain_mask, load_mni152_gm_template
from scipy import ndimage

from bids_anomaly.modalities import KNOWN
from bids_anomaly.preprocessing.resample import resample, resample_mask
from bids_anomaly.preprocessing.template import MODEL_GRID_2MM, Grid, template_white_matter
from bids_anomaly.scoring.quality import _weakest_slice, measure_quality
from bids_anomaly.scoring.quality_limits import (
    GOOD,
    MEASURES,
    SUSPICIONS,
    check_quality,
    describe_flags,
    describe_misfit,
)

# Fluid, grey and white matter.
CONTRASTS = {"T1w": (0.35, 0.8, 1.0), "FLAIR": (0.15, 1.0, 1.0), "T2w": (2.5, 1.4, 1.0)}
# The whole head around the brain in air, in other units than those of the model.
HEAD_GRID = Grid.isotropic((104, 120, 104), (-103.0, -136.0, -99.0), 2.0)
LEVEL = 500.0


@pytest.fixture(scope="module")
def tissues():
    def on_grid(image):
        return resample(image, MODEL_GRID_2MM).get_fdata(dtype=np.float32)

    grey = load_mni152_gm_template(resolution=1)
    brain = resample_mask(load_mni152_brain_mask(resolution=1), MODEL_GRID_2MM)
    grey = on_grid(Grid.of(grey).image(grey.get_fdata(dtype=np.float32)))
    return np.asanyarray(brain.dataobj) > 0, grey, on_grid(template_white_matter(1))


@pytest.fixture(scope="module")
def brains(tissues):
    """Brains in the model grid by modality, white matter = 1."""
    brain, grey, white = tissues
    noise = np.random.default_rng(0).normal(0, 0.01, brain.shape)
    return {
        modality: brain * (fluid + (gm - fluid) * grey + (wm - fluid) * white + noise)
        for modality, (fluid, gm, wm) in CONTRASTS.items()
    }


def measure(scan, brain, *, native=None, native_brain=None):
    """Measure a scan in the model grid that was acquired as a head in air."""
    if native_brain is None:
        native_brain = native_mask(brain)
    if native is None:
        native = head_of(scan, brain)
    return measure_quality(
        HEAD_GRID.image(native.astype(np.float32)),
        HEAD_GRID.image(native_brain.astype(np.uint8)),
        scan_in_model_grid=MODEL_GRID_2MM.image(scan.astype(np.float32)),
        brain_in_model_grid=MODEL_GRID_2MM.image(brain.astype(np.uint8)),
        white_matter_level=LEVEL,
    )


def native_mask(brain):
    return np.pad(brain, [(12, 12)] * 3)


def head_of(scan, brain):
    """Return a scan with a scalp around the brain and faint air around the head."""
    brain = native_mask(brain)
    head = ndimage.binary_dilation(brain, iterations=5)
    air = np.random.default_rng(1).random(brain.shape) * 0.02
    return LEVEL * np.where(brain, np.pad(scan, [(12, 12)] * 3), np.where(head, 0.9, air))


def flagged(measures, modality):
    return {check.measure for check in check_quality(measures, modality) if check.flagged}


@pytest.fixture
def good(tissues, brains):
    return brains["T1w"], tissues[0]


@pytest.mark.parametrize("modality", CONTRASTS)
def test_a_good_scan_is_not_flagged(modality, tissues, brains):
    measures = measure(brains[modality], tissues[0])
    assert flagged(measures, modality) == set()
    assert set(measures) == set(SUSPICIONS)


@pytest.mark.parametrize(
    ("modality", "named"),
    [(modality, named) for modality in CONTRASTS for named in CONTRASTS if named != modality],
)
def test_a_wrong_suffix_is_noticed(modality, named, tissues, brains):
    found = flagged(measure(brains[modality], tissues[0]), named)
    assert found & {"grey_to_white", "fluid_to_white", "grey_position"}


@pytest.mark.parametrize("modality", ["T1w", "FLAIR"])
def test_an_inverted_contrast_is_noticed(modality, tissues, brains):
    brain = tissues[0]
    inverted = np.where(brain, 2.0 - brains[modality], 0)
    assert "fluid_to_white" in flagged(measure(inverted, brain), modality)


def test_a_brain_mask_that_is_cut_is_noticed(good):
    scan, brain = good
    cut = brain.copy()
    cut[:, :, 48:] = False
    assert "brain_overlap" in flagged(measure(scan * cut, cut), "T1w")


def test_a_brain_of_the_size_of_a_head_is_noticed(good):
    scan, brain = good
    head = ndimage.binary_dilation(native_mask(brain), iterations=6)
    measures = measure(scan, brain, native=head_of(scan, brain), native_brain=head)
    assert "brain_volume" in flagged(measures, "T1w")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_registration_that_misses_by_12_mm_is_noticed(good, axis):
    scan, brain = (np.roll(image, 6, axis) for image in good)
    assert "brain_overlap" in flagged(measure(scan, brain), "T1w")


def test_a_head_that_is_upside_down_agrees_with_no_tissue(good):
    scan, brain = (image[:, :, ::-1] for image in good)
    assert "tissue_agreement" in flagged(measure(scan, brain), "T1w")


def test_noise_is_noticed(good):
    scan, brain = good
    noisy = scan + np.random.default_rng(0).normal(0, 0.12, scan.shape) * brain
    assert "noise" in flagged(measure(noisy, brain), "T1w")
    assert measure(noisy, brain)["noise"] == pytest.approx(0.12, rel=0.15)


def test_ghosts_of_a_moving_head_are_noticed_in_the_air(good):
    scan, brain = good
    native = head_of(scan, brain)
    ghosted = native + 0.22 * np.roll(native, 60, axis=1)
    assert "ghosting" in flagged(measure(scan, brain, native=ghosted), "T1w")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_faint_ghosts_along_one_axis_are_noticed(good, axis):
    scan, brain = good
    native = head_of(scan, brain)
    far = np.roll(native, native.shape[axis] // 2, axis=axis)
    assert flagged(measure(scan, brain, native=native + 0.05 * far), "T1w") == {"axis_ghosting"}


def test_even_air_has_no_ghosts_however_bright_it_is(good):
    scan, brain = good
    native = head_of(scan, brain)
    measures = measure(scan, brain, native=native + 0.05 * LEVEL)
    assert measures["axis_ghosting"] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("background", [0.0, 3.0])
def test_a_background_of_one_value_tells_nothing_of_ghosts(good, background):
    scan, brain = good
    native = head_of(scan, brain)
    inside = native > 0.5 * LEVEL
    measures = measure(scan, brain, native=np.where(inside, native, background))
    assert np.isnan([measures["ghosting"], measures["axis_ghosting"]]).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("missing", [1, 3])
def test_missing_slices_are_noticed(good, axis, missing):
    scan, brain = good
    native = head_of(scan, brain)
    np.moveaxis(native, axis, 0)[50 : 50 + missing] = 0
    assert "weakest_slice" in flagged(measure(scan, brain, native=native), "T1w")


def test_missing_slices_that_split_the_brain_are_noticed(good):
    scan, brain = good
    native = head_of(scan, brain)
    native[:, :, 50:53] = 0
    half = native_mask(brain)
    half[:, :, 50:] = False
    measures = measure(scan, brain, native=native, native_brain=half)
    assert "weakest_slice" in flagged(measures, "T1w")


@pytest.mark.parametrize("factor", [4, 8, 50])
def test_a_slice_far_brighter_than_all_others_is_noticed(tissues, brains, factor):
    brain, *_ = tissues
    native = head_of(brains["T1w"], brain)
    native[:, :, 50] *= factor
    assert "weakest_slice" in flagged(measure(brains["T1w"], brain, native=native), "T1w")


def test_a_field_of_view_that_cuts_the_brain_is_noticed(good):
    scan, brain = good
    inside = native_mask(brain)
    top = np.flatnonzero(inside.any(axis=(0, 1)))[-1] - 20
    cut = np.roll(inside, HEAD_GRID.shape[2] - 1 - top, axis=2)
    cut[:, :, : HEAD_GRID.shape[2] - 1 - top] = False
    assert "brain_at_edge" in flagged(measure(scan, brain, native_brain=cut), "T1w")


@pytest.mark.parametrize("margin", [0, 40, 100])
def test_a_skull_stripped_scan_is_not_flagged_however_wide_its_field_of_view(good, margin):
    assert _weakest_slice(*stripped(good, margin)) > 0.9


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("factor", [0.0, 0.5, 50.0])
def test_missing_and_odd_slices_of_a_skull_stripped_scan_are_noticed(good, axis, factor):
    native, brain = stripped(good, 40)
    values = native.get_fdata(dtype=np.float32)
    # A cap above the slice is so small that the rest still counts as a whole brain.
    at = np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {axis})))[-1] - 8
    np.moveaxis(values, axis, 0)[at] *= factor
    assert _weakest_slice(Grid.of(native).image(values), brain) < 0.7


def stripped(good, margin):
    """Return a brain of 2 mm voxels in a field of view with margins, and its mask."""
    scan, brain = (np.pad(image, margin) for image in good)
    grid = Grid(scan.shape, MODEL_GRID_2MM.affine)
    return grid.image((LEVEL * scan).astype(np.float32)), brain


def test_a_skull_stripped_scan_has_no_ghosts(good):
    scan, brain = good
    native = LEVEL * np.pad(scan, [(12, 12)] * 3)
    assert flagged(measure(scan, brain, native=native), "T1w") == set()


def test_what_cannot_be_measured_is_not_flagged():
    assert flagged(dict.fromkeys(SUSPICIONS, np.nan), "T1w") == set()


def test_a_modality_without_limits_is_judged_by_what_holds_for_all():
    measures = {"grey_to_white": 99.0, "brain_volume": 99.0}
    assert flagged(measures, "UNIT1") == {"brain_volume"}


def test_every_limit_has_a_sentence_that_says_what_to_do():
    names = {name for limits in (GOOD, *(one.good for one in KNOWN)) for name in limits}
    assert names == set(SUSPICIONS)
    checks = check_quality({"grey_to_white": 1.4, "brain_volume": 1400.0}, "T1w")
    (sentence,) = describe_flags(checks, name="sub-01_T1w", modality="T1w")
    assert sentence.startswith("sub-01_T1w: GM/WM intensity ratio is 1.4 ")
    assert set(MEASURES) >= names
    assert "at least 0.61 and at most 0.97" in sentence
    assert "suffix" in sentence


@pytest.mark.parametrize(
    ("modality", "overlap", "agreement", "grey", "fits"),
    [
        # As scans of four scanners have them, turned by quarters and halves.
        ("T1w", 0.893, 0.052, 17.9, False),
        ("T1w", 0.898, 0.035, 0.578, False),
        ("T1w", 0.882, 0.085, 1.468, False),
        ("PDw", 0.7, 0.3, 0.3, False),
        ("FLAIR", 0.7, 0.3, 0.3, False),
        # Turned as well, but gliomas are much like them: warned of.
        ("FLAIR", 0.903, 0.063, 0.435, True),
        ("FLAIR", 0.879, 0.045, 0.109, True),
        # Good ones, gliomas, thick slices, a field of view that is cut, a turn that was undone.
        ("T1w", 0.935, 0.328, 0.3, True),
        ("T1w", 0.893, 0.448, 0.3, True),
        ("FLAIR", 0.958, 0.16, -0.194, True),
        ("FLAIR", 0.889, 0.075, 0.0455, True),
        ("FLAIR", 0.859, 0.316, 0.2, True),
        ("T2w", 0.893, 0.022, 0.2, True),
        ("T1w", 0.85, 0.3, 0.6, True),
        ("FLAIR", 0.909, 0.276, 0.337, True),
    ],
)
def test_a_scan_that_does_not_lie_in_the_template_is_told_from_one_that_does(
    modality, overlap, agreement, grey, fits
):
    measures = {"brain_overlap": overlap, "tissue_agreement": agreement, "grey_position": grey}
    checks = check_quality(measures, modality)
    said = describe_misfit(checks, name="sub-01_scan", modality=modality)
    assert (said is None) == fits
    assert fits or "sub-01_scan does not fit the template" in said
