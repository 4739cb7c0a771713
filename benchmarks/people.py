"""Who is in a split."""

import csv
from pathlib import Path
from typing import NamedTuple

SPLITS = Path(__file__).parent / "splits.tsv"


def people(dataset: str, *splits: str) -> list[str]:
    """Return the participants of one or more splits, in the order of the list, without ``sub-``."""
    with SPLITS.open(newline="") as file:
        return [
            row["participant_id"].removeprefix("sub-")
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if row["dataset"] == dataset and row["split"] in splits
        ]


class Split(NamedTuple):
    """A split, or the first of its people for a quick look."""

    name: str
    at_most: int | None

    def __str__(self) -> str:
        return self.name

    def people(self, dataset: str) -> list[str]:
        """Return the participants of a dataset, without ``sub-``."""
        return people(dataset, self.name)[: self.at_most]
