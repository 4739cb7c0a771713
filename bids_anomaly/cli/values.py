"""What the text of one argument means: each function reads one kind of value.

They raise :class:`argparse.ArgumentTypeError`, to which the parser adds the name of the option.
"""

import math
import os
import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bids_anomaly.running.device import DEVICE
from bids_anomaly.settings import DEFAULT_RESOLUTION, OTHER_TEMPLATES, RESOLUTIONS

# BIDS labels are letters and digits; "+" joins them.
LABEL = re.compile(r"[A-Za-z0-9+]+")
WORD = re.compile(r"[A-Za-z0-9]+")
MEMORY = re.compile(r"(\d+(?:\.\d+)?)(?:([KMGT])(?:i?B)?)?", re.IGNORECASE)
GB_A_UNIT = {"K": 1024**-2, "M": 1 / 1024, "G": 1, "T": 1024}
# A bare number is in GB after --mem and in MB for SLURM and after --mem-mb: what was meant shows.
SMALLEST_SIZE_MEANT_IN_MB = 1000
LARGEST_SIZE_MEANT_IN_GB = 100
COME_FIRST = "come first, because an option that takes several values takes all that follow it"


def listed(read: Callable[[str], Any], separator: str | None = ",") -> Callable[[str], list]:
    """Return a reader of ``01,02`` by that of one value; empty parts are passed over.

    Without a separator, the text is one value.
    """

    def read_list(text: str) -> list:
        parts = text.split(separator) if separator else [text]
        return [read(part) for part in parts if part] or [read(text)]

    return read_list


def read_participant_label(text: str) -> str:
    """Read ``01`` or ``sub-01`` as ``01``."""
    return _read_label(text, "sub-")


def read_session_label(text: str) -> str:
    """Read ``01`` or ``ses-01`` as ``01``."""
    return _read_label(text, "ses-")


def read_word(text: str) -> str:
    """Read the name of a modality or template: letters and digits."""
    return _match(WORD, text, text)


def read_space(text: str) -> str:
    """Read a name of a space; templates of TemplateFlow have a resolution, as in ``NAME:res-2``."""
    name, colon, resolution = text.partition(":")
    if name not in OTHER_TEMPLATES:
        return read_word(text)
    resolution = resolution if colon else f"res-{DEFAULT_RESOLUTION}"
    known = [f"res-{number}" for number in RESOLUTIONS]
    if resolution not in known:
        raise ArgumentTypeError(f"{name}:{f' or {name}:'.join(known)} is needed, not {text!r}")
    return f"{name}:{resolution}"


def read_device(text: str) -> str:
    """Read ``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""
    if not DEVICE.fullmatch(text):
        raise ArgumentTypeError(f"auto, cpu, cuda or cuda:N is needed, not {text!r}")
    return text


def read_whole_number(text: str) -> int:
    """Read a whole number that is not negative."""
    if not re.fullmatch(r"[0-9]+", text):
        raise ArgumentTypeError(f"a whole number of 0 or more is needed, not {text!r}")
    return int(text)


def read_count(text: str) -> int:
    """Read a whole number of at least 1."""
    if not re.fullmatch(r"0*[1-9][0-9]*", text):
        raise ArgumentTypeError(f"a whole number of 1 or more is needed, not {text!r}")
    return int(text)


def read_volume(text: str) -> float:
    """Read a volume in mm3 that is not negative."""
    volume = _read_float(text)
    if not 0 <= volume < math.inf:
        raise ArgumentTypeError(f"a volume in mm3 of 0 or more is needed, not {text!r}")
    return volume


def read_false_positive_rate(text: str) -> float:
    """Read a fraction above 0 and below 0.5."""
    rate = _read_float(text)
    if not 0 < rate < 0.5:
        raise ArgumentTypeError(f"a fraction between 0 and 0.5 is needed, not {text!r}")
    return rate


def read_memory_gb(text: str) -> float:
    """Read ``8``, ``8G`` or ``8000M`` as GB of 1024 MB, as SLURM counts them."""
    size, unit = _read_memory(text)
    if not unit and size >= SMALLEST_SIZE_MEANT_IN_MB:
        raise ArgumentTypeError(
            f"a bare number is in GB; write {text}M or {text}G, or --mem-mb {text}"
        )
    return size * GB_A_UNIT[unit or "G"]


def read_memory_mb(text: str) -> float:
    """Read ``8000``, ``8000M`` or ``8G`` as GB of 1024 MB; a bare number is in MB."""
    size, unit = _read_memory(text)
    if not unit and size <= LARGEST_SIZE_MEANT_IN_GB:
        raise ArgumentTypeError(f"a bare number is in MB; write {text}M or {text}G")
    return size * GB_A_UNIT[unit or "M"]


def read_path(text: str) -> Path:
    """Read the path of something that need not exist yet."""
    if not text:
        raise ArgumentTypeError("a path is needed, not an empty text")
    # Not resolved: the user recognises the path as given, links included.
    return Path(os.path.abspath(Path(text).expanduser()))


def read_input_folder(text: str) -> Path:
    """Read the path of the dataset; the group level does without it."""
    return read_path(text)


def read_existing_file(text: str) -> Path:
    """Read the path of a file that must exist."""
    path = read_path(text)
    if not path.is_file():
        raise ArgumentTypeError(f"there is no file {path}; check the path")
    return path


def read_existing_folder(text: str) -> Path:
    """Read the path of a folder that must exist."""
    path = read_path(text)
    if not path.is_dir():
        raise ArgumentTypeError(f"there is no folder {path}; check the path")
    return path


def read_derivatives(text: str) -> tuple[str, Path]:
    """Read ``NAME=PATH``, or a bare path whose folder gives the name."""
    name, equals, folder = text.partition("=")
    if not equals or "/" in name:
        name, folder = "", text
    elif not name or not folder:
        raise ArgumentTypeError(f"NAME=PATH is needed, not {text!r}")
    path = read_existing_folder(folder)
    return name or path.name, path


def read_entity(text: str) -> tuple[str, str]:
    """Read an entity of a BIDS name, such as ``label=WMH``."""
    key, _, label = text.partition("=")
    if not WORD.fullmatch(key) or not LABEL.fullmatch(label):
        raise ArgumentTypeError(f"KEY=VALUE such as label=lesion is needed, not {text!r}")
    return key, label


def read_controls(text: str) -> str:
    """Read ``COLUMN=VALUE``."""
    column, _, value = text.partition("=")
    if not column.strip() or not value.strip():
        raise ArgumentTypeError(
            f"COLUMN=VALUE with a column of participants.tsv is needed, not {text!r}"
        )
    return text


def _read_memory(text: str) -> tuple[float, str]:
    form = MEMORY.fullmatch(text)
    if not form or not float(form[1]):
        raise ArgumentTypeError(f"a size such as 8G or 8000M is needed, not {text!r}")
    return float(form[1]), (form[2] or "").upper()


def _read_label(text: str, prefix: str) -> str:
    return _match(LABEL, text.removeprefix(prefix), text)


def _match(form: re.Pattern, name: str, text: str) -> str:
    if not form.fullmatch(name):
        advice = f" (folders and level {COME_FIRST})" if "/" in text.rstrip("/") else ""
        raise ArgumentTypeError(f"letters and digits are needed, not {text!r}{advice}")
    return name


def _read_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
