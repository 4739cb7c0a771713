"""How accurate the packaged models are on real scans, beside the intensity baseline.

Runs ``bids-anomaly`` with ``--model restore`` and ``--model threshold`` on the T1w scans of

- healthy people of IXI: how many voxels are called anomalous (nominal: ``--healthy-fpr``),
- elderly people with white matter hyperintensities (SBIA 2017): the truth is an AUTOMATIC mask on
  FLAIR, brought to the T1w scan by the rigid registration of the run,

and prints a table of means over people with 95 % bootstrap intervals. Which people: a split of
``splits.tsv``; designs are chosen on ``dev``, ``report`` is for releases.
"""

import argparse
import csv
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from sklearn.metrics import average_precision_score

from bids_anomaly.bids.naming import output_path, transform_path
from bids_anomaly.preprocessing.resample import resample_mask
from bids_anomaly.preprocessing.template import Grid

SPLITS = Path(__file__).parent / "splits.tsv"
MODELS = ("restore", "threshold")
DRAWS = 2000


def main() -> None:
    """Run what was not run yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get("BIDS_ANOMALY_DATA"))
    parser.add_argument("--results", type=Path, required=True, help="folder for the runs, kept")
    parser.add_argument("--split", default="dev", help="(default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name the folder of the datasets, or set BIDS_ANOMALY_DATA")

    print(f"Split `{arguments.split}`, T1w, threshold preset on 28 other healthy people of IXI.\n")
    print("| data | measure | " + " | ".join(MODELS) + " |")
    print("| --- | --- |" + " --- |" * len(MODELS))
    healthy = people("ixi-healthy", arguments.split)
    elderly = people("elderly-wmh", arguments.split)
    rows: dict[tuple[str, str], list[str]] = {}
    for model in MODELS:
        outputs = run(arguments, "ixi-healthy", healthy, model, ["T1w"])
        rates = np.array([anomalous_share(outputs, person) for person in healthy])
        key = (f"IXI, healthy, {len(healthy)} people", "voxels called anomalous (%)")
        rows.setdefault(key, []).append(interval(100 * rates, ".3f"))
        # FLAIR only carries the truth over to the T1w scan.
        outputs = run(arguments, "elderly-wmh", elderly, model, ["T1w", "FLAIR"])
        truth = arguments.data / "elderly-wmh" / "derivatives" / "dlwmls"
        found = np.array([accuracy(outputs, truth, person) for person in elderly])
        data = f"SBIA, WMH on T1w (automatic masks), {len(elderly)} people"
        for measure, values in zip(("AUPRC", "Dice", "prevalence (%)"), found.T, strict=True):
            rows.setdefault((data, measure), []).append(interval(values, ".3f"))
    for (data, measure), cells in rows.items():
        print(f"| {data} | {measure} | " + " | ".join(cells) + " |")


def people(dataset: str, split: str) -> list[str]:
    """Return the participants of a split, without ``sub-``."""
    with SPLITS.open(newline="") as file:
        return [
            row["participant_id"].removeprefix("sub-")
            for row in csv.DictReader(file, delimiter="\t")
            if row["dataset"] == dataset and row["split"] == split
        ]


def run(
    arguments: argparse.Namespace,
    dataset: str,
    participants: list[str],
    model: str,
    modalities: list[str],
) -> Path:
    """Run the app and return its output folder; what is there already is not done again."""
    output = arguments.results / model / dataset
    command = [sys.executable, "-m", "bids_anomaly.cli.main", arguments.data / dataset, output]
    command += ["participant", "--model", model, "--modalities", *modalities]
    command += ["--participant-label", *participants, "--output-spaces", "native"]
    command += ["--skip-bids-validation", "-w", arguments.results / "work" / model / dataset]
    subprocess.run([str(part) for part in command], check=True)
    return output


def anomalous_share(outputs: Path, person: str) -> float:
    """Return the share of brain voxels in the anomaly mask."""
    brain, mask = (read(outputs, person, name) > 0 for name in ("brain", "anomaly"))
    return float(mask[brain].mean())


def accuracy(outputs: Path, truth: Path, person: str) -> tuple[float, float, float]:
    """Return AUPRC over all brain voxels, Dice at the preset threshold, and prevalence in %."""
    scan = nib.load(output_path(outputs, "preproc", {"sub": person}, modality="T1w"))
    to_t1w = transform_path(
        outputs, {"sub": person}, origin="FLAIR", target="T1w", extension=".txt"
    )
    lesions = nib.load(
        truth / f"sub-{person}" / "anat" / f"sub-{person}_space-FLAIR_label-WMH_mask.nii.gz"
    )
    binary = nib.Nifti1Image((lesions.get_fdata() > 0).astype(np.float32), lesions.affine)
    lesion = np.asanyarray(resample_mask(binary, Grid.of(scan), [to_t1w]).dataobj) > 0
    brain = read(outputs, person, "brain") > 0
    lesion, mask = lesion[brain], read(outputs, person, "anomaly")[brain] > 0
    dice = 2 * (lesion & mask).sum() / (lesion.sum() + mask.sum())
    auprc = average_precision_score(lesion, read(outputs, person, "zscore")[brain])
    return float(auprc), float(dice), float(100 * lesion.mean())


def read(outputs: Path, person: str, output: str) -> np.ndarray:
    """Read a native map of a T1w scan."""
    path = output_path(outputs, output, {"sub": person}, modality="T1w")
    return np.asanyarray(nib.load(path).dataobj)


def interval(values: np.ndarray, form: str) -> str:
    """Return the mean over people with its 95 % bootstrap interval."""
    draws = np.random.default_rng(0).choice(values, (DRAWS, len(values))).mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return f"{values.mean():{form}} ({low:{form}} to {high:{form}})"


if __name__ == "__main__":
    main()
