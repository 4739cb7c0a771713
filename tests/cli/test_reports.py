"""Which sessions reports are written of again."""

import pytest

from bids_anomaly.cli.reports import find_records
from bids_anomaly.exceptions import NothingFoundError


@pytest.fixture
def output_dir(tmp_path):
    for folder, label in (
        ("sub-01/figures", "sub-01"),
        ("sub-02/ses-1/figures", "sub-02_ses-1"),
        ("sub-02/ses-2/figures", "sub-02_ses-2"),
    ):
        path = tmp_path / folder / f"{label}_report.json"
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("participants", "sessions", "expected"),
    [
        ((), (), ["sub-01", "sub-02_ses-1", "sub-02_ses-2"]),
        (("02",), (), ["sub-02_ses-1", "sub-02_ses-2"]),
        ((), ("2",), ["sub-02_ses-2"]),
        (("02",), ("1",), ["sub-02_ses-1"]),
    ],
)
def test_sessions_are_found_by_their_labels(participants, sessions, expected, output_dir):
    found = find_records(output_dir, participants=participants, sessions=sessions)
    assert [path.name.removesuffix("_report.json") for path in found] == expected


def test_reports_of_excluded_participants_stay(output_dir):
    found = find_records(output_dir, participants=(), sessions=(), excluded=("02", "unknown"))
    assert [path.name for path in found] == ["sub-01_report.json"]


@pytest.mark.parametrize(("participants", "sessions"), [(("01", "03"), ()), (("01",), ("1",))])
def test_who_has_no_finished_session_is_named(participants, sessions, output_dir):
    with pytest.raises(NothingFoundError, match=f"sub-{participants[-1]}"):
        find_records(output_dir, participants=participants, sessions=sessions)


def test_an_output_folder_without_results_is_an_error(tmp_path):
    with pytest.raises(NothingFoundError, match="nothing to report on"):
        find_records(tmp_path, participants=(), sessions=())
