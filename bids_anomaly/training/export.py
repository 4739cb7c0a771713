"""Write a model bundle."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from bids_anomaly.bids.writing import replacing, write_bytes, write_json
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.reconstruction.bundle import NORMALISATION, WEIGHTS, Bundle, load_bundle
from bids_anomaly.reconstruction.methods import RELEASE
from bids_anomaly.scoring.calibration import Calibration, save_calibration


def write_bundle(
    folder: Path,
    *,
    method: str,
    modality: str,
    version: str,
    grid: Grid,
    score: Mapping[str, Any],
    calibration: Calibration,
    calibration_data: str,
    licence: str,
    network: nn.Module | None = None,
    **description: Any,
) -> Bundle:
    """Write weights, description and calibration of a model.

    Parameters
    ----------
    folder : Path
        Made if missing; files in it are replaced.
    method, modality, version : str
        Together they name the bundle.
    grid : Grid
        The model grid, isotropic.
    score : mapping
        See :func:`bids_anomaly.scoring.score.anomaly_score`.
    calibration : Calibration
        Scores of people without disease.
    calibration_data : str
        Who they are.
    licence : str
        Of weights and calibration.
    network : torch.nn.Module, optional
        As :func:`bids_anomaly.reconstruction.registry.build_network` makes it. Weights are written
        in half precision.
    **description
        Further entries of ``bundle.json``: what the weights were trained on, levels, metrics.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "name": f"{method}-{modality}",
        "version": version,
        "method": method,
        "modality": modality,
        "licence": licence,
        "grid": grid.description,
        "normalisation": NORMALISATION,
        "score": dict(score),
        "calibration": {"data": calibration_data, "people": calibration.people},
        **description,
    }
    if network is not None:
        content["network"] = network.arguments
        content["sha256"] = write_weights(folder, network.state_dict())
    with replacing(folder / "calibration.npz") as temporary:
        # NumPy appends .npz to names without it; the temporary name has it.
        save_calibration(calibration, temporary)
    write_json(folder / "bundle.json", content)
    return load_bundle(folder)


def write_weights(folder: Path, weights: Mapping[str, Tensor]) -> str:
    """Write the weights of a bundle in half precision, and return their sha256."""
    # Not save_file, which makes a file that only its owner may read.
    content = save({key: value.half().contiguous() for key, value in weights.items()})
    write_bytes(folder / WEIGHTS, content)
    return hashlib.sha256(content).hexdigest()


def write_recalibrated(
    bundle: Bundle,
    folder: Path,
    *,
    calibration: Calibration,
    calibration_data: str,
    steps: int | None = None,
) -> Bundle:
    """Write a copy of a bundle that has another calibration.

    Parameters
    ----------
    bundle : Bundle
        Stays as it is.
    folder : Path
        Made if missing; files in it are replaced.
    calibration : Calibration
        Scores of people without disease.
    calibration_data : str
        Who they are.
    steps : int, optional
        With how many levels they were scored, which the copy then takes by itself.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if bundle.weights is not None:
        write_bytes(folder / WEIGHTS, bundle.weights.read_bytes())
    with replacing(folder / bundle.calibration.name) as temporary:
        save_calibration(calibration, temporary)
    own = {key: value for key, value in bundle.description.items() if key != "weights"}
    content = {
        **own,
        "version": f"{bundle.version.partition('+')[0]}+recalibrated",
        "calibration": {"data": calibration_data, "people": calibration.people},
    }
    if steps is not None:
        content["steps"] = steps
    if bundle.status != RELEASE:
        content["status"] = bundle.status
    write_json(folder / "bundle.json", content)
    return load_bundle(folder)
