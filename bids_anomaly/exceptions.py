"""Everything that can go wrong for a user, one class a kind, each with its exit code."""

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the `bids-anomaly` commands.

    Numbers from 64 to 78 are those of BSD's ``sysexits.h``; 16 is what the BIDS validator exits
    with; 130 and 143 are what a shell says of a command that Ctrl-C or SIGTERM ended.
    """

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    INVALID_BIDS = 16
    NOTHING_FOUND = 18
    BAD_INPUT = 65
    MISSING_INPUT = 66
    UNAVAILABLE = 69
    INTERNAL = 70
    CANNOT_WRITE = 73
    TEMPORARY = 75
    INTERRUPTED = 130
    TERMINATED = 143


class BidsAnomalyError(Exception):
    """An error that a user can act on: one sentence, and an exit code."""

    exit_code = ExitCode.INTERNAL


class UsageError(BidsAnomalyError):
    """Arguments that contradict each other or name things that do not exist."""

    exit_code = ExitCode.USAGE


class InvalidBidsError(BidsAnomalyError):
    """The input folder is not a valid BIDS dataset."""

    exit_code = ExitCode.INVALID_BIDS


class NothingFoundError(BidsAnomalyError):
    """The dataset is fine, but no scan matches what was asked for."""

    exit_code = ExitCode.NOTHING_FOUND


class BadScanError(BidsAnomalyError):
    """A scan that cannot be read, or whose content cannot be a brain scan."""

    exit_code = ExitCode.BAD_INPUT


class ConstantImageError(BadScanError):
    """A scan whose brain holds a single value."""


class BrainExtractionError(BadScanError):
    """No plausible brain was found in a scan."""


class QualityError(BadScanError):
    """A scan, or its preprocessing, that is not like good ones, where --strict asks for those."""


class MissingInputError(BidsAnomalyError):
    """A file or folder that was named does not exist or may not be read."""

    exit_code = ExitCode.MISSING_INPUT


class DeviceUnavailableError(BidsAnomalyError):
    """The device that was asked for is missing, or too small."""

    exit_code = ExitCode.UNAVAILABLE


class ModelUnavailableError(BidsAnomalyError):
    """A model bundle that is unknown, damaged or does not fit the scan."""

    exit_code = ExitCode.UNAVAILABLE


class CannotWriteError(BidsAnomalyError):
    """The output or work folder cannot be written, or its disk is full."""

    exit_code = ExitCode.CANNOT_WRITE


class TrainingError(BidsAnomalyError):
    """A training whose weights are no longer numbers."""


class TemporaryError(BidsAnomalyError):
    """Something that may be gone when the run is started again (a killed worker, lost memory)."""

    exit_code = ExitCode.TEMPORARY


def some_of(names: Iterable[str]) -> str:
    """Return names as part of a sentence, the first five of many."""
    names = list(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
