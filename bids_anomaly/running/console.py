"""The console on which commands say what they do."""

import sys

from rich.console import Console


def make_console() -> Console:
    """Return a console on standard error, which leaves standard output to data."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)
