"""Rows of a table of accuracy: a figure of every model, with intervals and paired differences."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bids_anomaly.evaluation.statistics import (
    Interval,
    Statistic,
    bootstrap,
    difference_of,
    holm,
    mean_of,
    paired_wilcoxon,
)

ABSENT = "–"


@dataclass(frozen=True)
class Row:
    """One measure on one set of people, for every model that has it.

    Attributes
    ----------
    data, measure : str
        What stands in the first columns.
    people : int
        Over how many people the statistics go, those with NaN included.
    statistics : mapping of str to Statistic
        By name of the model.
    values : mapping of str to (N,) array
        Figures of single people for the paired test; empty where there are none.
    form : str
        Format of a figure.
    whole_set : bool
        Whether it is a figure of its set of people as a whole, each of whom counts once, rather
        than of lesions of one size or of voxels of everybody together.
    """

    data: str
    measure: str
    people: int
    statistics: Mapping[str, Statistic]
    values: Mapping[str, np.ndarray]
    form: str = ".3f"
    whole_set: bool = True

    def estimate(self, name: str) -> float:
        """Return the figure of a model; NaN if it has none."""
        if name not in self.statistics:
            return np.nan
        return float(self.statistics[name](np.ones((1, self.people)))[0])


def row_of_means(
    data: str,
    measure: str,
    values: Mapping[str, Sequence[float]],
    form: str = ".3f",
    whole_set: bool = True,
) -> Row:
    """Return the row of means over people."""
    arrays = {name: np.asarray(figures, dtype=float) for name, figures in values.items()}
    people = len(next(iter(arrays.values())))
    return Row(
        data,
        measure,
        people,
        {name: mean_of(figures) for name, figures in arrays.items()},
        arrays,
        form,
        whole_set,
    )


def rows_by_measure(
    data: str,
    found: Mapping[str, Sequence[Mapping[str, float]]],
    forms: Mapping[str, str] | None = None,
    *,
    whole_set: bool = True,
) -> list[Row]:
    """Return a row for every measure.

    Parameters
    ----------
    data : str
        Name of the set of people.
    found : mapping
        For every model, what each person has for each measure, in one order of people. A model
        that lacks a measure (no reconstruction, no l1) is absent from its row.
    forms : mapping, optional
        Formats of measures that are not printed with three decimals.
    whole_set : bool
        See :class:`Row`.
    """
    measures = dict.fromkeys(name for people in found.values() for p in people for name in p)
    return [
        row_of_means(
            data,
            measure,
            {
                model: [person[measure] for person in people]
                for model, people in found.items()
                if all(measure in person for person in people)
            },
            (forms or {}).get(measure, ".3f"),
            whole_set,
        )
        for measure in measures
    ]


def markdown(rows: Iterable[Row], models: Sequence[str], baselines: Sequence[str]) -> str:
    """Return the table in markdown.

    Every model that is no baseline has columns with its differences to the baselines, and p-values
    of the paired Wilcoxon test (Holm-corrected over the models of the row).
    """
    learned = [name for name in models if name not in baselines]
    differences = [f"{name} − {baseline}" for baseline in baselines for name in learned]
    head = ["data", "measure", "people", *models, *differences]
    lines = [line(head), line(["---"] * len(head))]
    for row in rows:
        figures = [figure_of(row, name) for name in models]
        changes = [cell for baseline in baselines for cell in _changes(row, learned, baseline)]
        lines.append(line([row.data, row.measure, str(_known(row)), *figures, *changes]))
    return "\n".join(lines) + "\n"


def _changes(row: Row, learned: Sequence[str], baseline: str) -> Iterable[str]:
    """Yield the difference of each model to a baseline, as far as both have the figure."""
    tested = [name for name in learned if {name, baseline} <= row.values.keys()]
    p_values = dict(
        zip(
            tested,
            holm([paired_wilcoxon(row.values[n], row.values[baseline]) for n in tested]),
            strict=True,
        )
    )
    for name in learned:
        if not {name, baseline} <= row.statistics.keys():
            yield ABSENT
            continue
        p = p_values.get(name, np.nan)
        note = f", p = {p:.2g}" if row.people > 1 and np.isfinite(p) else ""
        yield change_of(row, name, baseline) + note


def interval(values: Sequence[float], form: str = ".2f") -> str:
    """Return the mean over people with its 95 % bootstrap interval."""
    mean = bootstrap(mean_of(values), len(values))
    return f"{mean.estimate:{form}} ({mean.low:{form}} to {mean.high:{form}})"


def figure_of(row: Row, name: str) -> str:
    """Return the figure of a model, with its interval."""
    return _figure(row, row.statistics.get(name))


def change_of(row: Row, name: str, baseline: str) -> str:
    """Return the difference of a model to the baseline, with the interval of pairs."""
    change = difference_of(row.statistics[name], row.statistics[baseline])
    return _figure(row, change, sign="+")


def line(cells: Sequence[str]) -> str:
    """Return a row of a table in markdown."""
    return "| " + " | ".join(cells) + " |"


def _known(row: Row) -> int:
    """Return how many people have the figure in at least one model."""
    if not row.values:
        return row.people
    return int(np.isfinite(np.array(list(row.values.values()))).any(axis=0).sum())


def _figure(row: Row, statistic: Callable | None, sign: str = "") -> str:
    if statistic is None:
        return ABSENT
    value: Interval = bootstrap(statistic, row.people)
    if not np.isfinite(value.estimate):
        return ABSENT
    text = format(value.estimate, sign + row.form)
    if np.isfinite(value.low):
        text += f" ({value.low:{row.form}} to {value.high:{row.form}})"
    return text
