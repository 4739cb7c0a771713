"""What nodes leave in their folders for the run to read; no Nipype needed."""

import gzip
import json
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bids_anomaly.bids.naming import sidecar_path
from bids_anomaly.bids.reading import read_object
from bids_anomaly.bids.writing import write_json

FAILURE_FILE = "failure.json"
WRITTEN_FILE = "written.json"
WARNINGS_FILE = "warnings.json"
MEMORY_FILE = "peak_memory.json"
MADE_FILE = "made.json"
PROCESS = Path("/proc/self")


def record_failure(folder: Path, code: int, message: str) -> None:
    """Note why a node failed."""
    try:
        (folder / FAILURE_FILE).write_text(json.dumps({"code": code, "message": message}))
    except OSError:  # The disk is full: the exception itself still says so.
        return


def record_written(folder: Path, paths: Sequence[Path]) -> list[str]:
    """Note which files a node wrote to the output folder, and how it left them.

    The JSON files that describe images and tables are noted with them.
    """
    files = [file for path in paths for file in (path, sidecar_path(path)) if file.is_file()]
    write_json(folder / WRITTEN_FILE, {str(file): _state(file) for file in files})
    return [str(path) for path in paths]


def changed_since_written(folder: Path) -> list[Path]:
    """Return what is gone or not as the node of a folder left it; the record itself, if broken."""
    record = folder / WRITTEN_FILE
    states = read_object(record)
    if not states:
        return [record]
    return [Path(name) for name, state in states.items() if _state(Path(name)) != state]


def _state(path: Path) -> list[int] | None:
    """Return size and time of a file, which are others after it was written again."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def record_made(folder: Path) -> None:
    """Note which files a node has in its folder when it is done, and what they hold."""
    write_json(folder / MADE_FILE, _checksums(folder))


def is_damaged(folder: Path) -> bool:
    """Tell whether what a node left in its folder is gone, cut off or changed since.

    Nodes that only hand files on have made none, and left no record of any.
    """
    if (folder / MADE_FILE).exists() and read_object(folder / MADE_FILE) != _checksums(folder):
        return True
    return not all(map(_opens, folder.glob("result_*.pklz")))


def _checksums(folder: Path) -> dict[str, list[int]]:
    """Return size and checksum of the files of a node, without those of Nipype and of this record.

    What is read again when a node is not run again counts, but for notes on how it ran.
    """
    notes = (MADE_FILE, MEMORY_FILE, FAILURE_FILE)
    own = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in notes
        if not path.name.startswith((".", "_", "result_"))
    ]
    return {path.name: _checksum(path) for path in own}


def _checksum(path: Path) -> list[int]:
    """Return size and checksum of a file; nothing of one that a broken disk does not give."""
    size, checksum = 0, 0
    try:
        with path.open("rb") as file:
            while piece := file.read(2**20):
                size, checksum = size + len(piece), zlib.crc32(piece, checksum)
    except OSError:
        return []
    return [size, checksum]


def _opens(compressed: Path) -> bool:
    try:
        with gzip.open(compressed) as file:
            pieces = [len(piece) for piece in iter(lambda: file.read(2**20), b"")]
    except (OSError, EOFError, zlib.error):
        return False
    return bool(pieces)  # an empty file is no error to gzip


def forget_peak_memory() -> None:
    """Let the peak memory of this process begin anew, since workers run one step after another."""
    with suppress(OSError):  # other systems than Linux
        (PROCESS / "clear_refs").write_text("5")


def record_peak_memory(folder: Path) -> None:
    """Note how much memory this process took at most, in MB, where the system tells."""
    with suppress(OSError):
        for line in (PROCESS / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                (folder / MEMORY_FILE).write_text(json.dumps(int(line.split()[1]) / 1024))


def read_peak_memory(folder: Path) -> float | None:
    """Read what :func:`record_peak_memory` noted, if anything."""
    try:
        return json.loads((folder / MEMORY_FILE).read_text())
    except (OSError, json.JSONDecodeError):
        return None


def record_warnings(folder: Path, warnings: Sequence[str]) -> None:
    """Note what a user should look at."""
    (folder / WARNINGS_FILE).write_text(json.dumps(list(warnings)))


def read_warnings(folder: Path) -> list[str]:
    """Read what :func:`record_warnings` noted, if anything."""
    try:
        return json.loads((folder / WARNINGS_FILE).read_text())
    except (OSError, json.JSONDecodeError):
        return []
