"""What all Nipype interfaces of the app share: one error record a failed node."""

import errno
import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
from nibabel.filebasedimages import ImageFileError
from nipype.interfaces.base import SimpleInterface

from bids_anomaly.exceptions import (
    NO_MEMORY,
    BidsAnomalyError,
    CannotWriteError,
    ExitCode,
    TemporaryError,
    lacks_memory,
)
from bids_anomaly.interfaces.records import (
    forget_peak_memory,
    record_failure,
    record_made,
    record_peak_memory,
)

# What the operating system says when a disk is full, limited or read-only.
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
# What reading a file that was cut off or changed raises. Scans of the input raise their own.
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, ImageFileError)


class StepInterface(SimpleInterface):
    """Runs one step in the folder of its node.

    A subclass implements :meth:`_step`. Nipype hands errors on as text only, so a step that fails
    leaves ``failure.json`` with its exit code and message in that folder.
    """

    def _step(self, folder: Path) -> dict[str, Any]:
        """Do the work in `folder` and return the outputs by name."""
        raise NotImplementedError

    def _run_interface(self, runtime):
        folder = Path(runtime.cwd)
        forget_peak_memory()
        try:
            self._results.update(self._step(folder))
            record_made(folder)
        except Exception as error:
            known = _known(error)
            code = known.exit_code if known else ExitCode.INTERNAL
            message = str(known) if known else f"{type(error).__name__}: {error}"
            record_failure(folder, int(code), message)
            if known and known is not error:
                raise known from error
            raise
        record_peak_memory(folder)
        return runtime


def _known(error: Exception) -> BidsAnomalyError | None:
    """Return the error that a user can act on behind any error, if there is one."""
    if isinstance(error, BidsAnomalyError):
        return error
    if lacks_memory(error):
        return TemporaryError(NO_MEMORY)
    if isinstance(error, DAMAGED):
        return TemporaryError(
            f"A file that an earlier step left is damaged ({error}). Run the same command again: "
            "it is made anew, and what else is done is kept."
        )
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
        return CannotWriteError(
            f"Cannot write {error.filename or 'to the work folder'}: {error.strerror}. Free some "
            "space or name another work folder with -w, then run the same command again."
        )
    return None


def save_image(image: nib.Nifti1Image, path: Path) -> str:
    """Write an image into the folder of a node, and return its path."""
    image.to_filename(path)
    return str(path)
