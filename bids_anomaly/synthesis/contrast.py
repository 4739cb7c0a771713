"""Paint scans of other contrasts from real T1w scans.

A random piecewise-linear tone curve over CSF, grey and white matter keeps real folding, partial
volume and atrophy.
"""

import numpy as np

# T1w intensities of CSF, grey and white matter relative to white matter, as the scans used for
# painting have them, and the ranges that the painted tissue gets.
T1W_TISSUES = (0.30, 0.72, 1.0)
T2W_RANGES = ((2.0, 3.5), (1.3, 1.8), (0.97, 1.03))


def paint_t2w(t1w: np.ndarray, brain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn a healthy T1w scan into a T2w-like one.

    Parameters
    ----------
    t1w : (X, Y, Z) array
        White matter = 1.
    brain : (X, Y, Z) bool array
        Brain mask.
    rng : numpy.random.Generator
        Draws the tone curve.

    Returns
    -------
    (X, Y, Z) float32 array
        White matter = 1, 0 outside the brain.
    """
    csf, grey, white = (rng.uniform(low, high) for low, high in T2W_RANGES)
    # Air and bone are dark on both; what is brighter than white matter on T1w is fat or a vessel.
    knots = (0.0, 0.15, *T1W_TISSUES, 1.4)
    values = (0.4 * csf, csf, csf, grey, white, 0.8 * white)
    return (np.interp(t1w, knots, values) * brain).astype(np.float32)
