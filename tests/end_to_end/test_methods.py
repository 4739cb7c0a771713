"""Every method, from its training to the results of a participant, by the real commands."""

import json

import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("ants")

from bids_anomaly.cli.train import main
from bids_anomaly.reconstruction.methods import METHODS, TRAINED

pytestmark = pytest.mark.slow

TRAINING = ("--steps", "2", "--batch-size", "2", "--modalities", "T1w", "--device", "cpu")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A work folder that all methods share, since their preprocessing is the same."""
    return tmp_path_factory.mktemp("work")


@pytest.mark.parametrize("method", TRAINED)
def test_a_method_is_trained_and_used_by_two_commands(
    method, preprocessed, two_scans, command, work, tmp_path
):
    models, out = tmp_path / "models", tmp_path / "out"
    assert main([*map(str, (preprocessed, models)), "--method", method, *TRAINING]) == 0
    options = ("--model", models, "--modalities", "T1w", "--output-spaces", "native", "-w", work)
    finished = command(two_scans, out, "participant", *options, "--brain-extraction", "none")
    assert finished.code == 0, finished.stderr
    (record,) = (json.loads(path.read_text()) for path in out.glob("logs/*/run.json"))
    assert list(record["models"]) == [f"{method}-T1w"]
    anat = out / "sub-01" / "anat"
    zscore = nib.load(anat / "sub-01_desc-zscore_T1w.nii.gz").get_fdata()
    assert np.isfinite(zscore).all()
    assert zscore.any()
    assert (anat / "sub-01_desc-pseudohealthy_T1w.nii.gz").exists() == METHODS[method].makes_image
