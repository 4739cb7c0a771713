"""Compare two groups in many places at once, with the error over all places kept.

The general linear model and its permutations are nilearn's (:func:`nilearn.mass_univariate
.permuted_ols`: Freedman and Lane 1983, Anderson and Robinson 2001); the largest |t| of each
permutation, over all places, gives p-values with family-wise control (Westfall and Young 1993,
Nichols and Holmes 2002). Places come in blocks that see the same permutations, so that memory does
not grow with their number.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from nilearn.mass_univariate import permuted_ols

PERMUTATIONS = 1000
# Of the family-wise error, for what is outlined and counted.
LEVEL = 0.05
# Numbers in a block, few enough to stay near the processor; and places, enough to read from disk.
BLOCK_SIZE, FEWEST_PLACES = 250_000, 256
# A voxel is compared where this share of the people have brain.
SCANNED_SHARE = 0.95


class Test(NamedTuple):
    """What was found at each of V places.

    Attributes
    ----------
    t : (V,) array
        Positive where cases are higher than controls; NaN where nothing was compared.
    p : (V,) array
        Two-sided, family-wise over all places; NaN likewise.
    """

    t: np.ndarray
    p: np.ndarray


def max_t_test(
    blocks: Iterable[np.ndarray],
    is_case: np.ndarray,
    covariates: np.ndarray,
    *,
    seed: int,
    permutations: int = PERMUTATIONS,
) -> Test:
    """Compare cases with controls at many places.

    The rate at which any place at all is found where groups do not differ is that of the
    threshold of p.

    Parameters
    ----------
    blocks : iterable of (M, B) arrays
        Values of M people; places are in the order of the blocks. Those with a NaN, or with one
        value for everybody, are not compared.
    is_case : (M,) bool array
    covariates : (M, K) array
        Held constant; K may be 0.
    seed : int
        Of the permutations.
    permutations : int
        How many; no p is below 1 / (permutations + 1).
    """
    tested = is_case.astype(float)[:, None]
    confounds = np.ascontiguousarray(covariates, dtype=float) if covariates.size else None
    highest = np.zeros(permutations)
    parts = []
    for block in blocks:
        t = np.full(block.shape[1], np.nan)
        varied = np.isfinite(block).all(axis=0)
        varied[varied] = np.ptp(block[:, varied], axis=0) > 0
        if varied.any():
            # Where groups are told apart without error, t is infinite.
            with np.errstate(divide="ignore", invalid="ignore"):
                outputs = permuted_ols(
                    tested,
                    np.asfortranarray(block[:, varied], dtype=float),
                    confounding_vars=confounds,
                    n_perm=permutations,
                    random_state=seed,
                    output_type="dict",
                )
            t[varied] = _without_error(outputs["t"][0], block[:, varied], tested, confounds)
            np.maximum(highest, outputs["h0_max_t"][0], out=highest)
        parts.append(t)
    t = np.concatenate(parts) if parts else np.empty(0)
    return Test(t, family_wise(t, np.sort(highest)))


def _without_error(
    t: np.ndarray, block: np.ndarray, tested: np.ndarray, confounds: np.ndarray | None
) -> np.ndarray:
    """Return t with infinity where rounding made a correlation of more than 1, which has no t.

    Where covariates alone explain everything, t stays NaN.
    """
    lost = np.isnan(t)
    if not lost.any():
        return t
    columns = [tested, np.ones_like(tested), *([] if confounds is None else [confounds])]
    effects = np.linalg.lstsq(np.hstack(columns), block[:, lost], rcond=None)[0][0]
    is_told = np.abs(effects) > 1e-6 * np.ptp(block[:, lost], axis=0)
    t = t.copy()
    t[lost] = np.where(is_told, np.copysign(np.inf, effects), np.nan)
    return t


def family_wise(t: np.ndarray, highest: np.ndarray) -> np.ndarray:
    """Return how often a permutation has as large a |t| anywhere; the data count as one of them.

    Parameters
    ----------
    t : (V,) array
        t, or another statistic whose sign says which group is higher; NaN stays NaN.
    highest : (P,) array
        The largest of each permutation, from the lowest up.
    """
    # A permutation that gives the groups themselves ends up a rounding error beside them.
    level = np.abs(t) * (1 - 1e-6)
    exceeded = len(highest) - np.searchsorted(highest, level, side="left")
    return np.where(np.isnan(t), np.nan, (exceeded + 1) / (len(highest) + 1))


def blocks_of(values: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Cut a (N, V) array, which may be on disk, into (M, B) blocks of some of its rows.

    Places outside the brain (0) of more than a twentieth of the people are set to NaN.
    """
    width = max(BLOCK_SIZE // max(len(rows), 1), FEWEST_PLACES)
    for start in range(0, values.shape[1], width):
        block = np.array(values[:, start : start + width][rows], dtype=float)
        block[:, (block != 0).mean(axis=0) < SCANNED_SHARE] = np.nan
        yield block
