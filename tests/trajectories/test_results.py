"""Courses are read from the output folder of the app."""

from datetime import date, timedelta

import pytest

pytest.importorskip("gpytorch")

from bids_anomaly.bids.naming import group_path, output_path
from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.tables import read_table, write_rows, write_table
from bids_anomaly.exceptions import BadTableError, MissingInputError
from bids_anomaly.group.burden import REGIONS
from bids_anomaly.trajectories.courses import courses_of
from bids_anomaly.trajectories.results import read_results

PEOPLE = 22
REGION = REGIONS[1].name
COLUMNS = ("participant_id", "session_id", "age", "sex", "primary", "anomalous_volume")


@pytest.fixture
def results(tmp_path):
    """What both levels leave of people with two sessions, the group level by --primary T1w."""
    people, burdens = [], []
    for number in range(PEOPLE):
        person = f"sub-{number:02}"
        lines = ["session_id\tacq_time\torder"]
        for session in (1, 2):
            day = date(2020, 1, 1) + timedelta(days=548 * (session - 1))
            lines.append(f"ses-{session}\t{day}\t{session}")
            volume = 100.0 * session + number
            people.append((person, f"ses-{session}", 60 + number, "F", "T1w", volume))
            burdens.append((person, f"ses-{session}", *(2.0 * session + number for _ in REGIONS)))
            for modality, z in (("T1w", 0.1), ("FLAIR", 0.7)):
                entities = {"sub": f"{number:02}", "ses": str(session)}
                _write_session(tmp_path, entities, modality, z * session)
        (tmp_path / person / f"{person}_sessions.tsv").write_text("\n".join(lines) + "\n")
    write_rows(group_path(tmp_path, {"desc": "people"}, "stats", ".tsv"), COLUMNS, people)
    write_rows(
        group_path(tmp_path, {"atlas": "DLMUSE", "desc": "burden"}, "stats", ".tsv"),
        ("participant_id", "session_id", *(region.name for region in REGIONS)),
        burdens,
    )
    return tmp_path


def _write_session(folder, entities, modality, z):
    regions = output_path(folder, "regions", entities, modality=modality, extension=".tsv")
    known = {"volume": 1000.0, "z_mean": z}
    write_table(
        regions,
        "regions",
        [
            tuple({"name": region.name, **known}.get(column, "n/a")
                  for column in OUTPUTS["regions"].columns)
            for region in REGIONS
        ],
    )  # fmt: skip
    output_path(
        folder, "anomaly", entities, modality=modality, space="MNI152NLin2009aSym"
    ).write_bytes(b"")


def test_volumes_and_mean_z_have_the_times_of_the_sessions(results):
    visits = read_results(results)
    assert visits.columns == ["anomalous_volume", "mean_z"]
    volume, z = (courses_of(visits, column)[3] for column in visits.columns)
    assert volume.years[1] == pytest.approx(1.5, abs=0.01)
    assert list(volume.values) == [103, 203]
    assert list(z.values) == pytest.approx([0.1, 0.2])
    assert (volume.age, volume.sex) == (63, -1)


def test_regions_can_be_asked_for(results):
    columns = [f"volume_{REGION}", f"z_{REGION}"]
    visits = read_results(results, columns)
    volume, z = (courses_of(visits, column)[0] for column in columns)
    assert list(volume.values) == [2, 4]
    assert list(z.values) == pytest.approx([0.1, 0.2])
    with pytest.raises(MissingInputError, match="z_Nowhere is none of what"):
        read_results(results, ["z_Nowhere"])


def test_sessions_with_another_primary_scan_than_most_are_left_out_and_named(results):
    table = group_path(results, {"desc": "people"}, "stats", ".tsv")
    rows = read_table(table)
    for row in (rows[0], rows[3]):  # the first session of sub-00, the second of sub-01
        row["primary"] = "FLAIR"
    write_rows(table, COLUMNS, [[row[name] for name in COLUMNS] for row in rows])
    visits = read_results(results)
    assert "sub-00 ses-1, sub-01 ses-2 is not T1w" in visits.notes[0]
    for column, (later, earlier) in {"anomalous_volume": (200, 101), "mean_z": (0.2, 0.1)}.items():
        first, second, *others = courses_of(visits, column)
        assert (list(first.values), list(second.values)) == ([later], [earlier])
        # Ages are those of the session that is left.
        assert (first.age, second.age) == (pytest.approx(61.5, abs=0.01), 61)
        assert all(len(one.values) == 2 for one in others)


def test_who_has_no_times_is_named(results):
    (results / "sub-00" / "sub-00_sessions.tsv").unlink()
    assert "sub-00" in read_results(results).notes[0]
    for path in results.glob("sub-*/*_sessions.tsv"):
        path.unlink()
    with pytest.raises(BadTableError, match="acq_time"):
        read_results(results)


def test_the_group_level_has_to_have_run(tmp_path):
    with pytest.raises(MissingInputError, match="Run the group level first"):
        read_results(tmp_path)
