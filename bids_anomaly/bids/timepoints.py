"""In which order a participant was scanned, and which scans of two sessions are compared."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from string import digits
from typing import Any, NamedTuple

from bids_anomaly.bids.reading import read_object
from bids_anomaly.bids.tables import MISSING
from bids_anomaly.bids.writing import write_text

# What the output keeps of sessions: times as the input has them, and the rank in time.
TIME, RANK = "acq_time", "order"
ORDER_COLUMNS = ("session_id", TIME, RANK)
# Besides ISO 8601. Where a day could be a month, both ways are tried, and must say the same.
TIME_FORMATS = (
    "%Y%m%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d.%m.%y",
    "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y", "%d %b %Y", "%b %d %Y", "%Y-%m",
    "%Y",
)  # fmt: skip
DICOM_TIMES = ("%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%d%H%M%S.%f")
OF_DAY = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M", "T%H:%M:%S", "T%H:%M:%S.%f")
# Fields of sidecars that hold a day.
DAYS = ("AcquisitionDate", "SeriesDate", "ContentDate", "StudyDate")
DAYS_AND_TIMES = ("AcquisitionDateTime", "acq_time")
SECONDS_A_YEAR = 365.25 * 24 * 3600
_RANK = re.compile("[0-9]{1,9}")
_LETTERED = re.compile(r"\d[a-zA-Z]$")


class Order(NamedTuple):
    """The sessions of a participant.

    Attributes
    ----------
    labels : list of str
        In the order in which they took place.
    is_known : bool
        Whether that is known, from times or from numbers in the labels; else it is that of the
        alphabet.
    """

    labels: list[str]
    is_known: bool


def in_order(dataset: Path, participant: str, sessions: Iterable[str]) -> Order:
    """Put sessions in the order in which they took place.

    Parameters
    ----------
    dataset : Path
        Raw or derivative dataset. The first of these that has a time for every session, all of
        them different, decides: ``sub-<label>_sessions.tsv``, ``scans.tsv`` of the sessions,
        sidecars of their anatomical scans. Else numbers in the labels do, if the labels are the
        same but for them.
    participant : str
        Label without ``sub-``.
    sessions : iterable of str
        Labels without ``ses-``.
    """
    labels = sorted(set(sessions), key=_natural)
    for times in _times(dataset, participant, labels):
        by_time = _by_time(times)
        if by_time is not None:
            return Order(by_time, is_known=True)
    # A visit between 1 and 2 is often called 1b.
    parts = [
        (label[:-1], label[-1]) if _LETTERED.search(label) else (label, "") for label in labels
    ]
    texts = {re.sub(r"\d+", "0", label) for label, _ in parts}
    numbers = {(*(number for _, number, _ in _natural(own)), letter) for own, letter in parts}
    return Order(labels, is_known=len(texts) < 2 and len(numbers) == len(labels))


def order_of_results(output_dir: Path, participant: str, sessions: Collection[str]) -> Order:
    """Put sessions with results in the order that the input had, as :func:`copy_order` left it.

    Parameters
    ----------
    output_dir : Path
        What the participant level wrote.
    participant, sessions
        As for :func:`in_order`, which decides where nothing was left.
    """
    ranks = _columns(sessions_table(output_dir, participant)).get(RANK, {})
    known = {label: int(rank) for label, rank in ranks.items() if _RANK.fullmatch(rank)}
    own = {label: known[label] for label in sessions if label in known}
    if len(set(own.values())) < len(set(sessions)):
        return in_order(output_dir, participant, sessions)
    return Order(sorted(own, key=lambda label: own[label]), is_known=True)


def years_between(
    dataset: Path, participant: str, sessions: Iterable[str]
) -> dict[str, float] | None:
    """Return when sessions took place, in years since the first of them.

    Parameters
    ----------
    dataset, participant, sessions
        As for :func:`in_order`.

    Returns
    -------
    dict or None
        By label; None where no source has a time for every session, or its times can be read in
        several ways.
    """
    labels = sorted(set(sessions))
    for times in _times(dataset, participant, labels):
        ways = [[read(times[label]) for label in labels] for read in _readers(times.values())]
        days = {tuple((moment - min(way)).total_seconds() for moment in way) for way in ways}
        if len(days) == 1:
            return dict(zip(labels, (s / SECONDS_A_YEAR for s in days.pop()), strict=True))
    return None


def sessions_table(dataset: Path, participant: str) -> Path:
    """Return where BIDS keeps what is known of a participant's sessions."""
    return dataset / f"sub-{participant}" / f"sub-{participant}_sessions.tsv"


def copy_order(bids_dir: Path, output_dir: Path, participant: str, sessions: Iterable[str]) -> None:
    """Write when a participant's sessions took place, if the input says so.

    Parameters
    ----------
    bids_dir, output_dir : Path
        Raw and derivative dataset.
    participant : str
        Label without ``sub-``.
    sessions : iterable of str
        Labels without ``ses-`` that the input has.
    """
    sessions = sorted(set(sessions))
    times = _columns(sessions_table(bids_dir, participant)).get(TIME, {})
    order = in_order(bids_dir, participant, sessions)
    known = times.keys() | (set(sessions) if order.is_known else set())
    if len(sessions) < 2 and not times:
        return
    if known:
        ranks = {label: number for number, label in enumerate(order.labels, start=1)}
        rows = [
            (label, times.get(label) or MISSING, ranks.get(label) if order.is_known else None)
            for label in dict.fromkeys([*times, *order.labels])
        ]
        lines = ["\t".join(ORDER_COLUMNS)]
        lines += [f"ses-{label}\t{time}\t{rank or MISSING}" for label, time, rank in rows]
        table, text = sessions_table(output_dir, participant), "\n".join(lines) + "\n"
        # A run that has nothing to do changes no file.
        if not (table.is_file() and table.read_text(encoding="utf-8") == text):
            write_text(table, text)


def matching_scans(first: Sequence[Any], second: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Pair the scans of two sessions that show the same.

    Parameters
    ----------
    first, second : sequences
        Of one modality, each with ``entities``.

    Returns
    -------
    list of pairs
        Scans whose entities but the session are equal; else, if each session has one only, those.
    """
    others = [(_without_session(scan.entities), scan) for scan in second]
    pairs = [
        (scan, other)
        for scan in first
        for entities, other in others
        if entities == _without_session(scan.entities)
    ]
    if not pairs and len(first) == len(second) == 1:
        pairs = [(first[0], second[0])]
    return pairs


def common_entities(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    """Return the entities that two scans share, apart from their session."""
    return {
        key: label for key, label in _without_session(first).items() if second.get(key) == label
    }


def _without_session(entities: Mapping[str, str]) -> dict[str, str]:
    return {key: label for key, label in entities.items() if key != "ses"}


def _times(dataset: Path, participant: str, labels: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield what each source says of when sessions took place, the most trusted first."""
    sources: tuple[Callable[[str], str | None], ...] = (
        _columns(sessions_table(dataset, participant)).get(TIME, {}).get,
        lambda label: _of_scans(dataset, participant, label),
        lambda label: _of_sidecars(dataset, participant, label),
    )
    for source in sources:
        yield {label: source(label) or MISSING for label in labels}


def _by_time(times: Mapping[str, str]) -> list[str] | None:
    """Sort labels by their times; None where these do not say it without doubt."""
    orders = set()
    for read in _readers(times.values()):
        moments = {label: read(time) for label, time in times.items()}
        if len(set(moments.values())) < len(moments):
            return None
        orders.add(tuple(sorted(moments, key=lambda label: moments[label])))
    return list(orders.pop()) if len(orders) == 1 else None


def _readers(times: Iterable[str]) -> list[Callable[[str], datetime]]:
    """Return the ways to read times that fit all of them."""

    def iso(time: str) -> datetime:
        return datetime.fromisoformat(time).replace(tzinfo=None)

    def as_in(form: str) -> Callable[[str], datetime]:
        def read(time: str) -> datetime:
            moment = datetime.strptime(time, form)
            # Where nothing stands between fields, each has all of its digits: 20201111 is a day
            # of November, and no minute of January.
            if form.startswith("%Y%m") and leading(moment.strftime(form)) != leading(time):
                raise ValueError(time)
            return moment

        return read

    def leading(text: str) -> str:
        return text[: len(text) - len(text.lstrip(digits))]

    times = [time.strip() for time in times]
    forms = [day + hour for day in TIME_FORMATS for hour in OF_DAY]
    ways = [iso, *map(as_in, (*forms, *DICOM_TIMES))]
    return [way for way in ways if _fits(way, times)]


def _fits(read: Callable[[str], datetime], times: Iterable[str]) -> bool:
    try:
        return all(read(time) for time in times)
    except ValueError:
        return False


def _of_scans(dataset: Path, participant: str, label: str) -> str | None:
    """Return when the first anatomical scan of a session was taken, by its table of scans."""
    folder = dataset / f"sub-{participant}" / f"ses-{label}"
    table = _columns(folder / f"sub-{participant}_ses-{label}_scans.tsv", key="filename")
    times = [
        time
        for name, time in table.get(TIME, {}).items()
        if name.startswith("anat/") and time not in ("", MISSING)
    ]
    return min(times, default=None)


def _of_sidecars(dataset: Path, participant: str, label: str) -> str | None:
    """Return when the first anatomical scan of a session was taken, by its sidecars."""
    folder = dataset / f"sub-{participant}" / f"ses-{label}" / "anat"
    times = []
    for path in sorted(folder.glob("sub-*.json")):
        content = read_object(path) or {}
        moment = next((content[key] for key in DAYS_AND_TIMES if content.get(key)), None)
        day = next((content[key] for key in DAYS if content.get(key)), None)
        if moment or day:
            times.append(str(moment or day).strip())
    return min(times, default=None)


def _columns(table: Path, key: str = "session_id") -> dict[str, dict[str, str]]:
    """Read a table by column and session (or another key); nothing from one without the key."""
    try:
        header, *lines = table.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError):
        return {}
    columns = [name.strip() for name in header.split("\t")]
    if key not in columns:
        return {}
    place = columns.index(key)
    cells = [[cell.strip() for cell in line.split("\t")] for line in lines if line.strip()]
    return {
        name: {
            row[place].removeprefix("ses-"): row[column]
            for row in cells
            if len(row) > max(place, column)
        }
        for column, name in enumerate(columns)
        if name != key
    }


def _natural(label: str) -> list[tuple[bool, int, str]]:
    """Return what sorts ``2`` before ``10``, and words by letters."""
    return [
        (not part.isdigit(), int(part) if part.isdigit() else 0, part)
        for part in re.findall(r"\d+|\D+", label)
    ]
