"""Who is in a split."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

SPLITS = Path(__file__).parents[1] / "splits.tsv"


def people(dataset: str, *splits: str) -> list[str]:
    """Return the participants of one or more splits, in the order of the list, without ``sub-``."""
    with SPLITS.open(newline="") as file:
        return [
            row["participant_id"].removeprefix("sub-")
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if row["dataset"] == dataset and row["split"] in splits
        ]


def spread(who: Sequence[str], counts: Mapping[str, int]) -> dict[str, str]:
    """Spread people evenly over splits, in their order: how those of a new dataset get theirs.

    Everybody goes to the split that lags most behind its share of those so far, the first one of
    several; so each split has people from the first to the last.

    Parameters
    ----------
    who : sequence of str
        People, such as all controls of a dataset by participant id.
    counts : mapping of str to int
        How many each split gets, as many as there are people together.

    Returns
    -------
    dict
        The split of everybody.
    """
    given = dict.fromkeys(counts, 0)
    splits = {}
    for place, person in enumerate(who, start=1):
        splits[person] = max(counts, key=lambda name: counts[name] * place / len(who) - given[name])
        given[splits[person]] += 1
    return splits


class Split(NamedTuple):
    """A split, or the first of its people for a quick look."""

    name: str
    at_most: int | None

    def __str__(self) -> str:
        return self.name

    def people(self, dataset: str) -> list[str]:
        """Return the participants of a dataset, without ``sub-``."""
        return people(dataset, self.name)[: self.at_most]
