"""The reconstruction methods by name; a new one is a new file and a line here."""

from collections.abc import Callable

import numpy as np

from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.reconstruction.restore import restore
from bids_anomaly.reconstruction.result import Reconstruction
from bids_anomaly.reconstruction.threshold import threshold

METHODS: dict[str, Callable[..., Reconstruction]] = {"restore": restore, "threshold": threshold}


def reconstruct(
    bundle: Bundle,
    scan: np.ndarray,
    brain: np.ndarray,
    *,
    device: str,
    batch_size: int | None,
    steps: int | None,
    seed: int,
) -> Reconstruction:
    """Build the pseudo-healthy image of a scan with the method of a bundle.

    Parameters
    ----------
    bundle : Bundle
        Method and weights.
    scan : (X, Y, Z) array
        In the grid of the bundle, white matter = 1, 0 outside the brain.
    brain : (X, Y, Z) bool array
        Brain mask in the same grid.
    device : str
        A torch device, such as ``cpu`` or ``cuda:0``.
    batch_size : int or None
        Slices at a time; None takes what fits.
    steps : int or None
        Number of levels of corruption at which the image is predicted; None is the bundle's own.
    seed : int
        For methods that draw random numbers.

    Returns
    -------
    Reconstruction
        In the grid of the bundle.

    Raises
    ------
    DeviceUnavailableError
        If the device cannot hold even one slice.
    """
    return METHODS[bundle.method](
        bundle, scan, brain, device=device, batch_size=batch_size, steps=steps, seed=seed
    )
