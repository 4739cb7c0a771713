"""Reading NIfTI images, with which anything may be wrong."""

import zlib
from pathlib import Path

import nibabel as nib
from nibabel.filebasedimages import ImageFileError

# What is raised where a file, or a part of it that is read later, is damaged, cut off or no image.
UNREADABLE = (OSError, EOFError, ValueError, OverflowError, zlib.error, ImageFileError)


def load_nifti(path: str | Path) -> nib.Nifti1Image:
    """Open a NIfTI file, version 1 or 2; its voxels are read when they are asked for.

    Raises
    ------
    ImageFileError, OSError, ValueError
        If it is not there, or no NIfTI file.
    """
    image = nib.load(path)
    if not isinstance(image, nib.Nifti1Image):
        raise ImageFileError("it is no NIfTI file")
    return image
