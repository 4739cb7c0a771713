"""The scan as it came, smoothed: what anybody has without a model, and what one has to beat.

It is read from the input dataset, not from what the app made of it: a preprocessing that dims
lesions would make its own baseline weak.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import nibabel as nib
import numpy as np

from bids_anomaly.bids.dataset import RAW
from bids_anomaly.bids.naming import sidecar_path
from bids_anomaly.bids.reading import read_object
from bids_anomaly.exceptions import MissingInputError
from bids_anomaly.modalities import modality_of
from bids_anomaly.preprocessing.reorient import reorient, to_grid_of
from bids_anomaly.scoring.score import smoothed

# What it is called where the names of models stand.
RAW_INTENSITY = "raw intensity"
# As that of the scores of packaged models.
SMOOTHING_MM = 1.2


def raw_score(
    scan: np.ndarray, brain: np.ndarray, spacing: np.ndarray, *, modality: str
) -> np.ndarray:
    """Score how bright a scan is around each voxel of the brain; how dark, where disease is dark.

    Only the order of the scores means something: a scan in other units has the same order, and
    what lies outside of the brain has no say.

    Parameters
    ----------
    scan : (X, Y, Z) or (X, Y) array
        As it came, any units.
    brain : bool array
        Brain mask in the grid of `scan`.
    spacing : array
        Voxel size in mm along each axis.
    modality : str
        BIDS suffix.

    Returns
    -------
    float32 array
        Higher is more anomalous; 0 outside the brain.
    """
    score = smoothed(np.where(brain, scan, 0), brain, SMOOTHING_MM, spacing)
    return -score if modality_of(modality).disease_is_dark else score


def read_raw(path: Path) -> nib.Nifti1Image:
    """Read a scan of the input dataset as the app reads it, in the voxel order of its file.

    Raises
    ------
    MissingInputError, BadScanError
        As :func:`bids_anomaly.preprocessing.reorient.reorient` does.
    """
    return to_grid_of(reorient(path), path)


def find_raw(output: Path, derivatives: Path, bids_dir: Path | None = None) -> Path:
    """Find the file of the input dataset that an output was made from.

    Parameters
    ----------
    output : Path
        An image of one scan that the app wrote, with its JSON file.
    derivatives : Path
        The output folder that it lies in.
    bids_dir : Path, optional
        The input dataset, where it is no longer where the output folder says.

    Raises
    ------
    MissingInputError
        If the results do not say it, or it is not there.
    """
    sources = read_object(sidecar_path(output)).get("Sources", [])
    if not sources:
        raise MissingInputError("The results do not say which scan they are from.")
    name, _, file = sources[0].removeprefix("bids:").partition(":")
    if name != RAW:
        raise MissingInputError(
            f"What was read had been preprocessed already ({name}); the scan as it came is not "
            "known."
        )
    folder = bids_dir or _linked(derivatives)
    if folder is None or not folder.is_dir():
        raise MissingInputError(
            f"The input dataset is not at {folder or 'any place that the results name'}: say where "
            "it is with --bids-dir."
        )
    if not (folder / file).exists():
        raise MissingInputError(
            f"The dataset {folder} has no such scan: say with --bids-dir which dataset the results "
            "are from."
        )
    return folder / file


def _linked(derivatives: Path) -> Path | None:
    """Return the folder of the input dataset that an output folder names."""
    links = read_object(derivatives / "dataset_description.json").get("DatasetLinks", {})
    url = urlsplit(links.get(RAW, ""))
    if not url.path or url.scheme not in ("", "file"):
        return None
    return derivatives / unquote(url.path)
