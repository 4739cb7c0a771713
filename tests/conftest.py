"""Synthetic brains and small datasets, for every test that needs scans."""

import os

# Libraries look these up when they are loaded. Registrations are reproducible with one thread, and
# two processes of tests leave one each to the other.
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from hypothesis import settings
from scipy import ndimage
from xdist.scheduler import LoadFileScheduling

# How long an example takes says more of the machine than of the code, and no process of tests reads
# what another has written.
settings.register_profile("untimed", deadline=None, database=None)
settings.load_profile("untimed")

# Brightness of the tissues, white matter about 1.
CONTRASTS = {
    "T1w": {"csf": 0.3, "grey": 0.45, "white": 0.7},
    "T2w": {"csf": 1.9, "grey": -0.5, "white": -0.9},
    "FLAIR": {"csf": 0.3, "grey": 0.9, "white": 0.7},
}
WHITE_MATTER_LEVEL = 800
NOISE = 0.02
# How far scans that are written as preprocessed lie to the left of the model grid.
SHIFT_MM = 10.0

# In deep white matter of the left hemisphere.
PLANTED = ((-28.0, -24.0, 30.0), 9.0)


# Modules that look at the same finished run.
OF_ONE_RUN = tuple(
    f"tests/end_to_end/test_{name}.py" for name in ("derivatives", "findings", "participant")
)
# Folders with the longest tests, which begin first so that all processes end together.
FIRST = ("end_to_end", "training")


class ModulesInOneProcess(LoadFileScheduling):
    """Gives each module to one process, and those that look at the same run to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        module = super()._split_scope(nodeid)
        return "of one run" if module in OF_ONE_RUN else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Share tests out to processes, where there are several."""
    return ModulesInOneProcess(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest begin."""
    items.sort(key=lambda item: item.path.parent.name not in FIRST)


@pytest.fixture(scope="session")
def sagittal_grid():
    """2 mm in the voxel order of sagittal acquisitions, holding a whole brain."""
    affine = np.array([[0, 0, 2, -82], [-2, 0, 0, 82], [0, 2, 0, -78], [0, 0, 0, 1.0]])
    return (104, 88, 83), affine


@pytest.fixture(scope="session")
def oblique_grid():
    """Axial slices of 4 mm in LPS order, tilted by 12 degrees, as many FLAIR scans have them."""
    tilt = np.deg2rad(12)
    rotation = np.array(
        [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    )
    shape, zooms = (96, 120, 44), np.array([1.9, 1.7, 4.0])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([-1, -1, 1]) * zooms
    affine[:3, 3] = [0, -18, 5] - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return shape, affine


@pytest.fixture(scope="session")
def stripped_brain() -> Callable[..., nib.Nifti1Image]:
    """Give a function that makes a skull-stripped int16 scan of a synthetic person.

    `person` sets shape and texture, so that scans of one person correspond; the noise differs
    from scan to scan.
    """
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_gm_template

    from bids_anomaly.preprocessing.template import template_white_matter

    template = load_mni152_brain_mask(resolution=2)
    brain = template.get_fdata()
    white = template_white_matter(2).get_fdata()
    grey = load_mni152_gm_template(resolution=2).get_fdata()
    to_template_voxels = np.linalg.inv(template.affine)

    def make(
        modality: str, person: int, grid: tuple[tuple[int, ...], np.ndarray], scan: int = 0
    ) -> nib.Nifti1Image:
        tissue = CONTRASTS[modality]
        values = brain * (tissue["csf"] + tissue["grey"] * grey + tissue["white"] * white)
        shape, affine = grid
        where = nib.affines.apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
        random = np.random.default_rng(person)
        size = random.uniform(0.94, 1.06, 3)
        bend = sum(_wave(where, random, 90.0)[..., None] * random.uniform(-2, 2, 3) for _ in "xyz")
        texture = 1 + 0.03 * sum(_wave(where, random, 25.0) for _ in range(4))
        voxels = nib.affines.apply_affine(to_template_voxels, where / size + bend)
        sampled = ndimage.map_coordinates(values, np.moveaxis(voxels, -1, 0), order=1)
        inside = sampled > 0.15
        noise = np.random.default_rng((person, scan, len(modality))).normal(0, NOISE, shape)
        noisy = np.maximum(WHITE_MATTER_LEVEL * (sampled * texture + noise), 1)
        image = nib.Nifti1Image(np.where(inside, noisy, 0).astype(np.int16), affine)
        image.header.set_xyzt_units("mm", "sec")
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        return image

    return make


@pytest.fixture(scope="session")
def write_dataset() -> Callable[[Path, Mapping[str, nib.Nifti1Image]], Path]:
    """Give a function that writes a BIDS dataset of scans by name, such as ``sub-01_ses-1_T1w``."""

    def write(folder: Path, scans: Mapping[str, nib.Nifti1Image]) -> Path:
        folder.mkdir(parents=True)
        description = {
            "Name": "synthetic brains",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "License": "CC0",
        }
        (folder / "dataset_description.json").write_text(json.dumps(description))
        (folder / "README").write_text("Synthetic brains, made from a template.\n" * 5)
        people = sorted({name.split("_")[0] for name in scans})
        rows = "".join(f"{label}\t{40 + number}\n" for number, label in enumerate(people))
        (folder / "participants.tsv").write_text("participant_id\tage\n" + rows)
        for name, image in scans.items():
            image.to_filename(_place(folder, name))
        return folder

    return write


@pytest.fixture(scope="session")
def write_person() -> Callable[..., None]:
    """Give a function that writes a scan of a brain-like ellipsoid, its mask and its transform."""

    import ants

    from bids_anomaly.preprocessing.composite import write_composite
    from bids_anomaly.preprocessing.template import TEMPLATE, Grid
    from bids_anomaly.preprocessing.transforms import Chain

    # 5 mm, so that the brain of the template just fits.
    model_grid = Grid.isotropic((32, 48, 32), (-77.5, -132.5, -75.0), 5.0)

    def write(
        folder: Path, label: str, modality: str = "T1w", *, grid: Grid = model_grid, seed: int = 0
    ) -> None:
        x, y, z = np.moveaxis(
            np.moveaxis(np.indices(grid.shape), 0, -1) @ grid.affine[:3, :3].T + grid.affine[:3, 3],
            -1,
            0,
        )
        random = np.random.default_rng((seed, len(modality)))
        distance = (x / 68) ** 2 + ((y + 18) / 85) ** 2 + ((z - 5) / 65) ** 2
        grey = 1.2 if modality == "FLAIR" else 0.7
        values = np.where(distance < random.uniform(0.5, 0.7), 1.0, grey)
        values = (values + random.normal(0, 0.03, grid.shape)) * (distance < 1)
        stem = folder / f"sub-{label}" / "anat" / f"sub-{label}"
        stem.parent.mkdir(parents=True, exist_ok=True)
        grid.image(values.astype(np.float32)).to_filename(
            f"{stem}_space-{TEMPLATE}_desc-affine_{modality}.nii.gz"
        )
        grid.image((distance < 1).astype(np.uint8)).to_filename(
            f"{stem}_space-{TEMPLATE}_desc-affinebrain{modality}_mask.nii.gz"
        )
        # ITK counts x and y the other way round: the scan lies SHIFT_MM to the left of the model.
        shift = ants.create_ants_transform(dimension=3, translation=(SHIFT_MM, 0.0, 0.0))
        matrix = stem.with_name("shift.mat")
        ants.write_transform(shift, str(matrix))
        write_composite(
            Path(f"{stem}_from-{modality}_to-{TEMPLATE}_mode-image_desc-affine_xfm.h5"),
            Chain.of(matrix),
        )
        matrix.unlink()

    return write


@pytest.fixture(scope="session")
def preprocessed(tmp_path_factory, write_person) -> Path:
    """T1w scans of eight people, half of them controls, and FLAIR scans of four of them."""
    folder = tmp_path_factory.mktemp("preprocessed")
    description = {"Name": "bids-anomaly: ellipsoids", "License": "CC0"}
    (folder / "dataset_description.json").write_text(json.dumps(description))
    rows = ["participant_id\tgroup"]
    for number in range(8):
        label = f"P{number}"
        rows.append(f"sub-{label}\t{'control' if number % 2 else 'patient'}")
        write_person(folder, label, seed=number)
        if number < 4:
            write_person(folder, label, "FLAIR", seed=number)
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The benchmark's writer of results."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
        return importlib.import_module("shared.synthetic_results")


@pytest.fixture(scope="session")
def study(synthetic, tmp_path_factory) -> SimpleNamespace:
    """Six controls and five patients, who all have one lesion in the same place.

    The ward has nothing to do with anything, and one person alone has been to another hospital.
    Tests leave the folder as it is.
    """
    folder = tmp_path_factory.mktemp("study") / "out"
    rows, masks = [], {}
    for number in range(11):
        patient = number >= 6
        label = f"{number:02}"
        rows.append(
            {
                "participant_id": f"sub-{label}",
                "age": str(50 + 7 * number % 20),
                "sex": "FM"[number % 2],
                "group": "patient" if patient else "control",
                "ward": "ab"[(number // 2) % 2],
                "hospital": "<i>x</i>" if number == 1 else "y",
            }
        )
        masks[label] = synthetic.write_result(
            folder,
            label,
            balls=[PLANTED] if patient else [((20.0, 10.0 * number - 60, 20.0), 3.0)],
            flagged=["noise"] if number == 3 else [],
            seed=number,
        )
    synthetic.write_dataset(folder, rows)
    (folder / "sub-03.html").write_text("a report")
    return SimpleNamespace(folder=folder, masks=masks, rows=rows)


@pytest.fixture(scope="session")
def patients(study) -> np.ndarray:
    """Where patients have their lesion, (X, Y, Z) bool."""
    return study.masks["06"]


@pytest.fixture(scope="session")
def write_template() -> Callable[..., Path]:
    """Give a function that writes our template as TemplateFlow keeps another one.

    `ours_from_other` is a matrix that says where points of the other one lie in ours. Voxels are
    in the order of FSL, from right to left.
    """

    from bids_anomaly.preprocessing.resample import resample, resample_mask
    from bids_anomaly.preprocessing.template import Grid, template_brain, template_brain_mask
    from bids_anomaly.preprocessing.transforms import Chain, write_matrix

    def write(home: Path, name: str, ours_from_other: np.ndarray, *resolutions: int) -> Path:
        folder = home / f"tpl-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        way = folder / "way.mat"
        write_matrix(way, ours_from_other)
        for number in resolutions:
            affine = np.diag([-number, number, number, 1.0])
            affine[:3, 3] = 90, -126, -72
            grid = Grid((182 // number, 218 // number, 182 // number), affine)
            stem = folder / f"tpl-{name}_res-0{number}"
            brain = resample(template_brain(2), grid, Chain.of(way)).get_fdata()
            grid.image((8000 * brain).astype(np.int16)).to_filename(f"{stem}_T1w.nii.gz")
            resample_mask(template_brain_mask(2), grid, Chain.of(way)).to_filename(
                f"{stem}_desc-brain_mask.nii.gz"
            )
        way.unlink()
        return folder

    return write


@pytest.fixture(scope="session")
def ours_from_other() -> np.ndarray:
    """A matrix that moves and scales the template by several voxels."""
    matrix = np.diag([1.04, 0.96, 1.05, 1.0])
    matrix[:3, 3] = 3, -5, 6
    return matrix


def _place(folder: Path, name: str) -> Path:
    levels = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
    path = folder.joinpath(*levels, "anat", f"{name}.nii.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _wave(where: np.ndarray, random: np.random.Generator, wavelength: float) -> np.ndarray:
    """Return a plane wave in a random direction, between -1 and 1."""
    direction = random.normal(size=3)
    direction *= 2 * np.pi / wavelength / np.linalg.norm(direction)
    return np.sin(where @ direction + random.uniform(0, 2 * np.pi))


@pytest.fixture(scope="session")
def labelled_head():
    """A head of ellipsoids at 2 mm: skin, fluid with a spinal canal, and a brain of two halves."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-95.0, -125.0, -115.0]
    where = nib.affines.apply_affine(affine, np.moveaxis(np.indices((96, 112, 108)), 0, -1))
    labels = np.zeros(where.shape[:3], np.int16)
    right = where[..., 0] > 0
    centre = (0, -18, 12)

    def fill(place, left_label, right_label):
        labels[place] = np.where(right, right_label, left_label)[place]

    fill(_ellipsoid(where, centre, (86, 103, 95)), 507, 507)
    fill(_ellipsoid(where, centre, (70, 88, 72)), 24, 24)
    fill((np.hypot(where[..., 0], where[..., 1] + 30) < 8) & (where[..., 2] < 0), 24, 24)
    fill(_ellipsoid(where, centre, (66, 84, 68)), 3, 42)
    fill(_ellipsoid(where, centre, (56, 74, 58)), 2, 41)
    fill(_ellipsoid(where, (-12, -18, 16), (7, 30, 10)), 4, 4)
    fill(_ellipsoid(where, (12, -18, 16), (7, 30, 10)), 43, 43)
    fill(_ellipsoid(where, (0, -55, -50), (45, 25, 18)), 8, 47)
    return nib.Nifti1Image(labels, affine)


def _ellipsoid(where, centre, radii):
    return (((where - np.array(centre)) / radii) ** 2).sum(-1) < 1


@pytest.fixture(scope="session")
def session_record() -> Callable:
    """Give a function that makes the record of a session with a scan of each modality.

    The first one leads; `changes` are other attributes of the record.
    """

    from bids_anomaly.bids.records import ScanRecord, SessionRecord
    from bids_anomaly.scoring.findings import Threshold

    def make(*modalities: str, session: str | None = None, **changes) -> SessionRecord:
        entities = {"sub": "01"} if session is None else {"sub": "01", "ses": session}
        label = "_".join(f"{key}-{value}" for key, value in entities.items())
        scans = tuple(
            ScanRecord(
                name=f"{label}_{modality}",
                modality=modality,
                entities=entities,
                model=f"restore-{modality} 0.3.0",
                digest="0" * 64,
                calibration="28 healthy adults",
                makes_image=True,
                brain_extraction="deepbet",
                white_matter_level=1.0,
                evaluations=4,
                steps=2,
                method="restore",
            )
            for modality in modalities
        )
        record = SessionRecord(
            label=label,
            version="0.1.0",
            scans=scans,
            primary=scans[0].name,
            asked_for=None,
            spaces=("native",),
            threshold=Threshold(),
            methods=("Scans were registered.",),
            warnings=(),
        )
        return replace(record, **changes)

    return make
