"""Everything that can go wrong for a user, one class a kind, each with its exit code."""

import errno
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


class BadTableError(BidsAnomalyError):
    """A table whose values cannot be used: words for numbers, doubtful rows."""

    exit_code = ExitCode.BAD_INPUT


class BadScanError(BidsAnomalyError):
    """A scan that cannot be read, or whose content cannot be a brain scan."""

    exit_code = ExitCode.BAD_INPUT


class ConstantImageError(BadScanError):
    """A scan whose brain holds a single value."""


class BrainExtractionError(BadScanError):
    """No plausible brain was found in a scan."""


class BadTemplateError(BidsAnomalyError):
    """An image or transform of another template that cannot be used."""

    exit_code = ExitCode.BAD_INPUT


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


class AnalysisError(BidsAnomalyError):
    """A run that was started from Python and failed; its exit code is that of the run."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


class PackageUnavailableError(BidsAnomalyError):
    """A package that only some commands need is not installed."""

    exit_code = ExitCode.UNAVAILABLE


class TrainingError(BidsAnomalyError):
    """A training whose weights are no longer numbers."""


class TemporaryError(BidsAnomalyError):
    """Something that may be gone when the run is started again (a killed worker, lost memory)."""

    exit_code = ExitCode.TEMPORARY


NO_MEMORY = (
    "The machine ran out of memory. Run again with fewer --nprocs or on a larger machine, or raise "
    "the limit of this process (ulimit -v); what is done is kept."
)


def lacks_memory(error: BaseException) -> bool:
    """Tell whether an error comes from lack of memory, also where a library could not be loaded."""
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, MemoryError) or (
        isinstance(error, ImportError | OSError | RuntimeError)
        and any(said in str(error).lower() for said in ("failed to map segment", "allocate memory"))
    )


def some_of(names: Iterable[str]) -> str:
    """Return names as part of a sentence, the first five of many."""
    names = list(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
