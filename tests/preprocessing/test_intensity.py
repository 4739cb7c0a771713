import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_anomaly.exceptions import ConstantImageError
from bids_anomaly.preprocessing.intensity import (
    SURE_WHITE_MATTER,
    to_model_grid,
    white_matter_level,
)
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import (
    MODEL_GRID_2MM,
    template_brain,
    template_white_matter,
)
from bids_anomaly.preprocessing.transforms import SAME_SPACE

SHAPE = (20, 20, 20)
EVERYWHERE = np.ones(SHAPE, bool)


def white_matter(level, *, fraction=0.0, relative=1.0, spread=0.05, seed=0):
    """White matter with noise, a share of it replaced by lesion."""
    rng = np.random.default_rng(seed)
    values = rng.normal(1, spread, SHAPE)
    lesion = rng.permutation(values.size)[: int(fraction * values.size)]
    values.flat[lesion] = rng.normal(relative, 1.5 * spread, lesion.size)
    return level * np.maximum(values, 1e-6)


@settings(max_examples=80)
@given(
    level=st.floats(1e-3, 1e5),
    fraction=st.floats(0, 1 / 3),
    relative=st.one_of(st.floats(0.1, 0.75), st.floats(1.25, 4)),
    spread=st.floats(0.01, 0.06),
    seed=st.integers(0, 9),
)
def test_lesions_of_up_to_a_third_of_the_white_matter_move_its_level_by_less_than_2_percent(
    level, fraction, relative, spread, seed
):
    scan = white_matter(level, fraction=fraction, relative=relative, spread=spread, seed=seed)
    assert white_matter_level(scan, EVERYWHERE) == pytest.approx(level, rel=0.02)


@settings(max_examples=30)
@given(scale=st.floats(1e-4, 1e6))
def test_a_scan_in_other_units_has_its_level_in_those_units(scale):
    scan = white_matter(1, fraction=0.2, relative=0.5)
    level = white_matter_level(scan, EVERYWHERE)
    assert white_matter_level(scale * scan, EVERYWHERE) == pytest.approx(scale * level, rel=1e-6)


def test_only_likely_white_matter_counts():
    scan = white_matter(300)
    likely = EVERYWHERE.copy()
    likely[10:] = False
    scan[10:] = 1e6
    assert white_matter_level(scan, likely) == pytest.approx(300, rel=0.02)


def test_whole_numbers_are_as_good_as_any():
    scan = white_matter(80).round()
    assert white_matter_level(scan, EVERYWHERE) == pytest.approx(80, rel=0.02)


@pytest.mark.parametrize(
    ("scan", "likely"),
    [
        (np.full(SHAPE, 5.0), EVERYWHERE),
        (np.zeros(SHAPE), EVERYWHERE),
        (-white_matter(1), EVERYWHERE),
        (white_matter(1), ~EVERYWHERE),
        (np.where(np.arange(20) < 14, 0, white_matter(1)), EVERYWHERE),
    ],
    ids=["constant", "zero", "negative", "no white matter", "mostly outside the field of view"],
)
def test_white_matter_that_cannot_be_measured_is_an_error_with_advice(scan, likely):
    with pytest.raises(ConstantImageError, match="Check its brain mask and registration"):
        white_matter_level(scan, likely)


@pytest.fixture(scope="module")
def head():
    """The template brain in the model grid, in units of a scanner, with something around it."""
    values = resample(template_brain(2), MODEL_GRID_2MM).get_fdata(dtype=np.float32)
    brain = values > 0.1
    return np.where(brain, 450 * values, 200).astype(np.float32), brain


def normalise(scan, brain):
    return to_model_grid(
        MODEL_GRID_2MM.image(scan),
        MODEL_GRID_2MM.image(brain.astype(np.uint8)),
        SAME_SPACE,
        MODEL_GRID_2MM,
    )


def test_white_matter_is_1_and_outside_the_brain_is_nothing(head):
    scan, brain, level = normalise(*head)
    values, inside = scan.get_fdata(), np.asanyarray(brain.dataobj) > 0
    white = resample(template_white_matter(1), MODEL_GRID_2MM).get_fdata() > SURE_WHITE_MATTER
    assert np.median(values[white & inside]) == pytest.approx(1, abs=0.02)
    assert not values[~inside].any()
    np.testing.assert_array_equal(inside, head[1])
    np.testing.assert_allclose(values[inside], head[0][inside] / level, rtol=1e-5)


@pytest.mark.parametrize("relative", [0.3, 1.8])
def test_a_large_lesion_does_not_darken_the_rest(head, relative):
    scan, brain = head
    healthy = normalise(scan, brain)[0].get_fdata()
    offset = np.indices(scan.shape) - np.array([54, 46, 50])[:, None, None, None]
    lesion = (np.sum(offset**2, axis=0) < (26.7 / 2) ** 2) & brain  # a sphere of 80 ml
    assert lesion.sum() * 8e-3 > 60
    lesioned = normalise(np.where(lesion, relative * scan, scan).astype(np.float32), brain)[0]
    outside = brain & ~lesion
    np.testing.assert_allclose(lesioned.get_fdata()[outside], healthy[outside], rtol=0.02)
