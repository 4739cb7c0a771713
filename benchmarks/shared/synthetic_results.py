"""Results of people who do not exist, as the participant level writes them, in a moment."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, label

from bids_anomaly.bids.naming import output_path
from bids_anomaly.bids.tables import write_table
from bids_anomaly.bids.writing import write_image
from bids_anomaly.group.collect import compared_voxels
from bids_anomaly.preprocessing.atlas import atlas_labels, atlas_regions
from bids_anomaly.preprocessing.template import OUTPUT_GRID, TEMPLATE
from bids_anomaly.scoring.regions import measure_regions

VOXEL_MM3 = OUTPUT_GRID.voxel_volume
LESION_Z = 6.0
Ball = tuple[tuple[float, float, float], float]


def write_dataset(folder: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write what describes a derivative dataset, and its table of participants."""
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "Name": "synthetic results",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "bids-anomaly"}],
    }
    (folder / "dataset_description.json").write_text(json.dumps(description))
    (folder / ".bidsignore").write_text("*.html\nlogs\ngroup\n*_stats.*\n")
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")


def write_result(
    folder: Path,
    participant: str,
    *,
    session: str | None = None,
    balls: Sequence[Ball] = (),
    modalities: Sequence[str] = ("T1w",),
    flagged: Sequence[str] = (),
    seed: int = 0,
) -> np.ndarray:
    """Write the maps and tables of one person, and return the anomalies.

    Parameters
    ----------
    folder : Path
        Derivative dataset.
    participant, session : str
        Labels.
    balls : sequence of ((x, y, z), radius)
        Lesions, in mm of the template.
    modalities : sequence of str
        One scan of each; the first is the reference.
    flagged : sequence of str
        Measures of quality that are outside the limits.
    seed : int
        Of the z-scores, smooth noise of unit variance.

    Returns
    -------
    (X, Y, Z) bool array
        In the grid of outputs.
    """
    entities = {"sub": participant, **({"ses": session} if session else {})}
    reference = modalities[0]

    def place(output: str, modality: str, extension: str, space: str | None = None) -> Path:
        return output_path(
            folder, output, entities, modality=modality, space=space, extension=extension
        )

    brain, (x, y, z) = compared_voxels(), _millimetres()
    mask = np.zeros(brain.shape, bool)
    for centre, radius in balls:
        distance = sum((axis - middle) ** 2 for axis, middle in zip((x, y, z), centre, strict=True))
        mask |= distance <= radius**2
    mask &= brain
    random = np.random.default_rng(seed)
    for modality in modalities:
        noise = gaussian_filter(random.normal(size=brain.shape).astype(np.float32), 1.0)
        scores = (noise / noise[brain].std() + LESION_Z * mask) * brain
        write_image(
            place("zscore", modality, ".nii.gz", TEMPLATE), OUTPUT_GRID.image(scores), _sidecar()
        )
        image = OUTPUT_GRID.image(mask.astype(np.uint8))
        write_image(place("anomaly", modality, ".nii.gz", TEMPLATE), image, _sidecar())
        write_table(place("lesions", modality, ".tsv"), "lesions", _lesion_rows(mask, scores))
        write_table(place("regions", modality, ".tsv"), "regions", _region_rows(mask, scores))
    name = "_".join([*(f"{key}-{value}" for key, value in entities.items()), reference])
    quality = [
        (name, measure, 0.5, 0.6, 1.0, measure in flagged)
        for measure in ("brain_overlap", "noise", "ghosting")
    ]
    write_table(place("quality", reference, ".tsv"), "quality", quality)
    return mask


def _lesion_rows(mask: np.ndarray, scores: np.ndarray) -> list[tuple]:
    labels, count = label(mask, np.ones((3, 3, 3)))
    rows = []
    for index in range(1, count + 1):
        inside = labels == index
        centre = OUTPUT_GRID.affine[:3] @ [*np.argwhere(inside).mean(axis=0), 1]
        z = scores[inside]
        rows.append(
            (index, f"lesion-{index}", float(inside.sum() * VOXEL_MM3), *map(float, centre),
             float(z.max()), float(z.mean()), 0.9, "Frontal_WM_L", "left",
             "periventricular")
        )  # fmt: skip
    return rows


def _region_rows(mask: np.ndarray, scores: np.ndarray) -> list[tuple]:
    return [
        (*found.region, *found[1:])
        for found in measure_regions(
            _atlas(), atlas_regions(), mask=mask, z=scores, voxel_volume=VOXEL_MM3
        )
    ]


def _sidecar() -> dict:
    return {"Description": "Made for a test.", "SkullStripped": True, "Resolution": "2 mm"}


@cache
def _atlas() -> np.ndarray:
    return np.where(compared_voxels(), atlas_labels(OUTPUT_GRID), -1)


@cache
def _millimetres() -> list[np.ndarray]:
    return [
        OUTPUT_GRID.affine[i, i] * index + OUTPUT_GRID.affine[i, 3]
        for i, index in enumerate(np.indices(OUTPUT_GRID.shape, sparse=True))
    ]
