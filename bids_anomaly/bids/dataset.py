"""The files that make a folder a derivative dataset.

Many jobs that share an output folder may each write them: they follow from the input datasets and
the version of the app, and the datasets that earlier runs were made from keep their names.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bids_anomaly import __version__
from bids_anomaly.bids.label_tables import FORMATS
from bids_anomaly.bids.participants import canonical_column, read_participants_table
from bids_anomaly.bids.reading import read_json, read_object
from bids_anomaly.bids.writing import write_bytes, write_json, write_text
from bids_anomaly.exceptions import MissingInputError
from bids_anomaly.reconstruction.covariates import OLDEST_AGE, stated_age
from bids_anomaly.settings import TEMPLATE

BIDS_VERSION = "1.10.0"
CODE_URL = "https://github.com/bids-anomaly/bids-anomaly"
# Name of the input dataset in BIDS URIs.
RAW = "raw"
ATLAS_DESCRIPTION = {
    "Name": f"DLMUSE regions in {TEMPLATE}",
    "Description": "Brain regions by majority vote over healthy adults of IXI; in files of people, "
    "brought to their scans.",
    "Authors": ["The bids-anomaly developers"],
    "License": "CC BY-SA 4.0",
}
# Names that the validator does not know, or not yet.
BIDSIGNORE = (
    "*.html",
    "figures",
    "logs",
    "group",
    "ratings",
    "*_xfm.*",
    "*_stats.*",
    *(f"*_dseg{ending}" for ending in FORMATS),
)


def write_dataset_files(
    bids_dir: Path, output_dir: Path, derivatives: Iterable[tuple[str, Path]] = ()
) -> None:
    """Write what describes the output folder as a whole, and the table of participants.

    Parameters
    ----------
    bids_dir : Path
        The input dataset.
    output_dir : Path
        The derivative dataset.
    derivatives : iterable of (str, Path)
        Names and folders of other derivative datasets that it is made from.
    """
    path = output_dir / "dataset_description.json"
    description = derivative_description(bids_dir, derivatives)
    _keep_links(description, read_object(path))
    write_json(path, description)
    write_text(output_dir / ".bidsignore", "\n".join(BIDSIGNORE) + "\n")
    copy_participants(bids_dir, output_dir)


def copy_participants(bids_dir: Path, output_dir: Path) -> None:
    """Write what the input says of its participants, if it says anything.

    Raises
    ------
    MissingInputError
        If this user may not read it.
    InvalidBidsError
        If the table is not in UTF-8.
    """
    path = bids_dir / "participants.json"
    if path.is_file():
        try:
            columns = path.read_bytes()
        except OSError as error:
            raise MissingInputError(
                f"The file {path} cannot be read ({error.strerror}). Give read permission."
            ) from error
        write_bytes(output_dir / "participants.json", columns)
    table = read_participants_table(bids_dir)
    if table is not None:
        write_text(output_dir / "participants.tsv", without_identifying_ages(table))


def _keep_links(description: dict[str, Any], before: Mapping[str, Any]) -> None:
    """Add the datasets that results of other runs in this folder are from, by their names."""
    links = before.get("DatasetLinks")
    for name, url in links.items() if isinstance(links, dict) else ():
        if name not in description["DatasetLinks"]:
            description["DatasetLinks"][name] = url
            description["SourceDatasets"].append({"URL": url})


def write_atlas_description(output_dir: Path) -> None:
    """Write what describes the atlas; valid only in a dataset that has files of it."""
    write_json(output_dir / "atlas-DLMUSE_description.json", ATLAS_DESCRIPTION)


def without_identifying_ages(table: str) -> str:
    """Return a table of participants in which everybody above 89 years is ``89+``.

    BIDS asks for it, as people become few enough at that age to be recognised.
    """
    lines = [line.split("\t") for line in table.removesuffix("\n").split("\n")]
    names = [canonical_column(name) for name in lines[0]]
    if "age" not in names:
        return table
    column = names.index("age")
    for line in lines[1:]:
        if column < len(line) and stated_age(line[column]) > OLDEST_AGE:
            line[column] = f"{OLDEST_AGE}+"
    return "".join("\t".join(line) + "\n" for line in lines)


def derivative_description(
    bids_dir: Path, derivatives: Iterable[tuple[str, Path]] = ()
) -> dict[str, Any]:
    """Return the content of ``dataset_description.json`` for results from some datasets."""
    source = read_json(bids_dir / "dataset_description.json")
    generator: dict[str, Any] = {
        "Name": "bids-anomaly",
        "Version": __version__,
        "CodeURL": CODE_URL,
    }
    if tag := os.environ.get("BIDS_ANOMALY_CONTAINER"):
        generator["Container"] = {"Type": "docker", "Tag": tag}
    description: dict[str, Any] = {
        "Name": f"bids-anomaly: {source.get('Name', bids_dir.name)}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [generator],
        "SourceDatasets": [{"URL": bids_dir.resolve().as_uri()}],
        "DatasetLinks": {RAW: bids_dir.resolve().as_uri()},
    }
    if "License" in source:
        description["License"] = source["License"]
    if "DatasetDOI" in source:
        description["SourceDatasets"][0]["DOI"] = source["DatasetDOI"]
    for name, folder in derivatives:
        description["SourceDatasets"].append({"URL": folder.resolve().as_uri()})
        description["DatasetLinks"][name] = folder.resolve().as_uri()
    return description
