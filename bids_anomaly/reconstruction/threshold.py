"""No network: the intensity itself, the baseline that learned methods have to beat."""

import numpy as np

from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.reconstruction.result import Reconstruction


def threshold(bundle: Bundle, scan: np.ndarray, brain: np.ndarray, **_: object) -> Reconstruction:
    """Leave the scan as it is: its normalised intensity is scored without a reconstruction.

    Published autoencoders lose to this baseline on FLAIR (Meissen et al. 2021, arXiv 2109.06540).
    Parameters are those of :func:`bids_anomaly.reconstruction.registry.reconstruct`.
    """
    return Reconstruction(pseudo_healthy=None, spread=None, anomaly=None, evaluations=0)
