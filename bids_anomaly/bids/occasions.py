"""In which order a participant was scanned, and which scans of two sessions are compared."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bids_anomaly.bids.tables import MISSING
from bids_anomaly.bids.writing import write_text

ORDER_COLUMNS = ("session_id", "acq_time")


def in_order(dataset: Path, participant: str, sessions: Iterable[str]) -> list[str]:
    """Put sessions in the order in which they took place.

    Parameters
    ----------
    dataset : Path
        Raw or derivative dataset. If its ``sub-<label>_sessions.tsv`` has an ``acq_time`` for every
        session, that decides; else labels do, with the numbers in them by their value.
    participant : str
        Label without ``sub-``.
    sessions : iterable of str
        Labels without ``ses-``.
    """
    times = _times(sessions_table(dataset, participant))
    by_label = sorted(set(sessions), key=_natural)
    if all(times.get(label, MISSING) != MISSING for label in by_label):
        return sorted(by_label, key=lambda label: times[label])
    return by_label


def sessions_table(dataset: Path, participant: str) -> Path:
    """Return where BIDS keeps what is known of a participant's sessions."""
    return dataset / f"sub-{participant}" / f"sub-{participant}_sessions.tsv"


def copy_order(bids_dir: Path, output_dir: Path, participant: str) -> None:
    """Write when a participant's sessions took place, if the input says so."""
    times = _times(sessions_table(bids_dir, participant))
    if times:
        rows = ["\t".join(ORDER_COLUMNS)]
        rows += [f"ses-{label}\t{time}" for label, time in times.items()]
        write_text(sessions_table(output_dir, participant), "\n".join(rows) + "\n")


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


def _times(table: Path) -> dict[str, str]:
    """Read when sessions took place, by label; nothing from a table that does not say it."""
    try:
        header, *lines = table.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError):
        return {}
    columns = header.split("\t")
    if not set(ORDER_COLUMNS) <= set(columns):
        return {}
    label, time = (columns.index(name) for name in ORDER_COLUMNS)
    cells = [line.split("\t") for line in lines if line]
    return {
        row[label].removeprefix("ses-"): row[time] for row in cells if len(row) > max(label, time)
    }


def _natural(label: str) -> list[tuple[bool, int, str]]:
    """Return what sorts ``2`` before ``10``, and words by letters."""
    return [
        (not part.isdigit(), int(part) if part.isdigit() else 0, part)
        for part in re.findall(r"\d+|\D+", label)
    ]
