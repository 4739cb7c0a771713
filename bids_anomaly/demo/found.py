"""How well the inserted lesion was found."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from bids_anomaly.bids.naming import output_path
from bids_anomaly.bids.tables import read_table
from bids_anomaly.evaluation.metrics import auroc, dice
from bids_anomaly.evaluation.raw import raw_score, read_raw
from bids_anomaly.preprocessing.images import load_nifti
from bids_anomaly.preprocessing.template import Grid


class Found(NamedTuple):
    """Agreement of the anomaly maps with the inserted lesion, over the voxels of the brain.

    Attributes
    ----------
    dice : float
        Of the anomaly mask.
    rank : float
        Probability that a voxel of the lesion has a higher z than another one (AUROC).
    rank_of_raw_intensity : float
        The same for the scan as it came, darkest first: the baseline.
    """

    dice: float
    rank: float
    rank_of_raw_intensity: float


def how_well_found(output_dir: Path, participant: str, *, scan: Path, lesion: Path) -> Found:
    """Compare the native maps of the T1w scan, the primary one, and the scan, with the lesion.

    Parameters
    ----------
    output_dir : Path
        The derivative dataset.
    participant : str
        Label without ``sub-``.
    scan : Path
        As it came.
    lesion : Path
        Mask in its grid.
    """
    brain = _read(output_dir, participant, "brain") > 0
    truth = (np.asanyarray(load_nifti(lesion).dataobj) > 0)[brain]
    mask = (_read(output_dir, participant, "anomaly") > 0)[brain]
    came_as = read_raw(scan)
    raw = raw_score(came_as.get_fdata(), brain, Grid.of(came_as).spacing, modality="T1w")
    return Found(
        dice=dice(mask, truth),
        rank=auroc(_read(output_dir, participant, "zscore")[brain], truth),
        rank_of_raw_intensity=auroc(raw[brain], truth),
    )


class Marked(NamedTuple):
    """What is marked on the T1w scan of a person.

    Attributes
    ----------
    findings : int
        Connected places.
    ml : float
        Their volume.
    share : float
        Of the voxels of the brain.
    """

    findings: int
    ml: float
    share: float


def what_is_marked(output_dir: Path, participant: str) -> Marked:
    """Count what is marked on the T1w scan of a person, as for :func:`how_well_found`."""
    brain = _read(output_dir, participant, "brain") > 0
    table = output_path(
        output_dir, "lesions", {"sub": participant}, modality="T1w", extension=".tsv"
    )
    findings = read_table(table)
    return Marked(
        len(findings),
        sum(float(row["volume"]) for row in findings) / 1000,
        float((_read(output_dir, participant, "anomaly") > 0)[brain].mean()),
    )


def _read(output_dir: Path, participant: str, output: str) -> np.ndarray:
    path = output_path(output_dir, output, {"sub": participant}, modality="T1w")
    return np.asanyarray(load_nifti(path).dataobj)
