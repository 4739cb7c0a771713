import errno
import os
import signal
import subprocess
import sys

import pytest

from bids_anomaly.cli.main import report_errors
from bids_anomaly.exceptions import BadScanError, ExitCode


def fail(error):
    def action():
        raise error

    return action


def test_an_error_that_users_can_act_on_is_one_line_with_its_own_code(capsys):
    assert report_errors("command", fail(BadScanError("It is damaged."))) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err == "command: error: It is damaged.\n"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 2 GiB"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_lack_of_memory_is_temporary_and_says_what_to_do(error, capsys):
    assert report_errors("command", fail(error)) == ExitCode.TEMPORARY
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("command: error: The machine ran out of memory.")


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), RuntimeError("x")])
def test_any_other_error_is_internal_and_shows_its_traceback(error, capsys):
    assert report_errors("command", fail(error)) == ExitCode.INTERNAL
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert printed.splitlines()[-1].startswith("command: internal error")


PRINTS_LETTERS = """
import sys
from bids_anomaly.cli.main import report_errors
sys.exit(report_errors("command", lambda: print("results in /caf\\u00e9/\\u03a9") or 0))
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_letters_that_a_terminal_lacks_end_no_command(encoding):
    finished = subprocess.run(
        [sys.executable, "-c", PRINTS_LETTERS],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
    )
    assert finished.returncode == 0, finished.stderr
    shown = "results in /café/Ω\n".encode(encoding, "backslashreplace")
    assert finished.stdout == shown


PRINTS = """
import sys
from bids_anomaly.cli.main import report_errors
sys.exit(report_errors("command", lambda: print("a line") or 0))
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_command_whose_output_nobody_reads_ends_quietly(unbuffered):
    """As before ``| head``, with the code of a Unix tool."""
    with subprocess.Popen(
        [sys.executable, "-c", PRINTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_a_pipe_that_breaks_elsewhere_is_an_error(capsys):
    assert report_errors("command", fail(BrokenPipeError())) == ExitCode.INTERNAL
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupted_command_says_how_to_go_on(capsys):
    assert report_errors("command", fail(KeyboardInterrupt())) == 130
    assert "again" in capsys.readouterr().err


def test_a_terminated_command_says_how_to_go_on(capsys):
    before = signal.getsignal(signal.SIGTERM)

    def action():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # while it ends

    assert report_errors("command", action) == 143
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("command: terminated. Run the same command again")
    assert signal.getsignal(signal.SIGTERM) is before
