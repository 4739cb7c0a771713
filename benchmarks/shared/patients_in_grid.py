"""Patients with known lesions, as the app prepares them in the model grid."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_dilation

from bids_anomaly.evaluation.metrics import auprc
from bids_anomaly.evaluation.raw import find_raw, raw_score, read_raw
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import Chain
from bids_anomaly.training.lesions import MARGIN_VOXELS, lesion_share, transform_to_model_grid
from bids_anomaly.training.people import load_people
from shared.real_scans import Patients


class Patient(NamedTuple):
    """One scan: arrays (X, Y, Z) in the model grid, and the person's row in participants.tsv.

    In `scan` white matter is 1; `raw` is the score of the scan as it came, the first baseline.
    """

    label: str
    raw: np.ndarray
    scan: np.ndarray
    brain: np.ndarray
    truth: np.ndarray
    known: Mapping[str, str]

    @property
    def lesion_free(self) -> np.ndarray:
        """The brain as far from lesions as calibration on lesion-free voxels stays."""
        return self.brain & ~binary_dilation(self.truth, iterations=MARGIN_VOXELS)

    @property
    def raw_auprc(self) -> float:
        """The AUPRC of the first baseline."""
        return auprc(self.raw[self.brain], self.truth[self.brain])


def patients_in_grid(
    data: Path, preprocessed: Path, patients: Patients, modality: str, who: Sequence[str]
) -> Iterator[Patient]:
    """Yield the scans of a modality with their lesions.

    Parameters
    ----------
    data : Path
        Folder of the datasets.
    preprocessed : Path
        What ``bids-anomaly --stage preprocess`` made of this dataset.
    patients : Patients
        The dataset.
    modality : str
        BIDS suffix.
    who : sequence of str
        Labels without ``sub-``.
    """
    masks = patients.masks(data)
    chosen = {f"sub-{label}" for label in who}
    scans = load_people(preprocessed, modality=modality, participants=chosen)
    # Masks are drawn on one scan; all scans of a person lie in the same model grid.
    drawn_on = patients.truth_modality or modality
    marked = load_people(preprocessed, modality=drawn_on, participants=chosen)
    for person, with_mask in zip(scans, marked, strict=True):
        brain = np.asanyarray(person.brain.dataobj) > 0
        truth = (lesion_share(with_mask, preprocessed, masks) > 0.5) & brain
        scan = person.scan.get_fdata(dtype=np.float32)
        grid, to_grid = Grid.of(person.scan), transform_to_model_grid(person, preprocessed)
        came_as = read_raw(find_raw(person.path, preprocessed, data / patients.dataset))
        in_grid = resample(came_as, grid, Chain.of(to_grid)).get_fdata(dtype=np.float32)
        raw = raw_score(in_grid, brain, grid.spacing, modality=modality)
        label = person.participant.removeprefix("sub-")
        yield Patient(label, raw, scan, brain, truth, person.known)
