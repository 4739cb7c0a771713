"""Read the maps of one scan and bring its truth to their grid."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import ants
import nibabel as nib
import numpy as np
from scipy.ndimage import find_objects

from bids_anomaly.evaluation.masks import read_mask
from bids_anomaly.evaluation.matching import (
    Pair,
    Prediction,
    Truth,
    chain_between,
)
from bids_anomaly.evaluation.raw import find_raw, read_raw
from bids_anomaly.exceptions import BadScanError, MissingInputError
from bids_anomaly.preprocessing.annex import require_content
from bids_anomaly.preprocessing.images import UNREADABLE, load_nifti
from bids_anomaly.preprocessing.resample import resample, resample_mask
from bids_anomaly.preprocessing.template import Grid, same_grid, voxels_apart
from bids_anomaly.preprocessing.transforms import Chain

# Structural similarity looks three voxels around; what is cut off around the brain is empty.
MARGIN = 4
# How far a mask may be shifted against its scan, in voxels.
LARGEST_SHIFT = 0.5


@dataclass(frozen=True, eq=False)
class ScanMaps:
    """What is compared of one scan; arrays are (X, Y, Z) in one grid, cut to brain and lesions.

    Attributes
    ----------
    grid : Grid
    scan : array
        Intensities, white matter = 1.
    z : array
        How unusual each voxel is.
    brain, mask, truth : bool arrays
        Brain; the mask of the app; the lesions of the truth, also where the app saw no brain.
    lesioned : bool
        Whether the truth has any lesion, also if none is left in this grid: one may fill less than
        half a voxel.
    pseudo_healthy : array or None
    window : tuple of slice
        Where the arrays lie in the grid.
    """

    grid: Grid
    scan: np.ndarray
    z: np.ndarray
    brain: np.ndarray
    mask: np.ndarray
    truth: np.ndarray
    lesioned: bool
    pseudo_healthy: np.ndarray | None
    window: tuple[slice, ...]


def load_maps(pair: Pair) -> ScanMaps:
    """Read the maps of a scan and its truth, in the grid of the prediction.

    Raises
    ------
    MissingInputError
        If a map of the app is missing.
    BadScanError
        If an image cannot be read, maps differ in shape, or the truth lies outside the brain.
    """
    prediction, truth = pair
    brain_image = _load(prediction.path("brain"))
    grid = Grid.of(brain_image)
    whole_brain = _values(brain_image) > 0
    if not whole_brain.any():
        raise BadScanError(f"The brain mask {prediction.path('brain')} is empty. Look at the scan.")
    whole_truth, lesioned = np.zeros(grid.shape, bool), False
    if truth is not None:
        binary = read_mask(truth.path)
        lesioned = bool(np.asanyarray(binary.dataobj).any())
        _check_affine(grid, pair, binary)
        whole_truth = _truth_in(grid, pair, binary)
        # Part of a lesion may lie outside: what brain extraction loses is missed.
        if whole_truth.any() and not (whole_truth & whole_brain).any():
            raise BadScanError(
                f"Nothing of the mask {truth.path.name} lies in the brain of {prediction.name}. If "
                "it is in the space of another scan or a template, say so in its name (space-)."
            )
    window = _window_around(whole_brain | whole_truth)

    def read(output: str) -> np.ndarray:
        values = _values(_load(prediction.path(output)))
        if values.shape != grid.shape:
            raise BadScanError(
                f"{prediction.path(output).name} has another shape than the brain mask beside it. "
                "Run bids-anomaly again."
            )
        return values[window]

    restored = prediction.path("pseudohealthy").is_file()
    brain = whole_brain[window]
    return ScanMaps(
        grid=grid,
        scan=read("preproc"),
        z=read("zscore"),
        brain=brain,
        mask=(read("anomaly") > 0) & brain,
        truth=whole_truth[window],
        lesioned=lesioned,
        pseudo_healthy=read("pseudohealthy") if restored else None,
        window=window,
    )


def load_healthy(
    prediction: Prediction, healthy: Path, *, window: tuple[slice, ...]
) -> np.ndarray | None:
    """Read the scan without its lesions from the app's output for it.

    Parameters
    ----------
    prediction : Prediction
        Of the scan with lesions.
    healthy : Path
        Output folder for the scans without.
    window : tuple of slice
        That of the maps of the scan with lesions.

    Returns
    -------
    (X, Y, Z) array or None
        White matter = 1; None if there is none.

    Raises
    ------
    BadScanError
        If it cannot be read, or is in another grid.
    """
    known = replace(prediction, derivatives=healthy)
    if not known.path("preproc").is_file():
        return None
    values = _values(_load(known.path("preproc")))
    if values.shape != _load(prediction.path("brain")).shape:
        raise BadScanError(
            f"{known.path('preproc')} is in another grid than {prediction.name}. Give scans of the "
            "same grid with --healthy."
        )
    return values[window]


def load_raw(
    prediction: Prediction, bids_dir: Path | None, *, window: tuple[slice, ...]
) -> np.ndarray:
    """Read the scan as it came, in the grid of a prediction.

    Parameters
    ----------
    prediction : Prediction
        Of one scan.
    bids_dir : Path or None
        The input dataset; None where the output folder says.
    window : tuple of slice
        That of the maps of the scan.

    Returns
    -------
    (X, Y, Z) array
        In the units of its file.

    Raises
    ------
    MissingInputError
        If it is not found, see :func:`bids_anomaly.evaluation.raw.find_raw`.
    BadScanError
        If it cannot be read, or is no longer the scan that was evaluated.
    """
    path = find_raw(prediction.path("preproc"), prediction.derivatives, bids_dir)
    image = read_raw(path)
    grid = Grid.of(_load(prediction.path("brain")))
    if prediction.space is None:
        if not same_grid(Grid.of(image), grid):
            raise BadScanError(f"The scan {path} is in another grid than its results.")
    else:
        itself = Truth(path, prediction.entities, prediction.modality)
        with _chain(Pair(prediction, itself)) as chain:
            image = resample(image, grid, chain)
    return _values(image)[window]


def _check_affine(grid: Grid, pair: Pair, binary: nib.Nifti1Image) -> None:
    """Raise where a mask has the voxels of its scan, and lies elsewhere.

    Masks that were drawn without the header of the scan have the identity, or that of a template.
    """
    prediction, truth = pair
    if prediction.space is not None or truth.space not in (None, prediction.modality):
        return
    # The same voxels in another order are no contradiction.
    own = Grid.of(nib.as_closest_canonical(binary))
    scan = Grid.of(nib.as_closest_canonical(grid.image(np.zeros(grid.shape, np.uint8))))
    raw_shape = sorted(binary.shape) == sorted(grid.shape)
    if not raw_shape or (own.shape == scan.shape and voxels_apart(scan, own) <= LARGEST_SHIFT):
        return
    raise BadScanError(
        f"The mask {truth.path.name} has as many voxels as {prediction.name}, but its header "
        "puts them elsewhere. Copy the affine of the scan into it, or, if it is in another space, "
        "say so in its name (space-)."
    )


def _truth_in(grid: Grid, pair: Pair, binary: nib.Nifti1Image) -> np.ndarray:
    """Bring a mask to a grid."""
    with _chain(pair) as chain:
        return _values(resample_mask(binary, grid, chain)) > 0


@contextmanager
def _chain(pair: Pair) -> Iterator[Chain]:
    """Give what brings an image from the space of the truth to the grid of the prediction."""
    with TemporaryDirectory() as folder:
        yield Chain.of(
            *(
                _inverse(path, Path(folder)) if inverted else path
                for path, inverted in chain_between(*pair).links
            )
        )


def _inverse(rigid: Path, folder: Path) -> Path:
    """Write the inverse of a rigid transform; ANTsPy inverts no text files itself."""
    path = folder / "inverse.mat"
    ants.write_transform(ants.read_transform(str(rigid)).invert(), str(path))
    return path


def _load(path: Path) -> nib.Nifti1Image:
    require_content(path)
    try:
        return load_nifti(path)
    except FileNotFoundError as error:
        raise MissingInputError(
            f"There is no {path}. Run bids-anomaly again for this participant."
        ) from error
    except UNREADABLE as error:
        raise BadScanError(f"The image {path} cannot be read ({error}). Make it again.") from error


def _values(image: nib.Nifti1Image) -> np.ndarray:
    try:
        return image.get_fdata(dtype=np.float32, caching="unchanged")
    except UNREADABLE as error:
        raise BadScanError(
            f"The image {image.get_filename()} cannot be read ({error}). Make it again."
        ) from error


def _window_around(shown: np.ndarray) -> tuple[slice, ...]:
    (box,) = find_objects(shown.astype(np.uint8))
    return tuple(slice(max(side.start - MARGIN, 0), side.stop + MARGIN) for side in box)
