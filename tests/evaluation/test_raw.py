"""The baseline is the scan as it came."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bids_anomaly.bids.naming import output_path, sidecar_path, transform_path
from bids_anomaly.cli.evaluate import main
from bids_anomaly.evaluation.raw import find_raw, raw_score
from bids_anomaly.exceptions import MissingInputError
from bids_anomaly.preprocessing.template import Grid

SHAPE, SPACING = (7, 6, 5), np.array([1.0, 1.0, 3.0])
SCANS = arrays(np.int16, SHAPE, elements=st.integers(0, 2000))
BRAINS = arrays(bool, SHAPE).filter(np.any)
ENTITIES = {"sub": "01"}


@settings(max_examples=50)
@given(SCANS, BRAINS, st.floats(1e-3, 1e3))
def test_the_units_of_a_scan_do_not_matter(scan, brain, factor):
    scaled, score = (
        raw_score(values, brain, SPACING, modality="FLAIR") for values in (factor * scan, scan)
    )
    np.testing.assert_allclose(scaled, factor * score, rtol=1e-4)


@settings(max_examples=50)
@given(SCANS, SCANS, BRAINS)
def test_nothing_outside_of_the_brain_leaks_in(scan, around, brain):
    score = raw_score(scan, brain, SPACING, modality="T2w")
    other = raw_score(np.where(brain, scan, around), brain, SPACING, modality="T2w")
    np.testing.assert_array_equal(score, other)
    assert not score[~brain].any()
    # Nor does the border of the brain look darker than it is.
    np.testing.assert_allclose(
        raw_score(np.full(SHAPE, 7), brain, SPACING, modality="T2w")[brain], 7, rtol=1e-5
    )


@given(SCANS, BRAINS)
def test_lesions_are_dark_on_t1w_and_bright_on_the_others(scan, brain):
    bright, also_bright, dark = (
        raw_score(scan, brain, SPACING, modality=name) for name in ("FLAIR", "T2w", "T1w")
    )
    np.testing.assert_array_equal(bright, also_bright)
    np.testing.assert_array_equal(bright, -dark)


def test_a_scan_is_smoothed_by_the_same_in_mm_along_each_axis():
    scan = np.zeros((41, 41, 41))
    scan[20, 20, 20] = 1
    spacing = np.array([0.5, 0.5, 1.0])
    score = raw_score(scan, np.ones(scan.shape, bool), spacing, modality="FLAIR")
    where = (np.indices(scan.shape).T - 20) * spacing
    for axis in range(3):
        variance = (score.T * where[..., axis] ** 2).sum() / score.sum()
        assert np.sqrt(variance) == pytest.approx(1.2, rel=0.02)


@pytest.fixture
def result(tmp_path, write_result, write_truth, lesion):
    """One person with an input dataset, and the arguments of the command."""
    write_result(tmp_path / "out", ENTITIES, lesion=lesion(1), bids_dir=tmp_path / "bids")
    write_truth(tmp_path / "truth", ENTITIES, lesion(1))
    return [str(tmp_path / "out"), "--truth", str(tmp_path / "truth")]


def raw_auprc(folder: Path) -> float:
    table = pd.read_csv(folder / "out/group/evaluation/metrics.tsv", sep="\t", na_values="n/a")
    return table.set_index("model").loc["raw intensity", "auprc"]


def test_the_scan_is_the_input_not_what_was_made_of_it(result, tmp_path):
    assert main(result) == 0
    expected = raw_auprc(tmp_path)
    path = output_path(tmp_path / "out", "preproc", ENTITIES, modality="FLAIR")
    scan = nib.load(path)
    Grid.of(scan).image(1 / (1 + scan.get_fdata())).to_filename(path)
    assert main(result) == 0
    assert raw_auprc(tmp_path) == expected > 0.3


def test_an_input_dataset_that_was_moved_is_said_once_and_can_be_given(result, tmp_path, capsys):
    assert main(result) == 0
    expected = raw_auprc(tmp_path)
    (tmp_path / "bids").rename(tmp_path / "moved")
    assert main(result) == 0
    assert np.isnan(raw_auprc(tmp_path))
    said = "Raw intensity is n/a for sub-01_FLAIR. The input dataset is not at"
    assert capsys.readouterr().err.count(said) == 1
    assert said in (tmp_path / "out/group/evaluation/evaluation.html").read_text()
    assert main([*result, "--bids-dir", str(tmp_path / "moved")]) == 0
    assert raw_auprc(tmp_path) == expected


def test_a_scan_of_another_grid_is_not_taken(result, tmp_path, capsys):
    path = tmp_path / "bids/sub-01/anat/sub-01_FLAIR.nii.gz"
    Grid.isotropic((26, 26, 26), (0.0, 0.0, 0.0), 4.0).image(
        nib.load(path).get_fdata().astype(np.float32)
    ).to_filename(path)
    assert main(result) == 0
    assert "is in another grid than its results" in capsys.readouterr().err
    assert np.isnan(raw_auprc(tmp_path))


def test_a_scan_with_a_fourth_axis_of_length_one_is_read(result, tmp_path):
    assert main(result) == 0
    expected = raw_auprc(tmp_path)
    path = tmp_path / "bids/sub-01/anat/sub-01_FLAIR.nii.gz"
    scan = nib.load(path)
    nib.Nifti1Image(np.asanyarray(scan.dataobj)[..., None], scan.affine).to_filename(path)
    assert main(result) == 0
    assert raw_auprc(tmp_path) == expected


@pytest.mark.parametrize(
    ("sources", "links", "said"),
    [
        ([], {}, "do not say which scan"),
        (["bids:fmriprep:sub-01_desc-preproc_T1w.nii.gz"], {}, "preprocessed already (fmriprep)"),
        (["bids:raw:sub-01_T1w.nii.gz"], {}, "not at any place that the results name"),
        (["bids:raw:sub-01_T1w.nii.gz"], {"raw": "https://x.org/y"}, "not at any place"),
        (["bids:raw:sub-01_T1w.nii.gz"], {"raw": "file:///nowhere"}, "not at /nowhere"),
        (["bids:raw:sub-01_T1w.nii.gz"], {"raw": ".."}, "has no such scan"),
    ],
)
def test_why_the_scan_is_not_known_is_one_sentence(tmp_path, sources, links, said):
    derivatives = tmp_path / "bids" / "derivatives"
    output = derivatives / "sub-01_desc-preproc_T1w.nii.gz"
    derivatives.mkdir(parents=True)
    sidecar_path(output).write_text(json.dumps({"Sources": sources}))
    (derivatives / "dataset_description.json").write_text(json.dumps({"DatasetLinks": links}))
    with pytest.raises(MissingInputError) as error:
        find_raw(output, derivatives)
    assert said in str(error.value)


def test_a_link_may_be_relative_and_hold_spaces(tmp_path):
    derivatives = tmp_path / "my data" / "derivatives"
    output = derivatives / "sub-01_desc-preproc_T1w.nii.gz"
    derivatives.mkdir(parents=True)
    scan = tmp_path / "my data" / "sub-01_T1w.nii.gz"
    scan.touch()
    sidecar_path(output).write_text(json.dumps({"Sources": [f"bids:raw:{scan.name}"]}))
    for link in ("..", scan.parent.as_uri()):
        description = {"DatasetLinks": {"raw": link}}
        (derivatives / "dataset_description.json").write_text(json.dumps(description))
        assert find_raw(output, derivatives).samefile(scan)


def test_in_template_space_the_scan_is_brought_there(tmp_path, write_result, write_truth, ball):
    # The template lies 8 mm further left: a point of it is found 8 mm further right in the scan.
    import ants

    lesion, moved = ball((10, 0, 0), 14), ball((2, 0, 0), 14)
    out = tmp_path / "out"
    write_result(out, ENTITIES, lesion=lesion, bids_dir=tmp_path / "bids")
    write_result(out, ENTITIES, lesion=moved, space="MNI", strength=50)
    write_truth(tmp_path / "truth", {**ENTITIES, "space": "MNI"}, moved)
    path = transform_path(out, ENTITIES, origin="FLAIR", target="MNI", extension=".h5")
    # ITK has x and y the other way round.
    shift = ants.create_ants_transform(
        transform_type="AffineTransform", translation=(-8.0, 0.0, 0.0)
    )
    ants.write_transform(shift, str(path))
    assert main([str(out), "--truth", str(tmp_path / "truth"), "--space", "MNI"]) == 0
    assert raw_auprc(tmp_path) > 0.9
