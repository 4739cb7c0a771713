"""Synthetic brains and small datasets, for every test that needs scans."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

# Registrations are reproducible with one thread, which ITK looks up once in a process.
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

# Brightness of the tissues, white matter about 1.
CONTRASTS = {
    "T1w": {"csf": 0.3, "grey": 0.45, "white": 0.7},
    "T2w": {"csf": 1.9, "grey": -0.5, "white": -0.9},
    "FLAIR": {"csf": 0.3, "grey": 0.9, "white": 0.7},
}
WHITE_MATTER_LEVEL = 800
NOISE = 0.02


@pytest.fixture(scope="session")
def sagittal_grid():
    """2 mm in the voxel order of sagittal acquisitions, holding a whole brain."""
    affine = np.array([[0, 0, 2, -82], [-2, 0, 0, 82], [0, 2, 0, -78], [0, 0, 0, 1.0]])
    return (104, 88, 83), affine


@pytest.fixture(scope="session")
def oblique_grid():
    """Axial slices of 4 mm in LPS order, tilted by 12 degrees, as many FLAIR scans have them."""
    tilt = np.deg2rad(12)
    rotation = np.array(
        [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    )
    shape, zooms = (96, 120, 44), np.array([1.9, 1.7, 4.0])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([-1, -1, 1]) * zooms
    affine[:3, 3] = [0, -18, 5] - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return shape, affine


@pytest.fixture(scope="session")
def stripped_brain() -> Callable[..., nib.Nifti1Image]:
    """Give a function that makes a skull-stripped int16 scan of a synthetic person.

    `person` sets shape and texture, so that scans of one person correspond; the noise differs
    from scan to scan.
    """
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_gm_template

    from bids_anomaly.preprocessing.template import template_white_matter

    template = load_mni152_brain_mask(resolution=2)
    brain = template.get_fdata()
    white = template_white_matter(2).get_fdata()
    grey = load_mni152_gm_template(resolution=2).get_fdata()
    to_template_voxels = np.linalg.inv(template.affine)

    def make(
        modality: str, person: int, grid: tuple[tuple[int, ...], np.ndarray], scan: int = 0
    ) -> nib.Nifti1Image:
        tissue = CONTRASTS[modality]
        values = brain * (tissue["csf"] + tissue["grey"] * grey + tissue["white"] * white)
        shape, affine = grid
        where = nib.affines.apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
        random = np.random.default_rng(person)
        size = random.uniform(0.94, 1.06, 3)
        bend = sum(_wave(where, random, 90.0)[..., None] * random.uniform(-2, 2, 3) for _ in "xyz")
        texture = 1 + 0.03 * sum(_wave(where, random, 25.0) for _ in range(4))
        voxels = nib.affines.apply_affine(to_template_voxels, where / size + bend)
        sampled = ndimage.map_coordinates(values, np.moveaxis(voxels, -1, 0), order=1)
        inside = sampled > 0.15
        noise = np.random.default_rng((person, scan, len(modality))).normal(0, NOISE, shape)
        noisy = np.maximum(WHITE_MATTER_LEVEL * (sampled * texture + noise), 1)
        image = nib.Nifti1Image(np.where(inside, noisy, 0).astype(np.int16), affine)
        image.header.set_xyzt_units("mm", "sec")
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        return image

    return make


@pytest.fixture(scope="session")
def write_dataset() -> Callable[[Path, Mapping[str, nib.Nifti1Image]], Path]:
    """Give a function that writes a BIDS dataset of scans by name, such as ``sub-01_ses-1_T1w``."""

    def write(folder: Path, scans: Mapping[str, nib.Nifti1Image]) -> Path:
        folder.mkdir(parents=True)
        description = {
            "Name": "synthetic brains",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "License": "CC0",
        }
        (folder / "dataset_description.json").write_text(json.dumps(description))
        (folder / "README").write_text("Synthetic brains, made from a template.\n" * 5)
        people = sorted({name.split("_")[0] for name in scans})
        rows = "".join(f"{label}\t{40 + number}\n" for number, label in enumerate(people))
        (folder / "participants.tsv").write_text("participant_id\tage\n" + rows)
        for name, image in scans.items():
            image.to_filename(_place(folder, name))
        return folder

    return write


def _place(folder: Path, name: str) -> Path:
    levels = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
    path = folder.joinpath(*levels, "anat", f"{name}.nii.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _wave(where: np.ndarray, random: np.random.Generator, wavelength: float) -> np.ndarray:
    """Return a plane wave in a random direction, between -1 and 1."""
    direction = random.normal(size=3)
    direction *= 2 * np.pi / wavelength / np.linalg.norm(direction)
    return np.sin(where @ direction + random.uniform(0, 2 * np.pi))
