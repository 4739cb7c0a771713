import errno
import fcntl
import subprocess
import sys

import pytest

from bids_anomaly.exceptions import CannotWriteError, TemporaryError
from bids_anomaly.running.locks import emptying, working_in

# Another run: it holds its locks until it is told to end, or killed.
PROGRAM = """
import sys
from pathlib import Path

from bids_anomaly.running.locks import working_in

with working_in(Path(sys.argv[1]), sys.argv[2:]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_run(tmp_path):
    """Give a function that starts a run of some participants in the same folder."""
    started = []

    def start(*participants):
        run = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, tmp_path, *participants],
            env={"PYTHONPATH": ":".join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(run)
        assert run.stdout.readline() == "held\n"
        return run

    yield start
    for run in started:
        run.kill()
        run.communicate()


def test_a_participant_belongs_to_one_run(other_run, tmp_path):
    other_run("01", "02")
    with (
        pytest.raises(TemporaryError, match=f"sub-02 in the work folder {tmp_path}.*-w"),
        working_in(tmp_path, ["02", "03"]),
    ):
        pass


def test_runs_of_different_participants_share_a_folder(other_run, tmp_path):
    other_run("01")
    other_run("02")
    with working_in(tmp_path, ["03"]):
        pass


def test_a_run_that_is_killed_holds_nothing(other_run, tmp_path):
    run = other_run("01")
    run.kill()
    run.wait()
    with working_in(tmp_path, ["01"]), working_in(tmp_path, []):
        pass
    with emptying(tmp_path):
        pass


def test_a_folder_in_which_a_run_works_is_not_emptied(other_run, tmp_path):
    other_run()
    with pytest.raises(TemporaryError, match="--clean-workdir does not"), emptying(tmp_path):
        pass


def test_a_run_in_a_folder_of_many_participants_opens_one_file(other_run, tmp_path):
    people = [f"{number:04}" for number in range(3000)]
    other_run(*people)
    with pytest.raises(TemporaryError, match=r"sub-0004 and 2995 more"):
        working_in(tmp_path, people).__enter__()


def test_a_disk_without_locks_is_no_reason_to_refuse_a_run(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with working_in(tmp_path, ["01"]), emptying(tmp_path):
        pass


def test_a_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(CannotWriteError, match="gone"), working_in(tmp_path / "gone", []):
        pass
