"""The command ``bids-anomaly``."""

import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from bids_anomaly.exceptions import NO_MEMORY, BidsAnomalyError, ExitCode, lacks_memory


class Terminated(KeyboardInterrupt):
    """SIGTERM came. Whatever cleans up after Ctrl-C cleans up after this too."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the BIDS App and return its exit code."""
    return report_errors("bids-anomaly", lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> ExitCode:
    from bids_anomaly.cli import run
    from bids_anomaly.cli.parser import parse_args

    given = sys.argv[1:] if argv is None else list(argv)
    if run.is_meant(given):
        return run.run_scans(given)
    settings = parse_args(given)
    if settings.analysis_level == "group":
        from bids_anomaly.cli.group import run_group

        return run_group(settings, given)
    from bids_anomaly.cli.participant import run_participants

    return run_participants(settings, given)


def report_errors(command: str, action: Callable[[], ExitCode]) -> int:
    """Do `action`; print an error that a user can act on as one sentence, without a traceback."""
    _print_anything()
    try:
        with _ended_by_sigterm():
            code = int(action())
            sys.stdout.flush()  # here, where a reader that left early is known
            return code
    except BidsAnomalyError as error:
        print(f"{command}: error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _is_unread(sys.stdout):
            # Python would complain at its end of what is left to write.
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        if lacks_memory(error):
            print(f"{command}: error: {NO_MEMORY}", file=sys.stderr)
            return int(ExitCode.TEMPORARY)
        # 1 would say that some participants are complete.
        traceback.print_exc()
        print(f"{command}: internal error, please report it with the lines above.", file=sys.stderr)
        return int(ExitCode.INTERNAL)
    except KeyboardInterrupt as error:
        code = ExitCode.TERMINATED if isinstance(error, Terminated) else ExitCode.INTERRUPTED
        how_on = "Run the same command again to go on where it stopped."
        print(f"{command}: {code.name.lower()}. {how_on}", file=sys.stderr)
        return int(code)


def _print_anything() -> None:
    """Let a terminal that lacks a letter show its number, so that no path ends a run."""
    with suppress(AttributeError):  # where something else stands for standard output
        sys.stdout.reconfigure(errors="backslashreplace")


def _is_unread(stream: TextIO) -> bool:
    """Tell whether a stream is a pipe that nobody reads any more, as after ``command | head``."""
    try:
        descriptor = stream.fileno()
    except OSError:  # no file
        return False
    pipe = select.poll()
    pipe.register(descriptor, 0)
    return any(events & select.POLLERR for _, events in pipe.poll(0))


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end this process as Ctrl-C does; those that it starts do not inherit that."""
    if threading.current_thread() is not threading.main_thread():  # Python allows it there only.
        yield
        return

    def end(*_: object) -> None:
        # "timeout" sends it twice, and the second must not disturb the end.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
