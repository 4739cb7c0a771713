"""T1w, FLAIR, and the mean of their z-scores, judged beside each other: which scan is to lead.

All are judged in the grid of the T1w scan, on the part of the brain that both scans show, against
the same mask: AUTOMATIC white matter hyperintensities of elderly people (SBIA 2017), brought there
by the registration of the run. The z-scores of FLAIR are brought there in one interpolation. The
mean is what the app does not do: it was worse than FLAIR alone::

    bids-anomaly DATA/elderly-wmh OUTPUTS participant
    python benchmarks/modalities.py DATA --outputs OUTPUTS --split dev
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
from shared.data_folder import add_data_folder
from shared.people import people
from shared.real_scans import PATIENTS, read
from shared.table import markdown, rows_by_measure

from bids_anomaly.bids.naming import output_path, transform_path
from bids_anomaly.evaluation.metrics import auprc, dice
from bids_anomaly.preprocessing.resample import resample, resample_mask
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import Chain
from bids_anomaly.scoring.findings import Threshold, find

ELDERLY = PATIENTS[0]
ALONE, TOGETHER = "FLAIR", "mean z of both"


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument("--outputs", type=Path, required=True, help="what the app wrote")
    parser.add_argument("--split", default="dev", choices=("dev", "report"))
    arguments = parser.parse_args()
    who = people(ELDERLY.dataset, arguments.split)
    measured = [measures(arguments.data, arguments.outputs, person) for person in who]
    models = list(measured[0])
    rows = rows_by_measure(
        f"{ELDERLY.title}, {arguments.split}, in the grid of the T1w scan",
        {model: [person[model] for person in measured] for model in models},
    )
    print(markdown(rows, models, [ALONE]))


def measures(data: Path, outputs: Path, person: str) -> dict[str, dict[str, float]]:
    """Return AUPRC and Dice of T1w, FLAIR, and the mean of both."""
    entities = {"sub": person}
    grid = Grid.of(nib.load(output_path(outputs, "zscore", entities, modality="T1w")))
    moved = Chain.of(
        transform_path(outputs, entities, origin="FLAIR", target="T1w", extension=".txt")
    )

    def from_flair(output: str) -> nib.Nifti1Image:
        return nib.load(output_path(outputs, output, entities, modality="FLAIR"))

    lesions = nib.load(data / ELDERLY.dataset / ELDERLY.truth.format(person))
    binary = nib.Nifti1Image((lesions.get_fdata() > 0).astype(np.float32), lesions.affine)
    brain = read(outputs, person, "brain", "T1w") > 0
    brain &= resample_mask(from_flair("brain"), grid, moved).get_fdata() > 0
    truth = (resample_mask(binary, grid, moved).get_fdata() > 0) & brain
    z = {
        "T1w": np.asarray(read(outputs, person, "zscore", "T1w"), np.float32),
        ALONE: resample(from_flair("zscore"), grid, moved).get_fdata(dtype=np.float32),
    }
    z[TOGETHER] = (z["T1w"] + z[ALONE]) / 2
    return {name: judged(scores, brain, truth, grid) for name, scores in z.items()}


def judged(z: np.ndarray, brain: np.ndarray, truth: np.ndarray, grid: Grid) -> Mapping[str, float]:
    """Return AUPRC, and the Dice at the threshold of the app."""
    mask = find(z, brain, Threshold(), voxel_volume=grid.voxel_volume).mask
    free = brain & ~truth
    return {
        "AUPRC": auprc(z[brain], truth[brain]),
        "Dice at preset threshold": dice(mask, truth),
        "voxels marked outside of the mask (%)": 100 * float(mask[free].mean()),
    }


if __name__ == "__main__":
    main()
