"""Lesion masks for other programs: place, name, grid, type and values."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.bids.lesion_roi import write_lesion_roi
from bids_anomaly.bids.naming import output_path, transform_path
from bids_anomaly.bids.query import find_sessions
from bids_anomaly.bids.scans import Prepared
from bids_anomaly.exceptions import BadScanError, CannotWriteError
from bids_anomaly.preprocessing.transforms import write_matrix

# Where the lesion is in the T1w scan, and how the FLAIR scan lies to it (mm, RAS+).
PLACE, RADIUS = np.array([-24.0, -20.0, 28.0]), 9.0
SHIFT = np.array([7.0, -5.0, 3.0])
FLAIR = "sub-01_ses-2_FLAIR"
T1W = "sub-01_ses-2_T1w"


def ball(grid, centre) -> nib.Nifti1Image:
    shape, affine = grid
    where = nib.affines.apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    inside = np.linalg.norm(where - centre, axis=-1) < RADIUS
    return nib.Nifti1Image(inside.astype(np.uint8), affine)


@pytest.fixture
def study(tmp_path, sagittal_grid, oblique_grid, stripped_brain, write_dataset):
    """Raw scans, and results with a ball in FLAIR and another, elsewhere, in T1w."""
    raw = {
        T1W: stripped_brain("T1w", 1, sagittal_grid),
        FLAIR: stripped_brain("FLAIR", 1, oblique_grid),
    }
    bids, out = write_dataset(tmp_path / "bids", raw), tmp_path / "out"
    (session,) = find_sessions(bids)
    masks = {"T1w": ball(sagittal_grid, -PLACE), "FLAIR": ball(oblique_grid, PLACE + SHIFT)}
    for scan in session.scans:
        path = output_path(out, "anomaly", scan.entities, modality=scan.suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        masks[scan.suffix].to_filename(path)
    rigid = np.eye(4)
    rigid[:3, 3] = SHIFT  # from places in T1w to places in FLAIR
    write_matrix(
        transform_path(
            out, session.scans[0].entities, origin="FLAIR", target="T1w", extension=".txt"
        ),
        rigid,
    )
    return session, out, tmp_path / "copy"


def test_the_mask_of_the_primary_scan_lies_in_the_grid_of_the_t1w_scan(study, sagittal_grid):
    session, out, copy = study
    path = write_lesion_roi(out, session, copy, primary=None)
    assert path == copy / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_label-lesion_roi.nii.gz"
    mask, t1w = nib.load(path), nib.load(session.scans[0].path)
    assert mask.shape == t1w.shape
    np.testing.assert_array_equal(mask.affine, t1w.affine)
    for form in ("get_sform", "get_qform"):
        for one, other in zip(
            getattr(mask.header, form)(coded=True),
            getattr(t1w.header, form)(coded=True),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
    assert mask.get_data_dtype() == np.uint8
    values = np.asanyarray(mask.dataobj)
    assert set(np.unique(values)) == {0, 1}
    expected = np.asanyarray(ball(sagittal_grid, PLACE).dataobj)
    dice = 2 * (values & expected).sum() / (values.sum() + expected.sum())
    assert dice > 0.85  # slices of 4 mm lie between
    described = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
    assert described["Type"] == "Lesion"
    assert any(FLAIR in source for source in described["Sources"])


def test_a_t1w_scan_that_leads_gives_its_own_mask(study):
    session, out, copy = study
    path = write_lesion_roi(out, session, copy, primary="T1w")
    own = output_path(out, "anomaly", session.scans[0].entities, modality="T1w")
    np.testing.assert_array_equal(nib.load(path).dataobj, nib.load(own).dataobj)


def test_the_query_of_fmriprep_finds_it_and_validators_pass_over_it(study):
    from bids import BIDSLayout
    from bids.layout import BIDSLayoutIndexer

    session, out, copy = study
    copy.mkdir()
    (copy / ".bidsignore").write_text("extra\n")
    (copy / "dataset_description.json").write_text('{"Name": "copy", "BIDSVersion": "1.10.0"}')
    for _ in range(2):
        path = write_lesion_roi(out, session, copy, primary=None)
    assert (copy / ".bidsignore").read_text() == "extra\n*lesion_roi.*\n"
    layout = BIDSLayout(copy, indexer=BIDSLayoutIndexer(validate=False))
    found = layout.get(
        subject="01", datatype="anat", suffix="roi", extension=[".nii", ".nii.gz"],
        return_type="file",
    )  # fmt: skip
    assert found == [str(path)]


def test_a_mask_that_was_drawn_by_hand_stays(study):
    session, out, copy = study
    path = write_lesion_roi(out, session, copy, primary=None)
    drawn = path.with_name(path.name.replace(".nii.gz", ".json"))
    for content in ("{}", '{"GeneratedBy": [{"Name": "me"}]}', None):
        drawn.unlink() if content is None else drawn.write_text(content)
        before = path.read_bytes()
        with pytest.raises(CannotWriteError, match="was not made by bids-anomaly"):
            write_lesion_roi(out, session, copy, primary="T1w")
        assert path.read_bytes() == before


@pytest.mark.parametrize("found", [True, False])
def test_a_mask_that_somebody_has_corrected_stays(study, found):
    session, out, copy = study
    path = write_lesion_roi(out, session, copy, primary=None)
    mask = nib.load(path)
    corrected = np.array(mask.dataobj)
    corrected[np.unravel_index(corrected.argmax(), corrected.shape)] = 0
    nib.Nifti1Image(corrected, mask.affine, mask.header).to_filename(path)
    before = path.read_bytes()
    if not found:
        own = output_path(out, "anomaly", session.scans[0].entities, modality="T1w")
        empty = nib.load(own)
        nib.Nifti1Image(np.zeros(empty.shape, np.uint8), empty.affine).to_filename(own)
    with pytest.raises(CannotWriteError, match="changed since"):
        write_lesion_roi(out, session, copy, primary="T1w")
    assert path.read_bytes() == before


def test_where_nothing_is_found_no_mask_is_left(study):
    session, out, copy = study
    path = write_lesion_roi(out, session, copy, primary=None)
    mask = output_path(out, "anomaly", session.scans[1].entities, modality="FLAIR")
    empty = nib.load(mask)
    nib.Nifti1Image(np.zeros(empty.shape, np.uint8), empty.affine).to_filename(mask)
    assert write_lesion_roi(out, session, copy, primary=None) is None
    assert list(path.parent.iterdir()) == []


def test_without_the_raw_t1w_scan_there_is_none(study, tmp_path):
    session, out, copy = study
    flair = replace(session, scans=session.scans[1:])
    with pytest.raises(BadScanError, match="has no T1w scan"):
        write_lesion_roi(out, flair, copy, primary=None)
    prepared = Prepared("fmriprep", tmp_path, "fMRIPrep 25.2.0", brain=Path("brain.nii.gz"))
    first = replace(session.scans[0], prepared=prepared)
    with pytest.raises(BadScanError, match=r"fMRIPrep 25\.2\.0 prepared.*without --derivatives"):
        write_lesion_roi(out, replace(session, scans=(first, session.scans[1])), copy, primary=None)
    assert not copy.exists()


def test_a_header_that_others_read_in_another_way_is_told(study):
    session, out, copy = study
    raw = nib.load(session.scans[0].path)
    affine = raw.affine.copy()
    affine[0, 3] += 1
    nib.Nifti1Image(np.asanyarray(raw.dataobj), affine).to_filename(session.scans[0].path)
    with pytest.raises(BadScanError, match="Correct the header"):
        write_lesion_roi(out, session, copy, primary=None)
