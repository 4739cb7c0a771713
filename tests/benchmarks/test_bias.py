"""The benchmark of bias correction prepares each scan once."""

import importlib

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.preprocessing.brain import BrainMask
from bids_anomaly.preprocessing.transforms import write_matrix

BENCHMARKS = "benchmarks"


@pytest.fixture
def bias(monkeypatch, pytestconfig):
    """Return the benchmark, with scans that are their own brains and lie in the template."""
    monkeypatch.syspath_prepend(str(pytestconfig.rootpath / BENCHMARKS))
    module = importlib.import_module("bias")
    prepared = []

    def brain_mask(scan, **_):
        prepared.append(scan)
        whole = np.ones(scan.shape, np.uint8)
        return BrainMask(nib.Nifti1Image(whole, scan.affine), "none")

    def register_linear(moving, fixed, *, kind, seed, folder):
        write_matrix(folder / {"Affine": "affine.mat", "Rigid": "rigid.mat"}[kind], np.eye(4))

    monkeypatch.setattr(module, "brain_mask", brain_mask)
    monkeypatch.setattr(module, "register_linear", register_linear)
    module.times_prepared = prepared
    return module


@pytest.mark.parametrize("order", [("T1w", "FLAIR"), ("FLAIR", "T1w")])
def test_masks_drawn_on_one_scan_are_brought_to_the_others(bias, order, tmp_path):
    patients = bias.Patients(
        dataset="ill",
        title="ill",
        modalities=("T1w", "FLAIR"),
        truth="derivatives/masks/sub-{0}/anat/sub-{0}_space-FLAIR_label-lesion_mask.nii.gz",
        truth_modality="FLAIR",
    )
    anat = tmp_path / "ill" / "sub-1" / "anat"
    anat.mkdir(parents=True)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    for modality in patients.modalities:
        values = np.random.default_rng(0).uniform(1, 2, (12, 12, 12)).astype(np.float32)
        nib.Nifti1Image(values, affine).to_filename(anat / f"sub-1_{modality}.nii.gz")
    mask = tmp_path / "ill" / patients.truth.format(1)
    mask.parent.mkdir(parents=True)
    lesion = np.zeros((12, 12, 12), np.uint8)
    lesion[4:7, 5:8, 6:9] = 1
    nib.Nifti1Image(lesion, affine).to_filename(mask)
    for modality in (*order, *order):
        scan = bias.prepared(tmp_path, tmp_path / "kept", patients, "1", modality)
        assert scan.lesions.sum() == lesion.sum()
    assert len(bias.times_prepared) == len(patients.modalities)
