"""What a scanner makes of a head: limited resolution, uneven sensitivity, noise, integers."""

import numpy as np
from numpy.random import Generator
from scipy import fft

from bids_anomaly.demo.fields import Axes, RandomField

# Value of white matter in the file, and noise relative to it (3 T, 2 mm).
WHITE_MATTER_VALUE = 620.0
NOISE = 0.022


def acquire(head: np.ndarray, axes: Axes, box: np.ndarray, *, random: Generator) -> np.ndarray:
    """Return the scan of a head as int16.

    Parameters
    ----------
    head : (X, Y, Z) array
        Intensity relative to white matter, each voxel the mean over its volume.
    axes : Axes
        Coordinates of the grid in mm.
    box : (2, 3) array
        Corners of the field of view in mm.
    random : numpy.random.Generator
    """
    # A smooth field, and coils around the head: what is near them is brighter.
    x, y, z = (a / np.float32(100) for a in axes)
    sensitivity = 0.10 * RandomField.smooth(box, 90, random).on(axes)
    sensitivity = sensitivity + 0.10 * (x**2 + y**2 + z**2) - 0.06 * z
    signal = _truncated(head * np.exp(sensitivity))
    real, imaginary = NOISE * random.standard_normal((2, *head.shape), np.float32)
    magnitude = np.hypot(signal + real, imaginary)
    return np.round(WHITE_MATTER_VALUE * magnitude).astype(np.int16)


def _truncated(signal: np.ndarray) -> np.ndarray:
    """Drop the highest spatial frequencies, as a finite acquisition does; edges ring a little."""
    spectrum = fft.rfftn(signal)
    for axis, count in enumerate(signal.shape):
        frequency = fft.rfftfreq(count) if axis == 2 else np.abs(fft.fftfreq(count))
        window = np.clip((0.5 - frequency) / 0.06, 0, 1) ** 0.5
        spectrum *= np.expand_dims(window, [a for a in range(3) if a != axis]).astype(np.float32)
    return fft.irfftn(spectrum, s=signal.shape).astype(np.float32)
