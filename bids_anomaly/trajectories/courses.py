"""Who was seen when, and with which values: what trajectories are learned from."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bids_anomaly.bids.participants import canonical_column, clean, read_rows
from bids_anomaly.bids.tables import MISSING
from bids_anomaly.exceptions import BadTableError, MissingInputError, NothingFoundError, some_of
from bids_anomaly.reconstruction.covariates import SEXES, stated_age

SESSION_COLUMNS = ("session_id", "session", "ses")
TIME_COLUMNS = ("time", "years")
# More years between two sessions are days or months that were taken for years.
MOST_YEARS = 60.0
# Times that differ by less, five minutes, are the same session.
SAME_TIME = 1e-5
# From fewer people with two sessions neither a course nor its spread is learned.
FEWEST_PEOPLE = 20
# How women, men and those of whom it is not known stand in the models.
SEX_CODES = {"f": -1.0, "m": 1.0}
_EMPTY = ("", MISSING, "na", "nan")


class Session(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    participant, session : str
        As the table names them.
    years : float
        Since the person's first session.
    age : float
        At the person's first session, in years.
    sex : float
        -1 for women, 1 for men, 0 where it is not known.
    values : mapping of str to float
        By column; NaN where missing.
    """

    participant: str
    session: str
    years: float
    age: float
    sex: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Course:
    """One value of one person over the sessions that have it.

    Attributes
    ----------
    participant : str
    sessions : tuple of str
        Their names, S of them.
    years : (S,) array
        Since the first of these sessions, increasing from 0.
    values : (S,) array
    age : float
        At the first of these sessions.
    sex : float
        See :class:`Session`.
    """

    participant: str
    sessions: tuple[str, ...]
    years: np.ndarray
    values: np.ndarray
    age: float
    sex: float

    def first(self, count: int) -> "Course":
        """Return the course as it was known after some of its sessions."""
        return Course(
            self.participant,
            self.sessions[:count],
            self.years[:count],
            self.values[:count],
            self.age,
            self.sex,
        )


@dataclass(frozen=True)
class Visits:
    """All sessions of all people.

    Attributes
    ----------
    sessions : list of Session
        By person, each person's in the order of time.
    columns : list of str
        What can be forecast.
    notes : list of str
        What was left out, and why.
    """

    sessions: list[Session]
    columns: list[str]
    notes: list[str] = field(default_factory=list)


def read_visits(table: Path, columns: Sequence[str] = ()) -> Visits:
    """Read a table of sessions.

    Parameters
    ----------
    table : Path
        Tab-separated: ``participant_id``, ``session_id`` or ``session``, ``age`` (at each session,
        or at the first), optionally ``time`` (years since the first session) and ``sex``, and
        values.
    columns : sequence of str
        Names of the values; by default all other columns with numbers.

    Raises
    ------
    MissingInputError
        If the table cannot be read or lacks a column.
    InvalidBidsError
        If a row has more values than there are columns.
    BadTableError
        If ages, times or values are not numbers, two rows are of one session or one time, or there
        is nothing to forecast.
    """
    rows = [
        {_canonical(name): clean(cell) for name, cell in row.items()} for row in read_rows(table)
    ]
    return visits_of(rows, table, columns)


def visits_of(
    rows: Sequence[Mapping[str, str]], table: Path, columns: Sequence[str] = ()
) -> Visits:
    """Return the sessions in the rows of a table; as :func:`read_visits` says."""
    known = [name for name in rows[0] if name] if rows else []
    if "participant_id" not in known or "age" not in known:
        lacking = "age" if "participant_id" in known else "participant_id"
        raise MissingInputError(
            f"The table {table} has no column {lacking} (columns: {', '.join(known) or 'none'}). "
            "It needs participant_id, age, session_id or time, and values, separated by tabs."
        )
    session = next((name for name in SESSION_COLUMNS if name in known), None)
    time = next((name for name in TIME_COLUMNS if name in known), None)
    if session is None and time is None:
        raise MissingInputError(
            f"The table {table} has neither a column session_id nor a column time (years since the "
            "first session), so that sessions cannot be told apart. Add one of them."
        )
    taken = {"participant_id", "age", "sex", "site", session, time}
    chosen = list(columns) or _numeric([name for name in known if name not in taken], rows)
    for name in chosen:
        if name not in known:
            raise MissingInputError(
                f"The table {table} has no column {name} (columns: {', '.join(known)}). Check "
                "--values."
            )
    if not chosen:
        raise BadTableError(f"The table {table} has no column of numbers to forecast. Add one.")
    by_person: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
    for row in rows:
        name = row[session] if session else row[time or ""]
        by_person.setdefault(row["participant_id"], []).append((name, row))
    _check_once(by_person, table)
    sessions = [
        one
        for person, theirs in by_person.items()
        for one in _of_person(person, theirs, time, chosen, table)
    ]
    return Visits(sessions, chosen, _notes(sessions, rows, chosen))


def courses_of(visits: Visits, column: str) -> list[Course]:
    """Return the course of a value in everybody who has it.

    Raises
    ------
    NothingFoundError
        If fewer than :data:`FEWEST_PEOPLE` have it in two sessions.
    BadTableError
        If it is the same in all sessions.
    """
    by_person: dict[str, list[Session]] = {}
    for one in visits.sessions:
        if math.isfinite(one.values[column]):
            by_person.setdefault(one.participant, []).append(one)
    courses = []
    for person, theirs in by_person.items():
        years = np.array([one.years for one in theirs])
        courses.append(
            Course(
                person,
                tuple(one.session for one in theirs),
                years - years[0],
                np.array([one.values[column] for one in theirs]),
                theirs[0].age + float(years[0]),
                theirs[0].sex,
            )
        )
    repeated = sum(len(course.years) > 1 for course in courses)
    if repeated == 0:
        raise NothingFoundError(
            f"Nobody has {column} in two sessions, so that no change of it can be learned. Add "
            "later sessions."
        )
    if repeated < FEWEST_PEOPLE:
        raise NothingFoundError(
            f"There are too few people to learn the course of {column} from: {repeated} with two "
            f"sessions or more, of at least {FEWEST_PEOPLE}. Add people."
        )
    if np.ptp(np.concatenate([course.values for course in courses])) == 0:
        raise BadTableError(
            f"{column} is the same in all sessions of everybody. Choose others with --values."
        )
    return courses


def _of_person(
    person: str,
    rows: Sequence[tuple[str, Mapping[str, str]]],
    time: str | None,
    columns: Iterable[str],
    table: Path,
) -> list[Session]:
    """Return the sessions of a person in the order of time, ages and times checked."""
    ages = [_number(row["age"], "age", person, name, table) for name, row in rows]
    times = ages
    if time:
        times = [_number(row[time], time, person, name, table) for name, row in rows]
    order = np.argsort(times, kind="stable")
    steps = np.diff(np.array(times)[order])
    if (steps < SAME_TIME).any():
        same = int(np.argmax(steps < SAME_TIME))
        names = " and ".join(rows[order[same + offset]][0] for offset in (0, 1))
        advice = "" if time else " Add a column time: years since the first session."
        raise BadTableError(
            f"{person} has the same {time or 'age'} in {names} of {table}, so that there is no "
            f"time between them.{advice or ' Correct it.'}"
        )
    if steps.sum() > MOST_YEARS:
        raise BadTableError(
            f"{person} has {steps.sum():g} years between sessions in {table}, more than "
            f"{MOST_YEARS:g}. Give {time or 'age'} in years."
        )
    sexes = {row.get("sex", "").lower()[:1] for _, row in rows if _sex_known(row)}
    sex = SEX_CODES[sexes.pop()] if len(sexes) == 1 else 0.0
    first = order[0]
    return [
        Session(
            person,
            rows[index][0],
            float(times[index] - times[first]),
            float(ages[first]),
            sex,
            {
                column: _number(rows[index][1][column], column, person, rows[index][0], table, True)
                for column in columns
            },
        )
        for index in order
    ]


def _number(
    text: str, column: str, person: str, session: str, table: Path, may_lack: bool = False
) -> float:
    """Read a cell."""
    where = f"for {column} of {person}, {session}" if session else f"for {column} of {person}"
    if text.lower() in _EMPTY:
        if may_lack:
            return math.nan
        raise BadTableError(f"The table {table} has no value {where}. Add it, or remove the row.")
    value = stated_age(text) if column == "age" else _plain_number(text)
    if not math.isfinite(value) or (column == "age" and value < 0):
        raise BadTableError(f"The table {table} has {text!r} {where}, which is no number.")
    return value


def _plain_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _numeric(names: Iterable[str], rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the columns with a number anywhere; those with words alone are of something else."""
    return [
        name
        for name in names
        if any(math.isfinite(_plain_number(row[name] or "x")) for row in rows)
    ]


def _check_once(
    by_person: Mapping[str, Sequence[tuple[str, Mapping[str, str]]]], table: Path
) -> None:
    if "" in by_person:
        raise BadTableError(f"The table {table} has rows without participant_id. Name who it is.")
    for person, rows in by_person.items():
        twice = [name for name, count in Counter(name for name, _ in rows).items() if count > 1]
        if twice:
            raise BadTableError(
                f"The table {table} has several rows for {person}, {some_of(twice)}. Keep one of "
                "them."
            )


def _sex_known(row: Mapping[str, str]) -> bool:
    return row.get("sex", "").lower() in SEXES


def _notes(
    sessions: Sequence[Session], rows: Sequence[Mapping[str, str]], columns: Collection[str]
) -> list[str]:
    notes = []
    for column in columns:
        lacking = [
            f"{one.participant} {one.session}"
            for one in sessions
            if not math.isfinite(one.values[column])
        ]
        if lacking:
            notes.append(f"{column} is missing in {some_of(lacking)}, left out for it.")
    if "sex" in rows[0]:
        unknown = dict.fromkeys(row["participant_id"] for row in rows if not _sex_known(row))
        if unknown:
            notes.append(f"The sex of {some_of(unknown)} is not known, and stands in the middle.")
    return notes


def _canonical(name: str) -> str:
    """Return the name of a column; those of who and when are known in any case."""
    lower = clean(name).lower()
    return lower if lower in (*SESSION_COLUMNS, *TIME_COLUMNS) else canonical_column(name)
