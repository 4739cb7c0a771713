"""Write the tables, each with the JSON file that describes its columns."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bids_anomaly.bids.naming import sidecar_path
from bids_anomaly.bids.tables import without_formula
from bids_anomaly.bids.writing import write_json, write_text
from bids_anomaly.evaluation.dataset import Evaluation
from bids_anomaly.evaluation.measures import GROUP_MEASURES, IDENTITY, MEASURES, SUMMARY, Measure

METRICS, SUMMARY_TABLE = "metrics.tsv", "summary.tsv"


def metrics_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return a row for each scan and model: who it is about, and all measures."""
    lines = []
    for row in evaluation.rows:
        prediction, truth = row.pair
        session = prediction.entities.get("ses")
        lines.append(
            {
                "participant_id": f"sub-{row.participant}",
                "session_id": f"ses-{session}" if session else None,
                "scan": prediction.name,
                "modality": row.modality,
                "primary": str(prediction.is_primary).lower(),
                "model": row.model,
                "group": row.group,
                "truth": truth.path.name if truth else None,
                **row.figures,
            }
        )
    return pd.DataFrame(lines, columns=[*IDENTITY, *MEASURES])


def write_tables(folder: Path, evaluation: Evaluation, summary: pd.DataFrame) -> None:
    """Write ``metrics.tsv`` and ``summary.tsv`` with their JSON files.

    Parameters
    ----------
    folder : Path
        Where to.
    evaluation : Evaluation
    summary : pandas.DataFrame
        From :func:`bids_anomaly.evaluation.summary.summarise`.
    """
    levels = {name: measure.description for name, measure in (MEASURES | GROUP_MEASURES).items()}
    _write(folder / METRICS, metrics_table(evaluation), IDENTITY | MEASURES, {})
    _write(folder / SUMMARY_TABLE, summary, SUMMARY, {"measure": levels})


def _write(
    path: Path,
    table: pd.DataFrame,
    columns: Mapping[str, Measure],
    levels: Mapping[str, Mapping[str, str]],
) -> None:
    described = {}
    for name in table.columns:
        measure = columns[name]
        described[name] = {"Description": measure.description}
        if measure.units:
            described[name]["Units"] = measure.units
        if name in levels:
            described[name]["Levels"] = levels[name]
    write_json(sidecar_path(path), described)
    harmless = table.map(lambda value: without_formula(value) if isinstance(value, str) else value)
    text = harmless.to_csv(
        sep="\t", index=False, na_rep="n/a", float_format="%.6g", lineterminator="\n"
    )
    write_text(path, text)
