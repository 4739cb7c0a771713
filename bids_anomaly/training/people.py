"""The preprocessed scans of a dataset, and who may be used for what."""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

from bids_anomaly.bids.folders import files_of_people
from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.participants import participants_by, read_participants
from bids_anomaly.bids.writing import write_text
from bids_anomaly.exceptions import BadScanError, MissingInputError, NothingFoundError
from bids_anomaly.preprocessing.annex import require_content
from bids_anomaly.preprocessing.images import UNREADABLE, load_nifti
from bids_anomaly.preprocessing.template import Grid, same_grid

SPLITS = ("train", "calibration", "dev")
# Shares of people who are held out, and how many at least: a rate of a few in a thousand that is
# averaged over one or two people says nothing about the next one.
HELD_OUT_SHARES = {"calibration": 0.2, "dev": 0.1}
FEWEST = {"train": 2, "calibration": 3, "dev": 1}


class Preprocessed(NamedTuple):
    """One scan in the model grid, as ``bids-anomaly --stage preprocess`` writes it.

    `known` is the row of the person in ``participants.tsv``.
    """

    scan: nib.Nifti1Image
    brain: nib.Nifti1Image
    path: Path
    known: Mapping[str, str]

    @property
    def participant(self) -> str:
        """Label with ``sub-``."""
        return self.path.name.split("_")[0]


def read_splits(table: Path) -> dict[str, set[str]]:
    """Return the participants of each split that a table names.

    Raises
    ------
    MissingInputError
        If the table cannot be read, lacks a column, or has a person in two splits.
    """
    splits = participants_by(table, "split")
    for first, second in combinations(sorted(splits), 2):
        if both := sorted(splits[first] & splits[second]):
            raise MissingInputError(
                f"The table {table} has {both[0]} in the splits {first} and {second}. Each person "
                "belongs in one, with all sessions."
            )
    return splits


def load_people(
    derivatives: Path, *, modality: str, participants: Collection[str] | None = None
) -> list[Preprocessed]:
    """Read the preprocessed scans of some people, or of all.

    Parameters
    ----------
    derivatives : Path
        Output folder of ``bids-anomaly --stage preprocess``.
    modality : str
        BIDS suffix.
    participants : collection of str, optional
        Labels with ``sub-``; all by default.

    Returns
    -------
    list of Preprocessed
        In the order of their file names; all in one grid.

    Raises
    ------
    NothingFoundError
        If there is none.
    BadScanError
        If a scan has no brain mask, or is not in the grid of the others.
    """
    found = find_people(derivatives, modality=modality, participants=participants)
    if not found:
        whom = "" if participants is None else f" of the {len(participants)} people asked for"
        raise NothingFoundError(
            f"The folder {derivatives} has no preprocessed {modality} scan{whom}. Run bids-anomaly "
            f"with --stage preprocess --modalities {modality} first."
        )
    return found


def find_people(
    derivatives: Path, *, modality: str, participants: Collection[str] | None = None
) -> list[Preprocessed]:
    """Read as :func:`load_people` does, where there may be no scan."""
    ending = f"_desc-{OUTPUTS['model_scan'].entities['desc']}_{modality}.nii.gz"
    brain_desc = OUTPUTS["model_brain"].named(modality)[0]["desc"]
    participants_known = read_participants(derivatives)
    found = []
    for path in files_of_people(derivatives):
        if path.parent.name != "anat" or not path.name.endswith(ending):
            continue
        participant = path.name.split("_")[0]
        if participants is not None and participant not in participants:
            continue
        brain = path.with_name(path.name.removesuffix(ending) + f"_desc-{brain_desc}_mask.nii.gz")
        for file in (path, brain):
            require_content(file)
        try:
            known = participants_known.get(participant, {})
            found.append(Preprocessed(load_nifti(path), load_nifti(brain), path, known))
        except UNREADABLE as error:
            raise BadScanError(
                f"The scan {path} or its brain mask {brain.name} cannot be read ({error}). Run "
                "bids-anomaly with --stage preprocess again."
            ) from error
    _check_same_grid(found)
    return found


def _check_same_grid(people: Sequence[Preprocessed]) -> None:
    for person in people:
        for image in (person.scan, person.brain):
            if not same_grid(Grid.of(image), Grid.of(people[0].scan)):
                raise BadScanError(
                    f"The scan {person.path} has another grid ({_described(Grid.of(image))}) than "
                    f"{people[0].path.name} ({_described(Grid.of(people[0].scan))}). Preprocess "
                    "all scans with the same model."
                )


def _described(grid: Grid) -> str:
    return f"{' x '.join(map(str, grid.shape))} voxels of {grid.spacing[0]:g} mm"


def split_people(
    participants: Collection[str], table: Path | None, *, seed: int, drawn: Path
) -> dict[str, set[str]]:
    """Say who is trained on, who calibrates, and on whom the training is validated.

    Parameters
    ----------
    participants : collection of str
        Everybody who has a scan.
    table : Path or None
        Table with the columns ``participant_id`` and ``split``; None draws people at random.
    seed : int
        Of the draw.
    drawn : Path
        Where the draw of an earlier run may be; it is kept to.

    Returns
    -------
    dict
        For each of `SPLITS` the people in it who have a scan; ``dev`` may be empty where the table
        has none.

    Raises
    ------
    NothingFoundError
        If a split has too few people.
    MissingInputError
        See :func:`read_splits`.
    """
    if table is None and drawn.is_file():
        table = drawn
    if table is None:
        splits = _draw_splits(participants, seed)
    else:
        listed = read_splits(table)
        splits = {name: listed.get(name, set()) & set(participants) for name in SPLITS}
    for name in ("train", "calibration"):
        if len(splits[name]) < FEWEST[name]:
            raise NothingFoundError(
                f"There are too few people in the split {name}: {len(splits[name])} of at least "
                f"{FEWEST[name]} have a preprocessed scan. Preprocess more, or change the table."
            )
    return splits


def _draw_splits(participants: Collection[str], seed: int) -> dict[str, set[str]]:
    if len(participants) < sum(FEWEST.values()):
        raise NothingFoundError(
            f"There are too few people: {len(participants)} have a preprocessed scan, and training "
            f"needs at least {sum(FEWEST.values())}. Preprocess more healthy people first."
        )
    order = [str(name) for name in np.random.default_rng(seed).permutation(sorted(participants))]
    splits, start = {}, 0
    for name, share in HELD_OUT_SHARES.items():
        count = max(FEWEST[name], round(share * len(order)))
        splits[name] = set(order[start : start + count])
        start += count
    return {"train": set(order[start:]), **splits}


def write_splits(path: Path, splits: dict[str, set[str]]) -> None:
    """Write who is in which split, as a table that ``--splits`` reads."""
    rows = sorted((person, name) for name, people in splits.items() for person in people)
    lines = ["participant_id\tsplit", *("\t".join(row) for row in rows)]
    write_text(path, "\n".join(lines) + "\n")
