"""``bids-anomaly-trajectories`` by its command, from a table or results to tables and a page."""

import csv
import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from bids_anomaly.cli.trajectories import main


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture(scope="module")
def people(simulate):
    return simulate("straight", 30, noise=0.05, seed=3)


@pytest.fixture(scope="module")
def forecast(people, write_courses, tmp_path_factory):
    folder = tmp_path_factory.mktemp("forecast")
    table = write_courses(folder / "sizes.tsv", people)
    command = [str(Path(sysconfig.get_path("scripts")) / "bids-anomaly-trajectories")]
    if not Path(command[0]).exists():
        pytest.skip("the command is not installed")
    command += [str(table), str(folder / "out"), "--ahead", "2", "0.5"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "trajectories.html" in finished.stdout
    return folder / "out"


def test_each_person_is_forecast_at_each_time(forecast, people):
    rows = read(forecast / "trajectories.tsv")
    assert len(rows) == 2 * len(people)
    first = [row for row in rows if row["participant_id"] == "sub-000"]
    assert [row["ahead"] for row in first] == ["0.5", "2"]
    assert all(float(row["low"]) < float(row["forecast"]) < float(row["high"]) for row in rows)
    assert all(row["person"] == "n/a" for row in rows if row["sessions"] == "1")


def test_most_true_values_lie_in_the_intervals(forecast, people):
    truth = {person.course.participant: person.truth for person in people}
    rows = read(forecast / "trajectories.tsv")
    inside = [
        float(row["low"])
        <= float(truth[row["participant_id"]]([float(row["years"])])[0])
        <= float(row["high"])
        for row in rows
    ]
    assert sum(inside) > 0.85 * len(rows)


def test_each_column_is_described_and_how_it_was_made(forecast):
    for table in ("trajectories", "accuracy"):
        described = json.loads((forecast / f"{table}.json").read_text())
        assert set(read(forecast / f"{table}.tsv")[0]) <= set(described)
    made = json.loads((forecast / "trajectories.json").read_text())["GeneratedBy"]
    assert made["Seed"] == "0"
    assert "--ahead 2 0.5" in made["Command"]


def test_accuracy_names_what_has_to_be_beaten(forecast):
    rows = read(forecast / "accuracy.tsv")
    of_all = {row["method"]: row for row in rows if row["known_sessions"] == "all"}
    assert set(of_all) == {"shrinkage", "population", "person", "last value", "mixed model"}
    assert float(of_all["population"]["gain_high"]) < 0
    assert of_all["last value"]["coverage"] == "n/a"
    assert 0.8 < float(of_all["shrinkage"]["coverage"]) <= 1


def test_each_person_has_a_plot_and_the_page_stands_alone(forecast, people):
    assert len(list((forecast / "figures").glob("sub-*_trajectory.svg"))) == len(people)
    page = (forecast / "trajectories.html").read_text()
    assert page.count("<svg") == 2 + 24
    assert "src=" not in page
    assert "linear mixed model" in page


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda row: [*row[:4], "big"], 65, "no column of numbers"),
        (lambda row: [row[0], "ses-1", *row[2:]], 65, "several rows for"),
        (lambda row: [*row[:2], "70", *row[3:]], 65, "the same age"),
        (lambda row: [*row[:2], "n/a", *row[3:]], 65, "no value for age"),
        (lambda row: [f"{row[0]}-{row[1]}", *row[1:]], 18, "Nobody has size in two sessions"),
    ],
)
def test_bad_tables_end_in_a_sentence_and_a_code(
    tmp_path, capsys, people, write_courses, change, code, said
):
    table = write_courses(tmp_path / "bad.tsv", people, change)
    assert main([str(table), str(tmp_path / "out")]) == code
    error = capsys.readouterr().err.strip()
    assert error.startswith("bids-anomaly-trajectories: error: ")
    assert said in error
    assert not (tmp_path / "out").exists()


def test_who_is_not_there_cannot_be_forecast(tmp_path, capsys, people, write_courses):
    table = write_courses(tmp_path / "t.tsv", people)
    assert main([str(table), str(tmp_path / "out"), "--participant-label", "nobody"]) == 2
    assert "nobody called nobody" in capsys.readouterr().err


@pytest.mark.parametrize("years", ["0", "-1", "soon", "nan", "100"])
def test_years_ahead_are_numbers_above_0(tmp_path, capsys, years):
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "t.tsv"), str(tmp_path / "out"), "--ahead", years])
    assert stopped.value.code == 2
    assert "number of years" in capsys.readouterr().err


def test_a_missing_table_is_named(tmp_path, capsys):
    pytest.importorskip("gpytorch")
    assert main([str(tmp_path / "none.tsv"), str(tmp_path / "out")]) == 66
    assert "none.tsv cannot be read" in capsys.readouterr().err


def test_without_gpytorch_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gpytorch", None)
    assert main([str(tmp_path / "t.tsv"), str(tmp_path / "out")]) == 69
    assert "[trajectories]" in capsys.readouterr().err
