"""The real command in a process of its own, and runs that several tests look at."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

COMMAND = (sys.executable, "-m", "bids_anomaly.cli.main")
TIMEOUT_S = 900


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit code and what it printed."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Run:
    """A run of the participant level with its folders, and what was in the input before it."""

    bids: Path
    out: Path
    work: Path
    finished: Finished
    input_before: dict[str, str]


class Running:
    """A command that runs, in a process group of its own."""

    def __init__(self, folder: Path, arguments: tuple, **options):
        self._texts = [folder / "stdout.txt", folder / "stderr.txt"]
        with self._texts[0].open("w") as stdout, self._texts[1].open("w") as stderr:
            self.process = subprocess.Popen(
                [*COMMAND, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=folder,
                start_new_session=True,
                **options,
            )

    def wait(self, timeout: float = TIMEOUT_S) -> Finished:
        """Wait for the end; a command that hangs is killed, and the test fails."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"no end after {timeout} s; so far: {self._texts[1].read_text()}")
        finally:
            self.kill()
        return Finished(code, *(path.read_text() for path in self._texts))

    def kill(self) -> None:
        """Kill the process and its workers, as a cluster does at the end of the time limit."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()


@pytest.fixture(scope="session")
def start(tmp_path_factory) -> Callable[..., Running]:
    """Give a function that starts ``bids-anomaly`` with arguments.

    With one process for its steps unless they say otherwise: other tests run beside it.
    """
    started = []

    def start(*arguments, **options) -> Running:
        if "participant" in arguments and "--nprocs" not in arguments:
            arguments += ("--nprocs", "1")
        started.append(Running(tmp_path_factory.mktemp("command"), arguments, **options))
        return started[-1]

    yield start
    for running in started:
        running.kill()


@pytest.fixture(scope="session")
def command(start) -> Callable[..., Finished]:
    """Give a function that runs ``bids-anomaly`` with arguments to its end."""

    def command(*arguments, timeout: float = TIMEOUT_S, **options) -> Finished:
        return start(*arguments, **options).wait(timeout)

    return command


@pytest.fixture
def command_here(capfd) -> Callable[..., Finished]:
    """Give a function that runs ``bids-anomaly`` in this process, where it is imported only once.

    For commands that end before they compute anything.
    """
    from bids_anomaly.cli.main import main

    def command_here(*arguments) -> Finished:
        with patch.dict(os.environ):  # a command sets what libraries look up there
            code = main([*map(str, arguments)])
        printed = capfd.readouterr()
        return Finished(code, printed.out, printed.err)

    return command_here


@pytest.fixture(scope="session")
def two_scans(tmp_path_factory, stripped_brain, write_dataset, sagittal_grid, oblique_grid) -> Path:
    """A dataset of one person with a T1w and an oblique FLAIR."""
    scans = {
        "sub-01_T1w": stripped_brain("T1w", 1, sagittal_grid),
        "sub-01_FLAIR": stripped_brain("FLAIR", 1, oblique_grid),
    }
    return write_dataset(tmp_path_factory.mktemp("two-scans") / "bids", scans)


@pytest.fixture(scope="session")
def digests() -> Callable[[Path], dict[str, str]]:
    """Give a function that returns the sha256 of each file below a folder."""

    def read(folder: Path) -> dict[str, str]:
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file()
        }

    return read


@pytest.fixture(scope="session")
def finished_run(two_scans, command, digests, tmp_path_factory) -> Run:
    """The default run of a T1w and a FLAIR. Tests leave its folders as they are."""
    folder = tmp_path_factory.mktemp("finished")
    out, work = folder / "out", folder / "work"
    before = digests(two_scans)
    finished = command(two_scans, out, "participant", "-w", work)
    assert finished.code == 0, finished.stderr
    return Run(two_scans, out, work, finished, before)


@pytest.fixture(scope="session")
def run_records() -> Callable[[Path], list[dict]]:
    """Give a function that reads the records of all runs into an output folder, oldest first."""

    def read(out: Path) -> list[dict]:
        paths = sorted(out.glob("logs/*/run.json"), key=lambda path: path.stat().st_ctime_ns)
        return [json.loads(path.read_text()) for path in paths]

    return read


@pytest.fixture(scope="session")
def assert_valid_bids() -> Callable[[Path], None]:
    """Give a function that asks the official validator about a dataset."""
    pytest.importorskip("bids_validator_deno")

    def check(folder: Path) -> None:
        validator = Path(sys.executable).with_name("bids-validator-deno")
        finished = subprocess.run(
            [validator, "--format", "json", "--ignoreWarnings", folder],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert finished.returncode == 0, finished.stdout

    return check
