"""A BIDS dataset made of single files, for scans that are in none."""

import filecmp
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bids_anomaly.bids.dataset import BIDS_VERSION
from bids_anomaly.bids.naming import anat_folder, file_name
from bids_anomaly.bids.reading import read_object
from bids_anomaly.bids.scans import GivenBrain, Scan, Session
from bids_anomaly.bids.writing import replacing, write_json
from bids_anomaly.exceptions import BadScanError, MissingInputError, UsageError

EXTENSIONS = (".nii.gz", ".nii")
NAME = "Scans given one by one"
DESCRIPTION = "dataset_description.json"
# The modality that goes first where there are several.
FIRST = "T1w"
# What it says of the content of the files, by modality.
GIVEN = "SHA256"
# A brain mask that was given with them lies in a dataset in theirs.
MASK = "mask"
MASK_ORIGIN = "a file that was given"


def one_for_each_modality(given: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Return scans by modality, after checking that there are some and none is there twice.

    Parameters
    ----------
    given : iterable of (str, Path)
        BIDS suffixes, and files that exist.

    Raises
    ------
    UsageError
        If there is none, two have one modality, or a file stands for two.
    """
    scans: dict[str, Path] = {}
    for suffix, path in given:
        if suffix in scans:
            raise UsageError(
                f"Two {suffix} scans are given, {scans[suffix]} and {path}. Give one, or name them "
                "as a BIDS dataset."
            )
        for other, known in scans.items():
            if path.samefile(known):
                raise UsageError(
                    f"The file {path} is given twice, as {other} and as {suffix} scan. Give the "
                    "other one."
                )
        scans[suffix] = path
    if not scans:
        raise UsageError("No scan is given. Give one or more, such as --t1w FILE --flair FILE.")
    return scans


def masked_modality(modalities: Collection[str]) -> str:
    """Return of which scan a brain mask is, among those that are given with it.

    Raises
    ------
    UsageError
        If there is no T1w scan, and more than one other.
    """
    if len(modalities) > 1 and FIRST not in modalities:
        raise UsageError(
            f"--mask is the brain of the {FIRST} scan, or of the only one, and "
            f"{' and '.join(modalities)} are given. Add the {FIRST} scan, or leave --mask out."
        )
    return FIRST if FIRST in modalities else next(iter(modalities))


def extension_of(path: Path) -> str:
    """Return the extension of a NIfTI file.

    Raises
    ------
    BadScanError
        If it has another one.
    """
    for extension in EXTENSIONS:
        if path.name.endswith(extension):
            return extension
    raise BadScanError(
        f"The scan {path} is no NIfTI file: its name ends neither with .nii nor with .nii.gz. "
        "Convert it first, for example with dcm2niix or mri_convert."
    )


def digests_of(scans: Mapping[str, Path]) -> dict[str, str]:
    """Return the SHA-256 of each file, by BIDS suffix.

    Raises
    ------
    MissingInputError
        If this user may not read one.
    """
    digests = {}
    for suffix, path in scans.items():
        try:
            with path.open("rb") as file:
                digests[suffix] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise MissingInputError(
                f"The scan {path} cannot be read ({error.strerror}). Give read permission."
            ) from error
    return digests


def dataset_folder(datasets: Path, digests: Mapping[str, str], entities: Mapping[str, str]) -> Path:
    """Return where the dataset of some scans is: a folder for each content.

    Steps in the work folder are told apart by the paths of scans, and must not be taken for those
    of another person with the same label, even where one file has replaced the other.
    """
    said = json.dumps([dict(entities), dict(digests)])
    return datasets / hashlib.sha256(said.encode()).hexdigest()[:12]


def write_dataset(
    folder: Path,
    scans: Mapping[str, Path],
    entities: Mapping[str, str],
    digests: Mapping[str, str],
) -> None:
    """Write a BIDS dataset of the scans of one person.

    Parameters
    ----------
    folder : Path
        Gets links to the files, or copies where links are not possible.
    scans : mapping
        Files by BIDS suffix.
    entities : mapping
        ``sub``, and ``ses`` if the scans are of a session.
    digests : mapping
        See :func:`digests_of`.
    """
    for suffix, path in scans.items():
        place = anat_folder(folder, entities) / file_name(entities, suffix, extension_of(path))
        if not (place.exists() and filecmp.cmp(place, path, shallow=False)):
            _link_or_copy(path, place)
    write_json(
        folder / DESCRIPTION,
        {"Name": NAME, "BIDSVersion": BIDS_VERSION, "DatasetType": "raw", GIVEN: dict(digests)},
    )


def write_mask(folder: Path, mask: Path, entities: Mapping[str, str]) -> None:
    """Add a brain mask to the dataset of the scans of one person.

    Parameters
    ----------
    folder : Path
        See :func:`write_dataset`.
    mask : Path
        In the grid of the first scan.
    entities : mapping
        ``sub``, and ``ses`` if the scans are of a session.
    """
    dataset = folder / "derivatives" / MASK
    place = _mask_path(dataset, entities, extension_of(mask))
    if not (place.exists() and filecmp.cmp(place, mask, shallow=False)):
        _link_or_copy(mask, place)
    description = {"Name": "Brain mask of scans given one by one", "BIDSVersion": BIDS_VERSION}
    made = {"DatasetType": "derivative", "GeneratedBy": [{"Name": MASK_ORIGIN}]}
    write_json(dataset / DESCRIPTION, description | made)


def mask_dataset(folder: Path) -> Path | None:
    """Return where the brain mask is that was given with the scans of a dataset, if one was.

    Parameters
    ----------
    folder : Path
        Any raw dataset, also one that :func:`write_dataset` has not made.
    """
    dataset = folder / "derivatives" / MASK
    was_given = GIVEN in read_object(folder / DESCRIPTION) and dataset.is_dir()
    return dataset if was_given else None


def use_mask(sessions: Sequence[Session], dataset: Path) -> list[Session]:
    """Give the first scan of each session the brain mask that came with it.

    Parameters
    ----------
    sessions : sequence of Session
        Of a dataset that :func:`write_dataset` made.
    dataset : Path
        See :func:`mask_dataset`.
    """
    return [
        replace(session, scans=(_with_mask(session.scans[0], dataset), *session.scans[1:]))
        for session in sessions
    ]


def has_results_of_others(
    output_dir: Path, datasets: Path, digests: Mapping[str, str], entities: Mapping[str, str]
) -> bool:
    """Tell whether an output folder may hold results of another person with the same label.

    Parameters
    ----------
    output_dir : Path
        Of the results.
    datasets : Path
        Folder of the datasets that were made of given files, see :func:`dataset_folder`.
    digests : mapping
        See :func:`digests_of`.
    entities : mapping
        ``sub``, and ``ses`` if the scans are of a session.

    Returns
    -------
    bool
        False if there are no results, or one of the scans was given under that label before.
    """
    if not anat_folder(output_dir, entities).exists():
        return False
    before: set[str] = set()
    for dataset in datasets.glob("*/"):
        if anat_folder(dataset, entities).exists():
            before |= set(read_object(dataset / DESCRIPTION).get(GIVEN, {}).values())
    return before.isdisjoint(digests.values())


def _with_mask(scan: Scan, dataset: Path) -> Scan:
    paths = [_mask_path(dataset, scan.entities, extension) for extension in EXTENSIONS]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return scan
    uri = f"bids:{MASK}:{path.relative_to(dataset).as_posix()}"
    return replace(scan, brain=GivenBrain(path, MASK_ORIGIN), sources=(*scan.sources, uri))


def _mask_path(dataset: Path, entities: Mapping[str, str], extension: str) -> Path:
    name = file_name({**entities, "desc": "brain"}, "mask", extension)
    return anat_folder(dataset, entities) / name


def _link_or_copy(path: Path, place: Path) -> None:
    with replacing(place) as temporary:
        with suppress(OSError):  # file systems without links, such as those of USB sticks
            temporary.symlink_to(os.path.abspath(path))
            return
        shutil.copy2(path, temporary)
