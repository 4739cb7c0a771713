"""Real scans, run through the real command and evaluated voxel for voxel in their own grid."""

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy.ndimage import distance_transform_edt

from bids_anomaly.bids.naming import anat_folder, file_name, output_path, transform_path
from bids_anomaly.evaluation.masks import read_mask
from bids_anomaly.evaluation.metrics import (
    auprc,
    auroc,
    dice,
    dice_best,
    false_positives,
    l1,
    lesionwise,
    ssim,
)
from bids_anomaly.evaluation.raw import raw_score, read_raw
from bids_anomaly.evaluation.restoration import contrast_removed
from bids_anomaly.evaluation.scan import ALL_SIZES, LESION_FREE_MM
from bids_anomaly.preprocessing.resample import resample_mask
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import SAME_SPACE, Chain
from bids_anomaly.reconstruction.bundle import Bundle
from shared.models import RAW_INTENSITY
from shared.people import Split
from shared.table import Row, rows_by_measure

REFERENCE = "T1w"
# Brains span about this much on T1w, in units of white matter.
T1W_RANGE = 1.0
HEALTHY = "ixi-healthy"
MARKED = "voxels marked (%; nominal 0.2)"


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
    may_be_shown : bool
        Whether its licence lets pictures of its scans be published, rather than figures alone.
    """

    dataset: str
    title: str
    modalities: tuple[str, ...]
    truth: str
    truth_modality: str | None
    may_be_shown: bool = True

    @property
    def reference(self) -> str:
        """The scan that the app registers the others to."""
        return REFERENCE if REFERENCE in self.modalities else self.modalities[0]

    def masks(self, data: Path) -> Path:
        """Return the derivative dataset of the lesion masks, in the folder of all datasets."""
        return data / self.dataset / Path(*Path(self.truth).parts[:2])


class Controls(NamedTuple):
    """A dataset of people without lesions: its folder, its title, and the scans of everybody."""

    dataset: str
    title: str
    modalities: tuple[str, ...]


MANUAL = "derivatives/manual/sub-{0}/anat/sub-{0}_label-lesion_mask.nii.gz"
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
        MANUAL,
        None,
    ),
    Patients(
        "wmh-manual",
        "White matter lesions (manual masks)",
        ("T1w", "T2w", "FLAIR"),
        MANUAL,
        None,
        may_be_shown=False,
    ),
    Patients(
        "tumour-flair", "Gliomas (manual masks)", ("FLAIR",), MANUAL, None, may_be_shown=False
    ),
)
CONTROLS = (
    Controls(HEALTHY, "IXI, healthy", ("T1w",)),
    Controls("nsk-t1w", "NSK, healthy or depressed", ("T1w",)),
    Controls("ucla-t1w-t2w", "UCLA, healthy", ("T1w", "T2w")),
)


def patient_rows(
    data: Path, results: Path, split: Split, modality: str, bundles: Mapping[str, Bundle]
) -> Iterable[Row]:
    """Yield the rows of patients with scans of a modality."""
    for patients in PATIENTS:
        who = split.people(patients.dataset)
        if not who or modality not in patients.modalities:
            continue
        needed = [patients.reference, modality, patients.truth_modality or modality]
        found: dict[str, list[dict[str, float]]] = {}
        for name, bundle in bundles.items():
            outputs = run(data, results, patients.dataset, who, bundle, needed)
            # Brain masks are the same for all models.
            if RAW_INTENSITY not in found:
                found[RAW_INTENSITY] = [
                    raw_accuracy(data, outputs, patients, person, modality) for person in who
                ]
            found[name] = [accuracy(data, outputs, patients, person, modality) for person in who]
        yield from rows_by_measure(f"{patients.title}, {modality}, {split}", found)


def healthy_rows(
    data: Path, results: Path, split: Split, modality: str, bundles: Mapping[str, Bundle]
) -> Iterable[Row]:
    """Yield what is marked in people without lesions, and of those of IXI all there is to say."""
    for controls in CONTROLS:
        who = split.people(controls.dataset)
        if not who or modality not in controls.modalities:
            continue
        measured = quietness if controls.dataset == HEALTHY else marked_share
        found = {}
        for name, bundle in bundles.items():
            outputs = run(data, results, controls.dataset, who, bundle, [REFERENCE, modality])
            found[name] = [measured(outputs, person, modality) for person in who]
        title = f"{controls.title}, {modality}, {split}"
        yield from rows_by_measure(title, found, {"false components": ".1f"})


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
    case = case_of(data, outputs, patients, person, modality)
    grid, brain, truth = case
    mask, z = (
        read(outputs, person, "anomaly", modality) > 0,
        read(outputs, person, "zscore", modality),
    )
    distance = distance_transform_edt(~truth, sampling=grid.spacing)
    healthy, voxel_volume = brain & (distance > LESION_FREE_MM), grid.voxel_volume
    lesions_found = lesionwise(mask, truth, voxel_volume=voxel_volume, bins=ALL_SIZES)[0]
    return {
        **ranking(z, case),
        "Dice at preset threshold": dice(mask, truth),
        "lesions of 8 mm3 and more found": lesions_found.sensitivity,
        "marked components that are lesion": lesions_found.precision,
        "lesion-free voxels marked (%)": 100
        * false_positives(mask, healthy, voxel_volume=voxel_volume).voxel_rate,
        "lesion prevalence (%)": 100 * float(truth[brain].mean()),
        **healed(outputs, person, modality, case),
    }


def healed(outputs: Path, person: str, modality: str, case: "Case") -> dict[str, float]:
    """Return how healthy the lesions are in the pseudo-healthy image, where there is one."""
    if not output_path(outputs, "pseudohealthy", {"sub": person}, modality=modality).is_file():
        return {}
    scan, healthy = (
        read(outputs, person, name, modality).astype(np.float32)
        for name in ("preproc", "pseudohealthy")
    )
    share = contrast_removed(scan, healthy, case.truth, case.brain, case.grid.spacing)
    return {"contrast of lesions of 1 ml and more that is taken away (%)": 100 * share}


def raw_accuracy(
    data: Path, outputs: Path, patients: Patients, person: str, modality: str
) -> dict[str, float]:
    """Return what can be said of a patient's scan as it came, in the brain mask of a run."""
    case = case_of(data, outputs, patients, person, modality)
    entities = {"sub": person}
    path = anat_folder(data / patients.dataset, entities) / file_name(entities, modality)
    scan = read_raw(path).get_fdata(dtype=np.float32)
    return ranking(raw_score(scan, case.brain, case.grid.spacing, modality=modality), case)


class Case(NamedTuple):
    """Brain and lesions of a patient, (X, Y, Z) bool arrays in the grid of a scan."""

    grid: Grid
    brain: np.ndarray
    truth: np.ndarray


def ranking(score: np.ndarray, case: Case) -> dict[str, float]:
    """Return the measures that need no threshold."""
    values, truth = score[case.brain], case.truth[case.brain]
    return {
        "AUPRC": auprc(values, truth),
        "AUROC": auroc(values, truth),
        "best achievable Dice": dice_best(values, truth),
    }


def case_of(data: Path, outputs: Path, patients: Patients, person: str, modality: str) -> Case:
    """Read the brain that a run found, and bring the mask of the lesions to its grid."""
    brain = nib.load(output_path(outputs, "brain", {"sub": person}, modality=modality))
    lesions = read_mask(data / patients.dataset / patients.truth.format(person))
    chain = SAME_SPACE
    if patients.truth_modality not in (None, modality):
        chain = Chain.of(
            transform_path(
                outputs,
                {"sub": person},
                origin=patients.truth_modality,
                target=modality,
                extension=".txt",
            )
        )
    grid = Grid.of(brain)
    truth = np.asanyarray(resample_mask(lesions, grid, chain).dataobj) > 0
    return Case(grid, np.asanyarray(brain.dataobj) > 0, truth)


def marked_share(outputs: Path, person: str, modality: str) -> dict[str, float]:
    """Return how much of a person without lesions is marked."""
    brain, mask = (read(outputs, person, name, modality) > 0 for name in ("brain", "anomaly"))
    return {MARKED: 100 * float(mask[brain].mean())}


def quietness(outputs: Path, person: str, modality: str) -> dict[str, float]:
    """Return what is marked in a healthy person, and how good the reconstruction of T1w is."""
    scan = nib.load(output_path(outputs, "preproc", {"sub": person}, modality=modality))
    brain, mask = (read(outputs, person, name, modality) > 0 for name in ("brain", "anomaly"))
    wrong = false_positives(mask, brain, voxel_volume=Grid.of(scan).voxel_volume)
    measures = {
        **marked_share(outputs, person, modality),
        "marked volume (ml)": wrong.volume_ml,
        "false components": wrong.components,
    }
    path = output_path(outputs, "pseudohealthy", {"sub": person}, modality=modality)
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
