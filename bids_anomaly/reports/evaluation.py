"""Choose what of an evaluation stands on its page, and write it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bids_anomaly.evaluation.curves import NOMINAL_RATES, precision_and_recall
from bids_anomaly.evaluation.dataset import CONTROL, PATIENT, Evaluation, Row
from bids_anomaly.evaluation.loading import load_maps
from bids_anomaly.evaluation.measures import SIZE_WORDS, SIZES
from bids_anomaly.evaluation.raw import RAW_INTENSITY, SMOOTHING_MM
from bids_anomaly.evaluation.statistics import DRAWS
from bids_anomaly.evaluation.summary import froc, froc_arrays
from bids_anomaly.reports.evaluation_charts import (
    Chart,
    Series,
    calibration_chart,
    dice_chart,
    froc_chart,
    precision_recall_chart,
    size_chart,
)
from bids_anomaly.reports.evaluation_page import (
    EvaluationPage,
    Section,
    case_strip,
    write_evaluation_page,
)
from bids_anomaly.reports.evaluation_tables import (
    by_rate,
    calibration_table,
    comparison_tables,
    figures_table,
    scans_table,
)
from bids_anomaly.reports.figures import Strip
from bids_anomaly.reports.tables import Table

FEWEST_FOR_TWO_CASES = 4

METHODS = (
    f"{RAW_INTENSITY.capitalize()} is the scan as it came, before any correction, smoothed by a "
    f"Gaussian of {SMOOTHING_MM:g} mm within the brain mask: the brightest voxels first, on T1w "
    "the darkest. Anybody has it without a model. It has no threshold, so only its ranking of "
    "voxels is judged. A model finds something only where it is above this and above a calibrated "
    "threshold (`--model threshold`).",
    "Dice is that of the mask at the threshold preset by calibration, never chosen on these "
    "people; it is not defined where both masks are empty, and such scans are left out of its "
    "mean. The threshold of the best achievable Dice is chosen on the truth of each scan. AUPRC "
    "and AUROC are over all voxels of the brain of a scan. Lesions and marked components are "
    "26-connected and count as found and as right when a tenth of them overlaps. Lesion-free "
    "voxels lie more than 4 mm from every lesion; in patients their rate is not a rate in healthy "
    "people.",
    "Figures are means over people (several scans of a person are averaged first), with 95 % "
    f"percentile intervals from {DRAWS:,} bootstrap draws of people, which of fewer "
    "than six people are hardly more than the range of their values. Differences are paired, with "
    "Wilcoxon's signed-rank test, Holm-corrected over the pairs of models of a measure and a "
    "modality; there are no corrections over measures.",
    "RQI, CACI and AHI follow Bercea et al. 2025 (Nature Communications, doi "
    "10.1038/s41467-025-56321-y), without features of networks trained on photographs, and are not "
    "comparable with published figures. RQI: SSIM times one minus the l1 error over the intensity "
    "range, in lesion-free voxels. CACI: harmonic mean of the SSIM there and one minus the SSIM in "
    "lesions. AHI: share of the way from the lesion to the known healthy scan; against controls, "
    "share of the Fréchet distance of textures.",
)


def write_evaluation(
    path: Path, evaluation: Evaluation, summary: pd.DataFrame, provenance: Mapping[str, str]
) -> None:
    """Write the page of an evaluation.

    Parameters
    ----------
    path : Path
        The HTML file.
    evaluation : Evaluation
        At least one row.
    summary : pandas.DataFrame
        From :func:`bids_anomaly.evaluation.summary.summarise`.
    provenance : mapping of str to str
        How this was made.
    """
    rows = evaluation.rows
    controls = {row.participant for row in rows if row.group == CONTROL}
    counted = {
        "People": len({row.participant for row in rows}),
        "Controls among them": len(controls),
        "Scans": len({row.pair.prediction.key for row in rows}),
        "Models": len(evaluation.models),
    }
    page = EvaluationPage(
        title=" and ".join(evaluation.models) if len(evaluation.models) < 3 else "Models compared",
        summary={label: str(count) for label, count in counted.items() if count},
        notes=evaluation.notes,
        failures={name: str(error) for name, error in evaluation.failures.items()},
        sections=[_section(evaluation, summary, modality) for modality in evaluation.modalities],
        scans=scans_table(rows),
        methods=METHODS,
        provenance=provenance,
    )
    write_evaluation_page(path, page)


def _section(evaluation: Evaluation, summary: pd.DataFrame, modality: str) -> Section:
    of_modality = summary[summary["modality"] == modality]
    rows = evaluation.of_modality(modality)
    tables = [figures_table(of_modality, list(rows)), *comparison_tables(of_modality)]
    # What has no threshold has no curves over thresholds, and nothing is marked by it.
    models = {model: found for model, found in rows.items() if model != RAW_INTENSITY}
    charts, calibrated = _charts(of_modality, models)
    primary = all(row.pair.prediction.is_primary for found in rows.values() for row in found)
    name = f"{modality} (primary)" if primary else modality
    return Section(name, [*tables, calibrated], charts, _cases(models))


def _charts(summary: pd.DataFrame, rows: Mapping[str, Sequence[Row]]) -> tuple[list[Chart], Table]:
    """Return the charts that there are data for, and the table beside the calibration chart."""
    own = summary[summary["versus"].isna()]
    group = CONTROL if (own["group"] == CONTROL).any() else PATIENT
    whose = "voxels of controls" if group == CONTROL else "lesion-free voxels of patients"
    charts = []
    patients = {m: [r for r in found if r.curves.lesion.any()] for m, found in rows.items()}
    patients = {model: found for model, found in patients.items() if found}
    if patients:
        charts += [_precision_recall(patients), _froc(rows), _dice(patients), _sizes(own, rows)]
    observed = {m: by_rate(own, m, group, "observed") for m in rows}
    observed = {m: found for m, found in observed.items() if found is not None}
    if observed:
        charts.append(
            calibration_chart(
                [Series(m, np.array(NOMINAL_RATES), *found) for m, found in observed.items()], whose
            )
        )
    return charts, calibration_table(own, list(rows), group, whose)


def _precision_recall(rows: Mapping[str, Sequence[Row]]) -> Chart:
    series = []
    for model, found in rows.items():
        lesion, healthy = (
            np.sum([getattr(row.curves, kind) for row in found], axis=0)
            for kind in ("lesion", "healthy")
        )
        precision, recall = precision_and_recall(lesion, healthy)
        series.append(Series(model, recall, precision))
    prevalence = lesion.sum() / (lesion.sum() + healthy.sum())
    return precision_recall_chart(series, float(prevalence))


def _froc(rows: Mapping[str, Sequence[Row]]) -> Chart:
    series = []
    for model, scans in rows.items():
        found, false, lesions = (part.sum(axis=0) for part in froc_arrays(scans))
        sensitivity, false_a_scan = froc(found, false, lesions, len(scans))
        series.append(Series(model, false_a_scan, sensitivity))
    return froc_chart(series)


def _dice(rows: Mapping[str, Sequence[Row]]) -> Chart:
    return dice_chart(
        [
            Series(
                model,
                np.array([row.figures["lesion_ml"] for row in found]),
                np.array([row.figures["dice"] for row in found]),
            )
            for model, found in rows.items()
        ]
    )


def _sizes(own: pd.DataFrame, models: Iterable[str]) -> Chart:
    series = []
    for model in models:
        found = own[(own["model"] == model) & (own["group"] == PATIENT)].set_index("measure")
        values = found.reindex([f"lesion_sensitivity_{size}" for size in SIZES])
        series.append(
            Series(
                model,
                np.arange(len(SIZES)),
                *(values[part].to_numpy(dtype=float) for part in ("estimate", "low", "high")),
            )
        )
    return size_chart(series, SIZE_WORDS)


def _cases(rows: Mapping[str, Sequence[Row]]) -> list[Strip]:
    """Draw the scans with the highest and the lowest Dice of each model; images are read again."""
    strips = []
    for model, found in rows.items():
        ranked = sorted(
            (row for row in found if row.curves.lesion.any()),
            key=lambda row: -row.figures["dice"],
        )
        each = 2 if len(ranked) >= FEWEST_FOR_TWO_CASES else 1
        best = ranked[:each]
        worst = [row for row in ranked[-each:] if row not in best]
        strips += [_case("Best", model, row) for row in best]
        strips += [_case("Worst", model, row) for row in worst]
    return strips


def _case(title: str, model: str, row: Row) -> Strip:
    maps = load_maps(row.pair)
    figures = row.figures
    return case_strip(
        f"{title}, {model}",
        f"{row.pair.prediction.name}: Dice {figures['dice']:.2f}, "
        f"lesions {figures['lesion_ml']:.1f} ml, marked {figures['burden_ml']:.1f} ml",
        scan=maps.scan,
        brain=maps.brain,
        mask=maps.mask,
        truth=maps.truth,
        affine=maps.grid.affine,
    )
