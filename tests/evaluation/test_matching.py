"""Results and masks find each other by their entities, and masks reach the grid of the result."""

import ants
import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.bids.naming import file_name, transform_path
from bids_anomaly.bids.records import ScanRecord, SessionRecord
from bids_anomaly.evaluation.loading import load_maps
from bids_anomaly.evaluation.matching import (
    Pair,
    Prediction,
    Truth,
    chain_between,
    find_predictions,
    find_truth,
    match,
)
from bids_anomaly.exceptions import BadScanError, MissingInputError, UsageError
from bids_anomaly.preprocessing.composite import write_composite
from bids_anomaly.preprocessing.template import TEMPLATE, Grid
from bids_anomaly.preprocessing.transforms import SAME_SPACE, Chain
from bids_anomaly.scoring.findings import Threshold

SHIFT = 8.0


def prediction(tmp_path, modality="FLAIR", **entities):
    return Prediction(tmp_path, {"sub": "01", **entities}, modality, None)


def masks(tmp_path, *names):
    for name in names:
        path = tmp_path / "truth" / "sub-01" / "anat" / f"{name}_mask.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return find_truth(tmp_path / "truth")["01"]


def test_results_in_templates_with_a_resolution_are_passed_over(tmp_path):
    anat = tmp_path / "sub-01" / "anat"
    anat.mkdir(parents=True)
    for space in ("", "space-MNI152NLin6Asym_res-1_", "space-MNI152NLin6Asym_res-2_"):
        (anat / f"sub-01_{space}desc-zscore_T1w.nii.gz").touch()
    assert len(find_predictions(tmp_path)) == 1
    assert find_predictions(tmp_path, space="MNI152NLin6Asym") == []


def test_entities_that_a_mask_leaves_out_fit_every_scan(tmp_path):
    found = masks(tmp_path, "sub-01_label-lesion")
    assert match(prediction(tmp_path, ses="2", run="1", acq="iso"), found) == found[0]


@pytest.mark.parametrize(
    ("entities", "name"),
    [
        ({"ses": "1", "run": "1"}, "sub-01_ses-1_run-1_label-lesion"),
        ({"ses": "1", "run": "2"}, "sub-01_ses-1_label-lesion"),
        ({"ses": "2", "run": "1"}, None),
    ],
)
def test_the_mask_of_the_same_session_and_run_is_taken(tmp_path, entities, name):
    found = masks(tmp_path, "sub-01_ses-1_label-lesion", "sub-01_ses-1_run-1_label-lesion")
    taken = match(prediction(tmp_path, **entities), found)
    assert (taken and taken.path.name) == (name and f"{name}_mask.nii.gz")


def test_a_mask_drawn_on_the_scan_itself_comes_before_others(tmp_path):
    found = masks(tmp_path, *(f"sub-01_space-{s}_label-WMH" for s in ("FLAIR", "T1w", "orig")))
    assert match(prediction(tmp_path, "FLAIR"), found).space == "FLAIR"
    assert match(prediction(tmp_path, "T2w"), found).space is None


def test_masks_of_the_brain_are_no_truth(tmp_path):
    found = masks(tmp_path, "sub-01_desc-brain", "sub-01_label-brain", "sub-01_desc-lesion")
    assert [mask.path.name for mask in found] == ["sub-01_desc-lesion_mask.nii.gz"]


def test_several_raters_have_to_be_told_apart(tmp_path):
    found = masks(tmp_path, "sub-01_label-lesion_desc-rater1", "sub-01_label-lesion_desc-rater2")
    with pytest.raises(UsageError, match="--truth-entities desc=rater2"):
        match(prediction(tmp_path), found)
    (chosen,) = find_truth(tmp_path / "truth", {"desc": "rater1"})["01"]
    assert match(prediction(tmp_path), [chosen]) == chosen


def test_every_scan_is_evaluated_and_the_primary_one_known(tmp_path, write_result):
    for modality in ("T1w", "FLAIR"):
        write_result(tmp_path, {"sub": "01"}, modality)
    write_record(tmp_path, {"sub": "01"}, "T1w", "FLAIR", primary="FLAIR")
    write_result(tmp_path, {"sub": "02", "ses": "1", "run": "2"}, "T1w")
    write_record(tmp_path, {"sub": "02", "ses": "1", "run": "2"}, "T1w", primary="T1w")
    write_result(tmp_path, {"sub": "03"}, "T1w")  # of a run that left no record
    write_result(tmp_path, {"sub": "03"}, "T1w", space=TEMPLATE)
    found = [(p.entities["sub"], p.modality, p.is_primary) for p in find_predictions(tmp_path)]
    assert found == [
        ("01", "FLAIR", True),
        ("01", "T1w", False),
        ("02", "T1w", True),
        ("03", "T1w", False),
    ]
    (in_template,) = find_predictions(tmp_path, space=TEMPLATE)
    assert (in_template.entities, in_template.space) == ({"sub": "03"}, TEMPLATE)
    assert len(find_predictions(tmp_path, modalities=["T1w"])) == 3


def write_record(folder, entities, *modalities, primary):
    """Write what the app records of a session."""
    label = "_".join(f"{key}-{entities[key]}" for key in ("sub", "ses") if key in entities)
    scans = tuple(
        ScanRecord(
            name=file_name(entities, modality, ""),
            modality=modality,
            entities=entities,
            model="restore 0.3.0",
            digest="0",
            calibration="healthy people",
            makes_image=True,
            brain_extraction="deepbet",
            white_matter_level=1.0,
            evaluations=4,
        )
        for modality in modalities
    )
    SessionRecord(
        label=label,
        version="0.1.0",
        scans=scans,
        primary=file_name(entities, primary, ""),
        asked_for=None,
        spaces=("native",),
        threshold=Threshold(),
        methods=(),
        warnings=(),
    ).write(folder)


@pytest.fixture
def session(tmp_path, write_result):
    """A FLAIR scan whose patient lies SHIFT mm to the left of where T1w saw them."""
    entities = {"sub": "01"}
    for modality in ("T1w", "FLAIR"):
        write_result(tmp_path, entities, modality)
    # ITK counts x and y the other way round, and transforms points from the target to the origin.
    shift = ants.create_ants_transform(dimension=3, translation=(SHIFT, 0.0, 0.0))
    rigid = transform_path(tmp_path, entities, origin="FLAIR", target="T1w", extension=".txt")
    matrix = tmp_path / "shift.mat"
    for path in (rigid, matrix):
        ants.write_transform(shift, str(path))
    for origin, target in (("T1w", TEMPLATE), (TEMPLATE, "T1w")):
        path = transform_path(tmp_path, entities, origin=origin, target=target, extension=".h5")
        chain = Chain.of(matrix)
        write_composite(path, chain.inverse() if origin == TEMPLATE else chain)
    return tmp_path


@pytest.mark.parametrize(
    ("modality", "space", "drawn_on", "moves"),
    [
        ("T1w", None, "T1w", 0),
        ("T1w", None, None, 0),
        ("FLAIR", None, None, 0),
        ("T1w", None, "FLAIR", 1),
        ("FLAIR", None, "T1w", -1),
        ("T1w", None, TEMPLATE, -1),
        ("FLAIR", None, TEMPLATE, -2),
        ("T1w", TEMPLATE, "T1w", 1),
        ("FLAIR", TEMPLATE, "FLAIR", 2),
        ("FLAIR", TEMPLATE, None, 2),
        ("T1w", TEMPLATE, "FLAIR", 2),
        ("T1w", TEMPLATE, TEMPLATE, 0),
    ],
)
def test_masks_reach_the_grid_of_the_result_from_any_space(
    session, write_result, write_truth, ball, modality, space, drawn_on, moves
):
    write_result(session, {"sub": "01"}, modality, space=space)
    lesion = ball((2, 2, 2), 12)
    entities = {"sub": "01", **({"space": drawn_on} if drawn_on else {}), "label": "lesion"}
    path = write_truth(session / "truth", entities, lesion)
    result = Prediction(session, {"sub": "01"}, modality, space)
    maps = load_maps(Pair(result, Truth(path, entities, drawn_on)))
    assert maps.truth.sum() == lesion.sum()
    # The brain lies in the middle of what is kept, so that voxels give mm.
    centre = 4 * (np.argwhere(maps.truth).mean(axis=0) - (np.array(maps.truth.shape) - 1) / 2)
    np.testing.assert_allclose(centre, (2 + moves * SHIFT, 2, 2), atol=0.01)


def test_a_mask_of_other_resolution_keeps_its_place_and_volume(
    tmp_path, write_result, write_truth, ball
):
    fine = Grid.isotropic((90, 90, 90), (-45.0, -45.0, -45.0), 1.0)
    write_result(tmp_path, {"sub": "01"})
    path = write_truth(tmp_path / "truth", {"sub": "01"}, ball((5, 10, 0), 15, fine), fine)
    result = prediction(tmp_path)
    truth = load_maps(Pair(result, Truth(path, {"sub": "01"}, None))).truth
    assert truth.sum() == pytest.approx(ball((5, 10, 0), 15).sum(), rel=0.1)
    centre = 4 * (np.argwhere(truth).mean(axis=0) - (np.array(truth.shape) - 1) / 2)
    np.testing.assert_allclose(centre, (5, 10, 0), atol=0.5)


def test_the_space_between_two_sessions_is_no_reference(session):
    result = Prediction(session, {"sub": "01"}, "T1w", None)
    truth = Truth(session / f"sub-01_space-{TEMPLATE}_mask.nii.gz", {}, TEMPLATE)
    before = chain_between(result, truth)
    transform_path(
        session, {"sub": "01"}, origin="T1w", target="midpoint1to2", extension=".txt"
    ).touch()
    assert chain_between(result, truth) == before


def test_another_scan_of_the_modality_moves_no_mask(session):
    # Both had a second scan, each with a transform of its own.
    for origin in ("T1w", "FLAIR"):
        entities = {"sub": "01", "acq": "second"}
        transform_path(session, entities, origin=origin, target="T1w", extension=".txt").touch()
    truth = Truth(session / "sub-01_space-FLAIR_mask.nii.gz", {}, "FLAIR")
    assert chain_between(Prediction(session, {"sub": "01"}, "FLAIR", None), truth) == SAME_SPACE
    own = transform_path(session, {"sub": "01"}, origin="FLAIR", target="T1w", extension=".txt")
    reference = Prediction(session, {"sub": "01"}, "T1w", None)
    own_truth = Truth(session / f"sub-01_space-{TEMPLATE}_mask.nii.gz", {}, TEMPLATE)
    assert all("acq-" not in path.name for path, _ in chain_between(reference, own_truth).links)
    scan = Prediction(session, {"sub": "01"}, "FLAIR", None)
    assert own in dict(chain_between(scan, own_truth).links)


def test_a_mask_without_orientation_is_refused(tmp_path, write_result, write_truth, ball):
    write_result(tmp_path, {"sub": "01"})
    path = write_truth(tmp_path / "truth", {"sub": "01"}, ball((5, 10, 0), 15))
    image = nib.load(path)
    bare = nib.Nifti1Image(np.asanyarray(image.dataobj), None)
    bare.to_filename(path)
    with pytest.raises(BadScanError, match="no orientation"):
        load_maps(Pair(prediction(tmp_path), Truth(path, {"sub": "01"}, None)))


def test_a_space_that_no_transform_leads_from_is_an_error(session):
    truth = Truth(session / "sub-01_space-T2w_mask.nii.gz", {}, "T2w")
    with pytest.raises(MissingInputError, match="no transform from T2w to T1w"):
        chain_between(Prediction(session, {"sub": "01"}, "FLAIR", None), truth)


def test_a_mask_that_misses_the_brain_is_an_error(tmp_path, write_result, write_truth, grid):
    write_result(tmp_path, {"sub": "01"})
    outside = np.zeros(grid.shape, bool)
    outside[:2] = True
    path = write_truth(tmp_path / "truth", {"sub": "01"}, outside)
    with pytest.raises(BadScanError, match="lies in the brain of sub-01_FLAIR"):
        load_maps(Pair(prediction(tmp_path), Truth(path, {"sub": "01"}, None)))


@pytest.mark.parametrize("kind", ["identity", "template", "mirrored"])
def test_a_mask_whose_header_puts_the_voxels_of_its_scan_elsewhere_is_refused(
    kind, tmp_path, write_result, write_truth, ball
):
    write_result(tmp_path, {"sub": "01"})
    path = write_truth(tmp_path / "truth", {"sub": "01"}, ball((5, 10, 0), 15))
    image = nib.load(path)
    affine = {
        "identity": np.eye(4),
        "template": image.affine + np.array([[0, 0, 0, 12], [0, 0, 0, 8], [0, 0, 0, 4], [0] * 4]),
        "mirrored": image.affine @ np.diag([-1, 1, 1, 1]),
    }[kind]
    nib.Nifti1Image(np.asanyarray(image.dataobj), affine).to_filename(path)
    with pytest.raises(BadScanError, match="its header puts them elsewhere"):
        load_maps(Pair(prediction(tmp_path), Truth(path, {"sub": "01"}, None)))


def test_the_voxels_of_the_scan_in_another_order_are_the_same(
    tmp_path, write_result, write_truth, ball
):
    write_result(tmp_path, {"sub": "01"})
    lesion = ball((5, 10, 0), 15)
    path = write_truth(tmp_path / "truth", {"sub": "01"}, lesion)
    turned = nib.load(path).as_reoriented([[1, -1], [2, 1], [0, -1]])
    nib.Nifti1Image(np.asanyarray(turned.dataobj), turned.affine).to_filename(path)
    maps = load_maps(Pair(prediction(tmp_path), Truth(path, {"sub": "01"}, None)))
    assert maps.truth.sum() == lesion.sum()


def test_links_to_folders_are_followed_and_files_of_the_system_passed_over(
    tmp_path, write_result, write_truth, ball
):
    real = tmp_path / "real"
    write_result(real, {"sub": "01"})
    write_truth(real / "truth", {"sub": "01"}, ball((5, 10, 0), 15))
    for kind in ("results", "truth"):
        (tmp_path / kind / "sub-01").mkdir(parents=True)
        source = real if kind == "results" else real / "truth"
        (tmp_path / kind / "sub-01" / "anat").symlink_to(source / "sub-01" / "anat")
    for path in [*real.rglob("*.*")]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    (scan,) = find_predictions(tmp_path / "results")
    (mask,) = find_truth(tmp_path / "truth")["01"]
    assert match(scan, [mask]) == mask
    # A link to a folder above does not go round for ever.
    (tmp_path / "truth" / "sub-01" / "loop").symlink_to(tmp_path / "truth" / "sub-01")
    assert find_truth(tmp_path / "truth") == {"01": [mask]}
