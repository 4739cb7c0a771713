"""What all commands share, and the exit code of a run from what became of its sessions."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from bids_anomaly.exceptions import CannotWriteError
from bids_anomaly.running.runs import code_of_run, make_log_folder, run_record
from bids_anomaly.settings import Settings


def progress(sessions, *, failed=(), not_run=()):
    """What became of some sessions, or comparisons: codes of failed ones in their order."""
    return SimpleNamespace(
        labels={f"wf_{number}": f"sub-{number}" for number in range(sessions)},
        failures={
            f"wf_{number}": [SimpleNamespace(code=code)] for number, code in enumerate(failed)
        },
        not_run=list(not_run),
    )


@pytest.mark.parametrize(
    ("sessions", "comparisons", "code"),
    [
        (progress(2), [], 0),
        (progress(2), [progress(1)], 0),
        (progress(2, failed=[65, 65]), [], 65),
        (progress(2, failed=[65, 75]), [], 1),
        (progress(2, failed=[65]), [], 1),
        # One session was asked for and failed; two older ones of the same person were compared.
        (progress(1, failed=[65]), [progress(1)], 65),
        (progress(1, failed=[65]), [progress(1, failed=[70])], 65),
        (progress(2), [progress(1, failed=[65])], 1),
        (progress(3, failed=[75], not_run=["wf_2"]), [], 75),
    ],
)
def test_the_code_is_that_of_the_sessions(sessions, comparisons, code):
    assert code_of_run(sessions, comparisons) == code


def test_a_run_whose_logs_cannot_be_written_says_so(tmp_path):
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(CannotWriteError, match="logs is a folder"):
        make_log_folder(tmp_path, "run")


def test_the_command_is_recorded_as_it_was_given_and_with_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["my data", "out", "participant", "--output_spaces", "native"]
    settings = Settings(bids_dir=Path("/a"), output_dir=Path("/b"), analysis_level="participant")
    record = run_record(settings, "run", {}, given)
    assert shlex.split(record["command"]) == ["bids-anomaly", *given]
    assert Path(record["folder"]) == tmp_path
