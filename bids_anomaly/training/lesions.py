"""Known lesions of the people who calibrate a model, so that they can be left out."""

from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation

from bids_anomaly.bids.naming import entities_of, of_the_scan, suffix_of, transform_path
from bids_anomaly.evaluation.masks import read_mask
from bids_anomaly.evaluation.matching import find_truth
from bids_anomaly.exceptions import MissingInputError
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import Chain
from bids_anomaly.training.people import Preprocessed

# Rims of lesions are abnormal too, and masks are uncertain by a voxel.
MARGIN_VOXELS = 2
# A voxel of the model grid is touched by a lesion if that much of it is.
TOUCHED = 0.1


def known_lesions(person: Preprocessed, derivatives: Path, masks: Path) -> np.ndarray:
    """Return where a scan has known lesions, with a margin of two voxels.

    Parameters and errors are those of :func:`lesion_share`.

    Returns
    -------
    (X, Y, Z) bool array
        In the model grid.
    """
    return near_lesions(lesion_share(person, derivatives, masks))


def lesion_share(person: Preprocessed, derivatives: Path, masks: Path) -> np.ndarray:
    """Return how much of each voxel of a preprocessed scan is known to be lesion.

    Parameters
    ----------
    person : Preprocessed
        A scan in `derivatives`.
    derivatives : Path
        Output folder of ``bids-anomaly --stage preprocess``.
    masks : Path
        Derivative dataset with masks in the space of the scan as it was acquired, see
        :func:`bids_anomaly.evaluation.matching.find_truth`. A person without lesions has an empty
        one.

    Returns
    -------
    (X, Y, Z) float32 array
        From 0 to 1, in the model grid.

    Raises
    ------
    MissingInputError
        If there is no mask of the scan, its content was not fetched, or there is no transform to
        the model grid.
    BadScanError
        If a mask cannot be read.
    """
    scan = of_the_scan(entities_of(person.path))
    found = _masks_of(scan, suffix_of(person.path), masks)
    if not found:
        raise MissingInputError(
            f"The folder {masks} has no mask (*_mask.nii.gz, in the space of the scan) for "
            f"{person.path.name}. Add one (empty if the person has no lesions), or choose other "
            "people with --controls."
        )
    transform = transform_to_model_grid(person, derivatives)
    lesions = np.zeros(person.scan.shape, np.float32)
    for path in found:
        share = resample(read_mask(path), Grid.of(person.scan), Chain.of(transform))
        lesions = np.maximum(lesions, share.get_fdata(dtype=np.float32))
    return lesions


def has_lesions(person: Preprocessed, masks: Path) -> bool:
    """Tell whether a mask of a scan marks anything at all, wherever it lies."""
    found = _masks_of(of_the_scan(entities_of(person.path)), suffix_of(person.path), masks)
    return any(np.asanyarray(read_mask(path).dataobj).any() for path in found)


def people_with_lesions(masks: Path) -> set[str]:
    """Return who has a mask, of any scan, that marks anything; labels have ``sub-``."""
    return {
        f"sub-{label}"
        for label, truth in find_truth(masks).items()
        if any(np.asanyarray(read_mask(one.path).dataobj).any() for one in truth)
    }


def near_lesions(share: np.ndarray) -> np.ndarray:
    """Return where lesions are, with a margin of two voxels, from :func:`lesion_share`."""
    return binary_dilation(share > TOUCHED, iterations=MARGIN_VOXELS)


def transform_to_model_grid(person: Preprocessed, derivatives: Path) -> Path:
    """Return the transform that brings what lies on a scan as acquired to the model grid.

    Parameters are those of :func:`lesion_share`.

    Raises
    ------
    MissingInputError
        If there is none.
    """
    entities = entities_of(person.path)
    transform = transform_path(
        derivatives,
        {**of_the_scan(entities), "desc": entities["desc"]},
        origin=suffix_of(person.path),
        target=entities["space"],
        extension=".h5",
    )
    if not transform.is_file():
        raise MissingInputError(
            f"There is no {transform}, which brings masks to the model grid. Run bids-anomaly with "
            "--stage preprocess again; with the same work folder that takes seconds."
        )
    return transform


def _masks_of(scan: dict[str, str], modality: str, masks: Path) -> list[Path]:
    """List the lesion masks of a scan; entities that a mask leaves out fit every scan."""
    return [
        truth.path
        for truth in find_truth(masks, participant=scan["sub"]).get(scan["sub"], ())
        if truth.space in (None, modality) and of_the_scan(truth.entities).items() <= scan.items()
    ]
