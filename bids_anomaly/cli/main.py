"""The command ``bids-anomaly``."""

import sys
import traceback
from collections.abc import Callable, Sequence

from bids_anomaly.exceptions import BidsAnomalyError, ExitCode


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
        return int(action())
    except BidsAnomalyError as error:
        print(f"{command}: error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except Exception:
        # 1 would say that some participants are complete.
        traceback.print_exc()
        print(f"{command}: internal error, please report it with the lines above.", file=sys.stderr)
        return int(ExitCode.INTERNAL)
    except KeyboardInterrupt:
        print(f"{command}: interrupted. Run the same command again to go on.", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
