"""Write the demonstration dataset: scans of two synthetic people, and the truth about them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage

from bids_anomaly import __version__
from bids_anomaly.bids.writing import write_image, write_json, write_text
from bids_anomaly.demo.anatomy import template_anatomy
from bids_anomaly.demo.subject import FIELD_OF_VIEW, Subject, synthesise_subject
from bids_anomaly.exceptions import CannotWriteError

NAME = "Synthetic heads for trying bids-anomaly"
HEALTHY, STROKE = "sub-demo01", "sub-demo02"
STROKE_ML = 16.0
CONTROLS_SEED = 20_250_103
BIDS_VERSION = "1.10.0"
IMAGE_TYPE = ["DERIVED", "PRIMARY", "SYNTHETIC"]
# Voxel order of sagittal acquisitions as converters write them.
SAGITTAL = ("P", "S", "R")

README = f"""\
{NAME}

Nobody was scanned for these images. {HEALTHY} is healthy; {STROKE} has an old stroke in the left
hemisphere, whose extent is in derivatives/truth together with the intracranial masks of both.

The brains are drawn from the ICBM 2009a symmetric template (Fonov et al. 2011,
doi 10.1016/j.neuroimage.2010.07.033; copyright 1993-2009 Louis Collins, McConnell Brain Imaging
Centre, Montreal Neurological Institute, McGill University) with random shapes and folds; skulls,
faces and necks are made of simple solids. They serve to try software. No conclusion about people,
and none about how well a method finds real lesions, can be drawn from them.
"""


class DemoTruth(NamedTuple):
    """What is known about a demonstration dataset.

    Attributes
    ----------
    healthy_scan, stroke_scan : Path
        The T1w scans.
    healthy_brain, stroke_brain : Path
        Masks of what lies inside the skull (brain and CSF), in the grids of the scans.
    lesion : Path
        Mask of the lesion in the grid of `stroke_scan`.
    lesion_ml : float
        Volume of the mask in ml.
    lesion_centre : tuple of float
        Centre of mass of the mask in mm, RAS+: a negative first coordinate is left.
    """

    healthy_scan: Path
    stroke_scan: Path
    healthy_brain: Path
    stroke_brain: Path
    lesion: Path
    lesion_ml: float
    lesion_centre: tuple[float, float, float]


def write_demo_dataset(folder: Path, *, seed: int = 0) -> DemoTruth:
    """Write a BIDS dataset of a healthy person and one with a stroke, and return the truth.

    The same seed gives the same images; another seed gives other people.

    Parameters
    ----------
    folder : Path
        New or empty, or one that holds an earlier demonstration dataset, which is replaced.
    seed : int
        Not negative.

    Returns
    -------
    DemoTruth

    Raises
    ------
    CannotWriteError
        If the folder holds something else, or cannot be written.
    """
    _check_is_free(folder)
    truth = folder / "derivatives" / "truth"
    _write_descriptions(folder, truth)
    template_anatomy()  # Made once, before both people need it.
    with ThreadPoolExecutor(2) as pool:
        healthy, stroke = pool.map(_subject, (0.0, STROKE_ML), ([seed, 0], [seed, 1]))
    scans, brains = {}, {}
    for label, subject in ((HEALTHY, healthy), (STROKE, stroke)):
        name = f"{label}/anat/{label}"
        source = f"bids:raw:{name}_T1w.nii.gz"
        scans[label] = _write_image(
            folder / f"{name}_T1w.nii.gz", subject.scan, {"ImageType": IMAGE_TYPE}
        )
        brains[label] = _write_image(
            truth / f"{name}_desc-brain_mask.nii.gz",
            subject.cranium,
            {"Type": "Brain", "Sources": [source]},
        )
    lesion = _write_image(
        truth / f"{name}_label-lesion_mask.nii.gz",
        stroke.lesion,
        {"Type": "Lesion", "Sources": [source]},
    )
    centre = nib.affines.apply_affine(FIELD_OF_VIEW.affine, ndimage.center_of_mass(stroke.lesion))
    return DemoTruth(
        healthy_scan=scans[HEALTHY],
        stroke_scan=scans[STROKE],
        healthy_brain=brains[HEALTHY],
        stroke_brain=brains[STROKE],
        lesion=lesion,
        lesion_ml=float(stroke.lesion.sum() * FIELD_OF_VIEW.voxel_volume / 1000),
        lesion_centre=tuple(float(c) for c in centre),
    )


def write_controls(folder: Path, count: int) -> None:
    """Write a BIDS dataset of healthy heads, none of which is in a demonstration dataset.

    Parameters
    ----------
    folder : Path
        New or empty, or one that holds an earlier dataset of this kind.
    count : int
        How many; the first ones are the same for any number.
    """
    _check_is_free(folder)
    raw = {"Name": f"{NAME}: controls", "BIDSVersion": BIDS_VERSION, "DatasetType": "raw"}
    write_json(folder / "dataset_description.json", raw)
    write_text(folder / "README", README)
    for number in range(count):
        label = f"sub-control{number:02d}"
        scan = _subject(0.0, [CONTROLS_SEED, number]).scan
        name = f"{label}/anat/{label}_T1w.nii.gz"
        _write_image(folder / name, scan, {"ImageType": IMAGE_TYPE})


def _check_is_free(folder: Path) -> None:
    description = folder / "dataset_description.json"
    if not folder.exists() or (description.is_file() and NAME in description.read_text()):
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise CannotWriteError(
            f"The folder {folder} holds something other than the demonstration dataset. Name a "
            "folder that is new or empty."
        )


def _subject(stroke_ml: float, seed: list[int]) -> Subject:
    return synthesise_subject(stroke_ml=stroke_ml, random=np.random.default_rng(seed))


def _write_image(path: Path, values: np.ndarray, sidecar: dict) -> Path:
    """Write values in the field of view with their sidecar."""
    image = FIELD_OF_VIEW.image(values)
    to_sagittal = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(SAGITTAL)
    )
    sagittal = image.as_reoriented(to_sagittal)
    sagittal.set_qform(sagittal.affine, 1)
    sagittal.set_sform(sagittal.affine, 1)
    write_image(path, sagittal, sidecar)
    return path


def _write_descriptions(folder: Path, truth: Path) -> None:
    generated_by = [{"Name": "bids-anomaly", "Version": __version__}]
    raw = {"Name": NAME, "BIDSVersion": BIDS_VERSION, "DatasetType": "raw"}
    write_json(folder / "dataset_description.json", raw | {"GeneratedBy": generated_by})
    derivative = raw | {"Name": f"{NAME}: truth", "DatasetType": "derivative"}
    links = {"DatasetLinks": {"raw": "../.."}}
    write_json(
        truth / "dataset_description.json", derivative | {"GeneratedBy": generated_by} | links
    )
    write_text(folder / "README", README)
    write_text(
        folder / "participants.tsv",
        f"participant_id\tgroup\n{HEALTHY}\thealthy\n{STROKE}\tstroke\n",
    )
    levels = {"healthy": "No lesion", "stroke": "One lesion in the left hemisphere"}
    write_json(
        folder / "participants.json",
        {"group": {"Description": "What the synthetic person has", "Levels": levels}},
    )
