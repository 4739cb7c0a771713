"""Read a scan and bring it into a form that every later step can rely on."""

import gzip
import math
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from scipy import ndimage

from bids_anomaly.exceptions import BadScanError, MissingInputError
from bids_anomaly.preprocessing.annex import require_content
from bids_anomaly.preprocessing.artefacts import mend_intensities
from bids_anomaly.preprocessing.foreground import has_negative_tissue
from bids_anomaly.preprocessing.images import UNREADABLE, load_nifti
from bids_anomaly.preprocessing.orientation import orientation_of, qform_of
from bids_anomaly.preprocessing.template import Grid, corner_shift

# Fewer slices than this cannot hold a brain that can be registered to a template.
FEWEST_SLICES = 12
# Corners of a field of view may move by this much when a sheared orientation is made orthogonal.
LARGEST_SHEAR_SHIFT_MM = 1.0
# Accuracy was measured on slices of up to 3 mm; this is clearly more.
THICK_MM = 4.5
ADVICE = "Export it again, or leave it out with --bids-filter-file."


class Reoriented(NamedTuple):
    """A scan in a form that every later step can rely on.

    Attributes
    ----------
    scan : nibabel.Nifti1Image
        float32, axes nearest to RAS+, sform equal to qform, in mm.
    remarks : tuple of str
        What was odd about its file and was put right, or has to be known; a sentence each.
    """

    scan: nib.Nifti1Image
    remarks: tuple[str, ...]


class _File(NamedTuple):
    """What a file holds: its image, what one count is, and what was odd about its header."""

    image: nib.Nifti1Image
    step: float
    remarks: tuple[str, ...]


def reorient(path: Path) -> nib.Nifti1Image:
    """Return the scan of :func:`reorient_scan` without its remarks."""
    return reorient_scan(path).scan


def reorient_labels(path: Path) -> nib.Nifti1Image:
    """Read a mask or a label map as :func:`reorient_scan` reads a scan; no value is changed."""
    image, _, _ = _read(path)
    values = _with_background_of_zero(np.asanyarray(image.dataobj), path.name)
    return reorient_grid(nib.Nifti1Image(values, image.affine), path.name)


def reorient_scan(path: Path) -> Reoriented:
    """Read a scan as float32 in RAS+ orientation, after checking that it can be a brain scan.

    Voxels are reordered, never interpolated; :func:`to_grid_of` undoes the reordering exactly.
    NaN around what the scan shows, as masking leaves it, becomes 0. Padding, hot voxels, overflow
    and a pedestal are mended (:mod:`bids_anomaly.preprocessing.artefacts`). What thick slices
    cost is said.

    Parameters
    ----------
    path : Path
        A NIfTI file with one 3-D volume (trailing axes of length one are dropped).

    Returns
    -------
    Reoriented

    Raises
    ------
    MissingInputError
        If there is no such file, it may not be read, or its content was not fetched.
    BadScanError
        If the file is damaged, is not one 3-D volume, has no orientation, has a sheared one,
        has fewer than 12 slices along an axis, or holds NaN within what it shows, infinities, a
        single value or tissue that is negative.
    """
    scan, step, remarks = _read(path)
    name = path.name
    if min(scan.shape) < FEWEST_SLICES:
        raise BadScanError(
            f"The scan {name} has a grid of {'x'.join(map(str, scan.shape))} voxels; at least "
            f"{FEWEST_SLICES} slices along each axis are needed. {ADVICE}"
        )
    values = _with_background_of_zero(np.asanyarray(scan.dataobj), name)
    if values.min() == values.max():
        raise BadScanError(
            f"The scan {name} holds the single value {values.flat[0]:g} everywhere. {ADVICE}"
        )
    scan = reorient_grid(nib.Nifti1Image(values, scan.affine), name)
    mended = mend_intensities(scan, step=step, name=name)
    if has_negative_tissue(mended.values):
        raise BadScanError(
            f"The scan {name} has tissue of negative intensity, as z-scores have, so that it "
            "cannot be measured against white matter. Give it with intensities that are not "
            "centred."
        )
    if mended.remarks:
        scan = Grid.of(scan).image(mended.values)
    return Reoriented(scan, (*remarks, *_thick_slices(scan, name), *mended.remarks))


def _thick_slices(scan: nib.Nifti1Image, name: str) -> tuple[str, ...]:
    """Say what is lost where slices are much thicker than those on which accuracy was measured."""
    thickness = max(scan.header.get_zooms())
    if thickness < THICK_MM:
        return ()
    said = (
        f"{name}: its slices are {thickness:.3g} mm apart. A lesion that is thinner than that is "
        f"averaged with what surrounds it: one of {thickness / 2:.2g} mm keeps half of its "
        "contrast at most, and may be missed. Lesions also count whole slices of volume."
    )
    return (said,)


def reorient_grid(image: nib.Nifti1Image, name: str) -> nib.Nifti1Image:
    """Put an image in the grid of a scan into the grid of the reoriented scan.

    Parameters
    ----------
    image : nibabel.Nifti1Image
        3-D.
    name : str
        Of its file, for messages.

    Raises
    ------
    BadScanError
        If its orientation has no volume or is sheared.
    """
    affine = _orthogonal(image.affine, image.shape, name)
    reoriented = nib.Nifti1Image(np.asanyarray(image.dataobj), affine)
    reoriented.header.set_xyzt_units("mm", "sec")
    reoriented.set_qform(reoriented.affine, 1)
    reoriented.set_sform(reoriented.affine, 1)
    return nib.as_closest_canonical(reoriented)


def to_grid_of(image: nib.Nifti1Image, original: Path) -> nib.Nifti1Image:
    """Put an image in the reoriented grid of a scan back into the voxel order of its file.

    Parameters
    ----------
    image : nibabel.Nifti1Image
        3-D, in the grid of ``reorient(original)``.
    original : Path
        The file that the scan was read from.

    Returns
    -------
    nibabel.Nifti1Image
        The same values with the shape, voxel order and affine of `original`.
    """
    file = load_nifti(original)
    affine = orientation_of(file, original.name).affine
    # Between the two grids, not by way of RAS+, which at 45 degrees is a matter of rounding.
    to_file_order = nib.orientations.ornt_transform(
        nib.io_orientation(np.eye(4)), nib.io_orientation(np.linalg.inv(image.affine) @ affine)
    )
    reordered = image.as_reoriented(to_file_order)
    result = nib.Nifti1Image(np.asanyarray(reordered.dataobj), affine)
    result.header.set_xyzt_units("mm", "sec")
    if np.array_equal(affine, file.affine):
        qform = qform_of(file.header)
        result.set_qform(qform, 0 if qform is None else int(file.header["qform_code"]))
        result.set_sform(*file.header.get_sform(coded=True))
    else:  # the header of the file was wrong or in other units
        result.set_qform(affine, 1)
        result.set_sform(affine, 1)
    return result


def _with_background_of_zero(values: np.ndarray, name: str) -> np.ndarray:
    """Set NaN that reaches the border of the image to 0; raise where it lies within the rest."""
    if np.isfinite(values).all():
        return values
    outside, _ = ndimage.label(np.pad(np.isnan(values), 1, constant_values=True))
    background = (outside == outside[0, 0, 0])[1:-1, 1:-1, 1:-1]
    slices = [np.flatnonzero(~background.all(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    # Slices of NaN reach the border, and may still cut a brain in two.
    is_cut = any(shown.size == 0 or np.ptp(shown) >= shown.size for shown in slices)
    if is_cut or not np.isfinite(values[~background]).all():
        raise BadScanError(
            f"The scan {name} holds NaN or infinite values within what it shows, not only around "
            f"it. {ADVICE}"
        )
    return np.where(background, 0, values)


def _read(path: Path) -> _File:
    """Read a NIfTI file wholly, as one 3-D volume of float32 with an orientation."""
    require_content(path)
    try:
        path.open("rb").close()  # nibabel does not tell missing rights from damage
        scan = load_nifti(path)
        _require_expected_size(scan, path)
        data = np.asanyarray(scan.dataobj)
    except (FileNotFoundError, PermissionError) as error:
        raise MissingInputError(
            f"The scan {path} cannot be opened: {error.strerror or 'no such file'}. Check the path "
            "and its rights."
        ) from error
    except HeaderDataError as error:
        raise BadScanError(
            f"The scan {path.name} has a header that cannot be read ({error}). {ADVICE}"
        ) from error
    except UNREADABLE as error:
        raise BadScanError(
            f"The scan {path.name} is damaged ({error}). Export it again."
        ) from error
    if data.dtype.kind not in "biuf":
        raise BadScanError(
            f"The scan {path.name} holds {data.dtype} values (colours or complex numbers); one "
            f"number for each voxel is needed. {ADVICE}"
        )
    if scan.ndim > 3 and set(scan.shape[3:]) == {1}:
        data = data.reshape(scan.shape[:3])
    if data.ndim != 3:
        raise BadScanError(
            f"The scan {path.name} has {data.ndim} dimensions ({'x'.join(map(str, data.shape))}); "
            f"one 3-D volume is needed. {ADVICE}"
        )
    affine, remarks = orientation_of(scan, path.name)
    # 64-bit integers are fine in files, but nibabel makes no image of them.
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is told so
        values = data.astype(np.float32)
    proxy: Any = scan.dataobj
    slope = float(proxy.slope) if np.isfinite(proxy.slope) else 1.0
    return _File(nib.Nifti1Image(values, affine), slope, remarks)


def _require_expected_size(scan: nib.Nifti1Image, path: Path) -> None:
    """Raise unless the voxels that a header tells of begin after it and fill the rest of the file.

    Where they do not, the header may be wrong about the number of voxels or their place, and what
    is read by it would be shifted.
    """
    voxels: Any = scan.dataobj
    if voxels.offset < scan.header.sizeof_hdr:
        raise BadScanError(
            f"The scan {path.name} has a header which says that its voxels begin within the "
            f"header. {ADVICE}"
        )
    expected = voxels.offset + math.prod(scan.shape) * voxels.dtype.itemsize
    size = _content_size(path)
    if size != expected:
        raise BadScanError(
            f"The scan {path.name} is damaged: it holds {size} bytes, and its header tells of "
            f"{expected}. {ADVICE}"
        )


def _content_size(path: Path) -> int:
    """Return how many bytes a file holds; gzip compares its checksum, which nibabel does not."""
    if path.suffix != ".gz":
        return path.stat().st_size
    with gzip.open(path) as file:
        return sum(len(piece) for piece in iter(lambda: file.read(2**20), b""))


def _orthogonal(affine: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return the nearest affine without shear, or raise where that would move a corner visibly."""
    zooms = nib.affines.voxel_sizes(affine)
    if not np.all(np.isfinite(affine)) or zooms.min() <= 0:
        raise BadScanError(f"The scan {name} has an orientation matrix without a volume. {ADVICE}")
    u, _, vt = np.linalg.svd(affine[:3, :3] / zooms)
    orthogonal = affine.copy()
    orthogonal[:3, :3] = (u @ vt) * zooms
    centre = (np.array(shape) - 1) / 2
    orthogonal[:3, 3] = nib.affines.apply_affine(affine, centre) - orthogonal[:3, :3] @ centre
    if corner_shift(orthogonal, affine, shape) > LARGEST_SHEAR_SHIFT_MM:
        raise BadScanError(
            f"The scan {name} has a sheared orientation (gantry tilt?). Resample it to an "
            "orthogonal grid first."
        )
    return orthogonal
