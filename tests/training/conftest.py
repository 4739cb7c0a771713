"""Small preprocessed datasets, as ``bids-anomaly --stage preprocess`` writes them."""

import json
from collections.abc import Callable
from pathlib import Path

import ants
import numpy as np
import pytest

from bids_anomaly.preprocessing.composite import write_composite
from bids_anomaly.preprocessing.template import TEMPLATE, Grid

# 5 mm, so that the brain of the template just fits.
GRID = Grid.isotropic((32, 48, 32), (-77.5, -132.5, -75.0), 5.0)
SHIFT_MM = 10.0


@pytest.fixture(scope="session")
def write_person() -> Callable[..., None]:
    """Give a function that writes a scan of a brain-like ellipsoid, its mask and its transform."""

    def write(
        folder: Path, label: str, modality: str = "T1w", *, grid: Grid = GRID, seed: int = 0
    ) -> None:
        x, y, z = np.moveaxis(
            np.moveaxis(np.indices(grid.shape), 0, -1) @ grid.affine[:3, :3].T + grid.affine[:3, 3],
            -1,
            0,
        )
        random = np.random.default_rng((seed, len(modality)))
        distance = (x / 68) ** 2 + ((y + 18) / 85) ** 2 + ((z - 5) / 65) ** 2
        grey = 1.2 if modality == "FLAIR" else 0.7
        values = np.where(distance < random.uniform(0.5, 0.7), 1.0, grey)
        values = (values + random.normal(0, 0.03, grid.shape)) * (distance < 1)
        stem = folder / f"sub-{label}" / "anat" / f"sub-{label}"
        stem.parent.mkdir(parents=True, exist_ok=True)
        grid.image(values.astype(np.float32)).to_filename(
            f"{stem}_space-{TEMPLATE}_desc-affine_{modality}.nii.gz"
        )
        grid.image((distance < 1).astype(np.uint8)).to_filename(
            f"{stem}_space-{TEMPLATE}_desc-affinebrain{modality}_mask.nii.gz"
        )
        # ITK counts x and y the other way round: the scan lies SHIFT_MM to the left of the model.
        shift = ants.create_ants_transform(dimension=3, translation=(SHIFT_MM, 0.0, 0.0))
        matrix = stem.with_name("shift.mat")
        ants.write_transform(shift, str(matrix))
        write_composite(
            Path(f"{stem}_from-{modality}_to-{TEMPLATE}_mode-image_desc-affine_xfm.h5"),
            [matrix],
            [False],
        )
        matrix.unlink()

    return write


@pytest.fixture(scope="session")
def preprocessed(tmp_path_factory, write_person) -> Path:
    """T1w scans of eight people, half of them controls, and FLAIR scans of four of them."""
    folder = tmp_path_factory.mktemp("preprocessed")
    description = {"Name": "bids-anomaly: ellipsoids", "License": "CC0"}
    (folder / "dataset_description.json").write_text(json.dumps(description))
    rows = ["participant_id\tgroup"]
    for number in range(8):
        label = f"P{number}"
        rows.append(f"sub-{label}\t{'control' if number % 2 else 'patient'}")
        write_person(folder, label, seed=number)
        if number < 4:
            write_person(folder, label, "FLAIR", seed=number)
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n")
    return folder
