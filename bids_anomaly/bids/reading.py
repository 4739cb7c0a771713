"""Read what a dataset says of itself in JSON files, as far as it says anything."""

import json
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is not JSON in UTF-8, is nested too deeply, or has escapes that stand for no text and
        could not be written again.
    """
    text = path.read_text(encoding="utf-8-sig")
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("too many levels") from error
    if "\\u" in text:  # half of a surrogate pair can only come from an escape
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    return content


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; a file that is missing, broken or holds none says nothing."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def describe_dataset(derivatives: Path) -> dict[str, str]:
    """Return the name and the licence of a dataset of this app, as far as it says them."""
    said = read_object(derivatives / "dataset_description.json")
    return {
        "name": str(said.get("Name", derivatives.name)).removeprefix("bids-anomaly: "),
        "licence": str(said.get("License", "unknown")),
    }
