import nibabel as nib
import numpy as np
import pytest
import torch

from bids_anomaly.exceptions import BadScanError, MissingInputError
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import MODEL_GRID_2MM, template_white_matter
from bids_anomaly.synthesis.label_maps import tissues_in_grid
from bids_anomaly.synthesis.labels import (
    draw_contrast,
    paint_labels,
    random_contrast,
    volumes_from_labels,
)
from bids_anomaly.synthesis.tissues import CONTRASTS, TISSUES, VALUES

SPACING = 2.0
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    ),
]


def generator(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def with_labels(head, folder, change):
    labels = np.asanyarray(head.dataobj).copy()
    change(labels)
    path = folder / "labels.nii.gz"
    nib.Nifti1Image(labels, head.affine).to_filename(path)
    return path


@pytest.fixture(scope="module")
def head_path(labelled_head, tmp_path_factory):
    return with_labels(labelled_head, tmp_path_factory.mktemp("head"), lambda labels: None)


@pytest.fixture(scope="module")
def tissues(head_path):
    return tissues_in_grid(head_path, MODEL_GRID_2MM, seed=0)


@pytest.fixture
def slab(tissues):
    """Two slabs of six slices, (B, Z, Y, X)."""
    slices = torch.from_numpy(tissues.transpose(2, 1, 0).copy())
    return torch.stack([slices[88:100], slices[84:96]])


def paint(slab, contrast, seed=0):
    return paint_labels(slab, contrast, spacing=SPACING, generator=generator(seed))


@pytest.mark.parametrize("name", CONTRASTS)
def test_tissues_lie_in_the_ranges_of_their_contrast(name):
    means = draw_contrast(name, 200, generator()).means
    for tissue, (low, high) in CONTRASTS[name].items():
        values = means[:, VALUES[tissue]]
        assert low <= values.min() <= values.max() <= high
        assert values.max() - values.min() > 0.5 * (high - low)
    assert not means[:, 0].any()


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("T1w", ("ventricle", "cortex", "white matter")),
        ("FLAIR", ("ventricle", "white matter", "cortex")),
        ("T2w", ("white matter", "cortex", "ventricle")),
    ],
)
def test_fluid_grey_and_white_matter_are_in_the_order_of_the_contrast(slab, name, order):
    scan, _ = paint(slab, draw_contrast(name, 2, generator()))
    # Voxels of one tissue only.
    blocks = slab.unfold(1, 2, 2).unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    for sample in range(2):
        levels = [
            scan[sample][(blocks[sample] == VALUES[tissue]).all(-1)].median() for tissue in order
        ]
        assert levels[0] < levels[1] < levels[2]


def test_random_contrasts_make_any_tissue_brighter_or_darker_than_white_matter():
    means = random_contrast(300, generator()).means
    assert (means[:, VALUES["white matter"]] == 1).all()
    for tissue in set(TISSUES) - {"white matter"}:
        darker = (means[:, VALUES[tissue]] < 1).float().mean()
        assert 0.2 < darker < 0.9


def test_a_voxel_that_two_tissues_share_lies_between_them():
    # Fine columns 0 to 18 are ventricle, so that the tenth large voxel is shared.
    fine = torch.full((40, 8, 16, 40), VALUES["white matter"])
    fine[..., :19] = VALUES["ventricle"]
    scan, brain = paint(fine, draw_contrast("T1w", 40, generator()))
    profile = scan.mean((0, 1, 2))
    assert brain.all()
    assert profile[8] < 0.5 < profile[9] < 0.8 < profile[10]


def test_outside_the_brain_is_nothing(slab):
    scan, brain = paint(slab, random_contrast(2, generator()))
    assert scan.shape == brain.shape == (2, 6, 96, 80)
    assert not scan[brain == 0].any()
    assert scan.isfinite().all()
    assert (scan >= 0).all()


@pytest.mark.parametrize("device", DEVICES)
def test_a_seed_gives_the_same_scan_again_and_another_one_another(slab, device):
    def draw(seed):
        random = generator(seed, device)
        contrast = random_contrast(2, random)
        return paint_labels(slab.to(device), contrast, spacing=SPACING, generator=random)[0]

    torch.testing.assert_close(draw(1), draw(1), rtol=0, atol=0)
    assert (draw(1) - draw(2)).abs().max() > 0.1


def test_a_scan_is_not_changed_by_its_neighbours_in_the_batch(slab):
    contrast = draw_contrast("FLAIR", 2, generator())
    first, _ = paint(slab, contrast)
    second, _ = paint(torch.stack([slab[0], slab[0]]), contrast)
    torch.testing.assert_close(first[0], second[0])


def test_a_head_comes_to_lie_in_the_template(tissues):
    brain = tissues > 0
    assert tissues.shape == (160, 192, 160)
    assert 1.6e6 < brain.sum() < 2.4e6
    # White matter of the template is brain.
    shares = brain.reshape(80, 2, 96, 2, 80, 2).mean((1, 3, 5))
    white = resample(template_white_matter(1), MODEL_GRID_2MM).get_fdata() > 0.9
    assert shares[white].mean() > 0.98


def test_left_and_right_are_one_tissue(tissues):
    cortex = tissues == VALUES["cortex"]
    left, right = cortex[:80].sum(), cortex[80:].sum()
    assert left == pytest.approx(right, rel=0.15)


def test_white_matter_at_the_ventricles_is_thin(tissues):
    caps = (tissues == VALUES["periventricular white matter"]).sum()
    ventricle = (tissues == VALUES["ventricle"]).sum()
    assert 0 < caps < 1.5 * ventricle


def test_the_spinal_canal_is_not_brain(tissues):
    fluid = tissues == VALUES["sulcal fluid"]
    lowest_parenchyma = ((tissues > 0) & ~fluid).any((0, 1)).argmax()
    assert fluid.any((0, 1)).argmax() > lowest_parenchyma - 4


@pytest.mark.slow
def test_lesions_are_painted_as_white_matter(labelled_head, tissues, tmp_path):
    def add_lesions(labels):
        white = np.flatnonzero(labels == 2)
        labels.flat[white[::7]] = 25
        labels.flat[np.flatnonzero(labels == 41)[::5]] = 57

    path = with_labels(labelled_head, tmp_path, add_lesions)
    np.testing.assert_array_equal(tissues_in_grid(path, MODEL_GRID_2MM, seed=0), tissues)


@pytest.mark.slow
def test_sulci_without_label_hold_fluid(labelled_head, tmp_path):
    def keep_the_brain_alone(labels):
        labels[np.isin(labels, [24, 507])] = 0
        labels[:47, 50:52, 70:][np.isin(labels[:47, 50:52, 70:], [2, 3])] = 0

    path = with_labels(labelled_head, tmp_path, keep_the_brain_alone)
    tissues = tissues_in_grid(path, MODEL_GRID_2MM, seed=0)
    assert (tissues == VALUES["sulcal fluid"]).sum() > 3000


def test_labels_of_other_tools_are_refused(labelled_head, tmp_path):
    def renumber(labels):
        labels[labels == 3] = 4321

    path = with_labels(labelled_head, tmp_path, renumber)
    with pytest.raises(BadScanError, match="4321"):
        tissues_in_grid(path, MODEL_GRID_2MM, seed=0)


def test_a_map_without_white_matter_is_refused(labelled_head, tmp_path):
    def remove(labels):
        labels[np.isin(labels, [2, 41])] = 0

    path = with_labels(labelled_head, tmp_path, remove)
    with pytest.raises(BadScanError, match="white matter"):
        tissues_in_grid(path, MODEL_GRID_2MM, seed=0)


def test_a_missing_map_is_reported(tmp_path):
    with pytest.raises(MissingInputError):
        list(
            volumes_from_labels(
                [tmp_path / "none.nii.gz"], contrast="T1w", draws=1, grid=MODEL_GRID_2MM, seed=0
            )
        )


@pytest.mark.slow
def test_scans_from_labels_look_like_preprocessed_ones(head_path):
    made = list(
        volumes_from_labels([head_path], contrast="T1w", draws=2, grid=MODEL_GRID_2MM, seed=0)
    )
    assert len(made) == 2
    for scan, brain in made:
        assert scan.shape == brain.shape == MODEL_GRID_2MM.shape
        np.testing.assert_array_equal(scan.affine, MODEL_GRID_2MM.affine)
        assert scan.get_data_dtype() == np.float32
        assert brain.get_data_dtype() == np.uint8
        values, inside = scan.get_fdata(), brain.get_fdata() > 0
        assert not values[~inside].any()
        # White matter fills most of the phantom's brain.
        assert np.median(values[inside & (values > 0.9)]) == pytest.approx(1, abs=0.05)
    assert np.abs(made[0][0].get_fdata() - made[1][0].get_fdata()).max() > 0.1
