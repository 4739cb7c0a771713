"""What every reconstruction method gives."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Reconstruction:
    """The pseudo-healthy image of a scan, in the model grid.

    Attributes
    ----------
    pseudo_healthy : (X, Y, Z) float32 array or None
        White matter = 1, 0 outside the brain; None for a method that makes no image.
    spread : (X, Y, Z) float32 array or None
        Standard deviation of the pseudo-healthy image over predictions (levels, mirrorings, draws).
    anomaly : (X, Y, Z) float32 array or None
        The method's own anomaly score, if it has one.
    evaluations : int
        Network evaluations of a slice (2-D methods) or of the volume (3-D methods).
    """

    pseudo_healthy: np.ndarray | None
    spread: np.ndarray | None
    anomaly: np.ndarray | None
    evaluations: int
