"""Real scans, run through the real command and evaluated voxel for voxel in their own grid."""

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from people import Split
from scipy.ndimage import distance_transform_edt
from table import Row, rows_by_measure

from bids_anomaly.bids.naming import output_path, transform_path
from bids_anomaly.evaluation.metrics import (
    auprc,
    dice,
    dice_best,
    false_positives,
    l1,
    lesionwise,
    ssim,
)
from bids_anomaly.evaluation.scan import ALL_SIZES, LESION_FREE_MM
from bids_anomaly.preprocessing.resample import resample_mask
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.reconstruction.bundle import Bundle

REFERENCE = "T1w"
# Brains span about this much on T1w, in units of white matter.
T1W_RANGE = 1.0
HEALTHY = "ixi-healthy"


class Patients(NamedTuple):
    """A dataset with lesions.

    Attributes
    ----------
    dataset : str
        Its folder.
    title : str
        What stands in the table.
    modalities : tuple of str
        Scans that everybody has.
    truth : str
        Path of a lesion mask in the dataset, for a person.
    truth_modality : str or None
        The scan whose grid the mask is in; None if all scans are registered to each other.
    """

    dataset: str
    title: str
    modalities: tuple[str, ...]
    truth: str
    truth_modality: str | None


PATIENTS = (
    Patients(
        "elderly-wmh",
        "Elderly, white matter hyperintensities (AUTOMATIC masks)",
        ("T1w", "FLAIR"),
        "derivatives/dlwmls/sub-{0}/anat/sub-{0}_space-FLAIR_label-WMH_mask.nii.gz",
        "FLAIR",
    ),
    Patients(
        "ms",
        "MS26, multiple sclerosis (manual mask)",
        ("T1w", "T2w", "FLAIR"),
        "derivatives/manual/sub-{0}/anat/sub-{0}_label-lesion_mask.nii.gz",
        None,
    ),
)


def patient_rows(
    data: Path, results: Path, split: Split, modality: str, bundles: Mapping[str, Bundle]
) -> Iterable[Row]:
    """Yield the rows of patients with scans of a modality."""
    for patients in PATIENTS:
        who = split.people(patients.dataset)
        if not who or modality not in patients.modalities:
            continue
        needed = [REFERENCE, modality, patients.truth_modality or REFERENCE]
        found = {}
        for name, bundle in bundles.items():
            outputs = run(data, results, patients.dataset, who, bundle, needed)
            found[name] = [accuracy(data, outputs, patients, person, modality) for person in who]
        yield from rows_by_measure(f"{patients.title}, {modality}, {split}", found)


def healthy_rows(
    data: Path, results: Path, split: Split, bundles: Mapping[str, Bundle]
) -> list[Row]:
    """Return the rows of healthy people, T1w."""
    who = split.people(HEALTHY)
    found = {}
    for name, bundle in bundles.items():
        outputs = run(data, results, HEALTHY, who, bundle, [REFERENCE])
        found[name] = [quietness(outputs, person) for person in who]
    return rows_by_measure(f"IXI, healthy, T1w, {split}", found, {"false components": ".1f"})


def run(
    data: Path,
    results: Path,
    dataset: str,
    participants: Sequence[str],
    bundle: Bundle,
    modalities: Sequence[str],
) -> Path:
    """Run the app where an output is missing, and return its output folder."""
    output = results / "runs" / dataset / f"{bundle.name}-{bundle.digest[:8]}"
    if not all(
        output_path(output, "zscore", {"sub": person}, modality=bundle.modality).is_file()
        for person in participants
    ):
        options = ["--modalities", *dict.fromkeys(modalities), "--output-spaces", "native"]
        command(data, results, dataset, output, participants, bundle, *options)
    return output


def command(
    data: Path,
    results: Path,
    dataset: str,
    output: Path,
    participants: Sequence[str],
    bundle: Bundle,
    *options: str,
) -> None:
    """Call ``bids-anomaly ... participant``; models of a grid share the preprocessing."""
    work = results / "work" / dataset
    call = [sys.executable, "-m", "bids_anomaly.cli.main", data / dataset, output, "participant"]
    call += ["--participant-label", *participants, "--skip-bids-validation", "-w", work]
    call += ["--model", bundle.folder, *options]
    # Standard output is for the table.
    subprocess.run([str(part) for part in call], check=True, stdout=sys.stderr)


def accuracy(
    data: Path, outputs: Path, patients: Patients, person: str, modality: str
) -> dict[str, float]:
    """Return all measures of a patient's scan."""
    scan = nib.load(output_path(outputs, "preproc", {"sub": person}, modality=modality))
    brain, mask, z = (
        read(outputs, person, name, modality) for name in ("brain", "anomaly", "zscore")
    )
    brain, mask = brain > 0, mask > 0
    lesions = nib.load(data / patients.dataset / patients.truth.format(person))
    binary = nib.Nifti1Image((lesions.get_fdata() > 0).astype(np.float32), lesions.affine)
    transforms = []
    if patients.truth_modality not in (None, modality):
        transforms = [
            transform_path(
                outputs,
                {"sub": person},
                origin=patients.truth_modality,
                target=modality,
                extension=".txt",
            )
        ]
    truth = np.asanyarray(resample_mask(binary, Grid.of(scan), transforms).dataobj) > 0
    distance = distance_transform_edt(~truth, sampling=Grid.of(scan).spacing)
    healthy, voxel_volume = brain & (distance > LESION_FREE_MM), Grid.of(scan).voxel_volume
    lesions_found = lesionwise(mask, truth, voxel_volume=voxel_volume, bins=ALL_SIZES)[0]
    return {
        "AUPRC": auprc(z[brain], truth[brain]),
        "Dice at preset threshold": dice(mask, truth),
        "best Dice (oracle)": dice_best(z[brain], truth[brain]),
        "lesions of 8 mm3 and more found": lesions_found.sensitivity,
        "marked components that are lesion": lesions_found.precision,
        "lesion-free voxels marked (%)": 100
        * false_positives(mask, healthy, voxel_volume=voxel_volume).voxel_rate,
        "lesion prevalence (%)": 100 * float(truth[brain].mean()),
    }


def quietness(outputs: Path, person: str) -> dict[str, float]:
    """Return what is marked in a healthy person, and how good the reconstruction is."""
    scan = nib.load(output_path(outputs, "preproc", {"sub": person}, modality=REFERENCE))
    brain, mask = (read(outputs, person, name, REFERENCE) > 0 for name in ("brain", "anomaly"))
    wrong = false_positives(mask, brain, voxel_volume=Grid.of(scan).voxel_volume)
    measures = {
        "voxels marked (%; nominal 0.2)": 100 * wrong.voxel_rate,
        "marked volume (ml)": wrong.volume_ml,
        "false components": wrong.components,
    }
    path = output_path(outputs, "pseudohealthy", {"sub": person}, modality=REFERENCE)
    if path.is_file():
        values, reconstruction = scan.get_fdata(), nib.load(path).get_fdata()
        measures["l1 of the reconstruction (x 1000)"] = 1000 * l1(values, reconstruction, brain)
        measures["SSIM of the reconstruction"] = ssim(
            values, reconstruction, brain, data_range=T1W_RANGE
        )
    return measures


def read(outputs: Path, person: str, output: str, modality: str) -> np.ndarray:
    """Read a native map of a scan."""
    path = output_path(outputs, output, {"sub": person}, modality=modality)
    return np.asanyarray(nib.load(path).dataobj)
