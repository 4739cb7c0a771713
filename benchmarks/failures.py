r"""Draw the slices in which a bundle fails most, for its model card.

The three slices of a dataset with most wrong voxels, those of one person at least 2 cm apart: scan,
pseudo-healthy image, z, and what was marked (filled) beside the mask (line), which for the elderly
is AUTOMATIC. People are of the split ``dev``::

    bids-anomaly DATA/ms PREPROCESSED participant --stage preprocess
    python benchmarks/failures.py DATA --preprocessed PREPROCESSED --results FOLDER \
        --bundle restore-FLAIR --output bids_anomaly/resources/bundles/restore-FLAIR/failures.png
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from shared.data_folder import add_data_folder
from shared.patients_in_grid import Patient, patients_in_grid
from shared.people import people
from shared.real_scans import PATIENTS
from shared.scored import preset_mask, reconstructed, zscore

from bids_anomaly.reconstruction.bundle import Bundle, named_bundle

DATASETS = {patients.dataset: patients for patients in PATIENTS if patients.may_be_shown}
SHOWN, APART_MM = 3, 20.0
HIGHEST = {"T1w": 1.4, "FLAIR": 2.0, "T2w": 3.0}
Z_RANGE = (0, 6)


class Judged(NamedTuple):
    """A patient, what the bundle made of the scan, and which voxels are wrong."""

    person: Patient
    pseudo_healthy: np.ndarray
    z: np.ndarray
    marked: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        """Number of wrong voxels in each axial slice."""
        return (self.marked != self.person.truth).sum((0, 1))


class Case(NamedTuple):
    """An axial slice of a patient."""

    judged: Judged
    slice_: int
    title: str


def main() -> None:
    """Find the worst cases and draw them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument("--dataset", choices=DATASETS, default="ms")
    parser.add_argument("--preprocessed", type=Path, required=True, help="output of the app")
    parser.add_argument("--results", type=Path, required=True, help="folder for what is kept")
    parser.add_argument("--bundle", required=True, help="a folder, or a name such as restore-T1w")
    parser.add_argument("--output", type=Path, required=True, help="the picture")
    arguments = parser.parse_args()
    bundle = named_bundle(arguments.bundle)
    patients = DATASETS[arguments.dataset]
    who = people(patients.dataset, "dev")
    found = [
        _judge(bundle, person, arguments.results / "reconstructed")
        for person in patients_in_grid(
            arguments.data, arguments.preprocessed, patients, bundle.modality, who
        )
    ]
    cases = worst_slices(found, bundle.grid.affine)
    _draw(cases, HIGHEST[bundle.modality]).savefig(arguments.output, dpi=70)
    for case in cases:
        print(f"{case.title}: {case.judged.wrong[case.slice_]} wrong voxels")


def worst_slices(found: Sequence[Judged], affine: np.ndarray) -> list[Case]:
    """Return the slices with most wrong voxels, not too close to each other."""
    chosen: list[Case] = []
    ranked = sorted(
        ((judged, slice_) for judged in found for slice_ in range(judged.z.shape[2])),
        key=lambda pair: -pair[0].wrong[pair[1]],
    )
    for judged, slice_ in ranked:
        own = [case.slice_ for case in chosen if case.judged is judged]
        if all(abs(slice_ - other) * affine[2, 2] >= APART_MM for other in own):
            height = affine[2, 3] + slice_ * affine[2, 2]
            chosen.append(Case(judged, slice_, f"{judged.person.label}, z = {height:+.0f} mm"))
        if len(chosen) == SHOWN:
            break
    return chosen


def _judge(bundle: Bundle, person: Patient, kept: Path) -> Judged:
    scan, brain = person.scan, person.brain
    result = reconstructed(bundle, scan, brain, kept, person.known).result
    z = zscore(bundle, scan, brain, result)
    marked = preset_mask(z, brain, voxel_volume=bundle.grid.voxel_volume)
    return Judged(person, result.pseudo_healthy, z, marked)


def _draw(cases: Sequence[Case], highest: float) -> Figure:
    titles = ("scan", "pseudo-healthy", "z", "marked, and mask (line)")
    figure = Figure(figsize=(8, 2.5 * len(cases)), facecolor="black", layout="constrained")
    grey = {"cmap": "gray", "vmin": 0, "vmax": highest, "origin": "lower"}
    low, high = Z_RANGE
    for row, case in zip(figure.subplots(len(cases), 4, squeeze=False), cases, strict=True):
        judged = case.judged
        scan, pseudo_healthy, z, marked, truth = (
            values[:, :, case.slice_].T
            for values in (
                judged.person.scan,
                judged.pseudo_healthy,
                judged.z,
                judged.marked,
                judged.person.truth,
            )
        )
        row[0].imshow(scan, **grey)
        row[1].imshow(pseudo_healthy, **grey)
        row[2].imshow(z, cmap="inferno", vmin=low, vmax=high, origin="lower")
        row[3].imshow(scan, **grey)
        row[3].imshow(np.ma.masked_equal(marked, 0), cmap="autumn", alpha=0.6, origin="lower")
        if truth.any():
            row[3].contour(truth, [0.5], colors="cyan", linewidths=0.8)
        for axis, title in zip(row, titles, strict=True):
            axis.set_axis_off()
            axis.set_title(title, color="white", fontsize=9)
        row[0].text(1, 2, case.title, color="white", fontsize=9)
    return figure


if __name__ == "__main__":
    main()
