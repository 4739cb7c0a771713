r"""Every method side by side: accuracy with intervals, network evaluations, time and memory.

Each method is judged by its own score and by its own score plus intensity, with the same smoothing,
beside the raw intensity of the scan as it came and ``threshold``, on people that none of them was
trained on, in the model grid at 2 mm:

- FLAIR and T1w of elderly people (SBIA 2017), with AUTOMATIC masks of white matter
  hyperintensities,
- scans with manual masks: white matter lesions, a person with multiple sclerosis, gliomas on FLAIR
  (all of them of the split ``dev``),
- acute stroke on single FLAIR slices (OpenNeuro ds004889), with manual masks; not for methods
  that look at volumes,
- T1w scans of healthy people of IXI, as they are and with blobs of several volumes inserted.

AUPRC needs no threshold; Dice and marked voxels are those of the rule of the bundle at the
threshold that it presets. Packaged methods are named by ``--model``; ``--bundle`` takes what
``bids-anomaly-train --method`` wrote, a folder a method. Reconstructions are kept in the results
folder::

    for name in elderly-wmh ms wmh-manual tumour-flair; do
        bids-anomaly DATA/$name PREPROCESSED/$name participant --stage preprocess
    done
    python benchmarks/methods.py DATA --preprocessed PREPROCESSED --results FOLDER \
        --model restore --bundle trained/ae --bundle trained/vae
"""

import argparse
import multiprocessing
import resource
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from shared.data_folder import add_data_folder
from shared.models import BASELINE, BASELINES, RAW_INTENSITY, models, of_modality
from shared.patients_in_grid import patients_in_grid
from shared.people import Split
from shared.real_scans import HEALTHY, MARKED, PATIENTS, T1W_RANGE, Patients
from shared.scored import preset_mask, reconstructed, zscore
from shared.stroke_slices import stroke_rows
from shared.synthetic_lesions import Healthy, paint, read_people, synthetic_rows
from shared.table import ABSENT, Row, change_of, figure_of, line, rows_by_measure

from bids_anomaly.evaluation.metrics import auprc, dice, false_positives, l1, ssim
from bids_anomaly.evaluation.statistics import DRAWS
from bids_anomaly.reconstruction.bundle import DEFAULT_FAMILY, Bundle

MODALITIES = ("T1w", "FLAIR", "T2w")
DIRECTIONS = {"T1w": -1, "FLAIR": 1, "T2w": 1}
OWN, WITH_INTENSITY, PRESET = "own score", "own score + intensity", "rule of the bundle"
FIDELITY, LIKENESS = "l1 (x 1000)", "SSIM"
MEASURES = {
    OWN: ("AUPRC",),
    WITH_INTENSITY: ("AUPRC",),
    PRESET: ("Dice", MARKED, FIDELITY, LIKENESS),
}
COST = "cost of a reconstruction"
PARTS = ("patients", "stroke", "healthy", "synthetic")


def main() -> None:
    """Reconstruct what was not reconstructed yet, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument(
        "--preprocessed",
        type=Path,
        required=True,
        help="folder with an output of the app for each dataset of patients",
    )
    parser.add_argument("--results", type=Path, required=True, help="folder for what is kept")
    parser.add_argument("--split", default="dev", choices=("dev", "report"))
    parser.add_argument("--model", nargs="*", default=[DEFAULT_FAMILY], help="packaged families")
    parser.add_argument(
        "--bundle", type=Path, action="append", default=[], help="folder of bundles; repeatable"
    )
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--at-most", type=int, help="only so many people of each dataset")
    arguments = parser.parse_args()

    columns = models(arguments.model, arguments.bundle)
    tables: dict[str, dict[str, Row]] = defaultdict(dict)
    memory: dict[str, float] = {}
    for modality in MODALITIES:
        bundles = of_modality(columns, modality)
        for score, scored in judged(bundles, modality).items():
            for row in rows(arguments, modality, scored):
                if row.data.startswith(COST):
                    tables[row.data][row.measure] = row
                elif row.measure.startswith(MEASURES[score]):
                    kind = "" if score == PRESET else f", {score}"
                    tables[row.data][row.measure + kind] = row
        if modality == "T1w" and "synthetic" in arguments.parts:
            memory = {name: peak_memory(bundle) for name, bundle in bundles.items()}
    names = [RAW_INTENSITY, *(column.name for column in columns)]
    print(
        f"Split `{arguments.split}` of `benchmarks/splits.tsv`"
        + (f", at most {arguments.at_most} people of a dataset" * bool(arguments.at_most))
        + f". Means over people with 95 % intervals ({DRAWS:,} bootstrap draws of people); the "
        "last columns are paired. AUPRC and Dice need a lesion; people without one are left out.\n"
    )
    for title, measured in tables.items():
        print(table(title, measured, names))
    if memory:
        print("| method | peak memory of a process that reconstructs one scan (GB) |")
        print("| --- | --- |")
    for name, gigabytes in memory.items():
        print(line([f"`{name}`", f"{gigabytes:.2f}"]))


def judged(bundles: Mapping[str, Bundle], modality: str) -> dict[str, dict[str, Bundle]]:
    """Return the same bundles with each score that they are judged by."""

    def scored(name: str, bundle: Bundle, rule: str) -> Bundle:
        if name == BASELINE:
            return bundle
        score = {
            "rule": rule,
            "smoothing_mm": bundle.description["score"]["smoothing_mm"],
            "direction": DIRECTIONS[modality],
            "intensity_weight": 1.0,
        }
        return replace(bundle, description={**bundle.description, "score": score})

    return {
        OWN: {name: scored(name, b, "own_score") for name, b in bundles.items()},
        WITH_INTENSITY: {
            name: scored(name, b, "own_score_and_intensity") for name, b in bundles.items()
        },
        PRESET: dict(bundles),
    }


def rows(
    arguments: argparse.Namespace, modality: str, bundles: Mapping[str, Bundle]
) -> Iterable[Row]:
    """Yield the rows of a modality on all data that have it."""
    if not bundles:
        return
    data, results = arguments.data, arguments.results
    split = Split(arguments.split, arguments.at_most)
    if "patients" in arguments.parts:
        for patients in PATIENTS:
            if modality in patients.modalities and split.people(patients.dataset):
                found = {RAW_INTENSITY: list(raw_found(arguments, patients, modality, split))}
                found |= {
                    name: list(patients_found(arguments, patients, modality, bundle, split))
                    for name, bundle in bundles.items()
                }
                yield from rows_by_measure(f"{patients.title}, {modality}", found)
    if "stroke" in arguments.parts and modality == "FLAIR":
        # A single slice is no volume for networks that look at volumes.
        flat = {n: b for n, b in bundles.items() if b.description.get("dimensions") != "3-D"}
        yield from stroke_rows(data, split, flat, results / "reconstructed")
    if "healthy" in arguments.parts and modality == "T1w":
        volumes = read_people(data, results, split.people(HEALTHY))
        found = {
            name: [
                quietness(bundle, paint(volumes, person, modality), results / "reconstructed")
                for person in range(len(volumes.scans))
            ]
            for name, bundle in bundles.items()
        }
        yield from rows_by_measure("IXI, healthy, T1w", found, {FIDELITY: ".1f"})
    if "synthetic" in arguments.parts and modality == "T1w":
        kinds = ("blobs",)
        yield from synthetic_rows(data, results, split, modality, bundles, kinds=kinds)


def raw_found(
    arguments: argparse.Namespace, patients: Patients, modality: str, split: Split
) -> Iterator[dict[str, float]]:
    """Yield what the scan of each patient shows as it came."""
    preprocessed = arguments.preprocessed / patients.dataset
    who = split.people(patients.dataset)
    for person in patients_in_grid(arguments.data, preprocessed, patients, modality, who):
        yield {"AUPRC": person.raw_auprc}


def patients_found(
    arguments: argparse.Namespace,
    patients: Patients,
    modality: str,
    bundle: Bundle,
    split: Split,
) -> Iterator[dict[str, float]]:
    """Yield the figures of each patient."""
    preprocessed = arguments.preprocessed / patients.dataset
    who = split.people(patients.dataset)
    kept = arguments.results / "reconstructed"
    for person in patients_in_grid(arguments.data, preprocessed, patients, modality, who):
        _, _, scan, brain, truth, known = person
        z = zscore(bundle, scan, brain, reconstructed(bundle, scan, brain, kept, known).result)
        voxel_volume = bundle.grid.voxel_volume
        mask = preset_mask(z, brain, voxel_volume=voxel_volume)
        wrong = false_positives(mask, person.lesion_free, voxel_volume=voxel_volume)
        yield {
            "AUPRC": auprc(z[brain], truth[brain]),
            "Dice at preset threshold": dice(mask, truth),
            MARKED: 100 * wrong.voxel_rate,
        }


def quietness(bundle: Bundle, person: Healthy, kept: Path) -> dict[str, float]:
    """Return what is marked in a healthy person, and how near the reconstruction is."""
    scan, brain = person.scan, person.brain
    result = reconstructed(bundle, scan, brain, kept).result
    voxel_volume = bundle.grid.voxel_volume
    mask = preset_mask(zscore(bundle, scan, brain, result), brain, voxel_volume=voxel_volume)
    marked = false_positives(mask, brain, voxel_volume=voxel_volume)
    figures = {MARKED: 100 * marked.voxel_rate}
    if bundle.makes_image:
        figures[FIDELITY] = 1000 * l1(scan, result.pseudo_healthy, brain)
        figures[LIKENESS] = ssim(scan, result.pseudo_healthy, brain, data_range=T1W_RANGE)
    return figures


def table(title: str, measured: Mapping[str, Row], names: list[str]) -> str:
    """Return a table with a method in each row, after the baselines."""
    compared = next((key for key in measured if key.endswith(WITH_INTENSITY)), None)
    head = ["method", *measured]
    if compared:
        head += [f"difference to `{baseline}`" for baseline in BASELINES]
    people = max(row.people for row in measured.values())
    lines = [f"### {title} ({people} people)\n", line(head), line(["---"] * len(head))]
    for name in names:
        if not any(name in row.statistics for row in measured.values()):
            continue
        cells = [figure_of(row, name) for row in measured.values()]
        if compared:
            cells += [
                ABSENT if name in BASELINES else change_of(measured[compared], name, baseline)
                for baseline in BASELINES
            ]
        lines.append(line([f"`{name}`", *cells]))
    return "\n".join(lines) + "\n"


def peak_memory(bundle: Bundle) -> float:
    """Return the peak memory, in GB, of a fresh process that reconstructs a scan of noise."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_reconstruct_noise, bundle).result()


def _reconstruct_noise(bundle: Bundle) -> float:
    from bids_anomaly.reconstruction.registry import reconstruct

    scan = np.random.default_rng(0).uniform(0.5, 1, bundle.grid.shape).astype(np.float32)
    brain = np.ones(scan.shape, bool)
    reconstruct(bundle, scan, brain, device="cpu", batch_size=None, steps=None, seed=0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
