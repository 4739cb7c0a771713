"""The preprocessed scans of a dataset, and who may be used for what."""

import csv
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import nibabel as nib

from bids_anomaly.bids.naming import OUTPUTS
from bids_anomaly.exceptions import MissingInputError, NothingFoundError


class Preprocessed(NamedTuple):
    """One scan in the model grid, as ``bids-anomaly --stage preprocess`` writes it."""

    scan: nib.Nifti1Image
    brain: nib.Nifti1Image


def read_split(path: Path, split: str) -> set[str]:
    """Return the participants of one split.

    Parameters
    ----------
    path : Path
        Table with the columns ``participant_id`` (``sub-01``) and ``split``.
    split : str
        Such as ``train``.

    Raises
    ------
    MissingInputError
        If the table cannot be read or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        return {row["participant_id"] for row in rows if row["split"] == split}
    except (OSError, KeyError) as error:
        raise MissingInputError(
            f"The table of splits {path} cannot be read ({error}). It needs the columns "
            "participant_id and split, separated by tabs."
        ) from error


def load_people(
    derivatives: Path, *, modality: str, participants: Collection[str]
) -> list[Preprocessed]:
    """Read the preprocessed scans of some people.

    Parameters
    ----------
    derivatives : Path
        Output folder of ``bids-anomaly --stage preprocess``.
    modality : str
        BIDS suffix.
    participants : collection of str
        Labels with ``sub-``.

    Raises
    ------
    NothingFoundError
        If there is none.
    """
    desc = OUTPUTS["model_scan"]["desc"]
    brain_desc = OUTPUTS["model_brain"]["desc"].format(modality=modality)
    found = []
    for path in sorted(derivatives.glob(f"sub-*/**/anat/*_desc-{desc}_{modality}.nii.gz")):
        if path.name.split("_")[0] in participants:
            ending = f"_desc-{desc}_{modality}.nii.gz"
            brain = path.with_name(
                path.name.removesuffix(ending) + f"_desc-{brain_desc}_mask.nii.gz"
            )
            found.append(Preprocessed(nib.load(path), nib.load(brain)))
    if not found:
        raise NothingFoundError(
            f"The folder {derivatives} has no preprocessed {modality} scan of the "
            f"{len(participants)} participants asked for. Run bids-anomaly with --stage preprocess "
            "first."
        )
    return found
