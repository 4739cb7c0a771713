"""Who is in a split."""

import csv
from pathlib import Path

SPLITS = Path(__file__).parent / "splits.tsv"


def people(dataset: str, split: str) -> list[str]:
    """Return the participants of a split, without ``sub-``."""
    with SPLITS.open(newline="") as file:
        return [
            row["participant_id"].removeprefix("sub-")
            for row in csv.DictReader(file, delimiter="\t")
            if row["dataset"] == dataset and row["split"] == split
        ]
