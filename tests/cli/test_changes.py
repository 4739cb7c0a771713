"""Whose reports are written again when sessions were compared."""

from types import SimpleNamespace

import pytest

from bids_anomaly.bids.comparisons import NEEDED, Comparison
from bids_anomaly.bids.records import record_failure
from bids_anomaly.cli.changes import run_changes
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


@pytest.mark.parametrize(("failed", "again"), [((), ["1", "2"]), (("2",), ["1"])])
def test_a_session_that_failed_in_any_run_keeps_the_report_that_says_so(
    failed, again, session_record, tmp_path, monkeypatch
):
    for session in ("1", "2"):
        write_session(tmp_path, session_record("FLAIR", session=session))
    for session in failed:
        record_failure(tmp_path, f"sub-01_ses-{session}", ["reorient (sub-01)"])
    planned = {}

    def plan(comparisons, **options):
        planned.update(options)
        raise PlanMade

    monkeypatch.setattr(change, "init_changes_wf", plan)
    settings = SimpleNamespace(bids_dir=tmp_path, output_dir=tmp_path, work_dir=tmp_path, seed=0)
    with pytest.raises(PlanMade):
        run_changes(settings, ["01"], log_folder=tmp_path, console=None)
    assert planned["reports"] == [f"sub-01_ses-{session}" for session in again]
