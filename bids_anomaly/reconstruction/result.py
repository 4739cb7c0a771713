"""What every reconstruction method gives."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Reconstruction:
    """The pseudo-healthy image of a scan, in the model grid.

    Attributes
    ----------
    pseudo_healthy : (X, Y, Z) float32 array or None
        White matter = 1, 0 outside the brain; None for a method that makes no image.
    spread : (X, Y, Z) float32 array or None
        Standard deviation of what was predicted over levels, mirrorings or draws.
    anomaly : (X, Y, Z) float32 array or None
        The method's own anomaly score, if it has one.
    evaluations : int
        Network evaluations of a slice (2-D methods) or of the volume (3-D methods).
    """

    pseudo_healthy: np.ndarray | None
    spread: np.ndarray | None
    anomaly: np.ndarray | None
    evaluations: int


@dataclass(frozen=True)
class Slabs:
    """What a method makes of a stack of slabs, on the CPU.

    Attributes
    ----------
    pseudo_healthy, spread, anomaly : (N, S, H, W) tensor or None
        As in :class:`Reconstruction`; of two-dimensional methods only the middle slices, S = 1.
    evaluations : int
        Network evaluations of a slab.
    """

    pseudo_healthy: Tensor | None = None
    spread: Tensor | None = None
    anomaly: Tensor | None = None
    evaluations: int = 1
