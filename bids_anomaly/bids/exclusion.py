"""Why an image that lies beside the scans of a dataset is not one of them.

:mod:`bids_anomaly.bids.query` leaves scans out for these reasons and for no others, and a dry run
says them.
"""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from bids_anomaly.bids.contrast import after_contrast_agent
from bids_anomaly.bids.dataset import RAW
from bids_anomaly.bids.filters import matches
from bids_anomaly.bids.naming import ENTITY_ORDER
from bids_anomaly.bids.scans import Scan

_NAME = re.compile(r"((?:[a-zA-Z]+-[a-zA-Z0-9+]+_)+)([a-zA-Z0-9]+)(\.nii(?:\.gz)?)")
# Entities of a name that is no raw scan.
_DERIVED = {"space", "desc", "res", "den", "label"}
# Names of an entity in filter files.
_LONG = {
    "ce": {"ce", "ceagent"},
    "acq": {"acq", "acquisition"},
    "rec": {"rec", "reconstruction"},
}


class Reason(NamedTuple):
    """Why an image is left out.

    Attributes
    ----------
    words : str
        A clause, as after "because".
    advice : str
        What to do, in sentences; empty where nobody need do anything, and nobody is warned.
    """

    words: str
    advice: str = ""


def raw_scan(bids_dir: Path, image: Path, images: Collection[Path]) -> Scan | Reason:
    """Return the raw magnitude image of a person that an image is, or why it is none.

    Parameters
    ----------
    bids_dir, image : Path
        The dataset, and the image in it.
    images : collection of Path
        What else there is in it.
    """
    scan = _parse(bids_dir, image)
    if scan is None or image.parts[:-2] != _folders(scan.entities):
        return Reason("its name is not a BIDS name, or not of that folder", "Rename it.")
    if not _DERIVED.isdisjoint(scan.entities):
        return Reason("it is not a raw scan")
    if scan.entities.get("part", "mag") != "mag":
        return Reason("it is not a magnitude image")
    unknown = sorted(set(scan.entities).difference(ENTITY_ORDER))
    if unknown:  # Results could not be named after it.
        return Reason(f"anatomical scans have no {'-, '.join(unknown)}- in BIDS", "Rename it.")
    if image.suffix == ".nii" and image.with_suffix(".nii.gz") in images:
        return Reason("it is also there as .nii.gz", "Remove one of them.")
    return scan


def not_asked_for(scan: Scan, bids_filter: Mapping[str, Mapping]) -> Reason | None:
    """Say why a raw scan does not pass the filter; None if it does.

    Parameters
    ----------
    scan : Scan
    bids_filter : mapping
        What the scans of a modality must have.
    """
    extension = scan.path.name.removeprefix(scan.name)
    values = {**scan.entities, "suffix": scan.suffix, "extension": extension, "datatype": "anat"}
    if matches(values, bids_filter.get(scan.suffix, {})):
        return None
    return Reason("it does not pass the filter")


def unlike_what_models_know(scan: Scan, bids_filter: Mapping[str, Mapping]) -> Reason | None:
    """Say why no model has seen such a scan; None if one has, or if the filter asks for it.

    Parameters
    ----------
    scan : Scan
    bids_filter : mapping
        What the scans of a modality must have.
    """
    agent = after_contrast_agent(scan.entities)
    if agent is None:
        return None
    key, _, label = agent.partition("-")
    if not _LONG[key].isdisjoint(bids_filter.get(scan.suffix, {})):
        return None
    return Reason(
        f"{agent} says that a contrast agent was given",
        "To take it, ask for it in a --bids-filter-file: "
        + json.dumps({scan.suffix: {key: label}}),
    )


def _folders(entities: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{key}-{entities[key]}" for key in ("sub", "ses") if key in entities)


def _parse(bids_dir: Path, image: Path) -> Scan | None:
    """Read the name of an image; None if it is not a BIDS name."""
    match = _NAME.fullmatch(image.name)
    if match is None:
        return None
    pairs = [part.split("-") for part in match[1].split("_")[:-1]]
    entities = dict(pairs)
    if len(entities) < len(pairs):
        return None
    return Scan(bids_dir / image, entities, match[2], sources=(f"bids:{RAW}:{image.as_posix()}",))
