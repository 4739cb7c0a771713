"""Find how scans correspond: rigid between scans of a person, affine and SyN to the template.

All transforms are ITK files; :mod:`bids_anomaly.preprocessing.transforms` says how to read names
such as ``scan_from_template``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import move
from tempfile import TemporaryDirectory
from typing import NamedTuple

import ants
import nibabel as nib
import numpy as np
from ants.config import set_ants_deterministic

from bids_anomaly.exceptions import CannotWriteError
from bids_anomaly.preprocessing.images import load_nifti
from bids_anomaly.preprocessing.resample import isotropic_grid, resample

# Registration works on copies of this voxel size: 1 mm takes ten times longer, and moves brain
# surfaces of 2 mm scans by less than a tenth of a voxel.
SPACING_MM = 2.0


class Warp(NamedTuple):
    """A diffeomorphism as two displacement fields, each an ITK file."""

    moving_from_fixed: Path
    fixed_from_moving: Path


def register_linear(
    moving: nib.Nifti1Image, fixed: nib.Nifti1Image, *, kind: str, seed: int, folder: Path
) -> Path:
    """Register two brains without deformation, by mutual information.

    Parameters
    ----------
    moving, fixed : nibabel.Nifti1Image
        Brains (0 outside), of the same or of different contrast.
    kind : {'Rigid', 'Affine'}
        Six or twelve degrees of freedom.
    seed : int
        For the random sampling of the metric. It gives the same transform in every process in
        which ITK started with one thread (``ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1``).
    folder : Path
        Where the transform is written.

    Returns
    -------
    Path
        The transform ``moving_from_fixed``.
    """
    with _registered(moving, fixed, kind, seed=seed) as result:
        return Path(move(result["fwdtransforms"][0], folder / f"{kind.lower()}.mat"))


def register_deformable(
    moving: nib.Nifti1Image, fixed: nib.Nifti1Image, *, seed: int, folder: Path
) -> Warp:
    """Register two affinely aligned brains by symmetric normalisation.

    The method is SyN (Avants et al. 2008, doi 10.1016/j.media.2007.06.004).

    Parameters
    ----------
    moving, fixed : nibabel.Nifti1Image
        Brains (0 outside) in the same space.
    seed : int
        For the random sampling of the metric.
    folder : Path
        Where the two displacement fields are written.

    Returns
    -------
    Warp
        The displacement fields, in the grid of `fixed`.
    """
    with _registered(moving, fixed, "SyNOnly", seed=seed, initial_transform="Identity") as result:
        forward, backward = (
            next(path for path in result[direction] if path.endswith(".nii.gz"))
            for direction in ("fwdtransforms", "invtransforms")
        )
        return Warp(
            Path(move(forward, folder / "warp.nii.gz")),
            Path(move(backward, folder / "inverse_warp.nii.gz")),
        )


def masked(scan: nib.Nifti1Image, brain: nib.Nifti1Image) -> nib.Nifti1Image:
    """Return the scan with 0 outside the brain."""
    inside = np.asanyarray(brain.dataobj) > 0
    return nib.Nifti1Image(scan.get_fdata(dtype=np.float32) * inside, scan.affine, scan.header)


@contextmanager
def _registered(
    moving: nib.Nifti1Image, fixed: nib.Nifti1Image, kind: str, *, seed: int, **options: str
) -> Iterator[dict]:
    """Register two images with ANTs; its files are gone afterwards unless they were moved."""
    # One thread: with more, the order of sums changes the result even under a seed.
    # ANTs takes a seed of 0 for the clock.
    set_ants_deterministic(on=True, seed_value=seed + 1)
    with TemporaryDirectory(prefix="bids-anomaly-") as scratch:
        result = ants.registration(
            _at_working_resolution(fixed),
            _at_working_resolution(moving),
            type_of_transform=kind,
            outprefix=f"{scratch}/",
            **options,
        )
        for path in (*result["fwdtransforms"], *result["invtransforms"]):
            require_whole(Path(path))
        yield result


def require_whole(path: Path) -> None:
    """Raise if a transform that was written is cut off: ITK does not tell of a full disk.

    Raises
    ------
    CannotWriteError
        If it cannot be read to its end.
    """
    try:
        if path.suffix == ".gz":
            np.asanyarray(load_nifti(path).dataobj)
        else:
            ants.read_transform(str(path))
    except Exception as error:
        raise CannotWriteError(
            f"The registration left {path.name} in {path.parent} that cannot be read to its end. "
            "Is the disk there full? Free some space, or set TMPDIR to a folder on another one, "
            "then run the same command again."
        ) from error


def _at_working_resolution(image: nib.Nifti1Image) -> ants.ANTsImage:
    return ants.from_nibabel_nifti(resample(image, isotropic_grid(image, SPACING_MM)))
