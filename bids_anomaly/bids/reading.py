"""Read what a dataset says of itself in JSON files, as far as it says anything."""

import json
from pathlib import Path
from typing import Any


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; a file that is missing, broken or holds none says nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
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
