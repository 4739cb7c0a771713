"""What an interrupted training goes on from: its state, its tables, and what it was asked to do."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bids_anomaly.bids.writing import write_bytes, write_json, write_text
from bids_anomaly.exceptions import UsageError
from bids_anomaly.training.distributed import Worker, gathered

CHECKPOINT = "checkpoint.pt"
CONFIGURATION = "configuration.json"
# What a training was asked whose configuration does not say it.
WITHOUT: Mapping[str, Any] = {"marked": [], "real": 0}


def save_checkpoint(
    folder: Path, parts: Mapping[str, Any], generator: torch.Generator, *, step: int, worker: Worker
) -> None:
    """Write all that decides the following steps; to be called in every process.

    Parameters
    ----------
    folder : Path
        Gets ``checkpoint.pt``.
    parts : mapping
        Everything with a ``state_dict``, by name.
    generator : torch.Generator
        Draws the batches of this process.
    step : int
        Steps done.
    worker : Worker
        Process 0 writes.
    """
    generators = gathered(generator.get_state(), worker)
    if worker.writes:
        state = {name: part.state_dict() for name, part in parts.items()}
        buffer = io.BytesIO()
        torch.save({**state, "generators": generators, "step": step}, buffer)
        write_bytes(folder / CHECKPOINT, buffer.getvalue())


def load_checkpoint(
    folder: Path, parts: Mapping[str, Any], generator: torch.Generator, *, worker: Worker
) -> int:
    """Put everything into the state of the last checkpoint, if there is one.

    Returns
    -------
    int
        Steps done.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    generator.set_state(state["generators"][worker.rank])
    return state["step"]


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row to a CSV table, which gets its header from the first one."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(row)
        writer.writerow(
            f"{value:.5f}" if isinstance(value, float) else value for value in row.values()
        )


def drop_rows_after(path: Path, step: int) -> None:
    """Remove rows of steps that will be done again, and what a kill left of a last line."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if not lines or not lines[0].endswith("\n"):
        path.unlink()
        return
    header, *rows = lines
    kept = [row for row in rows if row.endswith("\n") and int(row.split(",")[0]) <= step]
    if len(kept) < len(rows):
        write_text(path, "".join([header, *kept]))


def claim_folder(folder: Path, configuration: Mapping[str, Any], *, worker: Worker) -> None:
    """Note what is trained in a folder, or check that what was begun there was asked the same.

    Parameters
    ----------
    folder : Path
        Of checkpoint and tables.
    configuration : mapping
        All that decides the weights, as JSON can hold it.
    worker : Worker
        Process 0 writes.

    Raises
    ------
    UsageError
        If the training in the folder was asked something else.
    """
    path = folder / CONFIGURATION
    if path.is_file() and (folder / CHECKPOINT).is_file():
        there = WITHOUT | json.loads(path.read_text(encoding="utf-8"))
        differences = [
            f"{name.replace('_', ' ')} ({_short(there[name])} there, {_short(value)} now)"
            for name, value in configuration.items()
            # Trainings begun by an older version were not asked everything.
            if name in there and there[name] != value
        ]
        if differences:
            raise UsageError(
                f"The training in {folder} differs in {', '.join(differences)}, so it cannot go on "
                "with these options. Repeat its options, or name another OUTPUT; with --from, a "
                "new training starts from the weights of an old one."
            )
    elif worker.writes:
        write_json(path, configuration)


def _short(value: Any) -> str:
    return f"{len(value)} entries" if isinstance(value, list) and len(value) > 3 else str(value)
