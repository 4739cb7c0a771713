"""Compare two groups voxel by voxel, where a voxel counts more if its neighbours differ too.

Threshold-free cluster enhancement (TFCE, Smith and Nichols 2009), by nilearn: the height and extent
of all clusters that a voxel is in, over all thresholds of t, with the exponents 2 and 0.5 and 6
neighbours. It needs whole images, where :mod:`bids_anomaly.group.comparison` goes through blocks.
"""

from typing import NamedTuple

import nibabel as nib
import numpy as np
from nilearn.maskers import NiftiMasker
from nilearn.mass_univariate import permuted_ols

from bids_anomaly.group.comparison import PERMUTATIONS, family_wise

# Of memory at the peak, for each person and voxel: the values, and what nilearn makes of them.
# benchmarks/group.py --tfce measures it: 40 and some for good measure.
BYTES_A_VALUE = 48


class Enhanced(NamedTuple):
    """What was found in each of V voxels.

    Attributes
    ----------
    score : (V,) array
        TFCE, positive where cases are higher than controls; NaN where nothing was compared.
    p : (V,) array
        Two-sided, family-wise over all voxels; NaN likewise.
    """

    score: np.ndarray
    p: np.ndarray


def tfce_test(
    values: np.ndarray,
    voxels: np.ndarray,
    is_case: np.ndarray,
    covariates: np.ndarray,
    *,
    t: np.ndarray,
    seed: int,
    permutations: int = PERMUTATIONS,
) -> Enhanced:
    """Compare cases with controls in an image, by permutation of residuals.

    The rate at which any voxel at all is found where groups do not differ is that of the threshold
    of p.

    Parameters
    ----------
    values : (M, V) array
        Values of M people.
    voxels : (X, Y, Z) bool array
        Where the V values of a person lie.
    is_case : (M,) bool array
    covariates : (M, K) array
        Held constant; K may be 0.
    t : (V,) array
        Of the same people by :func:`bids_anomaly.group.comparison.max_t_test`. Where it is not
        finite, nothing is compared.
    seed : int
        Of the permutations.
    permutations : int
        How many; no p is below 1 / (permutations + 1).
    """
    compared = np.isfinite(t)
    score = np.full(t.shape, np.nan)
    if compared.any():
        mask = np.zeros(voxels.shape, np.uint8)
        mask[voxels] = compared
        outputs = permuted_ols(
            is_case.astype(float)[:, None],
            np.asfortranarray(values[:, compared], dtype=float),
            confounding_vars=np.ascontiguousarray(covariates, dtype=float)
            if covariates.size
            else None,
            n_perm=permutations,
            random_state=seed,
            masker=NiftiMasker(nib.Nifti1Image(_cut(mask), np.eye(4))).fit(),
            tfce=True,
            output_type="dict",
        )
        score[compared] = outputs["tfce"][0]
        highest = np.sort(outputs["h0_max_tfce"][0])
    else:
        highest = np.zeros(permutations)
    return Enhanced(score, family_wise(score, highest))


def memory_gb(people: int, voxels: int) -> float:
    """Return about how much memory the test takes, in GB of 1024 MB."""
    return people * voxels * BYTES_A_VALUE / 1024**3


def _cut(mask: np.ndarray) -> np.ndarray:
    """Cut an image to the box of what is not 0: clusters are looked for in half of the volume."""
    inside = np.argwhere(mask)
    return mask[tuple(slice(*ends) for ends in zip(inside.min(0), inside.max(0) + 1, strict=True))]
