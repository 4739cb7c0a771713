"""A picture of what training sees, to be compared with real scans."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from bids_anomaly.training.data import draw_batch
from bids_anomaly.training.mosaic import WHITE_AT, write_mosaic
from bids_anomaly.training.people import Preprocessed
from bids_anomaly.training.volumes import HealthyVolumes, slices_first

COLUMNS = 10
# Real slices are shown that hold at least this share of the brain of the largest slice.
LARGE = 0.4


def write_preview(
    path: Path,
    volumes: HealthyVolumes,
    real: Mapping[str, Sequence[Preprocessed]],
    *,
    slices: int,
    modalities: Sequence[str],
    seed: int,
) -> None:
    """Draw random training slices of each modality, and real ones below them.

    Parameters
    ----------
    path : Path
        PNG, written or replaced.
    volumes : HealthyVolumes
        People to train on, on the CPU.
    real : mapping
        Preprocessed scans of each modality, as far as there are any.
    slices : int
        Slices a slab.
    modalities : sequence of str
        Contrasts to draw.
    seed : int
        Of the draws.
    """
    rows, titles = [], []
    for modality in modalities:
        batch = draw_batch(
            volumes,
            COLUMNS,
            slices=slices,
            modalities=[modality],
            generator=torch.Generator().manual_seed(seed),
        )
        scale = WHITE_AT[modality]
        rows += [
            list(batch.healthy[:, 0].numpy() / scale),
            list(batch.slab[:, slices // 2].numpy() / scale),
            list(batch.lesion[:, 0].numpy()),
        ]
        titles += [f"{modality}: {row}" for row in ("healthy", "corrupted", "lesion")]
        if real.get(modality):
            rows.append([slice_ / scale for slice_ in _real_slices(real[modality], seed)])
            titles.append(f"{modality}: real scans")
    write_mosaic(path, rows, titles, by_row=True)


def _real_slices(people: Sequence[Preprocessed], seed: int) -> list[np.ndarray]:
    """Return random slices, each of another person as long as there are enough."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(people))
    found = []
    for column in range(COLUMNS):
        person = people[order[column % len(people)]]
        area = slices_first(np.asanyarray(person.brain.dataobj) > 0).sum(axis=(1, 2))
        chosen = random.choice(np.flatnonzero(area >= LARGE * area.max()))
        found.append(slices_first(person.scan.get_fdata(dtype=np.float32))[chosen])
    return found
