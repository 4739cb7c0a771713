"""What anomalies look like on each contrast; intensities are relative to white matter."""

from dataclasses import dataclass

import torch
from torch import Tensor

SMALL, TERRITORIAL, MASS = range(3)

Range = tuple[float, float]


@dataclass(frozen=True)
class Recipe:
    """Anomalies of one contrast; triples are for small lesions, territorial strokes and masses.

    Attributes
    ----------
    shares : triple of float
        How often each kind is drawn.
    levels : triple of (low, high)
        Intensity of the anomaly.
    opposite_shares : triple of float
        How often it is the other way round: bright on T1w, dark on FLAIR and T2w.
    opposite_levels : (low, high)
        Intensity then.
    core_shares : triple of float
        How often there is a core inside.
    core_levels : triple of (low, high)
        Intensity of the core.
    visible_change : float
        A change below this cannot be told from noise and is not called anomalous.
    brightens : bool
        Whether disease is mostly brighter than healthy tissue.
    """

    shares: tuple[float, float, float]
    levels: tuple[Range, Range, Range]
    opposite_shares: tuple[float, float, float]
    opposite_levels: Range
    core_shares: tuple[float, float, float]
    core_levels: tuple[Range, Range, Range]
    visible_change: float
    brightens: bool


# In the order of bids_anomaly.modalities.MODALITIES. Small lesions have no core, as no
# structure shows in a few voxels; the core of an old stroke is a cavity of CSF.
RECIPES = (
    Recipe(
        shares=(0.40, 0.35, 0.25),
        levels=((0.50, 0.95), (0.20, 0.70), (0.40, 0.90)),
        opposite_shares=(0.0, 0.0, 0.10),
        opposite_levels=(1.1, 1.6),
        core_shares=(0.0, 0.5, 0.5),
        core_levels=((0.3, 0.3), (0.15, 0.40), (0.25, 0.90)),
        visible_change=0.04,
        brightens=False,
    ),
    Recipe(
        shares=(0.56, 0.22, 0.22),
        levels=((1.15, 1.90), (1.15, 1.80), (1.10, 1.70)),
        opposite_shares=(0.03, 0.05, 0.10),
        opposite_levels=(0.05, 0.60),
        core_shares=(0.0, 0.15, 0.5),
        core_levels=((0.1, 0.1), (0.05, 0.35), (0.60, 1.90)),
        visible_change=0.08,
        brightens=True,
    ),
    Recipe(
        shares=(0.56, 0.22, 0.22),
        levels=((1.30, 2.40), (1.40, 2.60), (1.40, 2.60)),
        opposite_shares=(0.0, 0.0, 0.10),
        opposite_levels=(0.40, 0.90),
        core_shares=(0.0, 0.3, 0.5),
        core_levels=((2.5, 2.5), (2.00, 3.30), (1.00, 3.30)),
        visible_change=0.12,
        brightens=True,
    ),
)

# Radii in mm (log-uniform) of each kind; 1.25 mm is one voxel of 8 mm3, 42 mm is 300 ml.
RADII_MM = ((1.25, 9.0), (8.0, 40.0), (6.0, 42.0))


def column(name: str, modality: Tensor) -> Tensor:
    """Return a property of each sample's recipe, (B, ...) on the device of `modality`."""
    table = torch.tensor([getattr(recipe, name) for recipe in RECIPES], device=modality.device)
    return table[modality]


def of_kind(values: Tensor, kind: Tensor) -> Tensor:
    """Pick from (B, 3, ...) values those of each sample's kind, (B, ...)."""
    return values[torch.arange(len(kind), device=kind.device), kind]
