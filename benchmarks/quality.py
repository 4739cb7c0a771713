"""Measure what good scans have, and which scans that were broken on purpose are noticed.

Good scans are those that the app has preprocessed (``--stage preprocess`` is enough); their tables
of quality are read. Scans of ``dev`` people are broken in several ways and preprocessed again::

    python benchmarks/quality.py DATA --preprocessed FOLDER [FOLDER ...]
"""

import argparse
import csv
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from data_folder import add_data_folder
from people import people

from bids_anomaly.exceptions import BidsAnomalyError
from bids_anomaly.preprocessing.bias import correct_bias
from bids_anomaly.preprocessing.brain import brain_mask
from bids_anomaly.preprocessing.conform import conform
from bids_anomaly.preprocessing.head import head_mask
from bids_anomaly.preprocessing.intensity import to_model_grid
from bids_anomaly.preprocessing.registration import masked, register_linear
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import MODEL_GRID_2MM, Grid, template_brain
from bids_anomaly.scoring.quality import measure_quality
from bids_anomaly.scoring.quality_limits import check_quality

DATASETS = ("ixi-healthy", "elderly-wmh", "ms-longitudinal")
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
        What is done to the conformed scan, and to its brain mask.
    shift_mm : float
        How far the registration misses.
    modality, named : str or None
        Take scans of one modality only, and give them the name of another.
    """

    title: str
    scan: Callable[[nib.Nifti1Image], nib.Nifti1Image] | None = None
    brain: Callable[[np.ndarray], np.ndarray] | None = None
    shift_mm: float = 0.0
    modality: str | None = None
    named: str | None = None


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
    print(good_table(asked.preprocessed), flush=True)
    print("| broken scan | scans | noticed | by |\n| --- | ---: | ---: | --- |")
    for case in CASES:
        print(broken_row(case, list(scans_to_break(asked.data, case, asked.at_most))), flush=True)


def good_table(folders: list[Path]) -> str:
    """Return what good scans have, and how many each measure flags."""
    used = {(name, split): set(people(name, split)) for name in DATASETS for split in SPLITS}
    values: dict[tuple[str, str, str], list[float]] = {}
    for path in sorted(p for f in folders for p in f.rglob("sub-*_desc-quality_stats.tsv")):
        person = path.name.split("_")[0].removeprefix("sub-")
        split = next((split for (_, split), who in used.items() if person in who), None)
        if split is None:
            continue
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                if row["value"] != "n/a":
                    modality = row["scan"].rpartition("_")[2]
                    key = (modality, row["measure"], "dev" if split == "dev" else FITTED)
                    values.setdefault(key, []).append(float(row["value"]))
    lines = [
        "| modality | measure | people | scans | lowest | median | highest | limits | flagged |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | --- | ---: |",
    ]
    for (modality, measure, split), found in values.items():
        (check, *_) = check_quality({measure: found[0]}, modality)
        flagged = sum(
            check.flagged for v in found for check in check_quality({measure: v}, modality)
        )
        lines.append(
            f"| {modality} | {measure} | {split} | {len(found)} | {min(found):.4g} | "
            f"{np.median(found):.4g} | {max(found):.4g} | {check.bounds} | "
            f"{flagged} |"
        )
    return "\n".join(lines) + "\n"


def scans_to_break(data: Path, case: Case, at_most: int | None) -> Iterator[tuple[Path, str]]:
    """Yield scans of ``dev`` people with the modality that is written on them."""
    # T2w scans are rare here and thick FLAIR slow; those are for the case that needs them.
    datasets = DATASETS if case.modality == "T2w" else DATASETS[:2]
    for dataset in datasets:
        for person in people(dataset, "dev")[:at_most]:
            for path in sorted((data / dataset / f"sub-{person}").rglob("anat/*.nii.gz")):
                modality = path.name.split("_")[-1].removesuffix(".nii.gz")
                if case.modality in (None, modality):
                    yield path, case.named or modality


def broken_row(case: Case, scans: list[tuple[Path, str]]) -> str:
    """Break scans in one way, and return how many are noticed."""
    noticed, by = 0, {}
    for path, modality in scans:
        try:
            checks = check_quality(quality_of(path, case), modality)
            reasons = [check.measure for check in checks if check.flagged]
        except BidsAnomalyError as error:
            reasons = [f"refused ({type(error).__name__})"]
        noticed += bool(reasons)
        for reason in reasons:
            by[reason] = by.get(reason, 0) + 1
    reasons = ", ".join(f"{reason} {count}" for reason, count in by.items())
    return f"| {case.title} | {len(scans)} | {noticed} | {reasons} |"


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
    in_grid, brain_in_grid, level = to_model_grid(corrected, brain, [done.affine], MODEL_GRID_2MM)
    return measure_quality(
        done.scan,
        done.brain,
        scan_in_model_grid=in_grid,
        brain_in_model_grid=brain_in_grid,
        white_matter_level=level,
    )


@cache
def preprocess(path: Path, break_scan: Callable | None, break_brain: Callable | None) -> Done:
    """Conform a scan, find its brain, register it and remove its bias field."""
    scan = conform(path)
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
    return Done(scan, brain, affine, correct_bias(scan, brain, [affine]))


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
    Case("T2w named T1w", modality="T2w", named="T1w"),
    Case("FLAIR named T1w", modality="FLAIR", named="T1w"),
    Case("T1w named FLAIR", modality="T1w", named="FLAIR"),
    Case("upper third of the brain mask cut off", brain=cut_off),
    Case(f"registration shifted by {SHIFT_MM:g} mm", shift_mm=SHIFT_MM),
    Case(f"noise of {100 * NOISE:g} % of bright tissue", scan=noisy),
    Case(f"motion, shifts of {MOTION_MM:g} mm", scan=moved),
    Case("three slices zero", scan=without_slices),
    Case("upper 4 cm of the head not in the field of view", scan=cropped),
)


if __name__ == "__main__":
    main()
