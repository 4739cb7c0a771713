"""Whose reports are written again when sessions were compared."""

from types import SimpleNamespace

import pytest

from bids_anomaly.bids.comparisons import NEEDED, Comparison
from bids_anomaly.bids.records import record_failure
from bids_anomaly.cli.changes import run_changes
from bids_anomaly.running.console import make_console
from bids_anomaly.workflows import change


class PlanMade(Exception):
    """Raised in place of running anything."""


def write_session(folder, record):
    """Write the record of a session, and empty maps by which it could be compared."""
    record.write(folder)
    scan = record.primary_scan
    for output in NEEDED:
        path = Comparison((record, record), (scan, scan)).of_scan(folder, output, 0, None)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def planned(monkeypatch):
    """What was planned, in place of running it."""
    planned = {}

    def plan(comparisons, **options):
        planned.update(options)
        raise PlanMade

    monkeypatch.setattr(change, "init_changes_wf", plan)
    return planned


def compare(folder, session_record, failed):
    for session in ("1", "2"):
        write_session(folder, session_record("FLAIR", session=session))
    for session in failed:
        record_failure(folder, f"sub-01_ses-{session}", ["reorient (sub-01)"])
    settings = SimpleNamespace(bids_dir=folder, output_dir=folder, work_dir=folder, seed=0)
    return run_changes(settings, ["01"], log_folder=folder, console=make_console())


def test_the_reports_of_sessions_that_are_compared_are_written_again(
    planned, session_record, tmp_path
):
    with pytest.raises(PlanMade):
        compare(tmp_path, session_record, ())
    assert planned["reports"] == ["sub-01_ses-1", "sub-01_ses-2"]


@pytest.mark.parametrize("failed", [("1",), ("2",), ("1", "2")])
def test_a_session_of_which_a_run_failed_is_compared_with_none(
    failed, planned, session_record, tmp_path, capsys
):
    assert compare(tmp_path, session_record, failed) == []
    assert not planned
    said = " ".join(capsys.readouterr().err.split())
    assert f"the last run of sub-01_ses-{failed[0]} failed" in said
