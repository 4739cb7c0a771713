"""Measure what good scans have, and which scans that were broken on purpose are noticed.

Good scans are those that the app has preprocessed (``--stage preprocess`` is enough), in folders
with the names of the datasets; their tables of quality are read. Scans of ``dev`` people are broken
in several ways and preprocessed again::

    python benchmarks/quality.py DATA --preprocessed FOLDER [FOLDER ...]
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from shared.data_folder import add_data_folder
from shared.people import people

from bids_anomaly.bids.tables import read_table
from bids_anomaly.exceptions import BidsAnomalyError
from bids_anomaly.preprocessing.bias import correct_bias
from bids_anomaly.preprocessing.brain import brain_mask
from bids_anomaly.preprocessing.head import head_mask
from bids_anomaly.preprocessing.intensity import to_model_grid
from bids_anomaly.preprocessing.registration import masked, register_linear
from bids_anomaly.preprocessing.reorient import reorient
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import MODEL_GRID_2MM, Grid, template_brain
from bids_anomaly.preprocessing.transforms import Chain
from bids_anomaly.scoring.quality import measure_quality
from bids_anomaly.scoring.quality_limits import check_quality

DATASETS = (
    *("ixi-healthy", "elderly-wmh", "nsk-t1w", "ucla-t1w-t2w"),
    *("ms", "wmh-manual", "tumour-flair", "ms-longitudinal"),
)
SPLITS = ("train", "calibration", "dev")
FITTED = "train, calibration"
SCRATCH = tempfile.TemporaryDirectory()
NOISE, SHIFT_MM, MOTION_MM, MOTIONS = 0.15, 10.0, 4.0, 8


class Case(NamedTuple):
    """A way to break a scan.

    Attributes
    ----------
    title : str
    scan, brain : callable or None
        What is done to the reoriented scan, and to its brain mask.
    shift_mm : float
        How far the registration misses.
    """

    title: str
    scan: Callable[[nib.Nifti1Image], nib.Nifti1Image] | None = None
    brain: Callable[[np.ndarray], np.ndarray] | None = None
    shift_mm: float = 0.0


class Done(NamedTuple):
    """A preprocessed scan; all images in its own grid."""

    scan: nib.Nifti1Image
    brain: nib.Nifti1Image
    affine: Path
    corrected: nib.Nifti1Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_folder(parser)
    parser.add_argument("--preprocessed", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument(
        "--at-most", type=int, metavar="N", help="break scans of the first N people of a dataset"
    )
    asked = parser.parse_args()
    good = read_good(asked.preprocessed)
    print(good_table(good), flush=True)
    print("| broken scan | scans | noticed | by |\n| --- | ---: | ---: | --- |")
    print("\n".join(renamed_rows(good)), flush=True)
    scans = list(scans_to_break(asked.data, asked.at_most))
    for case in CASES:
        print(broken_row(case, scans), flush=True)


class Good(NamedTuple):
    """What the app measured on one scan that was not broken."""

    modality: str
    people: str
    measures: dict[str, float]


def read_good(folders: list[Path]) -> list[Good]:
    """Read the tables of quality of all people who may be looked at."""
    split_of = {
        (name, person): split
        for split in SPLITS
        for name in DATASETS
        for person in people(name, split)
    }
    found = []
    for path in sorted(p for f in folders for p in f.rglob("sub-*_desc-quality_stats.tsv")):
        person = path.name.split("_")[0].removeprefix("sub-")
        # People of several datasets have the same label.
        dataset = next((name for name in DATASETS if name in path.parts), "")
        split = split_of.get((dataset, person))
        if split is None:
            continue
        scans: dict[str, dict[str, float]] = {}
        for row in read_table(path):
            if row["value"] != "n/a":
                scans.setdefault(row["scan"], {})[row["measure"]] = float(row["value"])
        label = "dev" if split == "dev" else FITTED
        found += [Good(scan.rpartition("_")[2], label, values) for scan, values in scans.items()]
    return found


def good_table(scans: list[Good]) -> str:
    """Return what good scans have, and how many each measure flags."""
    lines = [
        "| modality | measure | people | scans | lowest | median | highest | limits | flagged |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | --- | ---: |",
    ]
    for modality, label in sorted({(scan.modality, scan.people) for scan in scans}):
        measured = [s.measures for s in scans if (s.modality, s.people) == (modality, label)]
        for measure in dict.fromkeys(name for measures in measured for name in measures):
            values = [measures[measure] for measures in measured if measure in measures]
            checks = [check_quality({measure: value}, modality)[0] for value in values]
            lines.append(
                f"| {modality} | {measure} | {label} | {len(values)} | {min(values):.4g} | "
                f"{np.median(values):.4g} | {max(values):.4g} | {checks[0].bounds} | "
                f"{sum(check.flagged for check in checks)} |"
            )
    return "\n".join(lines) + "\n"


def renamed_rows(scans: list[Good]) -> Iterator[str]:
    """Yield how many `dev` scans are noticed under the name of another modality."""
    modalities = sorted({scan.modality for scan in scans})
    for modality, named in permutations(modalities, 2):
        measured = [s.measures for s in scans if (s.modality, s.people) == (modality, "dev")]
        yield row_of(f"{modality} named {named}", [reasons_in(m, named) for m in measured])


def scans_to_break(data: Path, at_most: int | None) -> Iterator[Path]:
    """Yield scans of `dev` people of IXI and of the elderly."""
    for dataset in DATASETS[:2]:
        for person in people(dataset, "dev")[:at_most]:
            yield from sorted((data / dataset / f"sub-{person}").rglob("anat/*.nii.gz"))


def broken_row(case: Case, scans: list[Path]) -> str:
    """Break scans in one way, and return how many are noticed."""
    found = []
    for path in scans:
        modality = path.name.split("_")[-1].removesuffix(".nii.gz")
        try:
            found.append(reasons_in(quality_of(path, case), modality))
        except BidsAnomalyError as error:
            found.append([f"refused ({type(error).__name__})"])
    return row_of(case.title, found)


def reasons_in(measures: dict[str, float], modality: str) -> list[str]:
    """Return the measures that are flagged."""
    return [check.measure for check in check_quality(measures, modality) if check.flagged]


def row_of(title: str, found: list[list[str]]) -> str:
    """Return a line of the table: how many scans are noticed, and by what."""
    by = Counter(reason for reasons in found for reason in reasons)
    listed = ", ".join(f"{reason} {count}" for reason, count in by.items())
    return f"| {title} | {len(found)} | {sum(map(bool, found))} | {listed} |"


def quality_of(path: Path, case: Case) -> dict[str, float]:
    """Preprocess a scan as the app does, breaking it on the way."""
    done = preprocess(path, case.scan, case.brain)
    corrected, brain = done.corrected, done.brain
    if case.shift_mm:
        off = nib.affines.from_matvec(np.eye(3), (0, case.shift_mm, 0)) @ brain.affine
        corrected, brain = (
            Grid(brain.shape, off).image(np.asanyarray(image.dataobj))
            for image in (corrected, brain)
        )
    scan_from_template = Chain.of(done.affine)
    in_grid, brain_in_grid, level = to_model_grid(
        corrected, brain, scan_from_template, MODEL_GRID_2MM
    )
    return measure_quality(
        done.scan,
        done.brain,
        scan_in_model_grid=in_grid,
        brain_in_model_grid=brain_in_grid,
        white_matter_level=level,
    )


@cache
def preprocess(path: Path, break_scan: Callable | None, break_brain: Callable | None) -> Done:
    """Reorient a scan, find its brain, register it and remove its bias field."""
    scan = reorient(path)
    if break_scan is not None:
        scan = break_scan(scan)
    brain = brain_mask(scan, method="deepbet", use_gpu=False).mask
    if break_brain is not None:
        brain = Grid.of(brain).image(break_brain(np.asanyarray(brain.dataobj)))
    affine = register_linear(
        masked(scan, brain),
        resample(template_brain(1), MODEL_GRID_2MM),
        kind="Affine",
        seed=0,
        folder=Path(tempfile.mkdtemp(dir=SCRATCH.name)),
    )
    return Done(scan, brain, affine, correct_bias(scan, brain, Chain.of(affine).inverse()))


def inverted(scan: nib.Nifti1Image) -> nib.Nifti1Image:
    """Turn bright tissue dark and the other way round; air stays."""
    values = scan.get_fdata(dtype=np.float32)
    high = np.percentile(values, 99.5)
    turned = np.where(values > 0.1 * high, np.maximum(1.1 * high - values, 0), values)
    return Grid.of(scan).image(turned)


def noisy(scan: nib.Nifti1Image) -> nib.Nifti1Image:
    """Add noise to the real and the imaginary part."""
    values = scan.get_fdata(dtype=np.float32)
    level = NOISE * np.percentile(values, 95)
    real, imaginary = np.random.default_rng(0).normal(0, level, (2, *values.shape))
    return Grid.of(scan).image(np.hypot(values + real, imaginary).astype(np.float32))


def moved(scan: nib.Nifti1Image) -> nib.Nifti1Image:
    """Let the head shift now and then while the lines of k-space are read, low ones first."""
    values = scan.get_fdata(dtype=np.float32)
    random = np.random.default_rng(0)
    spectrum = np.fft.fftn(values)
    frequencies = np.meshgrid(
        *map(np.fft.fftfreq, values.shape, Grid.of(scan).spacing), indexing="ij", sparse=True
    )
    lines = np.argsort(np.abs(np.fft.fftfreq(values.shape[1])))
    for part in np.array_split(lines, MOTIONS)[1::2]:
        shift = random.normal(0, MOTION_MM, 3)
        phase = sum(f * mm for f, mm in zip(frequencies, shift, strict=True))
        spectrum[:, part] *= np.exp(-2j * np.pi * phase[:, part])
    return Grid.of(scan).image(np.abs(np.fft.ifftn(spectrum)).astype(np.float32))


def without_slices(scan: nib.Nifti1Image) -> nib.Nifti1Image:
    """Set three axial slices through the brain to zero."""
    values = scan.get_fdata(dtype=np.float32).copy()
    top = vertex(scan) - round(60 / Grid.of(scan).spacing[2])
    values[:, :, top : top + 3] = 0
    return Grid.of(scan).image(values)


def cropped(scan: nib.Nifti1Image) -> nib.Nifti1Image:
    """Leave the upper 4 cm of the head out of the field of view."""
    return scan.slicer[:, :, : vertex(scan) - round(40 / Grid.of(scan).spacing[2])]


def vertex(scan: nib.Nifti1Image) -> int:
    """Return the uppermost slice that shows the head."""
    return int(np.flatnonzero(head_mask(scan).any(axis=(0, 1)))[-1])


def cut_off(brain: np.ndarray) -> np.ndarray:
    """Cut the upper third of a brain mask off."""
    heights = np.flatnonzero(brain.any(axis=(0, 1)))
    cut = brain.copy()
    cut[:, :, heights[len(heights) * 2 // 3] :] = 0
    return cut


CASES = (
    Case("as it is"),
    Case("contrast inverted", scan=inverted),
    Case("upper third of the brain mask cut off", brain=cut_off),
    Case(f"registration shifted by {SHIFT_MM:g} mm", shift_mm=SHIFT_MM),
    Case(f"noise of {100 * NOISE:g} % of bright tissue", scan=noisy),
    Case(f"motion, shifts of {MOTION_MM:g} mm", scan=moved),
    Case("three slices zero", scan=without_slices),
    Case("upper 4 cm of the head not in the field of view", scan=cropped),
)


if __name__ == "__main__":
    main()
