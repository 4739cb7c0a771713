"""Bundles that are not packaged yet."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from bids_anomaly.bids.writing import write_json
from bids_anomaly.training.export import write_weights


def write_candidate(
    folder: Path, output: Path, weights: Mapping[str, Tensor], training: Mapping[str, Any]
) -> None:
    """Write a bundle like another, calibration included, but for its weights.

    Parameters
    ----------
    folder : Path
        Of the bundle whose description and calibration are taken.
    output : Path
        New folder.
    weights : mapping of str to tensor
        Of the network that the bundle describes.
    training : mapping
        How the weights came about.
    """
    shutil.copytree(folder, output)
    digest = write_weights(output, weights)
    description = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    write_json(output / "bundle.json", {**description, "sha256": digest, "training": training})
