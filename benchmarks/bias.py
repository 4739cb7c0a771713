"""What bias correction does to disease, and what to shading, beside N4 and beside doing nothing.

Prints three markdown tables:

- *keeps disease*: AUPRC of the smoothed intensity of the split ``dev``, before and after;
- *keeps simulated lesions*: how much their contrast to white matter changes, by volume and place;
- *removes shading*: fields that are put into scans, and how much of them comes out again.

Scans, brain masks and registrations are kept in the results folder::

    python benchmarks/bias.py DATA --results FOLDER
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import ants
import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter
from shared.data_folder import add_data_folder
from shared.people import people
from shared.real_scans import CONTROLS, PATIENTS, Patients
from shared.table import line

from bids_anomaly.bids.naming import anat_folder, file_name
from bids_anomaly.evaluation.masks import read_mask
from bids_anomaly.evaluation.metrics import auprc
from bids_anomaly.evaluation.raw import raw_score
from bids_anomaly.preprocessing.bias import bias_field
from bids_anomaly.preprocessing.brain import brain_mask
from bids_anomaly.preprocessing.registration import masked, register_linear
from bids_anomaly.preprocessing.reorient import reorient
from bids_anomaly.preprocessing.resample import isotropic_grid, resample, resample_mask
from bids_anomaly.preprocessing.template import (
    MODEL_GRID_2MM,
    Grid,
    template_brain,
    template_white_matter,
)
from bids_anomaly.preprocessing.transforms import SAME_SPACE, Chain

SURE_WHITE_MATTER = 0.95
# What is kept of a scan.
SCAN, BRAIN = "scan.nii.gz", "brain.nii.gz"
# Of simulated lesions and fields one person of a dataset is enough.
EXAMPLES = (("ms", "FLAIR"), ("ms", "T1w"), ("ucla-t1w-t2w", "T1w"), ("ucla-t1w-t2w", "T2w"))
# Volume in ml, and whether there is one on each side.
LESIONS = ((5, False), (50, False), (50, True), (200, False), (200, True))
LEVELS = {"T1w": 0.6, "T2w": 1.5, "FLAIR": 1.5}
FIELDS = (("smooth", 0.1), ("smooth", 0.2), ("smooth", 0.4), ("surface coil", 0.4), ("centre", 0.4))


class Scan(NamedTuple):
    """A reoriented scan, its brain, what brings the template to it, and its lesions if known."""

    image: nib.Nifti1Image
    brain: nib.Nifti1Image
    template_from_scan: Chain
    lesions: np.ndarray | None

    @property
    def inside(self) -> np.ndarray:
        """The brain, (X, Y, Z) bool array."""
        return np.asanyarray(self.brain.dataobj) > 0

    @property
    def white_matter(self) -> np.ndarray:
        """Where white matter is nearly sure, (X, Y, Z) bool array."""
        white = resample(template_white_matter(1), Grid.of(self.image), self.template_from_scan)
        return (white.get_fdata() > SURE_WHITE_MATTER) & self.inside


def n4(levels: int, scan: nib.Nifti1Image, brain: nib.Nifti1Image, _: object) -> np.ndarray:
    """Return the field of N4 with all voxels alike, at 2 mm, shrunk twice."""
    grid = isotropic_grid(scan, 2.0)
    inside = np.asanyarray(resample_mask(brain, grid).dataobj) > 0
    values = resample(scan, grid).get_fdata(dtype=np.float32)
    field = ants.n4_bias_field_correction(
        ants.from_nibabel_nifti(grid.image(np.maximum(values, np.median(values[inside]) / 100))),
        mask=ants.from_nibabel_nifti(grid.image(inside.astype(np.float32))),
        shrink_factor=2,
        convergence={"iters": [50] * levels, "tol": 1e-7},
        return_bias_field=True,
    ).numpy()
    onto = resample(grid.image(field.astype(np.float32)), Grid.of(scan)).get_fdata(dtype=np.float32)
    return np.maximum(onto, field[inside].min())


Method = Callable[[nib.Nifti1Image, nib.Nifti1Image, Chain], np.ndarray]
METHODS: dict[str, Method] = {
    "bids-anomaly": bias_field,
    "N4, two levels": partial(n4, 2),
    "N4, four levels": partial(n4, 4),
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument("--results", type=Path, required=True, help="folder for scans, kept")
    arguments = parser.parse_args()
    data, kept = arguments.data, arguments.results / "bias"
    keeps_disease(data, kept)
    examples = [example(data, kept, *which) for which in EXAMPLES]
    keeps_simulated(examples)
    removes_shading(examples)


def keeps_disease(data: Path, kept: Path) -> None:
    """Print the AUPRC of smoothed intensity, mean over people of each set."""
    print("\n" + line(["data", "people", "raw scan", *METHODS]))
    print(line(["---"] * (3 + len(METHODS))))
    for patients in PATIENTS:
        who = people(patients.dataset, "dev")
        for modality in patients.modalities:
            figures = []
            for person in who:
                scan = prepared(data, kept, patients, person, modality)
                values = scan.image.get_fdata(dtype=np.float32)
                rank = partial(_auprc, scan=scan, modality=modality)
                fields = [
                    method(scan.image, scan.brain, scan.template_from_scan)
                    for method in METHODS.values()
                ]
                figures.append([rank(values), *(rank(values / field) for field in fields)])
            means = [f"{mean:.3f}" for mean in np.mean(figures, axis=0)]
            print(line([f"{patients.dataset}, {modality}", str(len(who)), *means]), flush=True)


def _auprc(values: np.ndarray, *, scan: Scan, modality: str) -> float:
    spacing = Grid.of(scan.image).spacing
    score = raw_score(values, scan.inside, modality=modality, spacing=spacing)
    return auprc(score[scan.inside], scan.lesions[scan.inside])


def keeps_simulated(examples: list[tuple[str, str, Scan]]) -> None:
    """Print how much the contrast of simulated lesions to white matter changes."""
    print("\n" + line(["scan", "lesion", *METHODS]))
    print(line(["---"] * (2 + len(METHODS))))
    for name, modality, scan in examples:
        white = scan.white_matter
        before = {key: field_of(method, scan) for key, method in METHODS.items()}
        for millilitres, both_sides in LESIONS:
            lesion = ellipsoids(scan, millilitres, both_sides)
            ill = with_lesion(scan, lesion, LEVELS[modality], before["bids-anomaly"])
            changes = []
            for key, method in METHODS.items():
                ratio = field_of(method, ill) / before[key]
                changes.append(np.median(ratio[white & ~lesion]) / np.median(ratio[lesion]) - 1)
            label = f"{millilitres} ml{', both sides' if both_sides else ''}"
            print(
                line([f"{name}, {modality}", label, *(f"{change:+.1%}" for change in changes)]),
                flush=True,
            )


def removes_shading(examples: list[tuple[str, str, Scan]]) -> None:
    """Print how well known fields are found, and how even white matter is afterwards."""
    print("\n" + line(["scan", "field", "white matter before", *METHODS]))
    print(line(["---"] * (3 + len(METHODS))))
    for name, modality, scan in examples:
        inside, white = scan.inside, scan.white_matter
        values = scan.image.get_fdata(dtype=np.float32)
        before = {key: field_of(method, scan) for key, method in METHODS.items()}
        for kind, amplitude in FIELDS:
            known = shading(Grid.of(scan.image), inside, kind, amplitude)
            shaded = scan._replace(image=Grid.of(scan.image).image(values * known))
            cells = []
            for key, method in METHODS.items():
                field = field_of(method, shaded)
                found = np.log(field / before[key])[inside]
                r = np.corrcoef(found, np.log(known)[inside])[0, 1]
                cells.append(f"r {r:.3f}, {variation((values * known / field)[white]):.3f}")
            label = f"{kind}, {amplitude:.0%}"
            evenness = f"{variation(values[white]):.3f}"
            print(line([f"{name}, {modality}", label, evenness, *cells]), flush=True)


def field_of(method: Method, scan: Scan) -> np.ndarray:
    """Return the field of a scan by a method."""
    return method(scan.image, scan.brain, scan.template_from_scan)


def variation(values: np.ndarray) -> float:
    """Return the robust coefficient of variation."""
    middle = np.median(values)
    return float(1.4826 * np.median(np.abs(values - middle)) / middle)


def positions(grid: Grid) -> np.ndarray:
    """Return where voxels are in mm, (X, Y, Z, 3) array."""
    return nib.affines.apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))


def ellipsoids(scan: Scan, millilitres: float, both_sides: bool) -> np.ndarray:
    """Return one ellipsoid in a hemisphere, or one in each, of a volume in all."""
    where, inside = positions(Grid.of(scan.image)), scan.inside
    middle = where[inside].mean(axis=0)
    centres = [(-32, -15, 15), (32, -15, 15)] if both_sides else [(-35, -15, 15)]
    radius = (millilitres * 1000 / len(centres) * 3 / 4 / np.pi) ** (1 / 3)
    lesion = np.zeros(inside.shape, bool)
    for centre in centres:
        distance = np.linalg.norm((where - middle - centre) / (0.85, 1.25, 0.95), axis=-1)
        lesion |= distance < radius
    return lesion & inside


def with_lesion(scan: Scan, lesion: np.ndarray, level: float, field: np.ndarray) -> Scan:
    """Return a scan with a lesion of so many times white matter, shaded as the scan is."""
    grid, values = Grid.of(scan.image), scan.image.get_fdata(dtype=np.float32)
    share = gaussian_filter(lesion.astype(np.float32), 2 / grid.spacing)
    texture = gaussian_filter(np.random.default_rng(0).normal(size=grid.shape), 1.5)
    white = np.median((values / field)[scan.white_matter])
    lesioned = level * white * field * (1 + 0.4 * texture)
    return scan._replace(image=grid.image(values * (1 - share) + lesioned * share))


def shading(grid: Grid, inside: np.ndarray, kind: str, amplitude: float) -> np.ndarray:
    """Return a field that varies by `amplitude` over the brain."""
    where = positions(grid)
    middle = where[inside].mean(axis=0)
    away = (where - middle) / 70
    if kind == "smooth":
        random = np.random.default_rng(0)
        slope, curve = random.normal(size=3), random.normal(size=(3, 3))
        field = away @ slope + 0.5 * np.einsum("...i,ij,...j", away, curve, away)
    elif kind == "surface coil":
        distance = np.linalg.norm(where - middle - (75, 60, 20), axis=-1)
        field = 1 / (1 + (distance / 90) ** 2)
    else:
        field = np.exp(-0.5 * (np.linalg.norm(away, axis=-1) * 70 / 60) ** 2)
    low, high = np.percentile(field[inside], [1, 99])
    return np.maximum(1 + amplitude * ((field - low) / (high - low) - 0.5), 0.1).astype(np.float32)


def example(data: Path, kept: Path, dataset: str, modality: str) -> tuple[str, str, Scan]:
    """Return the first person of a set, at 2 mm where the scan is finer."""
    (of_set,) = (each for each in (*PATIENTS, *CONTROLS) if each.dataset == dataset)
    person = people(dataset, "dev")[0]
    scan = prepared(data, kept, of_set, person, modality)
    if Grid.of(scan.image).voxel_volume < 4:
        grid = isotropic_grid(scan.image, 2.0)
        scan = Scan(
            resample(scan.image, grid),
            resample_mask(scan.brain, grid),
            scan.template_from_scan,
            None,
        )
    return f"{dataset} {person}", modality, scan


def prepared(data: Path, kept: Path, of_set, person: str, modality: str) -> Scan:
    """Return a scan with its brain and registration, and its lesions if they are known."""
    reference = reference_of(of_set, modality)
    folder = prepare(data, kept, of_set, person, modality)
    affine = prepare(data, kept, of_set, person, reference) / "affine.mat"
    links = [affine] if modality == reference else [affine, folder / "rigid.mat"]
    image, brain = (nib.load(folder / name) for name in (SCAN, BRAIN))
    lesions = None
    if isinstance(of_set, Patients):
        lesions = _lesions(data, kept, of_set, person, modality, Grid.of(image))
    return Scan(image, brain, Chain.of(*links).inverse(), lesions)


def reference_of(of_set, modality: str) -> str:
    """Return what a scan is registered to: the T1w scan where there is one."""
    return "T1w" if "T1w" in of_set.modalities else modality


def prepare(data: Path, kept: Path, of_set, person: str, modality: str) -> Path:
    """Reorient a scan, find its brain and register it; return the folder that keeps all that."""
    folder = kept / of_set.dataset / f"{person}-{modality}"
    if (folder / "done").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    entities = {"sub": person}
    image = reorient(anat_folder(data / of_set.dataset, entities) / file_name(entities, modality))
    brain = brain_mask(image, method="deepbet", use_gpu=False).mask
    nib.save(image, folder / SCAN)
    nib.save(brain, folder / BRAIN)
    fixed, kind = resample(template_brain(1), MODEL_GRID_2MM), "Affine"
    reference = reference_of(of_set, modality)
    if modality != reference:
        first = prepare(data, kept, of_set, person, reference)
        fixed, kind = masked(*(nib.load(first / name) for name in (SCAN, BRAIN))), "Rigid"
    register_linear(masked(image, brain), fixed, kind=kind, seed=0, folder=folder)
    (folder / "done").touch()
    return folder


def _lesions(
    data: Path, kept: Path, patients: Patients, person: str, modality: str, onto: Grid
) -> np.ndarray:
    """Return the lesions of a person in the grid of a scan, (X, Y, Z) bool array."""
    truth = read_mask(data / patients.dataset / patients.truth.format(person))
    chain = SAME_SPACE
    drawn_on = patients.truth_modality
    if drawn_on not in (None, modality):
        chain = Chain.of(prepare(data, kept, patients, person, drawn_on) / "rigid.mat")
    return np.asanyarray(resample_mask(truth, onto, chain).dataobj) > 0


if __name__ == "__main__":
    main()
