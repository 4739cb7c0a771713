"""What the documentation tells readers to type does what it says."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from bids_anomaly import __version__
from bids_anomaly.bids.filters import read_bids_filter
from bids_anomaly.cli.parser import build_parser
from bids_anomaly.preprocessing.template import OUTPUT_GRID

ROOT = Path(__file__).parents[1]


def python_block(file: str, mentions: str) -> str:
    """Return the only block of Python in a page that mentions something."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / file).read_text(), flags=re.DOTALL)
    (block,) = (block for block in blocks if mentions in block)
    return block


@pytest.fixture
def outputs(tmp_path) -> Path:
    """Masks of three people in the template, one voxel anomalous in two of them."""
    folder = tmp_path / "out"
    for number in range(3):
        name = f"sub-{number}"
        anat = folder / name / "anat"
        anat.mkdir(parents=True)
        mask = np.zeros(OUTPUT_GRID.shape, np.uint8)
        mask[40, 50, 60] = number > 0
        stem = f"{name}_space-MNI152NLin2009aSym_label-lesion_desc-anomaly"
        OUTPUT_GRID.image(mask).to_filename(anat / f"{stem}FLAIR_mask.nii.gz")
        OUTPUT_GRID.image(mask).to_filename(anat / f"{stem}T1w_mask.nii.gz")
        (anat / f"{stem}FLAIR_mask.json").write_text("{}")
    (folder / "dataset_description.json").write_text(
        '{"Name": "bids-anomaly", "BIDSVersion": "1.10.0", "DatasetType": "derivative",'
        ' "GeneratedBy": [{"Name": "bids-anomaly"}]}'
    )
    return folder


def test_pybids_and_nilearn_read_outputs_as_the_page_of_outputs_says(outputs, tmp_path):
    code = python_block("docs/outputs.md", "BIDSLayout").replace("/data/out", str(outputs))
    script = tmp_path / "lines.py"
    script.write_text(code)
    frequency = runpy.run_path(str(script))["frequency"]
    assert frequency.shape == OUTPUT_GRID.shape
    assert frequency.get_fdata()[40, 50, 60] == pytest.approx(2 / 3)
    assert frequency.get_fdata().sum() == pytest.approx(2 / 3)


def test_the_lines_for_a_filled_scan_change_the_lesion_alone(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    # As acquired: another order of axes, integers, shading, and a head around the brain.
    grid = nib.Nifti1Image(np.zeros((20, 24, 22)), np.diag([-1.5, 1.5, 2, 1]))
    healthy = random.uniform(0.6, 1.1, grid.shape)
    shading = 400 * (1 + 0.3 * np.linspace(-1, 1, 24)[:, None])
    lesion, brain = np.zeros((2, *grid.shape), bool)
    brain[3:17, 3:20, 3:19] = True
    lesion[6:9, 6:9, 6:9] = True
    scan = np.where(lesion, 0.6 * healthy, healthy)
    raw = nib.Nifti1Image((scan * shading).astype(np.int16), grid.affine)
    anat = tmp_path / "out" / "sub-01" / "anat"
    anat.mkdir(parents=True)
    (tmp_path / "bids" / "sub-01" / "anat").mkdir(parents=True)
    raw.to_filename(tmp_path / "bids/sub-01/anat/sub-01_T1w.nii.gz")
    images = {
        "desc-preproc_T1w": scan * brain,
        "desc-pseudohealthy_T1w": healthy * brain,
        "label-lesion_desc-anomalyT1w_mask": lesion,
    }
    for name, values in images.items():
        image = nib.Nifti1Image(values.astype(np.float32), grid.affine)
        image.to_filename(anat / f"sub-01_{name}.nii.gz")
    code = python_block("docs/chaining.md", "filled").replace("/data/", f"{tmp_path}/")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "chaining.md", "exec"), {})
    filled = nib.load("sub-01_filled_T1w.nii.gz")
    np.testing.assert_array_equal(filled.affine, raw.affine)
    assert filled.get_data_dtype() == raw.get_data_dtype()
    np.testing.assert_array_equal(filled.get_fdata()[~lesion], raw.get_fdata()[~lesion])
    wanted = (healthy * shading)[lesion]
    np.testing.assert_allclose(filled.get_fdata()[lesion], wanted, atol=3)


def test_the_configuration_for_babs_asks_for_options_that_there_are():
    (block,) = re.findall(
        r"```yaml\n(# bids-anomaly\.yaml\n.*?)```",
        (ROOT / "docs/clusters.md").read_text(),
        flags=re.DOTALL,
    )
    config = yaml.safe_load(block)
    given = config["bids_app_args"]
    selection = given.pop("$SUBJECT_SELECTION_FLAG")
    options = [word for option, value in given.items() for word in (option, value) if word]
    asked = vars(
        build_parser().parse_args(["bids", "out", "participant", *options, selection, "sub-01"])
    )
    assert asked["participant_labels"] == ["01"]
    assert asked["work_dir"].name == "$BABS_TMPDIR"
    (version,) = config["zip_foldernames"].values()
    assert version == __version__.replace(".", "-")


def test_the_command_for_datalad_is_one():
    page = (ROOT / "docs/clusters.md").read_text()
    (words,) = re.findall(r"    (inputs/bids outputs .*)\n", page)
    asked = vars(build_parser().parse_args(words.split()))
    assert asked["participant_labels"] == ["01"]
    assert asked["skip_bids_validation"]


def test_filter_files_of_the_questions_are_ones(tmp_path):
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / "docs/faq.md").read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        (tmp_path / "filter.json").write_text(block)
        assert read_bids_filter(tmp_path / "filter.json")


@pytest.mark.slow
def test_the_example_of_an_own_workflow_runs(
    tmp_path, stripped_brain, write_dataset, sagittal_grid
):
    scan = {"sub-01_T1w": stripped_brain("T1w", 1, sagittal_grid)}
    write_dataset(tmp_path / "bids", scan)
    (tmp_path / "mine.py").write_text(python_block("docs/chaining.md", "init_preprocess_wf"))
    finished = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    share = re.fullmatch(r"(\d+\.\d) % of the brain is unusual\.", finished.stdout.splitlines()[-1])
    assert 0 <= float(share[1]) < 50
    (zscore,) = tmp_path.glob("work/mine/**/zscore.nii.gz")
    reoriented = nib.as_closest_canonical(nib.load(tmp_path / "bids/sub-01/anat/sub-01_T1w.nii.gz"))
    assert nib.load(zscore).shape == reoriented.shape
