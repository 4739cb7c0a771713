"""The page of forecasts, and a plot for each person."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bids_anomaly.bids.writing import write_text
from bids_anomaly.reports.charts import COLOURS, INK, Chart, add_legend, as_chart, new_axes
from bids_anomaly.reports.numbers import counted, two_digits, with_minus
from bids_anomaly.reports.page import render
from bids_anomaly.reports.tables import Table
from bids_anomaly.trajectories.accuracy import (
    ALL,
    METHODS,
    MIXED,
    POPULATION,
    SEEN,
    SHRINKAGE,
    Figure,
)
from bids_anomaly.trajectories.shrinkage import LEVELS, Shrinkage
from bids_anomaly.trajectories.tables import LEVEL, Drawn, Row

# Of the file of a plot.
ENDING = "_trajectory.svg"
# On the page; all are files.
MOST_CHARTS = 24
MARKERS = "osD^v"  # beside the colours
# Of legends, in two columns.
ABOVE = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2, "borderaxespad": 0.2}
# In words, in the order of the charts' colours.
NAMES = {
    SHRINKAGE: "forecast",
    POPULATION: "population alone",
    "person": "own rate alone",
    "last value": "last value",
    MIXED: "linear mixed model",
}

METHODS_TEXT = (
    "Personalised forecasts after adaptive shrinkage estimation (Tassopoulou et al. 2025, arXiv "
    "2504.08840). The population model is a Gaussian process with a deep kernel (GPyTorch): change "
    "since the first session, given years, age, sex and the first value, with an own level and "
    "rate for each person. The person's model is the least-squares line of the own sessions about "
    "the population's course. The forecast lies between both. Its weight depends on how sure each "
    "is, on the number of sessions and on how many years they reach, and is learned on later "
    "sessions of people whom the population model had not seen; so are the widths of the "
    "intervals.",
    "Errors and coverage are from five-fold cross-validation by person: every later session was "
    "forecast from each number of first ones, by models that had seen nothing of the person. "
    "People count alike; intervals are 95 % percentile intervals from bootstrap draws of people. "
    "The linear mixed model has years, age, sex and the interactions of years with both, and an "
    "own level and rate, given the person's sessions, and learned also from people with one "
    "session. The last value carried forward has no interval.",
    "A forecast says what was usual in the people of this table. It knows nothing of treatment, of "
    "a change of scanner, or of a disease that begins after the last session.",
)


class Measure(NamedTuple):
    """What is shown of one value.

    Attributes
    ----------
    name : str
        Its column.
    drawn : sequence of Drawn
        Everybody who is forecast.
    rows : sequence of Row
        At the times that were asked for.
    figures : sequence of Figure
        How far forecasts miss.
    shrinkage : Shrinkage
    """

    name: str
    drawn: Sequence[Drawn]
    rows: Sequence[Row]
    figures: Sequence[Figure]
    shrinkage: Shrinkage


class Section(NamedTuple):
    """A value on the page."""

    name: str
    verdict: Sequence[str]
    accuracy: Table
    charts: Sequence[Chart]
    people: Sequence[Chart]
    people_note: str
    forecasts: Table


def write_trajectories(
    path: Path, measures: Sequence[Measure], notes: Sequence[str], provenance: Mapping[str, str]
) -> None:
    """Write or replace the page.

    Parameters
    ----------
    path : Path
        The HTML file.
    measures : sequence of Measure
        At least one.
    notes : sequence of str
        What was left out, and why.
    provenance : mapping of str to str
        How this was made.
    """
    everybody = {one.course.participant for measure in measures for one in measure.drawn}
    learned = max(figure.people for measure in measures for figure in measure.figures)
    page = render(
        "trajectories.html.jinja",
        scripts=("tables.js",),
        title="How values of people go on",
        summary={
            "People who are forecast": str(len(everybody)),
            "People with two sessions": str(learned),
            "Values": str(len(measures)),
        },
        notes=[with_minus(note) for note in notes],
        sections=[_section(measure) for measure in measures],
        methods=METHODS_TEXT,
        provenance=provenance,
    )
    write_text(path, page)


def write_plots(folder: Path, measures: Sequence[Measure]) -> None:
    """Write a plot for each person and value, such as ``sub-01_desc-mean-z_trajectory.svg``.

    Plots of people and values of an earlier run are removed; other files stay.

    Parameters
    ----------
    folder : Path
        Where to.
    measures : sequence of Measure
    """
    taken: set[str] = set()
    for measure in measures:
        for one in measure.drawn:
            stem = f"sub-{_plain(one.course.participant.removeprefix('sub-'))}"
            stem += f"_desc-{_plain(measure.name)}"
            # Names that differ only in what files cannot be called.
            name = next(
                candidate
                for candidate in (stem, *(f"{stem}-{number}" for number in range(2, 1000)))
                if candidate not in taken
            )
            taken.add(name)
            svg = str(person_chart(measure.name, one).svg)
            white = svg.replace("<svg", '<svg style="background:#fff;color:#222"', 1)
            write_text(folder / f"{name}{ENDING}", white)
    for path in folder.glob(f"sub-*_desc-*{ENDING}"):
        if path.name.removesuffix(ENDING) not in taken:
            path.unlink()


def person_chart(measure: str, drawn: Drawn) -> Chart:
    """Draw what was measured of a person, and how it goes on.

    Parameters
    ----------
    measure : str
        What is drawn.
    drawn : Drawn
    """
    course, views, ages = drawn.course, drawn.outcome.views, drawn.course.age + drawn.years
    figure, axes = new_axes("Age (years)", measure.replace("$", r"\$"))
    axes.fill_between(ages, drawn.low, drawn.high, color=COLOURS[0], alpha=0.22, linewidth=0)
    axes.plot(ages, views.population, color=COLOURS[1], linestyle="--", linewidth=1.5,
              label="population")  # fmt: skip
    if np.isfinite(views.person).all():
        axes.plot(ages, views.person, color=COLOURS[2], linestyle=":", linewidth=1.8, label="own")
    axes.plot(ages, drawn.outcome.forecast.value, color=COLOURS[0], linewidth=2, label="forecast")
    axes.plot(course.age + course.years, course.values, "o", color=INK, markersize=4.5)
    # Two sessions can have an own rate that would leave nothing else to see.
    ends = np.concatenate([drawn.low, drawn.high, course.values])
    margin = 0.08 * np.ptp(ends)
    axes.set_ylim(ends.min() - margin, ends.max() + margin)
    weight = float(drawn.outcome.forecast.weight[-1])
    caption = (
        f"{counted(len(course.years), 'session')} in {two_digits(float(course.years[-1]))} years; "
        f"{100 * weight:.0f} % population at the end."
    )
    return as_chart(course.participant, figure, axes, caption)


def _section(measure: Measure) -> Section:
    shown = sorted(measure.drawn, key=_departure, reverse=True)[:MOST_CHARTS]
    note = (
        "Points: measured. Orange: forecast with its 95 % interval. Blue, dashed: what the "
        "population lets expect. Green, dotted: the person's own rate."
    )
    if len(measure.drawn) > len(shown):
        note += (
            f" Shown are the {len(shown)} of {len(measure.drawn)} people whose forecast departs "
            "most from the population's; the others are in the folder figures."
        )
    return Section(
        measure.name,
        list(_verdict(measure.figures)),
        _accuracy_table(measure.figures),
        [_error_chart(measure), _coverage_chart(measure)],
        [person_chart(measure.name, one) for one in shown],
        note,
        _forecast_table(measure.rows),
    )


def _departure(one: Drawn) -> float:
    """Return how far a forecast ends from the population's, in its own spreads."""
    forecast, population = one.outcome.forecast, one.outcome.views.population
    return float(abs(forecast.value[-1] - population[-1]) / forecast.spread[-1])


def _verdict(figures: Sequence[Figure]) -> Iterator[str]:
    """Say in words whether the forecast is better than what it has to beat."""
    own = next(one for one in figures if one.method == SHRINKAGE and one.seen == ALL)
    yield f"Forecasts of later sessions missed by {_number(own.error.estimate)} on average."
    for figure in figures:
        if figure.seen != ALL or figure.gain is None or figure.method == "person":
            continue
        name = NAMES[figure.method]
        share = figure.gain.estimate / figure.error.estimate if figure.error.estimate else 0.0
        if figure.gain.high < 0:
            said = f"less than the {name} misses, by {two_digits(-100 * share)} %"
        elif figure.gain.low > 0:
            said = f"more than the {name} misses, by {two_digits(100 * share)} %: use that one"
        else:
            said = f"not told apart from what the {name} misses"
        yield f"That is {said}."


def _accuracy_table(figures: Sequence[Figure]) -> Table:
    rows = [
        [
            figure.seen,
            NAMES[figure.method],
            str(figure.people),
            _interval(figure.error),
            _interval(figure.gain) if figure.gain else "",
            _shares(figure),
        ]
        for seen in (ALL, *SEEN)
        for figure in figures
        if figure.seen == seen
    ]
    return Table(
        "How far forecasts miss",
        "Known sessions: from how many first sessions later ones were forecast. Difference: error "
        "of the forecast minus that of the line, in the same people; below 0 the forecast is "
        "better. "
        "Inside: share of later values in the 95 % interval. In parentheses 95 % intervals over "
        "people.",
        ["Known sessions", "From", "People", "Mean absolute error", "Difference", "Inside (%)"],
        rows,
        numeric=(2, 3, 4, 5),
    )


def _forecast_table(rows: Sequence[Row]) -> Table:
    return Table(
        "Forecasts",
        "Interval: should hold 95 % of what would be measured. Population: share of the population "
        "in the forecast; the rest is the person's own rate. trajectories.tsv has more columns.",
        ["Person", "Sessions", "Years ahead", "Age", "Forecast", "Interval", "Population (%)"],
        [
            [
                row.participant,
                str(row.sessions),
                f"{row.ahead:g}",
                f"{row.age:.1f}",
                _number(row.forecast),
                f"{_number(row.low)} to {_number(row.high)}",
                f"{100 * row.weight:.0f}",
            ]
            for row in rows
        ],
        numeric=(1, 2, 3, 4, 5, 6),
    )


def _error_chart(measure: Measure) -> Chart:
    figure, axes = new_axes("Known sessions", "Mean absolute error")
    offsets = np.linspace(-0.2, 0.2, len(METHODS))
    for position, (method, offset) in enumerate(zip(METHODS, offsets, strict=True)):
        found = {one.seen: one.error for one in measure.figures if one.method == method}
        places = [place for place, seen in enumerate(SEEN) if seen in found]
        errors = [found[SEEN[place]] for place in places]
        if not errors:
            continue
        bars = [[e.estimate - e.low for e in errors], [e.high - e.estimate for e in errors]]
        axes.errorbar(
            np.array(places) + offset,
            [error.estimate for error in errors],
            yerr=np.maximum(np.nan_to_num(bars), 0),
            fmt=MARKERS[position],
            color=COLOURS[position],
            markersize=4.5,
            elinewidth=1.2,
            label=NAMES[method],
        )
    axes.set_xticks(range(len(SEEN)), SEEN)
    axes.set_ylim(bottom=0)
    add_legend(axes, **ABOVE)
    caption = "Mean over people; bars are 95 % intervals."
    return as_chart(f"{measure.name}: error by known sessions", figure, axes, caption)


def _coverage_chart(measure: Measure) -> Chart:
    figure, axes = new_axes("Nominal (%)", "Inside the interval (%)")
    axes.plot([45, 100], [45, 100], color=INK, linewidth=0.8, linestyle=":")
    levels = 100 * np.array(LEVELS)
    for position, method in enumerate(METHODS):
        found = [one for one in measure.figures if one.method == method and one.seen == ALL]
        if found and found[0].coverage and method != "person":
            shares = [100 * found[0].coverage[level].estimate for level in LEVELS]
            axes.plot(levels, shares, MARKERS[position] + "-", color=COLOURS[position],
                      markersize=4.5, linewidth=1.6, label=NAMES[method])  # fmt: skip
    add_legend(axes, **ABOVE)
    axes.set(xlim=(45, 100), ylim=(min(45, axes.get_ylim()[0]), 101))
    caption = (
        "Share of later values inside intervals; below the dotted line they are too narrow, above "
        "it too wide."
    )
    return as_chart(f"{measure.name}: calibration of intervals", figure, axes, caption)


def _interval(interval) -> str:
    text = _number(interval.estimate)
    if np.isfinite(interval.low):
        text += f" ({_number(interval.low)} to {_number(interval.high)})"
    return text


def _shares(figure: Figure) -> str:
    if LEVEL not in figure.coverage:
        return ""
    share = figure.coverage[LEVEL]
    text = f"{100 * share.estimate:.0f}"
    if np.isfinite(share.low):
        text += f" ({100 * share.low:.0f} to {100 * share.high:.0f})"
    return text


def _number(value: float) -> str:
    """Return a number with three digits that count, in the words of a page."""
    if value == 0 or not np.isfinite(value):
        return "0" if value == 0 else ""
    decimals = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return with_minus(f"{value:.{decimals}f}")


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "x"
