"""The tables of the page of an evaluation."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bids_anomaly.evaluation.curves import NOMINAL_RATES
from bids_anomaly.evaluation.dataset import CONTROL, PATIENT, Row
from bids_anomaly.evaluation.measures import rate_name
from bids_anomaly.reports.numbers import with_minus
from bids_anomaly.reports.tables import Table

# Measures on the page: their words, how often they are counted in one unit, and their decimals.
SHOWN: dict[str, tuple[str, float, int]] = {
    "dice": ("Dice at the preset threshold", 1, 3),
    "auprc": ("AUPRC", 1, 3),
    "dice_best": ("Best achievable Dice", 1, 3),
    "auroc": ("AUROC", 1, 3),
    "lesion_sensitivity_all": ("Lesions of 8 mm³ and more found", 1, 3),
    "lesion_precision_all": ("Marked components that are lesion", 1, 3),
    "lesion_f1_all": ("Lesion-wise F1", 1, 3),
    "froc_sensitivity_at_5": ("Lesions found with 5 false components a scan", 1, 3),
    "hd95_mm": ("Hausdorff distance, 95th percentile (mm)", 1, 1),
    "surface_distance_mm": ("Average surface distance (mm)", 1, 1),
    "volume_error_ml": ("Volume error (ml)", 1, 2),
    "volume_agreement_low_ml": ("Volume, lower limit of agreement (ml)", 1, 2),
    "volume_agreement_high_ml": ("Volume, upper limit of agreement (ml)", 1, 2),
    "volume_icc": ("Volume, agreement with the truth (ICC)", 1, 3),
    "lesion_count_error": ("Error of the number of lesions", 1, 1),
    "false_positive_rate": ("Lesion-free voxels marked (%)", 100, 3),
    "false_positive_ml": ("Lesion-free volume marked (ml)", 1, 2),
    "false_components": ("False components of 8 mm³ and more a scan", 1, 1),
    "patients_vs_controls_auroc": ("Patients against controls, AUROC of the burden", 1, 3),
    "prevalence": ("Lesion voxels (%)", 100, 3),
    "l1": ("l1 of the reconstruction, lesion-free (× 1000)", 1000, 1),
    "ssim": ("SSIM of the reconstruction, lesion-free", 1, 3),
    "rqi": ("Restoration quality (RQI)", 1, 3),
    "caci": ("Conservation and correction (CACI)", 1, 3),
    "ahi": ("Anomaly to healthy (AHI)", 1, 3),
    "group_ahi": ("Anomaly to healthy, against controls (AHI)", 1, 3),
}
MOST_SCANS = 200
GROUPS = {PATIENT: "patients", CONTROL: "controls", "all": "all"}


def figures_table(summary: pd.DataFrame, models: Sequence[str]) -> Table:
    """Return a line for each measure that someone has, a column for each model."""
    own = summary[summary["versus"].isna()]
    lines = []
    for measure, (words, _, _) in SHOWN.items():
        for group, whose in GROUPS.items():
            found = own[(own["measure"] == measure) & (own["group"] == group)]
            if found.empty:
                continue
            by_model = found.set_index("model")
            cells = [
                _interval(by_model.loc[model], measure) if model in by_model.index else "–"
                for model in models
            ]
            lines.append([words, *cells, whose, str(found["people"].max())])
    return Table(
        "Figures",
        "Means over people with 95 % bootstrap intervals; fewer than five people have no interval.",
        ["Measure", *models, "Whose", "People"],
        lines,
        numeric=(len(models) + 2,),
    )


def comparison_tables(summary: pd.DataFrame) -> list[Table]:
    """Return the table of differences between models, if there are several."""
    compared = summary[summary["versus"].notna() & summary["measure"].isin(SHOWN)]
    if compared.empty:
        return []
    places = list(SHOWN)
    compared = compared.sort_values(
        "measure", key=lambda names: names.map(places.index), kind="stable"
    )
    lines = [
        [
            SHOWN[row["measure"]][0],
            f"{row['model']} − {row['versus']}",
            _interval(row, row["measure"], sign="+"),
            f"{row['p_holm']:.2g}" if np.isfinite(row["p_holm"]) else "–",
            GROUPS[row["group"]],
            str(row["people"]),
        ]
        for _, row in compared.iterrows()
    ]
    head = ["Measure", "Difference", "Mean and interval", "p (Holm)", "Whose", "People"]
    note = "Paired, on the people whom both models have."
    return [Table("Models compared", note, head, lines, numeric=(3, 5))]


def _interval(row: pd.Series, measure: str, sign: str = "") -> str:
    _, factor, decimals = SHOWN[measure]
    text = f"{factor * row['estimate']:{sign}.{decimals}f}"
    if np.isfinite(row["low"]):
        text += f" ({factor * row['low']:.{decimals}f} to {factor * row['high']:.{decimals}f})"
    return with_minus(text)


def by_rate(own: pd.DataFrame, model: str, group: str, kind: str) -> list[np.ndarray] | None:
    """Return estimates and interval ends at all nominal rates; None if there are none."""
    found = own[(own["model"] == model) & (own["group"] == group)].set_index("measure")
    values = found.reindex([rate_name(kind, rate) for rate in NOMINAL_RATES])
    if values["estimate"].isna().all():
        return None
    return [values[part].to_numpy(dtype=float) for part in ("estimate", "low", "high")]


def calibration_table(own: pd.DataFrame, models: Sequence[str], group: str, whose: str) -> Table:
    """Return a line for each nominal rate: what is observed, and what of the lesions is found."""
    columns, head = [], []
    for model in models:
        for which, kind, words in (
            (group, "observed", "observed"),
            (PATIENT, "sensitivity", "lesion voxels found"),
        ):
            found = by_rate(own, model, which, kind)
            if found is not None:
                columns.append([f"{100 * value:.3g}" for value in found[0]])
                head.append(f"{model}, {words}")
    lines = [
        [f"{100 * rate:g}", *cells] for rate, *cells in zip(NOMINAL_RATES, *columns, strict=True)
    ]
    note = f"In percent; rates are observed in {whose}."
    numeric = range(len(head) + 1)
    return Table("Nominal and observed rates", note, ["Nominal", *head], lines, numeric)


def scans_table(rows: Sequence[Row]) -> Table:
    """Return a line for each scan and model, the first two hundred, scan by scan."""

    def number(value: float, decimals: int) -> str:
        return f"{value:.{decimals}f}" if np.isfinite(value) else "–"

    by_scan: dict[tuple, list[Row]] = {}
    for row in rows:
        by_scan.setdefault(row.pair.prediction.key, []).append(row)
    rows = [row for of_scan in by_scan.values() for row in of_scan]
    lines = [
        [
            row.pair.prediction.name,
            row.model,
            row.group,
            number(row.figures["lesion_ml"], 2),
            number(row.figures["burden_ml"], 2),
            number(row.figures["dice"], 3),
            number(row.figures["auprc"], 3),
            number(row.figures["lesion_sensitivity_all"], 2),
            number(row.figures["lesion_precision_all"], 2),
            number(row.figures["false_positive_ml"], 2),
        ]
        for row in rows[:MOST_SCANS]
    ]
    head = [
        "Scan", "Model", "Group", "Lesions (ml)", "Marked (ml)", "Dice", "AUPRC", "Lesions found",
        "Components right", "Falsely marked (ml)",
    ]  # fmt: skip
    rest = f"The first {MOST_SCANS} of {len(rows)}. " if len(rows) > MOST_SCANS else ""
    note = f"{rest}All measures of all scans: metrics.tsv."
    return Table("Every scan", note, head, lines, numeric=range(3, len(head)))
