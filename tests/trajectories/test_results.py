"""Courses are read from the output folder of the app."""

from datetime import date, timedelta

import pytest

pytest.importorskip("gpytorch")

from bids_anomaly.bids.naming import group_path, output_path
from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.tables import write_rows, write_table
from bids_anomaly.exceptions import BadTableError, MissingInputError
from bids_anomaly.group.burden import REGIONS
from bids_anomaly.trajectories.courses import courses_of
from bids_anomaly.trajectories.results import read_results

PEOPLE = 20
REGION = REGIONS[1].name


@pytest.fixture
def results(tmp_path):
    """What participant and group level leave of people with two sessions 1.5 years apart."""
    people, burdens = [], []
    for number in range(PEOPLE):
        person = f"sub-{number:02}"
        lines = ["session_id\tacq_time\torder"]
        for session in (1, 2):
            day = date(2020, 1, 1) + timedelta(days=548 * (session - 1))
            lines.append(f"ses-{session}\t{day}\t{session}")
            people.append((person, f"ses-{session}", 60 + number, "F", 100.0 * session + number))
            burdens.append((person, f"ses-{session}", *(2.0 * session + number for _ in REGIONS)))
            _write_session(tmp_path, {"sub": f"{number:02}", "ses": str(session)}, 0.1 * session)
        (tmp_path / person / f"{person}_sessions.tsv").write_text("\n".join(lines) + "\n")
    columns = ("participant_id", "session_id", "age", "sex", "anomalous_volume")
    write_rows(group_path(tmp_path, {"desc": "people"}, "stats", ".tsv"), columns, people)
    write_rows(
        group_path(tmp_path, {"atlas": "DLMUSE", "desc": "burden"}, "stats", ".tsv"),
        ("participant_id", "session_id", *(region.name for region in REGIONS)),
        burdens,
    )
    return tmp_path


def _write_session(folder, entities, z):
    regions = output_path(folder, "regions", entities, modality="T1w", extension=".tsv")
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
        folder, "anomaly", entities, modality="T1w", space="MNI152NLin2009aSym"
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
