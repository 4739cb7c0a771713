"""Regions of the brain that have tones of their own on FLAIR and T2w.

A tone curve over T1w intensity alone cannot give them: the insula and the cingulate cortex are
brighter on FLAIR than other cortex, the pallidum is dark on T2w, and so on.
"""

from functools import cache

import numpy as np

from bids_anomaly.modalities import MODALITIES
from bids_anomaly.preprocessing.atlas import atlas_labels, atlas_regions
from bids_anomaly.preprocessing.template import Grid

# How regions of the atlas begin, and by how much their tone departs on (FLAIR, T2w): mean and
# standard deviation over people and scanners, relative to other tissue of their T1w intensity.
TONES = {
    ("AnteriorInsula", "PosteriorInsula", "AnteriorCingulate", "MiddleCingulate",
     "PosteriorCingulate", "Parahippocampal", "Entorhinal", "Subcallosal", "Hippocampus",
     "Amygdala"): ((0.06, 0.07), (0.02, 0.07)),
    ("Caudate", "Putamen", "Accumbens", "BasalForebrain"): ((0.0, 0.06), (-0.05, 0.08)),
    ("Pallidum",): ((-0.08, 0.08), (-0.15, 0.10)),
    ("Thalamus",): ((0.0, 0.06), (0.0, 0.08)),
    ("BrainStem", "VentralDC"): ((0.02, 0.08), (0.03, 0.08)),
    ("CerebellumExterior", "CerebellarVermal"): ((0.0, 0.08), (0.0, 0.08)),
    ("Cerebellum_WM",): ((0.0, 0.06), (0.0, 0.08)),
    ("CorpusCallosum",): ((-0.04, 0.05), (-0.04, 0.06)),
    ("PosteriorLimb", "Fornix"): ((0.04, 0.06), (0.04, 0.06)),
}  # fmt: skip


@cache
def _table() -> dict[int, int]:
    """Return the number of the group, from 1 on, of each index of the atlas that is in one."""
    groups = list(TONES)
    return {
        region.index: number
        for number, prefixes in enumerate(groups, start=1)
        for region in atlas_regions()
        if region.name.startswith(prefixes)
    }


def regions_in_grid(grid: Grid) -> np.ndarray:
    """Return which of :data:`TONES` each voxel of a grid in the template's space has.

    Returns
    -------
    (X, Y, Z) uint8 array
        From 1 on in the order of the table, 0 elsewhere.
    """
    table = _table()
    lookup = np.zeros(max(table) + 1, np.uint8)
    lookup[list(table)] = list(table.values())
    labels = atlas_labels(grid)
    return np.where(labels <= max(table), lookup[np.minimum(labels, max(table))], 0)


def tones(modality: str) -> list[tuple[float, float]]:
    """Return mean and standard deviation of the tone of each number of :func:`regions_in_grid`."""
    column = MODALITIES.index(modality) - 1
    return [(0.0, 0.0), *(row[column] for row in TONES.values())]
