"""The command ``bids-anomaly``."""

import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bids_anomaly.exceptions import BidsAnomalyError, ExitCode


class Terminated(KeyboardInterrupt):
    """SIGTERM came. Whatever cleans up after Ctrl-C cleans up after this too."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the BIDS App and return its exit code."""
    return report_errors("bids-anomaly", lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> ExitCode:
    from bids_anomaly.cli.parser import parse_args

    settings = parse_args(argv)
    if settings.analysis_level == "group":
        from bids_anomaly.cli.group import run_group

        return run_group(settings)
    from bids_anomaly.cli.participant import run_participants

    return run_participants(settings)


def report_errors(command: str, action: Callable[[], ExitCode]) -> int:
    """Do `action`; print an error that a user can act on as one sentence, without a traceback."""
    try:
        with _ended_by_sigterm():
            return int(action())
    except BidsAnomalyError as error:
        print(f"{command}: error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except Exception:
        # 1 would say that some participants are complete.
        traceback.print_exc()
        print(f"{command}: internal error, please report it with the lines above.", file=sys.stderr)
        return int(ExitCode.INTERNAL)
    except KeyboardInterrupt as error:
        code = ExitCode.TERMINATED if isinstance(error, Terminated) else ExitCode.INTERRUPTED
        how_on = "Run the same command again to go on where it stopped."
        print(f"{command}: {code.name.lower()}. {how_on}", file=sys.stderr)
        return int(code)


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
