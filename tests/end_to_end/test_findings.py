"""Tables of lesions, regions and quality, by the real command."""

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.bids.tables import read_table
from bids_anomaly.preprocessing.atlas import atlas_regions
from bids_anomaly.reports.tables import region_in_words
from bids_anomaly.scoring.locations import LOCATIONS

LESIONS = {
    "sub-01_desc-lesionsT1w_dseg": "sub-01_label-lesion_desc-anomalyT1w_mask",
    "sub-01_desc-lesionsFLAIR_dseg": "sub-01_label-lesion_desc-anomalyFLAIR_mask",
}
REGIONS = "sub-01_atlas-DLMUSE_desc-regions"
TABLES = [
    *LESIONS,
    *(f"{REGIONS}{modality}_{kind}" for modality in ("T1w", "FLAIR") for kind in ("dseg", "stats")),
]


@pytest.fixture(scope="module")
def anat(finished_run):
    return finished_run.out / "sub-01" / "anat"


def read(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)


@pytest.mark.parametrize("name", LESIONS)
def test_every_anomaly_is_one_of_the_lesions_of_the_table(name, anat):
    image = nib.load(anat / f"{name}.nii.gz")
    labels, mask = np.asanyarray(image.dataobj), read(anat / f"{LESIONS[name]}.nii.gz") > 0
    np.testing.assert_array_equal(labels > 0, mask)
    rows = read_table(anat / f"{name}.tsv")
    assert [int(row["index"]) for row in rows] == list(range(1, labels.max() + 1))
    for row in rows:
        volume = (labels == int(row["index"])).sum() * np.prod(image.header.get_zooms())
        assert float(row["volume"]) == pytest.approx(volume, rel=1e-3)
        assert 0.5 < float(row["confidence"]) <= 1
        assert row["side"] in ("left", "right", "both")
        assert row["region"] in {region.name for region in atlas_regions()}
        assert row["location"] in LOCATIONS
        assert float(row["z_peak"]) >= float(row["z_mean"]) > 0


@pytest.mark.parametrize("name", [*LESIONS, f"{REGIONS}T1w_dseg", f"{REGIONS}FLAIR_dseg"])
def test_viewers_are_told_the_names_of_all_labels(name, anat):
    labels = {str(label) for label in np.unique(read(anat / f"{name}.nii.gz")) if label}
    names = {row["index"]: row["name"] for row in read_table(anat / f"{name}.tsv")}
    assert labels <= names.keys()
    for ending in (".txt", ".ctab", ".lut"):
        lines = (anat / f"{name}{ending}").read_text().splitlines()
        told = {line.split()[0]: line for line in lines if not line.startswith(("#", "0 "))}
        assert told.keys() == names.keys()
        assert all(names[index] in line for index, line in told.items())


def test_the_report_says_how_to_open_the_maps_in_other_programs(finished_run):
    page = (finished_run.out / "sub-01.html").read_text()
    commands = [html.unescape(one) for one in re.findall(r'class="command">(.*?)</pre>', page)]
    assert [command.split()[0] for command in commands] == ["fsleyes", "freeview", "itksnap"]
    lesions = finished_run.out / "sub-01/anat/sub-01_desc-lesionsFLAIR_dseg.nii.gz"
    has_names = bool(np.asanyarray(nib.load(lesions).dataobj).any())
    for command in commands:
        files = re.findall(r"sub-01/anat/[\w.-]+", command)
        # Scan, z-scores, lesions and their names; FSLeyes reads no table that is empty.
        assert len(files) == (4 if has_names or not command.startswith("fsleyes") else 3)
        assert all("FLAIR" in name for name in files)
        assert all((finished_run.out / name).is_file() for name in files)


@pytest.mark.parametrize("modality", ["T1w", "FLAIR"])
def test_the_atlas_lies_in_the_brain_of_the_person(modality, anat):
    atlas = f"{REGIONS}{modality}_dseg"
    labels = read(anat / f"{atlas}.nii.gz")
    brain = read(anat / f"sub-01_desc-brain{modality}_mask.nii.gz") > 0
    assert not labels[~brain].any()
    assert (labels[brain] > 0).mean() > 0.7
    names = {row["index"]: row["name"] for row in read_table(anat / f"{atlas}.tsv")}
    assert set(map(str, np.unique(labels)[1:])) <= set(names)
    # Left is left, whatever the order of voxels in the file.
    affine = nib.load(anat / f"{atlas}.nii.gz").affine
    for name, sign in (("Putamen_L", -1), ("Putamen_R", 1)):
        index = next(int(index) for index, known in names.items() if known == name)
        x = nib.affines.apply_affine(affine, np.argwhere(labels == index))[:, 0]
        assert sign * np.median(x) > 0


@pytest.mark.parametrize("modality", ["T1w", "FLAIR"])
def test_regions_add_up_to_the_mask_and_the_brain_of_the_scan(modality, anat):
    rows = read_table(anat / f"{REGIONS}{modality}_stats.tsv")
    assert len(rows) == len(atlas_regions()) + 1
    labels = nib.load(anat / f"{REGIONS}{modality}_dseg.nii.gz")
    voxel = float(np.prod(labels.header.get_zooms()))
    for column, mask in (
        ("anomalous_volume", f"sub-01_label-lesion_desc-anomaly{modality}_mask"),
        ("volume", f"sub-01_desc-brain{modality}_mask"),
    ):
        expected = (read(anat / f"{mask}.nii.gz") > 0).sum() * voxel
        total = sum(float(row[column]) for row in rows)
        assert total == pytest.approx(expected, rel=1e-3, abs=voxel)


def test_nothing_is_written_of_scans_together(anat):
    """Their mean ranked voxels worse than the best of them."""
    for pattern in ("*desc-anomaly_*", "*desc-lesions_*", "*desc-regions_*"):
        assert list(anat.glob(pattern)) == []


@pytest.mark.parametrize("name", [*TABLES, "sub-01_desc-quality_stats"])
def test_every_column_of_a_table_is_described(name, anat):
    described = json.loads((anat / f"{name}.json").read_text())
    assert described["Sources"]
    for column in (anat / f"{name}.tsv").read_text().splitlines()[0].split("\t"):
        assert described[column]["Description"], column


def test_the_validator_knows_every_column_and_the_atlas(finished_run):
    pytest.importorskip("bids_validator_deno")
    validator = Path(sys.executable).with_name("bids-validator-deno")
    finished = subprocess.run(
        [validator, "--format", "json", finished_run.out],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    issues = json.loads(finished.stdout)["issues"]["issues"]
    about_tables = {
        (issue["code"], issue["location"])
        for issue in issues
        if ("TSV" in issue["code"] or "ATLAS" in issue["code"]) and "sub-01" in issue["location"]
    }
    assert about_tables == set()


def test_the_report_shows_findings_regions_and_quality(finished_run, anat):
    page = (finished_run.out / "sub-01.html").read_text()
    for title in ("Findings on FLAIR", "Regions on T1w", "Quality"):
        assert f"<h2>{title}</h2>" in page
    # FLAIR leads, though the T1w scan is the reference.
    assert page.index("Findings on FLAIR") < page.index("Findings on T1w")
    for modality in ("T1w", "FLAIR"):
        for row in read_table(anat / f"sub-01_desc-lesions{modality}_dseg.tsv")[:3]:
            assert f">{region_in_words(row['region'])}</td>" in page


@pytest.mark.slow
def test_reports_are_written_again_from_the_derivatives_alone(finished_run, tmp_path, command):
    out = shutil.copytree(finished_run.out, tmp_path / "out")
    before = (out / "sub-01.html").read_bytes()
    (out / "sub-01.html").unlink()
    others = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    finished = command(finished_run.bids, out, "participant", "--reports-only")
    assert finished.code == 0, finished.stderr
    assert (out / "sub-01.html").read_bytes() == before
    (out / "sub-01.html").unlink()
    assert others == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


DOUBTS = (
    "the contrast is unlike that of the T1w scans",
    "slices are missing",
    "more noise or motion",
)


@pytest.fixture(scope="module")
def doubtful_scans(tmp_path_factory, stripped_brain, write_dataset, sagittal_grid):
    """A dataset of one good person and one whose T2w, noisy and with dark slices, is named T1w."""
    scan = stripped_brain("T2w", 1, sagittal_grid)
    values = scan.get_fdata()
    noise = np.random.default_rng(0).normal(0, 0.2 * np.percentile(values, 95), values.shape)
    values = np.where(values > 0, np.maximum(values + noise, 1), 0)
    values[:, :, 40:42] *= 0.3
    doubtful = nib.Nifti1Image(values.astype(np.int16), scan.affine, scan.header)
    scans = {
        "sub-good_T1w": stripped_brain("T1w", 1, sagittal_grid),
        "sub-doubtful_T1w": doubtful,
    }
    return write_dataset(tmp_path_factory.mktemp("doubtful") / "bids", scans)


@pytest.fixture(scope="module")
def doubtful_run(doubtful_scans, command, tmp_path_factory):
    """The preprocessing of both: what it printed, its output folder and its work folder."""
    folder = tmp_path_factory.mktemp("doubtful-run")
    out, work = folder / "out", folder / "work"
    return (
        command(doubtful_scans, out, "participant", "--stage", "preprocess", "-w", work),
        out,
        work,
    )


@pytest.mark.slow
def test_a_doubtful_scan_is_warned_about_and_goes_on(doubtful_run, assert_valid_bids):
    finished, out, _ = doubtful_run
    assert finished.code == 0, finished.stderr
    assert_valid_bids(out)
    warnings = [line for line in finished.stderr.splitlines() if "sub-doubtful: warning" in line]
    for doubt in DOUBTS:
        assert any(doubt in line for line in warnings), finished.stderr
    (log,) = out.glob("logs/*/sub-doubtful.log")
    assert "WARNING" in log.read_text()
    anat = out / "sub-doubtful" / "anat"
    rows = read_table(anat / "sub-doubtful_desc-quality_stats.tsv")
    assert any(row["flagged"] == "true" for row in rows)
    assert list(anat.glob("*_desc-affine_T1w.nii.gz"))
    assert "sub-good: warning" not in finished.stderr


@pytest.mark.slow
def test_a_strict_run_fails_at_a_doubtful_scan_and_still_writes_why(
    doubtful_scans, doubtful_run, command, tmp_path
):
    out, (_, _, work) = tmp_path / "out", doubtful_run
    finished = command(
        doubtful_scans, out, "participant", "--strict", "-w", work,
        "--participant-label", "doubtful",
    )  # fmt: skip
    assert finished.code == 65, finished.stderr
    assert "Traceback" not in finished.stderr
    assert DOUBTS[0] in (out / "sub-doubtful.html").read_text()
    anat = out / "sub-doubtful" / "anat"
    assert (anat / "sub-doubtful_desc-quality_stats.tsv").is_file()
    assert not list(anat.glob("*.nii.gz"))
