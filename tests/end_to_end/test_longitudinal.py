"""A person who was scanned more than once, by the real command."""

import json
import re
import shutil
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.tables import read_table

pytestmark = pytest.mark.slow

SPACE = "midpoint1to2"
# In white matter of the left hemisphere, mm in the head.
CENTRE, RADIUS_MM = np.array([-28.0, -24.0, 28.0]), 6.0
PREFIX = f"sub-01_space-{SPACE}"
CHANGES = f"{PREFIX}_desc-changesFLAIR_dseg"
SHARED = [
    f"{PREFIX}_desc-change_FLAIR.nii.gz",
    f"{PREFIX}_desc-brainFLAIR_mask.nii.gz",
    f"{CHANGES}.nii.gz",
]
OF_A_SESSION = [
    "space-{space}_desc-preproc_FLAIR.nii.gz",
    "space-{space}_label-lesion_desc-anomalyFLAIR_mask.nii.gz",
    "from-FLAIR_to-{space}_mode-image_xfm.txt",
]


def with_lesion(scan: nib.Nifti1Image) -> nib.Nifti1Image:
    where = nib.affines.apply_affine(scan.affine, np.moveaxis(np.indices(scan.shape), 0, -1))
    ball = np.linalg.norm(where - CENTRE, axis=-1) < RADIUS_MM
    values = np.asanyarray(scan.dataobj)
    bright = np.where(ball & (values > 0), 1400, values).astype(values.dtype)
    return nib.Nifti1Image(bright, scan.affine, scan.header)


def elsewhere(scan: nib.Nifti1Image) -> nib.Nifti1Image:
    """Let the head lie another way in the scanner."""
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", (4, -3, 5), degrees=True).as_matrix()
    motion[:3, 3] = 6, -9, 12
    moved = nib.Nifti1Image(np.asanyarray(scan.dataobj), motion @ scan.affine)
    moved.header.set_xyzt_units("mm", "sec")
    moved.set_sform(moved.affine, 1)
    moved.set_qform(moved.affine, 1)
    return moved


@pytest.fixture(scope="module")
def followed(tmp_path_factory, stripped_brain, write_dataset, sagittal_grid, oblique_grid, command):
    """Two sessions in two runs with work folders of their own; the second has a new lesion."""
    folder = tmp_path_factory.mktemp("followed")
    first = stripped_brain("FLAIR", 1, sagittal_grid)
    second = elsewhere(with_lesion(stripped_brain("FLAIR", 1, sagittal_grid, scan=1)))
    bids = write_dataset(
        folder / "bids", {"sub-01_ses-1_FLAIR": first, "sub-01_ses-2_FLAIR": second}
    )
    out = folder / "out"
    runs, after_one = [], None
    for label in ("1", "2"):
        arguments = (
            *(bids, out, "participant", "--session-label", label, "--model", "threshold"),
            *("-w", folder / f"work-{label}"),
        )
        finished = command(*arguments, timeout=3000)
        assert finished.code == 0, finished.stderr
        runs.append(arguments)
        if after_one is None:
            after_one = {path.name for path in out.rglob("*")}
    return SimpleNamespace(out=out, bids=bids, runs=runs, after_one=after_one)


def test_one_session_alone_is_compared_with_nothing(followed):
    assert not any("midpoint" in name for name in followed.after_one)


def test_the_second_session_is_compared_with_the_first(followed):
    anat = followed.out / "sub-01" / "anat"
    assert {path.name for path in anat.iterdir() if path.suffix == ".gz"} == set(SHARED)
    for label in ("1", "2"):
        own = followed.out / "sub-01" / f"ses-{label}" / "anat"
        for name in OF_A_SESSION:
            assert (own / f"sub-01_ses-{label}_{name.format(space=SPACE)}").is_file()
    grids = [nib.load(path) for path in followed.out.rglob(f"*space-{SPACE}*.nii.gz")]
    assert len(grids) == len(SHARED) + 4
    for image in grids:
        assert image.shape == grids[0].shape
        np.testing.assert_allclose(image.affine, grids[0].affine)


def test_the_new_lesion_is_called_new_and_nothing_else_changed(followed):
    rows = read_table(followed.out / "sub-01" / "anat" / f"{CHANGES}.tsv")
    changed = [row for row in rows if row["verdict"] != "unchanged"]
    assert [row["verdict"] for row in changed] == ["new"]
    (lesion,) = changed
    assert lesion["side"] == "left"
    assert float(lesion["volume_first"]) == 0
    assert float(lesion["volume_second"]) == pytest.approx(4 / 3 * np.pi * RADIUS_MM**3, rel=0.6)
    labels = nib.load(followed.out / "sub-01" / "anat" / f"{CHANGES}.nii.gz")
    own = nib.load(
        followed.out / "sub-01/ses-2/anat" / "sub-01_ses-2_desc-lesionsFLAIR_dseg.nii.gz"
    )
    assert (np.asanyarray(labels.dataobj) == int(lesion["index"])).any()
    assert np.asanyarray(own.dataobj).any()


def test_everything_is_described_and_valid(followed, assert_valid_bids):
    assert_valid_bids(followed.out)
    anat = followed.out / "sub-01" / "anat"
    described = json.loads((anat / f"{CHANGES}.json").read_text())
    for column in (anat / f"{CHANGES}.tsv").read_text().splitlines()[0].split("\t"):
        assert described[column]["Description"], column
    assert set(OUTPUTS["changes"].columns) <= set(described)
    assert described["Sessions"] == ["1", "2"]
    assert 0.9 < described["Compared"] <= 1
    assert 0 < described["Noise"] < 3
    for path in followed.out.rglob(f"*space-{SPACE}*.json"):
        about = json.loads(path.read_text())
        for uri in [*about["Sources"], about["SpatialReference"]]:
            assert (followed.out / uri.removeprefix("bids::")).is_file(), uri


def test_the_report_of_the_later_session_shows_the_change(followed):
    later = (followed.out / "sub-01_ses-2.html").read_text()
    assert "FLAIR since ses-1" in later
    assert "FLAIR since ses-1: new in " in later
    assert re.search(r'alt="FLAIR of ses-1 in the space half way', later)
    earlier = (followed.out / "sub-01_ses-1.html").read_text()
    assert '<a href="sub-01_ses-2.html">' in earlier
    assert "FLAIR since" not in earlier


def test_reports_are_made_again_with_the_change(followed, command, tmp_path):
    out = shutil.copytree(followed.out, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in out.glob("*.html")}
    for name in before:
        (out / name).unlink()
    finished = command(followed.bids, out, "participant", "--reports-only")
    assert finished.code == 0, finished.stderr
    assert {path.name: path.read_bytes() for path in out.glob("*.html")} == before


def test_the_same_run_again_does_nothing(followed, command, run_records):
    results = [path for path in followed.out.rglob("*") if "logs" not in path.parts]
    before = {path: path.stat().st_mtime_ns for path in results if path.name.startswith("sub-")}
    again = command(*followed.runs[1], timeout=3000)
    assert again.code == 0, again.stderr
    assert run_records(followed.out)[-1]["result"]["steps_run"] == 0
    changed = [path for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert changed == []


def test_a_session_that_fails_leaves_the_comparison_of_the_others(
    followed, command, tmp_path, run_records
):
    bids = shutil.copytree(followed.bids, tmp_path / "bids")
    out = shutil.copytree(followed.out, tmp_path / "out")
    broken = bids / "sub-01" / "ses-3" / "anat" / "sub-01_ses-3_FLAIR.nii.gz"
    broken.parent.mkdir(parents=True)
    scan = nib.load(bids / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_FLAIR.nii.gz")
    constant = np.full(scan.shape, 7, np.int16)
    nib.Nifti1Image(constant, scan.affine, scan.header).to_filename(broken)
    (out / "sub-01" / "anat" / f"{CHANGES}.tsv").unlink()
    finished = command(
        *(bids, out, "participant", "--session-label", "3", "--model", "threshold"),
        *("-w", tmp_path / "work"),
    )
    assert finished.code != 0
    assert run_records(out)[-1]["result"]["failed_sessions"] == ["sub-01_ses-3"]
    assert run_records(out)[-1]["result"]["failed_comparisons"] == []
    assert (out / "sub-01" / "anat" / f"{CHANGES}.tsv").is_file()
    assert "failed" in (out / "sub-01_ses-3.html").read_text()


def test_sessions_of_different_models_are_not_compared(followed, command, tmp_path):
    out = shutil.copytree(followed.out, tmp_path / "out")
    record = out / "sub-01" / "ses-1" / "figures" / "sub-01_ses-1_report.json"
    content = json.loads(record.read_text())
    content["scans"][0]["digest"] = "0" * 64
    record.write_text(json.dumps(content))
    finished = command(followed.bids, out, "participant", "--reports-only")
    assert finished.code == 0, finished.stderr
    page = (out / "sub-01_ses-2.html").read_text()
    assert "are not compared: their z-scores are from different models" in page
    assert "FLAIR since ses-1" not in page


def test_a_dry_run_names_what_would_be_compared(followed, command, tmp_path):
    finished = command(
        *(followed.bids, tmp_path / "out", "participant", "--dry-run", "--model", "threshold"),
        *("-w", tmp_path / "work"),
    )
    assert finished.code == 0, finished.stderr
    assert "compare sub-01_ses-1_FLAIR and sub-01_ses-2_FLAIR" in finished.stdout
