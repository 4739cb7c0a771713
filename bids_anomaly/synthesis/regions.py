"""Regions of the brain that have tones of their own on FLAIR and T2w.

A tone curve over T1w intensity alone cannot give them: the insula and the cingulate cortex are
brighter on FLAIR than other cortex, the pallidum is dark on T2w, and so on.
"""

from bids_anomaly.modalities import MODALITIES

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


def tones(modality: str) -> list[tuple[float, float]]:
    """Return mean and standard deviation of the tone of each row of :data:`TONES`, from 1 on."""
    column = MODALITIES.index(modality) - 1
    return [(0.0, 0.0), *(row[column] for row in TONES.values())]
