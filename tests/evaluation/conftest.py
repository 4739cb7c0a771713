"""Small results of the app, and masks of the truth."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bids_anomaly.bids.naming import anat_folder, file_name, output_path, sidecar_path
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.scoring.findings import Threshold, find

FPR, MIN_VOLUME = 0.002, 100.0
# Voxels of 64 mm3 in a brain that is a ball of 44 mm radius.
GRID = Grid.isotropic((26, 26, 26), (-50.0, -50.0, -50.0), 4.0)


@pytest.fixture(scope="session")
def grid() -> Grid:
    """Return the grid of the results."""
    return GRID


@pytest.fixture(scope="session")
def ball() -> Callable[..., np.ndarray]:
    """Give a function that makes a ball of a centre and a radius in mm."""
    return _ball


def _ball(centre: tuple[float, float, float], radius: float, grid: Grid = GRID) -> np.ndarray:
    where = np.moveaxis(np.indices(grid.shape), 0, -1) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    return np.linalg.norm(where - centre, axis=-1) < radius


@pytest.fixture(scope="session")
def write_result() -> Callable[..., np.ndarray]:
    """Give a function that writes what the app would of a scan, and returns its z."""

    def write(
        derivatives: Path,
        entities: Mapping[str, str],
        modality: str = "FLAIR",
        *,
        lesion: np.ndarray | None = None,
        strength: float = 4.0,
        seed: int = 0,
        grid: Grid = GRID,
        space: str | None = None,
        bids_dir: Path | None = None,
    ) -> np.ndarray:
        random = np.random.default_rng(seed)
        brain = _ball((0, 0, 0), 44, grid)
        lesion = np.zeros(grid.shape, bool) if lesion is None else lesion
        z = (random.standard_normal(grid.shape) + strength * lesion) * brain
        healthy = 1 + 0.1 * gaussian_filter(random.standard_normal(grid.shape), 1)
        scan = healthy + 0.8 * lesion
        threshold = Threshold(FPR, MIN_VOLUME)
        _, probability, mask = find(z, brain, threshold, voxel_volume=grid.voxel_volume)
        maps = {
            "zscore": z,
            "brain": brain,
            "preproc": scan,
            "pseudohealthy": scan - 0.8 * lesion * 0.75,
            "probability": probability,
            "anomaly": mask,
        }
        for output, values in maps.items():
            path = output_path(derivatives, output, entities, modality=modality, space=space)
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = np.uint8 if values.dtype == bool else np.float32
            grid.image(values.astype(kind)).to_filename(path)
            said = {"NominalFalsePositiveRate": FPR, "MinimumLesionVolume": MIN_VOLUME}
            said["Sources"] = [f"bids:raw:{raw_path(Path(), entities, modality)}"]
            sidecar_path(path).write_text(json.dumps(said))
        if bids_dir is not None:
            # As it came: in other units, and brighter in front than behind.
            field = np.linspace(600, 700, grid.shape[1])[:, None]
            path = raw_path(bids_dir, entities, modality)
            path.parent.mkdir(parents=True, exist_ok=True)
            grid.image((scan * field).astype(np.int16)).to_filename(path)
            links = {"DatasetLinks": {"raw": bids_dir.as_uri()}}
            (derivatives / "dataset_description.json").write_text(json.dumps(links))
        return z.astype(np.float32)

    return write


def raw_path(bids_dir: Path, entities: Mapping[str, str], modality: str) -> Path:
    """Return where a scan lies in the input dataset."""
    return anat_folder(bids_dir, entities) / file_name(entities, modality)


@pytest.fixture(scope="session")
def write_truth() -> Callable[..., Path]:
    """Give a function that writes a mask, with any entities."""

    def write(
        folder: Path, entities: Mapping[str, str], lesion: np.ndarray, grid: Grid = GRID
    ) -> Path:
        path = anat_folder(folder, entities) / file_name(entities, "mask")
        path.parent.mkdir(parents=True, exist_ok=True)
        grid.image(lesion.astype(np.uint8)).to_filename(path)
        return path

    return write


@pytest.fixture(scope="session")
def lesion() -> Callable[[int], np.ndarray]:
    """Give a function that makes the lesions of a person: one large, one small, of any place."""

    def make(person: int) -> np.ndarray:
        angle = 0.7 * person
        place = 22 * np.array([np.cos(angle), np.sin(angle), 0.2])
        return _ball(tuple(place), 10 + person % 3) | _ball(tuple(-place), 4.5)

    return make
