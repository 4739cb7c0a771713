"""All sets of people at once: the mean over sets, the worst set, and false positives in each.

A model is chosen by these, since a gain on one set that is lost on another is none.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from shared.models import BASELINES
from shared.table import ABSENT, Row, line

# Beginnings of the measures that a model is chosen by: one without a threshold, one at the preset.
RANKING, FOUND = "AUPRC", "Dice at preset threshold"
# Beginnings of the measures of voxels without disease that are marked.
FALSE = ("lesion-free voxels marked (%)", "voxels marked (%")
# Between these a rate is that of a threshold for 0.2 % that holds on people of other scanners.
LOWEST, HIGHEST = 0.05, 0.6


def overview(rows: Mapping[str, Sequence[Row]], names: Sequence[str]) -> str:
    """Return two tables in markdown.

    Parameters
    ----------
    rows : mapping
        All rows by modality.
    names : sequence of str
        Baselines and models, as in the table of all rows.
    """
    sets = {modality: [row for row in own if row.whole_set] for modality, own in rows.items()}
    head = ["modality", "measure", "over sets", *names]
    lines = [line(head), line(["---"] * len(head))]
    for modality, own in sets.items():
        for measure in (RANKING, FOUND):
            lines += _over_sets(modality, [r for r in own if r.measure.startswith(measure)], names)
    head = ["modality", "set", "measure", *names]
    lines += ["", line(head), line(["---"] * len(head))]
    for modality, own in sets.items():
        for row in own:
            if row.measure.startswith(FALSE):
                cells = [_rate(row.estimate(name)) for name in names]
                lines.append(line([modality, row.data, row.measure, *cells]))
    return "\n".join(lines) + "\n"


def _over_sets(modality: str, rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Return the lines of a measure; each row is a set of people."""
    if not rows:
        return []
    measure = RANKING if rows[0].measure.startswith(RANKING) else FOUND
    figures = {name: np.array([row.estimate(name) for row in rows]) for name in names}
    known = {name: values for name, values in figures.items() if np.isfinite(values).any()}
    cells: dict[str, dict[str, str]] = {f"mean of {len(rows)}": {}, "worst": {}}
    for name, values in known.items():
        worst = int(np.nanargmin(values))
        cells[f"mean of {len(rows)}"][name] = f"{np.nanmean(values):.3f}"
        cells["worst"][name] = f"{values[worst]:.3f} ({rows[worst].data})"
    to_beat = [known[name] for name in BASELINES if name in known]
    if to_beat:
        highest = np.nanmax(to_beat, axis=0)
        cells["above all baselines in"] = {
            name: f"{int((values > highest).sum())} of {len(rows)}"
            for name, values in known.items()
            if name not in BASELINES
        }
    return [
        line([modality, measure, what, *(found.get(name, ABSENT) for name in names)])
        for what, found in cells.items()
    ]


def _rate(value: float) -> str:
    if not np.isfinite(value):
        return ABSENT
    place = "too low" if value < LOWEST else "too high" if value > HIGHEST else "within"
    return f"{value:.3f}, {place}"
