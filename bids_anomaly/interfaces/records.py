"""What nodes leave in their folders for the run to read; no Nipype needed."""

import json
from collections.abc import Sequence
from pathlib import Path

FAILURE_FILE = "failure.json"
WRITTEN_FILE = "written.json"
WARNINGS_FILE = "warnings.json"


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


def record_warnings(folder: Path, warnings: Sequence[str]) -> None:
    """Note what a user should look at."""
    (folder / WARNINGS_FILE).write_text(json.dumps(list(warnings)))


def read_warnings(folder: Path) -> list[str]:
    """Read what :func:`record_warnings` noted, if anything."""
    try:
        return json.loads((folder / WARNINGS_FILE).read_text())
    except (OSError, json.JSONDecodeError):
        return []
