"""Names of the files that the app writes."""

from collections.abc import Mapping
from pathlib import Path

from bids_anomaly.bids.outputs import OUTPUTS

# Order of entities in a file name (BIDS 1.10), as far as anatomical scans have them.
ENTITY_ORDER = (
    "sub", "ses", "cohort", "sample", "task", "acq", "ce", "trc", "stain", "rec", "dir", "run",
    "mod", "echo", "flip", "inv", "mt", "part", "proc", "space", "split", "recording", "chunk",
    "from", "to", "mode", "atlas", "res", "den", "label", "desc",
)  # fmt: skip

# Entities that say what a file shows, not of which scan it is.
OF_THE_FILE = ("space", "label", "desc", "res", "den", "atlas")
# How names of spaces half way between two sessions begin.
MIDPOINT = "midpoint"


def file_name(entities: Mapping[str, str], suffix: str, extension: str = ".nii.gz") -> str:
    """Return a BIDS file name with the entities in their order.

    Parameters
    ----------
    entities : mapping
        Short keys and values, such as ``{"sub": "01", "run": "01"}``.
    suffix : str
        Such as ``T1w``, ``mask`` or ``xfm``.
    extension : str
        With its dot.

    Raises
    ------
    ValueError
        If an entity is unknown: its place in the name would be a guess.
    """
    unknown = set(entities) - set(ENTITY_ORDER)
    if unknown:
        raise ValueError(f"Unknown BIDS entities: {', '.join(sorted(unknown))}.")
    parts = [f"{key}-{entities[key]}" for key in ENTITY_ORDER if key in entities]
    return "_".join([*parts, suffix]) + extension


def output_path(
    output_dir: Path,
    output: str,
    entities: Mapping[str, str],
    *,
    modality: str,
    space: str | None = None,
    extension: str = ".nii.gz",
) -> Path:
    """Return where an output of a scan is written.

    Parameters
    ----------
    output_dir : Path
        Root of the derivative dataset.
    output : str
        A key of :data:`bids_anomaly.bids.outputs.OUTPUTS`.
    entities : mapping
        Those of the scan.
    modality : str
        BIDS suffix of the scan.
    space : str, optional
        As for :func:`space_entities`; None is the grid of the scan.
    extension : str
        With its dot; ``.tsv`` for a table.
    """
    shown, suffix = OUTPUTS[output].named(modality)
    named = {**entities, **space_entities(space), **shown}
    return anat_folder(output_dir, entities) / file_name(named, suffix, extension)


def space_entities(space: str | None) -> dict[str, str]:
    """Return the entities by which a file is known to be in a space.

    Parameters
    ----------
    space : str or None
        Template name, with a resolution where there are several; None is the grid of the scan.

    Examples
    --------
    >>> space_entities("MNI152NLin2009cAsym:res-2")
    {'space': 'MNI152NLin2009cAsym', 'res': '2'}
    """
    if space is None:
        return {}
    name, _, resolution = space.partition(":")
    return {"space": name} | ({"res": resolution.removeprefix("res-")} if resolution else {})


def longest_name(entities: Mapping[str, str], *, modality: str, space: str) -> str:
    """Return the longest name of what is written of a scan.

    Parameters
    ----------
    entities : mapping
        Those of the scan.
    modality : str
        BIDS suffix of the scan.
    space : str
        As for :func:`space_entities`.
    """
    spaces = [space]
    if "ses" in entities:  # Comparisons name two sessions; the other one is as long as this one.
        spaces.append(midpoint_space(entities["ses"], entities["ses"]))
    names = [
        output_path(Path(), output, entities, modality=modality, space=each).name
        for output in OUTPUTS
        for each in spaces
    ]
    return max(names, key=len)


def report_path(output_dir: Path, label: str) -> Path:
    """Return where the report of a session is, given its label such as ``sub-01_ses-1``."""
    return output_dir / f"{label}.html"


def transform_path(
    output_dir: Path, entities: Mapping[str, str], *, origin: str, target: str, extension: str
) -> Path:
    """Return where the transform that takes images from `origin` to `target` is written."""
    named = {**entities, "from": origin, "to": target, "mode": "image"}
    return anat_folder(output_dir, entities) / file_name(named, "xfm", extension)


def session_entities(participant: str, session: str | None) -> dict[str, str]:
    """Return the entities of a session, given labels; an empty one or None is no session."""
    return {"sub": participant} | ({"ses": session} if session else {})


def anat_folder(output_dir: Path, entities: Mapping[str, str]) -> Path:
    """Return the folder of a participant's (and session's) anatomical derivatives."""
    folder = output_dir / f"sub-{entities['sub']}"
    return (folder / f"ses-{entities['ses']}" if "ses" in entities else folder) / "anat"


def midpoint_space(first: str, second: str) -> str:
    """Return the name of the space half way between two sessions, given their labels."""
    return f"{MIDPOINT}{first}to{second}"


def group_path(
    output_dir: Path, entities: Mapping[str, str], suffix: str, extension: str = ".nii.gz"
) -> Path:
    """Return where a result of many people is written; arguments as for :func:`file_name`."""
    return output_dir / "group" / file_name(entities, suffix, extension)


def entities_of(path: Path) -> dict[str, str]:
    """Return the entities in a BIDS file name, such as ``{"sub": "01", "run": "1"}``."""
    pairs = (part.partition("-") for part in path.name.split("_")[:-1])
    return {key: value for key, _, value in pairs}


def of_the_scan(entities: Mapping[str, str]) -> dict[str, str]:
    """Return the entities of a file that say of which scan it is."""
    return {key: value for key, value in entities.items() if key not in OF_THE_FILE}


def same_index(one: str, other: str) -> bool:
    """Tell whether two labels are the same number, as ``1`` and ``01`` are.

    Compared as text, since Python refuses to make a number of thousands of digits.
    """
    are_numbers = one.isdecimal() and other.isdecimal()
    return are_numbers and one.lstrip("0") == other.lstrip("0")


def suffix_of(path: Path) -> str:
    """Return the suffix of a BIDS file name, such as ``T1w`` or ``mask``."""
    return path.name.split("_")[-1].split(".")[0]


def sidecar_path(path: Path) -> Path:
    """Return the JSON file that describes an image or table."""
    return path.with_name(path.name.split(".")[0] + ".json")
