r"""Draw the cases in which a bundle fails most, for its model card.

Of the patients of the split ``dev`` the one with the lowest Dice and the two with most healthy
voxels marked, in the slice with most wrong voxels: scan, pseudo-healthy image, z, and what was
marked (filled) beside the mask (line), AUTOMATIC for the elderly::

    bids-anomaly DATA/elderly-wmh PREPROCESSED participant --stage preprocess
    python benchmarks/failures.py DATA --preprocessed PREPROCESSED --results FOLDER \
        --bundle restore-FLAIR --output bids_anomaly/resources/bundles/restore-FLAIR/failures.png
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from data_folder import add_data_folder
from matplotlib.figure import Figure
from patients_in_grid import Patient, patients_in_grid
from people import people
from real_scans import PATIENTS
from scored import preset_mask, reconstructed, zscore

from bids_anomaly.evaluation.metrics import dice
from bids_anomaly.reconstruction.bundle import Bundle, named_bundle

ELDERLY = PATIENTS[0]
HIGHEST = {"T1w": 1.4, "FLAIR": 2.0, "T2w": 3.0}
Z_RANGE = (0, 6)


class Judged(NamedTuple):
    """A patient, what the bundle made of the scan, and how wrong it was."""

    person: Patient
    pseudo_healthy: np.ndarray
    z: np.ndarray
    marked: np.ndarray

    @property
    def dice(self) -> float:
        """Overlap of what was marked with the mask."""
        return dice(self.marked, self.person.truth)

    @property
    def false_voxels(self) -> int:
        """How many voxels outside the mask were marked."""
        return int((self.marked & ~self.person.truth).sum())


def main() -> None:
    """Find the worst cases and draw them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument("--preprocessed", type=Path, required=True, help="output of the app")
    parser.add_argument("--results", type=Path, required=True, help="folder for what is kept")
    parser.add_argument("--bundle", required=True, help="a folder, or a name such as restore-T1w")
    parser.add_argument("--output", type=Path, required=True, help="the picture")
    arguments = parser.parse_args()
    bundle = named_bundle(arguments.bundle)
    who = people(ELDERLY.dataset, "dev")
    found = [
        _judge(bundle, person, arguments.results / "reconstructed")
        for person in patients_in_grid(
            arguments.data, arguments.preprocessed, ELDERLY, bundle.modality, who
        )
    ]
    worst = min(found, key=lambda judged: judged.dice)
    noisiest = sorted(found, key=lambda judged: -judged.false_voxels)
    chosen = [worst, *(judged for judged in noisiest if judged is not worst)][:3]
    _draw(chosen, HIGHEST[bundle.modality]).savefig(arguments.output, dpi=70)
    for judged in chosen:
        print(f"{judged.person.label}: Dice {judged.dice:.2f}, {judged.false_voxels} wrong voxels")


def _judge(bundle: Bundle, person: Patient, kept: Path) -> Judged:
    scan, brain = person.scan, person.brain
    result = reconstructed(bundle, scan, brain, kept, person.known).result
    z = zscore(bundle, scan, brain, result)
    marked = preset_mask(z, brain, voxel_volume=float(np.prod(bundle.grid.spacing)))
    return Judged(person, result.pseudo_healthy, z, marked)


def _draw(chosen: list[Judged], highest: float) -> Figure:
    titles = ("scan", "pseudo-healthy", "z", "marked, and mask (line)")
    figure = Figure(figsize=(8, 2.5 * len(chosen)), facecolor="black", layout="constrained")
    for row, judged in zip(figure.subplots(len(chosen), 4, squeeze=False), chosen, strict=True):
        person = judged.person
        slice_ = int((judged.marked != person.truth).sum((0, 1)).argmax())

        def plane(values: np.ndarray, slice_: int = slice_) -> np.ndarray:
            return values[:, :, slice_].T

        grey = {"cmap": "gray", "vmin": 0, "vmax": highest, "origin": "lower"}
        row[0].imshow(plane(person.scan), **grey)
        row[1].imshow(plane(judged.pseudo_healthy), **grey)
        low, high = Z_RANGE
        row[2].imshow(plane(judged.z), cmap="inferno", vmin=low, vmax=high, origin="lower")
        row[3].imshow(plane(person.scan), **grey)
        marked = np.ma.masked_equal(plane(judged.marked), 0)
        row[3].imshow(marked, cmap="autumn", alpha=0.6, origin="lower")
        if plane(person.truth).any():
            row[3].contour(plane(person.truth), [0.5], colors="cyan", linewidths=0.8)
        for axis, title in zip(row, titles, strict=True):
            axis.set_axis_off()
            axis.set_title(title, color="white", fontsize=9)
        row[0].text(1, 2, f"Dice {judged.dice:.2f}", color="white", fontsize=9)
    return figure


if __name__ == "__main__":
    main()
