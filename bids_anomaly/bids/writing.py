"""Write files so that a reader never sees half of one, whatever happens in between."""

import json
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bids_anomaly.bids.naming import sidecar_path
from bids_anomaly.exceptions import CannotWriteError

if TYPE_CHECKING:
    # A machine that only trains writes checkpoints and has no nibabel.
    import nibabel as nib

TEMPORARY_NAME = re.compile(r"\.[0-9a-f]{12}-.+")
# No file takes that long to write, so one that did not change since then has lost its writer.
LOST_AFTER_S = 600.0


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; rename it to `path` at the end.

    Several processes may replace the same file; the last one wins, and none sees a mixture.

    Raises
    ------
    CannotWriteError
        If the folder or file cannot be written. What was there before stays.
    """
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        try:
            temporary.replace(path)
        except FileExistsError:
            # Some file systems of networks and containers rename over nothing: there is a moment
            # without the file, and none with half of it.
            path.unlink()
            temporary.rename(path)
    except OSError as error:
        raise CannotWriteError(
            f"Cannot write {path}: {error.strerror or error}. Check its rights and the free space "
            "on its disk, then run the same command again; what is done is kept."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def temporary_beside(path: Path) -> Path:
    """Return where a file is written before it is whole."""
    # Random, since writers in other containers may have the same process number.
    return path.with_name(f".{secrets.token_hex(6)}-{path.name}")


def remove_lost(folder: Path) -> None:
    """Remove what :func:`replacing` left in a folder and those below when its process was killed.

    Files that changed in the last ten minutes may belong to a run beside this one, and stay.

    Parameters
    ----------
    folder : Path
        May be missing.
    """
    _remove(folder.rglob(".*"))


def remove_lost_shared(output_dir: Path) -> None:
    """Remove what was left, as :func:`remove_lost` does, of files that belong to no participant.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset; folders of participants in it are not visited.
    """
    for folder in (output_dir, output_dir / "group", output_dir / "logs"):
        _remove(folder.glob(".*"))


def _remove(hidden: Iterable[Path]) -> None:
    for path in hidden:
        if TEMPORARY_NAME.fullmatch(path.name):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > LOST_AFTER_S:
                    path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write or replace a text file."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write or replace a JSON file."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_bytes(path: Path, content: bytes) -> None:
    """Write or replace a file."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_image(path: Path, image: "nib.Nifti1Image", sidecar: Mapping[str, Any]) -> None:
    """Write or replace an image and, first, the JSON file that describes it."""
    write_json(sidecar_path(path), sidecar)
    with replacing(path) as temporary:
        image.to_filename(temporary)
