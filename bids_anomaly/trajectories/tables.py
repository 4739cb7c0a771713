"""The tables that forecasts are written to, and what their columns mean."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bids_anomaly.bids.naming import sidecar_path
from bids_anomaly.bids.tables import write_rows
from bids_anomaly.bids.writing import write_json
from bids_anomaly.trajectories.accuracy import METHODS, Figure
from bids_anomaly.trajectories.courses import Course
from bids_anomaly.trajectories.forecast import Model, Outcome, forecast

TRAJECTORIES, ACCURACY = "trajectories.tsv", "accuracy.tsv"
# Of the intervals in the table.
LEVEL = 0.95
_YEARS = {"Units": "year"}
COLUMNS = {
    "participant_id": {"Description": "Participant."},
    "measure": {"Description": "Column of the input that is forecast; its unit is that of "
                "forecast, low, high, population and person."},
    "years": {"Description": "Years since the person's first session with the value.", **_YEARS},
    "ahead": {"Description": "Years since the last.", **_YEARS},
    "age": {"Description": "Age at that time.", **_YEARS},
    "forecast": {"Description": "Value to expect: between population and person."},
    "low": {"Description": "Lower end of the interval that should hold 95 % of what would be "
            "measured."},
    "high": {"Description": "Its upper end."},
    "population": {"Description": "Value to expect from how people change who had the same age, "
                   "sex and first value, at the level of the person's sessions."},
    "person": {"Description": "Value to expect from the rate of the person's own sessions; n/a "
               "after one."},
    "weight_population": {"Description": "Share of the population in the forecast, 0 to 1."},
    "sessions": {"Description": "Sessions with the value.", "Format": "integer"},
    "reach": {"Description": "Years from the first of them to the last.", **_YEARS},
}  # fmt: skip
ACCURACY_COLUMNS = {
    "measure": {"Description": "Column of the input that is forecast."},
    "method": {
        "Description": "What forecast the held-out sessions.",
        "Levels": dict(
            zip(
                METHODS,
                (
                    "The forecasts of trajectories.tsv",
                    "The population alone",
                    "The person's own rate alone, where there are two sessions",
                    "The last value carried forward",
                    "A linear mixed model with own level and rate, given the person's sessions",
                ),
                strict=True,
            )
        ),
    },
    "known_sessions": {"Description": "How many sessions of the person were known."},
    "people": {"Description": "People, of whom each counts once.", "Format": "integer"},
    "forecasts": {"Description": "Held-out sessions.", "Format": "integer"},
    **{
        f"{name}{end}": {"Description": f"{words}{said}"}
        for name, words in (
            ("error", "Mean absolute error, in the unit of the measure"),
            ("coverage", "Share of held-out values in the 95 % interval, 0 to 1"),
            ("gain", "Error of the shrinkage minus that of the method, negative where the "
             "shrinkage is better"),
        )
        for end, said in (
            ("", "."),
            ("_low", "; lower end of its 95 % bootstrap interval over people."),
            ("_high", "; upper end."),
        )
    },
}  # fmt: skip


class Row(NamedTuple):
    """A line of :data:`COLUMNS`; times in years."""

    participant: str
    measure: str
    years: float
    ahead: float
    age: float
    forecast: float
    low: float
    high: float
    population: float
    person: float
    weight: float
    sessions: int
    reach: float


class Drawn(NamedTuple):
    """The forecast of one person over time.

    Attributes
    ----------
    course : Course
        What was measured.
    years : (T,) array
        From the last session to the farthest time that was asked for.
    outcome : Outcome
    low, high : (T,) arrays
        The 95 % interval.
    """

    course: Course
    years: np.ndarray
    outcome: Outcome
    low: np.ndarray
    high: np.ndarray


def forecast_people(model: Model, courses: Sequence[Course], ahead: np.ndarray) -> list[Drawn]:
    """Forecast people some years after the last session of each.

    Parameters
    ----------
    model : Model
    courses : sequence of Course
    ahead : (T,) array
        Years after the last session.
    """
    years = [course.years[-1] + ahead for course in courses]
    return [
        Drawn(course, when, outcome, *model.shrinkage.interval(outcome.forecast, LEVEL))
        for course, when, outcome in zip(
            courses, years, forecast(model, courses, years), strict=True
        )
    ]


def rows_of_people(measure: str, drawn: Iterable[Drawn]) -> list[Row]:
    """Return a row for each person and time."""
    return [
        Row(
            one.course.participant,
            measure,
            float(one.years[place]),
            float(one.years[place] - one.course.years[-1]),
            float(one.course.age + one.years[place]),
            float(one.outcome.forecast.value[place]),
            float(one.low[place]),
            float(one.high[place]),
            float(one.outcome.views.population[place]),
            float(one.outcome.views.person[place]),
            float(one.outcome.forecast.weight[place]),
            len(one.course.years),
            float(one.course.years[-1]),
        )
        for one in drawn
        for place in range(len(one.years))
    ]


def write_tables(
    folder: Path, rows: Sequence[Row], accuracy: Sequence[tuple[str, Figure]], **made: Any
) -> None:
    """Write ``trajectories.tsv`` and ``accuracy.tsv``, each with the JSON file of its columns.

    Parameters
    ----------
    folder : Path
        Where to.
    rows : sequence of Row
    accuracy : sequence of (str, Figure)
        Of each measure.
    **made
        How forecasts were made, for the JSON file of ``trajectories.tsv``.
    """
    for name, description, columns, lines, more in (
        (TRAJECTORIES, "Forecasts, a row for each person, measure and time.", COLUMNS, rows, made),
        (
            ACCURACY,
            "Errors on later sessions of people who were not learned from, by cross-validation.",
            ACCURACY_COLUMNS,
            [_accuracy_row(*one) for one in accuracy],
            {},
        ),
    ):
        path = folder / name
        write_json(sidecar_path(path), {"Description": description, **more, **columns})
        write_rows(path, columns, lines)


def _accuracy_row(measure: str, figure: Figure) -> tuple:
    unknown = (np.nan,) * 3
    return (
        measure,
        figure.method,
        figure.seen,
        figure.people,
        figure.forecasts,
        *figure.error,
        *figure.coverage.get(LEVEL, unknown),
        *(figure.gain or unknown),
    )
