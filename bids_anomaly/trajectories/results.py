"""Courses from the output folder of the app, after its group level."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bids_anomaly.bids.naming import group_path
from bids_anomaly.bids.tables import MISSING, read_table
from bids_anomaly.bids.timepoints import years_between
from bids_anomaly.exceptions import BadTableError, MissingInputError, some_of
from bids_anomaly.group.burden import REGIONS, read_checked
from bids_anomaly.group.people import Member, find_members
from bids_anomaly.trajectories.courses import Visits, visits_of

VOLUME, MEAN_Z = "anomalous_volume", "mean_z"
# Before the name of a region: its anomalous volume, and its mean z-score.
OF_REGION = ("volume_", "z_")


def read_results(folder: Path, columns: Sequence[str] = ()) -> Visits:
    """Read the tables of the group level, and those of regions of each session.

    All values are of one modality: that of most primary scans. Sessions with another one are left
    out, and named.

    Parameters
    ----------
    folder : Path
        Output folder of the app.
    columns : sequence of str
        ``anomalous_volume`` (mm3), ``mean_z`` (over the brain), ``volume_<Region>`` (mm3) or
        ``z_<Region>``, of the primary scan of the group level; by default the first two.

    Raises
    ------
    MissingInputError
        If the group level has not run, a table cannot be read, ages or times are missing, or a
        column is unknown.
    NothingFoundError, BadScanError, BadTableError
        As the group level and :func:`bids_anomaly.trajectories.courses.visits_of` raise them.
    """
    columns = list(columns) or [VOLUME, MEAN_Z]
    regions = [region.name for region in REGIONS]
    known = [VOLUME, MEAN_Z, *(f"{kind}{name}" for kind in OF_REGION for name in regions)]
    for column in columns:
        if column not in known:
            raise MissingInputError(
                f"{column} is none of what the group level has: {VOLUME}, {MEAN_Z}, "
                "volume_<Region> and z_<Region>. Check --values."
            )
    table = group_path(folder, {"desc": "people"}, "stats", ".tsv")
    people = _read(table)
    burdens = {
        _who(row): row
        for row in _read(group_path(folder, {"atlas": "DLMUSE", "desc": "burden"}, "stats", ".tsv"))
    }
    if people and "age" not in people[0]:
        raise MissingInputError(
            f"{table} has no ages. Add a column age to participants.tsv, and run the group level "
            "again."
        )
    years, untimed = _years(folder, people)
    if untimed and not years:
        raise BadTableError(
            f"It is not known when the sessions of {some_of(untimed)} took place. Say it with "
            "acq_time in the sessions.tsv of each participant, and run the group level again."
        )
    by_z = any(column == MEAN_Z or column.startswith("z_") for column in columns)
    members = {_who_is(member): member for member in find_members(folder)} if by_z else {}
    counts = Counter(row["primary"] for row in people)
    modality, _ = counts.most_common(1)[0] if people else ("", 0)
    rows, others = [], []
    for row in people:
        who = _who(row)
        if row["primary"] != modality:
            others.append(who)
        if who in years:
            own = {
                "participant_id": who[0],
                "session_id": who[1],
                "time": repr(years[who]),
                "age": row["age"],
                "sex": row.get("sex", ""),
            }
            volumes = {
                f"volume_{name}": burdens.get(who, {}).get(name, MISSING) for name in regions
            }
            scores = _region_scores(members[who], modality) if who in members else {}
            values = {VOLUME: row[VOLUME], **volumes, **scores}
            rows.append({**own, **{column: values.get(column, MISSING) for column in columns}})
    visits = visits_of(rows, table, columns)
    # Only now, since times and ages are counted from the first of all sessions.
    visits.sessions[:] = [
        one for one in visits.sessions if (one.participant, one.session) not in others
    ]
    if others:
        named = [" ".join(part for part in who if part != MISSING) for who in others]
        visits.notes.insert(
            0,
            f"The primary scan of {some_of(named)} is not {modality}, as in most sessions: left "
            "out, because values of two modalities are not comparable. Choose one with --primary "
            "at the group level.",
        )
    if untimed:
        visits.notes.insert(
            0,
            f"When the sessions of {some_of(untimed)} took place is not known, left out. Say it "
            "with acq_time in sessions.tsv.",
        )
    return visits


def _who(row: Mapping[str, str]) -> tuple[str, str]:
    return row["participant_id"], row["session_id"]


def _read(path: Path) -> list[Mapping[str, str]]:
    try:
        return read_table(path)
    except (OSError, ValueError) as error:
        raise MissingInputError(
            f"The table {path} cannot be read ({error}). Run the group level first: bids-anomaly "
            "BIDS_DIR OUTPUT_DIR group."
        ) from error


def _years(
    folder: Path, people: Sequence[Mapping[str, str]]
) -> tuple[dict[tuple[str, str], float], list[str]]:
    """Return when each session took place, and of whom that is not known."""
    sessions: dict[str, list[str]] = {}
    for row in people:
        sessions.setdefault(row["participant_id"], []).append(row["session_id"])
    found, untimed = {}, []
    for person, theirs in sessions.items():
        labels = [one.removeprefix("ses-") for one in theirs]
        if len(labels) == 1:
            found[person, theirs[0]] = 0.0
            continue
        years = years_between(folder, person.removeprefix("sub-"), labels)
        if years is None:
            untimed.append(person)
        else:
            found |= {
                (person, one): years[label] for one, label in zip(theirs, labels, strict=True)
            }
    return found, untimed


def _who_is(member: Member) -> tuple[str, str]:
    return f"sub-{member.participant}", f"ses-{member.session}" if member.session else MISSING


def _region_scores(member: Member, modality: str) -> dict[str, str]:
    """Return the mean z-scores of the brain and its regions of a session's scan."""
    if ("regions", modality) not in member.files or member.is_rejected:
        return {}
    rows = read_checked(member.file("regions", modality), ("name", "volume", "z_mean"))
    seen = [row for row in rows if row["z_mean"] != MISSING]
    scores = {f"z_{row['name']}": row["z_mean"] for row in seen}
    if seen:
        volumes = [float(row["volume"]) for row in seen]
        mean = np.average([float(row["z_mean"]) for row in seen], weights=volumes)
        scores[MEAN_Z] = repr(float(mean))
    return scores
