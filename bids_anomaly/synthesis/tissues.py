"""Tissues of label maps, and how bright each is on a contrast, relative to white matter.

Numbers of labels are those of FreeSurfer (Fischl et al. 2002) and of the label maps from which
SynthSeg was trained (Billot et al. 2023), with left and right together.
"""

from collections.abc import Mapping
from types import MappingProxyType

Range = tuple[float, float]

# Lesions (25, 57, 77) are painted as the white matter in which they lie: scans made from labels
# are those of healthy people.
LABELS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "white matter": (2, 25, 41, 57, 77, 251, 252, 253, 254, 255),
        "cortex": (3, 42, *range(1000, 1036), *range(2000, 2036)),
        "sulcal fluid": (24,),
        "ventricle": (4, 5, 14, 15, 43, 44, 72),
        "choroid plexus": (31, 63, 136, 137, 163, 164),
        "cerebellar white matter": (7, 46),
        "cerebellar cortex": (8, 47),
        "brain stem": (16,),
        "thalamus": (10, 49),
        "caudate": (11, 50),
        "putamen": (12, 51),
        "pallidum": (13, 52),
        "hippocampus": (17, 53),
        "amygdala": (18, 54),
        "accumbens": (26, 58),
        "ventral diencephalon": (28, 60),
        "vessel": (30, 62),
        "optic chiasm": (85,),
        # Meninges, sinuses and all else that is not brain but lies between its parts.
        "other": (165, 258, *range(501, 531)),
        # White matter that touches a lateral ventricle; no label of its own.
        "periventricular white matter": (),
    }
)
TISSUES = tuple(LABELS)
# What voxels of a tissue hold in maps of tissues; 0 is outside the brain.
VALUES: Mapping[str, int] = MappingProxyType({name: 1 + i for i, name in enumerate(TISSUES)})
LATERAL_VENTRICLES = (4, 5, 43, 44, 136, 137, 163, 164)

# Fluid, grey and white matter as in the literature on each contrast; nuclei are ordered by their
# iron and myelin, which shorten T1 and T2.
CONTRASTS: Mapping[str, Mapping[str, Range]] = MappingProxyType(
    {
        "T1w": {
            "white matter": (0.98, 1.02),
            "cortex": (0.60, 0.80),
            "sulcal fluid": (0.18, 0.45),
            "ventricle": (0.15, 0.35),
            "choroid plexus": (0.35, 0.60),
            "cerebellar white matter": (0.92, 1.02),
            "cerebellar cortex": (0.60, 0.78),
            "brain stem": (0.86, 0.98),
            "thalamus": (0.76, 0.90),
            "caudate": (0.66, 0.80),
            "putamen": (0.72, 0.85),
            "pallidum": (0.86, 0.98),
            "hippocampus": (0.62, 0.78),
            "amygdala": (0.62, 0.78),
            "accumbens": (0.64, 0.80),
            "ventral diencephalon": (0.82, 0.95),
            "vessel": (0.30, 0.90),
            "optic chiasm": (0.65, 0.90),
            "other": (0.20, 0.60),
            "periventricular white matter": (0.92, 1.00),
        },
        "FLAIR": {
            "white matter": (0.98, 1.02),
            "cortex": (1.00, 1.30),
            "sulcal fluid": (0.15, 0.55),
            "ventricle": (0.03, 0.30),
            "choroid plexus": (0.50, 1.10),
            "cerebellar white matter": (0.95, 1.10),
            "cerebellar cortex": (1.05, 1.25),
            "brain stem": (0.95, 1.15),
            "thalamus": (1.00, 1.20),
            "caudate": (1.10, 1.30),
            "putamen": (1.00, 1.20),
            "pallidum": (0.80, 1.00),
            "hippocampus": (1.15, 1.40),
            "amygdala": (1.15, 1.40),
            "accumbens": (1.10, 1.30),
            "ventral diencephalon": (0.95, 1.10),
            "vessel": (0.20, 0.80),
            "optic chiasm": (0.90, 1.20),
            "other": (0.30, 1.00),
            "periventricular white matter": (1.00, 1.35),
        },
        "T2w": {
            "white matter": (0.98, 1.02),
            "cortex": (1.30, 1.80),
            "sulcal fluid": (1.80, 3.30),
            "ventricle": (2.00, 3.50),
            "choroid plexus": (1.50, 2.50),
            "cerebellar white matter": (1.00, 1.20),
            "cerebellar cortex": (1.30, 1.70),
            "brain stem": (1.00, 1.25),
            "thalamus": (1.15, 1.40),
            "caudate": (1.25, 1.60),
            "putamen": (1.15, 1.45),
            "pallidum": (0.75, 1.05),
            "hippocampus": (1.40, 1.80),
            "amygdala": (1.40, 1.75),
            "accumbens": (1.30, 1.65),
            "ventral diencephalon": (1.00, 1.25),
            "vessel": (0.30, 0.90),
            "optic chiasm": (1.10, 1.60),
            "other": (0.30, 1.20),
            "periventricular white matter": (1.00, 1.25),
        },
    }
)
