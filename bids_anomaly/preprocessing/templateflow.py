"""Other templates than our own, as TemplateFlow keeps them in a folder on this machine.

The folder is read as it is: nothing is downloaded (Ciric et al. 2022, doi
10.1038/s41592-022-01681-2).
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_anomaly.exceptions import BadTemplateError, MissingInputError
from bids_anomaly.preprocessing.images import UNREADABLE, load_nifti
from bids_anomaly.settings import DEFAULT_RESOLUTION, TEMPLATE

HOME_VARIABLE = "TEMPLATEFLOW_HOME"
DEFAULT_HOME = "~/.cache/templateflow"
# Registration works at 2 mm, and fields of displacements vary slowly.
WORKING_RESOLUTION = DEFAULT_RESOLUTION


@dataclass(frozen=True)
class OtherTemplate:
    """A template of TemplateFlow.

    Attributes
    ----------
    name : str
    images : dict of int to Path
        T1w images by resolution: those in whose grids results are written, and that of
        :data:`WORKING_RESOLUTION`.
    brain : Path
        Brain mask of the latter, which need not be there where transforms are.
    transforms : tuple of Path
        Transforms that pull images of our template onto this one, and back; empty where the folder
        does not have both.
    """

    name: str
    images: Mapping[int, Path]
    brain: Path
    transforms: tuple[Path, ...]

    @property
    def image(self) -> Path:
        """T1w image to register to."""
        return self.images[WORKING_RESOLUTION]

    @cached_property
    def digest(self) -> str:
        """Sha256 of all by which it is reached; BadTemplateError where that cannot be read."""
        digest = sha256()
        for path in (self.image, *(self.transforms or (self.brain,))):
            try:
                digest.update(path.read_bytes())
            except OSError as error:
                raise _unreadable(path, error) from error
        return digest.hexdigest()


def templateflow_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where TemplateFlow keeps its files on this machine, which may not exist."""
    return Path(os.path.abspath(os.path.expanduser(environ.get(HOME_VARIABLE) or DEFAULT_HOME)))


def find_template(name: str, resolutions: Collection[int], home: Path) -> OtherTemplate:
    """Find the files of a template.

    Parameters
    ----------
    name : str
        In TemplateFlow.
    resolutions : collection of int
        Labels of the grids that results are brought to.
    home : Path
        See :func:`templateflow_home`.

    Raises
    ------
    MissingInputError
        If one is not there, or empty, as TemplateFlow leaves what it did not fetch.
    """
    images = {
        number: _file(home, name, f"res-{number:02d}_T1w.nii.gz")
        for number in sorted({*resolutions, WORKING_RESOLUTION})
    }
    brain = _file(home, name, f"res-{WORKING_RESOLUTION:02d}_desc-brain_mask.nii.gz")
    transforms: tuple[Path, ...] = (
        _file(home, name, f"from-{TEMPLATE}_mode-image_xfm.h5"),
        _file(home, TEMPLATE, f"from-{name}_mode-image_xfm.h5"),
    )
    if not all(map(_is_there, transforms)):
        transforms = ()
    needed = [*images.values(), *(() if transforms else (brain,))]
    missing = [path.name for path in needed if not _is_there(path)]
    if missing:
        raise MissingInputError(
            f"--output-spaces {name} needs {', '.join(missing)}, looked for in "
            f"{home / _tpl(name)} ({HOME_VARIABLE}, else {DEFAULT_HOME}); nothing is downloaded "
            f"here. On a machine with a network, {_command(name, images)} fetches them; copy "
            f"the folder that it fills here, and name it with {HOME_VARIABLE}."
        )
    return OtherTemplate(name, images, brain, transforms)


def load_template(path: Path) -> nib.Nifti1Image:
    """Read an image of a template to its end.

    Raises
    ------
    BadTemplateError
        If that fails.
    """
    try:
        image = load_nifti(path)
        return nib.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine, image.header)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> BadTemplateError:
    return BadTemplateError(
        f"The file {path} of TemplateFlow cannot be read ({error}). Check its rights, or remove it "
        "and fetch it again."
    )


def _command(name: str, resolutions: Collection[int]) -> str:
    """Return the command by which TemplateFlow's own client fetches what is needed."""
    chosen = f"'{name}', resolution={sorted(resolutions)}"
    return (
        f'python -c "from templateflow import api; '
        f"api.get({chosen}, desc=None, suffix='T1w'); "
        f"api.get({chosen}, desc='brain', suffix='mask')\""
    )


def _file(home: Path, name: str, rest: str) -> Path:
    return home / _tpl(name) / f"{_tpl(name)}_{rest}"


def _tpl(name: str) -> str:
    return f"tpl-{name}"


def _is_there(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
