"""Take points through the transforms by which images are resampled."""

from collections.abc import Sequence
from pathlib import Path

import ants
import numpy as np
import pandas as pd

# ITK counts x and y the other way round than NIfTI.
LPS = np.array([-1.0, -1.0, 1.0])


def move_points(
    points: np.ndarray, transforms: Sequence[Path], *, invert: Sequence[bool]
) -> np.ndarray:
    """Return where points lie in the space that a chain of transforms leads to.

    Parameters
    ----------
    points : (N, 3) array
        In mm, RAS+.
    transforms, invert
        As for :func:`bids_anomaly.preprocessing.resample.resample`: the chain that pulls images of
        another space onto the space of `points` takes the points to that other space.

    Returns
    -------
    (N, 3) array
        In mm, RAS+.
    """
    if len(points) == 0 or not transforms:
        return np.array(points, dtype=float).reshape(-1, 3)
    moved = ants.apply_transforms_to_points(
        3,
        pd.DataFrame(points * LPS, columns=list("xyz")),
        transformlist=[str(path) for path in transforms],
        whichtoinvert=list(invert),
    )
    return moved[list("xyz")].to_numpy(dtype=float) * LPS
