"""Read from the logs of runs how the results of a session were made."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bids_anomaly.bids.reading import read_object
from bids_anomaly.reports.tables import Table

# Has not ended when it reads how long the others took.
REPORT_STEP = "write report"
STEPS_COLUMNS = ("step", "seconds", "peak_memory_mb", "estimated_memory_mb")
# Older runs wrote no estimate.
STEPS_LINE = re.compile(r"([^\t]+)\t([0-9]+\.[0-9]+)\t([0-9]+|n/a)(?:\t[0-9]+)?")


def steps_path(log_folder: Path, label: str) -> Path:
    """Return where a run notes the time and memory of the steps of a session."""
    return log_folder / f"{label}_steps.tsv"


def read_runs(output_dir: Path, label: str) -> tuple[dict[str, str], Table | None]:
    """Return how a session was made, and the time and memory of each step.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset.
    label : str
        Of the session.

    Returns
    -------
    dict of str to str
        What the last run that worked on the session recorded: label and value. Empty without one.
    Table or None
        Steps of all runs; of one that ran more than once, the last time counts.
    """
    provenance: dict[str, str] = {}
    steps: dict[str, tuple[str, str]] = {}
    for path in sorted((output_dir / "logs").glob("*/run.json")):
        lines = steps_path(path.parent, label)
        if not lines.is_file():
            continue
        provenance = _provenance(json.loads(path.read_text(encoding="utf-8")))
        for line in lines.read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
            whole = STEPS_LINE.fullmatch(line)
            # A run that was killed, or whose disk was full, may have left half of a line.
            if whole is None or whole[1].startswith(REPORT_STEP):
                continue
            steps.pop(whole[1], None)
            steps[whole[1]] = (whole[2], whole[3])
    if not steps:
        return provenance, None
    total = sum(float(seconds) for seconds, _ in steps.values())
    return provenance, Table(
        "Time and memory",
        f"{len(steps)} steps, {total:.0f} s one after the other; the report itself is not among "
        "them. Memory is the peak of the process in which the step ran.",
        ["Step", "Seconds", "Peak memory (MB)"],
        [[step, *usage] for step, usage in steps.items()],
        numeric=(1, 2),
    )


def failed_in_last_run(output_dir: Path, label: str) -> bool:
    """Tell from the logs whether steps of a session failed in the last run that worked on it.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset.
    label : str
        Of the session.
    """
    failed = False
    for log in sorted((output_dir / "logs").glob(f"*/{label}.log")):
        result = read_object(log.with_name("run.json")).get("result")
        failed = isinstance(result, Mapping) and label in result.get("failed_sessions", ())
    return failed


def _provenance(run: Mapping[str, Any]) -> dict[str, str]:
    models = {
        f"Model {name}": f"{model['version']}, sha256 {model['weights_sha256'] or model['digest']}"
        for name, model in run["models"].items()
    }
    return {
        "bids-anomaly": run["version"],
        "Run": run["run"],
        "Command": run["command"],
        "Seed": str(run["seed"]),
        "Device": run["device"],
        **models,
        "Packages": ", ".join(f"{name} {version}" for name, version in run["packages"].items()),
        "System": f"Python {run['python']}, {run['platform']}",
        **({"Container": run["container"]} if run.get("container") else {}),
    }
