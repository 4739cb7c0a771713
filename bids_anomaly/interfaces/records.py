"""What nodes leave in their folders for the run to read; no Nipype needed."""

import json
from collections.abc import Sequence
from pathlib import Path

FAILURE_FILE = "failure.json"
WRITTEN_FILE = "written.json"


def record_failure(folder: Path, code: int, message: str) -> None:
    """Note why a node failed."""
    try:
        (folder / FAILURE_FILE).write_text(json.dumps({"code": code, "message": message}))
    except OSError:  # The disk is full: the exception itself still says so.
        return


def record_written(folder: Path, paths: Sequence[Path]) -> list[str]:
    """Note which files of the output folder a node wrote, so that lost ones are made again."""
    names = [str(path) for path in paths]
    (folder / WRITTEN_FILE).write_text(json.dumps(names))
    return names
