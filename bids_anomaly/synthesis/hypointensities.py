"""Fill dark islands in white matter, so that nobody's lesions are taken for healthy tissue."""

import numpy as np
from skimage.morphology import reconstruction

# Only islands in what is surely white matter after an affine registration, give or take.
LIKELY_WHITE_MATTER = 0.5


def fill_hypointensities(t1w: np.ndarray, white_matter: np.ndarray) -> np.ndarray:
    """Raise dark islands in white matter to the level of the tissue around them.

    White matter hypointensities of healthy people would become bright on FLAIR and T2w painted
    from their T1w scans. Islands that touch ventricle or cortex keep what connects them.

    Parameters
    ----------
    t1w : (X, Y, Z) array
        White matter = 1.
    white_matter : (X, Y, Z) array
        Probability of white matter in the same grid.

    Returns
    -------
    (X, Y, Z) float32 array
        Nowhere darker than `t1w`; unchanged where white matter is unlikely.
    """
    seed = np.where(white_matter > LIKELY_WHITE_MATTER, max(float(t1w.max()), 1.0), t1w)
    # The highest basin filling that does not flow out of the white matter.
    filled = reconstruction(np.maximum(seed, t1w), t1w, method="erosion")
    return np.minimum(filled, np.maximum(t1w, 1.0)).astype(np.float32)
