"""Make one file of a chain of transforms: for ANTs, fMRIPrep and 3D Slicer, or for later steps.

The former is ITK's HDF5: a composite transform and its members, the one that acts on points first
in the last place.
"""

from pathlib import Path
from shutil import move
from tempfile import TemporaryDirectory

import ants
import h5py
import numpy as np

from bids_anomaly.preprocessing.annex import require_content
from bids_anomaly.preprocessing.images import load_nifti
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import Chain

GROUP = "TransformGroup"


def write_composite(path: Path, chain: Chain) -> None:
    """Write a chain of transforms as an ITK composite transform.

    Parameters
    ----------
    path : Path
        Written in HDF5, whatever its name; readers expect ``.h5``.
    chain : Chain
        Of matrices (``.mat``) and displacement fields (``.nii.gz``).
    """
    members: list[tuple[str, np.ndarray | None, np.ndarray | None]]
    members = [("CompositeTransform", None, None)]
    for transform, inverted in reversed(chain.links):
        if transform.suffix == ".mat":
            members.append(_affine(transform, inverted))
        else:
            members.append(_displacement_field(transform))
    with h5py.File(path, "w") as file:
        # ITK looks for these, not at what they say.
        for name in ("ITKVersion", "HDFVersion", "OSName", "OSVersion"):
            _write_text(file, name, "unknown")
        for index, (kind, fixed, parameters) in enumerate(members):
            group = f"{GROUP}/{index}"
            _write_text(file, f"{group}/TransformType", f"{kind}_double_3_3")
            if parameters is not None:
                file[f"{group}/TransformFixedParameters"] = fixed
                file.create_dataset(
                    f"{group}/TransformParameters", data=parameters, compression="gzip"
                )


def write_displacement_field(path: Path, chain: Chain, onto: Grid) -> None:
    """Write a chain of transforms as one displacement field.

    Parameters
    ----------
    path : Path
        Ends in ``.nii.gz``.
    chain : Chain
        Composites (``.h5``) may be in it too.
    onto : Grid
        Where the field is known, in the space that the chain leads from; it is 0 elsewhere.

    Raises
    ------
    MissingInputError
        If the content of a transform was not fetched.
    """
    for transform, _ in chain.links:
        require_content(transform)
    reference = ants.from_nibabel_nifti(onto.image(np.zeros(onto.shape, np.float32)))
    with TemporaryDirectory(prefix="bids-anomaly-") as scratch:
        composed = ants.apply_transforms(
            reference,
            reference,
            **chain.for_ants,
            compose=f"{scratch}/",
        )
        move(composed, path)


def _affine(path: Path, inverted: bool) -> tuple[str, np.ndarray, np.ndarray]:
    transform = ants.read_transform(str(path))
    if inverted:
        transform = transform.invert()
    return (
        "AffineTransform",
        np.array(transform.fixed_parameters, np.float64),
        np.array(transform.parameters, np.float64),
    )


def _displacement_field(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    """Read a displacement field; its vectors are in mm in LPS+, as ITK wants them."""
    grid = ants.image_header_info(str(path))
    fixed = np.concatenate(
        [
            np.array(grid["dimensions"], np.float64)[:3],
            np.array(grid["origin"], np.float64)[:3],
            np.array(grid["spacing"], np.float64)[:3],
            np.array(grid["direction"], np.float64)[:3, :3].ravel(),
        ]
    )
    # NIfTI keeps vectors on a fifth axis; ITK wants them voxel by voxel, x fastest.
    vectors = np.asanyarray(load_nifti(path).dataobj)[:, :, :, 0, :]
    return "DisplacementFieldTransform", fixed, vectors.transpose(2, 1, 0, 3).ravel().astype(float)


def _write_text(file: h5py.File, name: str, text: str) -> None:
    file.create_dataset(name, data=[text], dtype=h5py.string_dtype("ascii"))
