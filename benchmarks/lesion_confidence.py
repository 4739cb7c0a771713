"""Measure which number ranks true lesions above false ones.

Scans of the elderly ``dev`` people, preprocessed by the app, are reconstructed and scored. Every
component of the mask that overlaps the automatic mask of white matter hyperintensities is true, the
others are false. The table gives the area under the ROC curve of each candidate, over all
components of a modality and within people (mean), at the preset false positive rate and above::

    bids-anomaly DATA/elderly-wmh PREPROCESSED participant --stage preprocess
    python benchmarks/lesion_confidence.py DATA --preprocessed PREPROCESSED --results FOLDER
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from shared.data_folder import add_data_folder
from shared.people import people
from shared.scored import reconstructed, zscore
from sklearn.metrics import roc_auc_score

from bids_anomaly.bids.naming import suffix_of
from bids_anomaly.reconstruction.bundle import choose_bundles
from bids_anomaly.scoring.findings import Threshold, find
from bids_anomaly.scoring.lesions import label_lesions
from bids_anomaly.training.lesions import lesion_share
from bids_anomaly.training.people import Preprocessed, load_people

DATASET = "elderly-wmh"
RATES = (Threshold.healthy_fpr, 0.005, 0.01)
# Spread that halves a probability, in units of white matter.
SPREADS = (0.02, 0.1)
CANDIDATES = {
    "highest probability": lambda p, spread: p.max(),
    "mean probability": lambda p, spread: p.mean(),
    "volume": lambda p, spread: p.size,
    **{
        f"mean probability, halved by a spread of {half:g}": (
            lambda p, spread, half=half: np.mean(p / (1 + spread / half))
        )
        for half in SPREADS
    },
    "low spread": lambda p, spread: -spread.mean(),
}


class Scored(NamedTuple):
    """One scan in the model grid."""

    z: np.ndarray
    brain: np.ndarray
    spread: np.ndarray
    truth: np.ndarray
    voxel_volume: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_folder(parser)
    parser.add_argument("--preprocessed", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--results", type=Path, required=True, metavar="FOLDER")
    asked = parser.parse_args()
    print("| modality | rate | components | true | number | AUROC | within people |")
    print("| --- | --- | ---: | ---: | --- | ---: | ---: |")
    masks = asked.data / DATASET / "derivatives" / "dlwmls"
    chosen = {f"sub-{person}" for person in people(DATASET, "dev")}
    flair = load_people(asked.preprocessed, modality="FLAIR", participants=chosen)
    # Masks are drawn on FLAIR; both scans of a person lie in the model grid.
    truth = [lesion_share(scan, asked.preprocessed, masks) > 0.5 for scan in flair]
    for modality in ("FLAIR", "T1w"):
        found = load_people(asked.preprocessed, modality=modality, participants=chosen)
        scans = [
            scored(scan, lesions, asked.results / "reconstructed")
            for scan, lesions in zip(found, truth, strict=True)
        ]
        for rate in RATES:
            for line in rows(modality, rate, [components(scan, rate) for scan in scans]):
                print(line, flush=True)


def rows(modality: str, rate: float, found: list[dict[str, list[float]]]) -> list[str]:
    """Return a line for every candidate; `found` has its values, and truth, for each person."""
    truth = [np.array(person["true"]) for person in found]
    mixed = [index for index, true in enumerate(truth) if 0 < true.sum() < true.size]
    pooled = np.concatenate(truth)
    lines = []
    for name in CANDIDATES:
        values = [np.array(person[name]) for person in found]
        within = np.mean([roc_auc_score(truth[i], values[i]) for i in mixed])
        everywhere = roc_auc_score(pooled, np.concatenate(values))
        lines.append(
            f"| {modality} | {rate:g} | {pooled.size} | {pooled.sum()} | {name} | "
            f"{everywhere:.2f} | {within:.2f} |"
        )
    return lines


def components(scan: Scored, rate: float) -> dict[str, list[float]]:
    """Return the candidates of every lesion of a scan, and whether it is true."""
    _, probability, mask = find(
        scan.z, scan.brain, Threshold(healthy_fpr=rate), voxel_volume=scan.voxel_volume
    )
    labels = label_lesions(mask)
    found: dict[str, list[float]] = {name: [] for name in (*CANDIDATES, "true")}
    for index in range(1, labels.max() + 1):
        inside = labels == index
        for name, number in CANDIDATES.items():
            found[name].append(float(number(probability[inside], scan.spread[inside])))
        found["true"].append(bool(scan.truth[inside].any()))
    return found


def scored(scan: Preprocessed, truth: np.ndarray, kept: Path) -> Scored:
    """Reconstruct and score a scan, whose reconstruction may have been `kept`."""
    values = scan.scan.get_fdata(dtype=np.float32)
    brain = np.asanyarray(scan.brain.dataobj) > 0
    modality = suffix_of(scan.path)
    bundle = choose_bundles("restore", (modality,))[modality]
    result = reconstructed(bundle, values, brain, kept).result
    return Scored(
        z=zscore(bundle, values, brain, result),
        brain=brain,
        spread=result.spread,
        truth=truth,
        voxel_volume=bundle.grid.voxel_volume,
    )


if __name__ == "__main__":
    main()
