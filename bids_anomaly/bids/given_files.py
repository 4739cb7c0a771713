"""Files that are given one by one, read once before anything runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bids_anomaly.bids.given import extension_of
from bids_anomaly.exceptions import BadScanError
from bids_anomaly.preprocessing.brain import read_mask
from bids_anomaly.preprocessing.reorient import ADVICE, reorient_labels, reorient_scan


def check_scans(scans: Mapping[str, Path]) -> None:
    """Read scans once, so that what is wrong with one is said of the file that was given.

    Raises
    ------
    BadScanError
        If a file is not NIfTI, or no scan that can be processed.
    MissingInputError
        If it may not be read.
    """
    for path in scans.values():
        with _naming(path, "The scan"):
            extension_of(path)
            reorient_scan(path)


def check_mask(mask: Path, scan: Path) -> None:
    """Read a brain mask once, so that what is wrong with it is said of the file that was given.

    Parameters
    ----------
    mask, scan : Path
        NIfTI files; the scan is one that can be processed.

    Raises
    ------
    BadScanError
        If the mask is not NIfTI, cannot be a brain, or has another grid than the scan.
    MissingInputError
        If it may not be read.
    """
    with _naming(mask, "The brain mask"):
        extension_of(mask)
        labels = reorient_labels(mask)
    read_mask(reorient_scan(scan).scan, labels, pipeline=str(mask), is_prepared=False)


@contextmanager
def _naming(path: Path, what: str) -> Iterator[None]:
    """Say what is wrong with a file by its path, as nothing filters what is given one by one."""
    try:
        yield
    except BadScanError as error:
        sentence = str(error).replace(f"The scan {path.name}", f"The scan {path}", 1)
        sentence = sentence.replace("The scan", what, 1)
        raise BadScanError(sentence.replace(ADVICE, "Export it again.")) from error
