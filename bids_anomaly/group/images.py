"""The maps of the group level."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bids_anomaly.bids.naming import group_path, sidecar_path
from bids_anomaly.bids.writing import write_image
from bids_anomaly.group.analysis import Analysis, Comparison
from bids_anomaly.group.cohorts import Cohorts, cohort_labels
from bids_anomaly.group.collect import Collected, compared_voxels
from bids_anomaly.group.comparison import PERMUTATIONS
from bids_anomaly.group.maps import Sums
from bids_anomaly.preprocessing.template import OUTPUT_GRID, TEMPLATE


def write_maps(
    output_dir: Path, collected: Collected, *, cohorts: Cohorts | None, analysis: Analysis
) -> list[Path]:
    """Write frequencies, mean z-scores and comparisons, each with its JSON file.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset.
    collected : Collected
    cohorts : Cohorts or None
    analysis : Analysis

    Returns
    -------
    list of Path
        All that was written.
    """
    names = [*collected.cohorts, *(one.cases for one in analysis.comparisons)]
    labels = cohort_labels(sorted(set(names)))
    written = []
    for name, sums in ((None, collected.everybody), *collected.cohorts.items()):
        entities = {} if name is None else {"cohort": labels[name]}
        whom = {} if name is None else {"Group": f"{cohorts.column}={name}"}
        for more, suffix, values, description in _means(sums):
            written += _write(
                output_dir, {**entities, **more}, suffix, values, {**description, **whom}
            )
    for comparison in analysis.comparisons:
        if comparison.voxels is None:
            continue
        design = comparison.design
        described = {
            "Group": f"{cohorts.column}={comparison.cases}",
            "Controls": f"{cohorts.column}={cohorts.controls}",
            "People": [int(design.is_case.sum()), int((~design.is_case).sum())],
            "Covariates": list(design.names),
            "Permutations": PERMUTATIONS,
        }
        for what, values, description in _compared(comparison):
            entities = {
                "cohort": labels[comparison.cases],
                "desc": f"{what}{comparison.modality}",
            }
            written += _write(
                output_dir,
                entities,
                "statmap",
                in_grid(values),
                {"Description": description, **described},
            )
    return written


def _compared(comparison: Comparison) -> Iterator[tuple[str, np.ndarray, str]]:
    """Return what is written of a comparison: name, values of voxels, and what they are."""
    p = (
        "-log10 of the two-sided p by permutation, family-wise over all voxels of this map; 1.3 is "
        "p = .05. 0 where nothing was compared."
    )
    yield "t", comparison.voxels.t, "t of z-scores, positive where the group is higher."
    yield "logp", -np.log10(comparison.voxels.p), p
    if comparison.enhanced is not None:
        yield (
            "tfce",
            comparison.enhanced.score,
            "Threshold-free cluster enhancement of t (Smith and Nichols 2009: E = 0.5, H = 2, 6 "
            "neighbours, 100 steps), positive where the group is higher.",
        )
        yield "logptfce", -np.log10(comparison.enhanced.p), f"Of the enhanced t: {p}"


def in_grid(values: np.ndarray) -> np.ndarray:
    """Return values of the compared voxels as a (X, Y, Z) volume, 0 elsewhere and for NaN."""
    volume = np.zeros(OUTPUT_GRID.shape, np.float32)
    volume[compared_voxels()] = np.nan_to_num(values)
    return volume


def _means(sums: Sums) -> Iterator[tuple[dict, str, np.ndarray, dict[str, Any]]]:
    yield (
        {"label": "lesion", "desc": "frequency"},
        "probseg",
        sums.frequency(),
        {
            "Description": "Share of people with an anomaly in their primary scan, 0 to 1.",
            "People": sums.people,
            "Primary": dict(sums.primaries),
        },
    )
    for modality in sums.z:
        yield (
            {"desc": "meanzscore"},
            modality,
            sums.mean_z(modality),
            {
                "Description": "Mean z-score over the people who have brain there; 0 where fewer "
                "than half have.",
                "People": sums.scans[modality],
            },
        )


def _write(
    output_dir: Path,
    entities: Mapping[str, str],
    suffix: str,
    values: np.ndarray,
    description: Mapping[str, Any],
) -> list[Path]:
    path = group_path(output_dir, {**entities, "space": TEMPLATE}, suffix)
    sidecar = {**description, "Resolution": OUTPUT_GRID.resolution, "SkullStripped": True}
    write_image(path, OUTPUT_GRID.image(values), sidecar)
    return [path, sidecar_path(path)]
