"""How each method is trained: its network, what that learns, and how scans are scored with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor

from bids_anomaly.exceptions import UsageError
from bids_anomaly.reconstruction.views import AXIAL, CORONAL
from bids_anomaly.training import adversarial, memory, objectives
from bids_anomaly.training.data import (
    Batch,
    draw_batch,
    draw_healthy,
    draw_in_two_views,
    draw_mixed,
)

SMOOTHING_MM = 1.2
# Disease is dark on T1w and bright on FLAIR, where intensity alone is hard to beat, and on T2w.
OWN_SCORES = {
    "T1w": {"rule": "own_score", "smoothing_mm": SMOOTHING_MM, "direction": -1},
    "FLAIR": {
        "rule": "own_score_and_intensity",
        "smoothing_mm": SMOOTHING_MM,
        "direction": 1,
        "intensity_weight": 1.0,
    },
    "T2w": {"rule": "own_score", "smoothing_mm": SMOOTHING_MM, "direction": 1},
}
# Scores of T1w and FLAIR count in units of their spread in the middle of a brain's voxels.
BULK = (0.5, 0.65)
RESTORE_SCORES = {
    "T1w": {
        "rule": "lesion_and_surroundings",
        "smoothing_mm": SMOOTHING_MM,
        "surroundings_weight": 0.5,
        "surroundings_mm": 6.0,
        "bulk": BULK,
    },
    # Thin bright strips and lesions of a voxel or two outlast no Gaussian.
    "FLAIR": {
        "rule": "intensity_and_surroundings",
        "denoising_mm": 0.06,
        "smoothing_mm": 0.0,
        "lesion_weight": 0.2,
        "surroundings_weight": 1.2,
        "surroundings_mm": 10.0,
        "bulk": BULK,
        "bulk_of": "intensity",
    },
    "T2w": {"rule": "brightening_in_lesion", "smoothing_mm": SMOOTHING_MM, "fluid_level": 1.8},
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one method is trained.

    Attributes
    ----------
    losses : callable
        See :mod:`bids_anomaly.training.objectives`.
    network : mapping
        Arguments of the network beside its noise, which the row of the method names; see
        :func:`bids_anomaly.reconstruction.registry.build_network`.
    shaped : bool
        Whether the network also takes the `shape` of the slices.
    draw : callable
        :func:`draw_healthy`, or :func:`draw_batch` where anomalies are learnt too.
    optimiser : mapping
        Arguments of AdamW.
    levels : tuple of float
        Levels of corruption at which the method predicts.
    covariates : bool
        Whether the network takes age and sex.
    batch_size : int
        Slabs a step, where nothing else is asked for.
    finish : callable or None
        What the trained network still has to learn, see :mod:`bids_anomaly.training.memory`.
    scores : mapping
        For each modality, see :func:`bids_anomaly.scoring.score.anomaly_score`.
    """

    losses: Callable[..., dict[str, Tensor]]
    network: Mapping[str, Any] = field(default_factory=dict)
    shaped: bool = False
    draw: Callable = draw_healthy
    optimiser: Mapping[str, Any] = field(default_factory=dict)
    levels: tuple[float, ...] = ()
    covariates: bool = False
    batch_size: int = 16
    finish: Callable[..., None] | None = None
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: OWN_SCORES)

    @property
    def learns_lesions(self) -> bool:
        """Whether the network has an output for lesions, which masks can teach."""
        return self.draw is draw_batch


def in_views(recipe: Recipe, views: Sequence[str]) -> Recipe:
    """Return a recipe of a method that learns lesions, which learns from slabs of these views.

    Raises
    ------
    UsageError
        If they are not axial, or axial and coronal.
    """
    if tuple(views) == (AXIAL,):
        return recipe
    if tuple(views) == (AXIAL, CORONAL):
        return replace(recipe, draw=draw_in_two_views)
    raise UsageError(
        "A training learns from axial slabs, or from axial and coronal ones. Got "
        f"{', '.join(views)} instead: name others, or begin with another bundle."
    )


def with_others(recipe: Recipe, others: Sequence[Callable[..., Batch]]) -> Recipe:
    """Return a recipe of a method that learns lesions, which learns from other slabs as well.

    `others` are as for :func:`bids_anomaly.training.data.draw_mixed`.
    """
    return replace(recipe, draw=partial(draw_mixed, draw=recipe.draw, others=others))


DENSE = {"channels": (32, 64, 128, 192), "code": 128}
FLAT = (32, 64, 96, 128)
SOLID = (16, 32, 64)
SLICES = 32


def _diffusion(objective: Callable, *levels: float, **options: Any) -> Recipe:
    """Return the recipe of a method that learns the levels up to the highest of its own."""
    return Recipe(losses=partial(objective, highest=max(levels)), levels=levels, **options)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "ae": Recipe(losses=objectives.autoencoding, network=DENSE, shaped=True),
        "vae": Recipe(losses=objectives.variational, network=DENSE, shaped=True),
        "fanogan": Recipe(
            losses=adversarial.adversarial,
            network=DENSE,
            shaped=True,
            optimiser=adversarial.OPTIMISER,
        ),
        "dae": Recipe(losses=objectives.denoising, network={"channels": FLAT}),
        "anoddpm": _diffusion(objectives.diffusing, 0.25, network={"channels": FLAT}),
        "pddpm": _diffusion(objectives.patch_diffusing, 0.4, network={"channels": FLAT}),
        "cddpm": _diffusion(
            objectives.conditioned_diffusing,
            *(0.25, 0.5, 0.75),
            network={"channels": FLAT, "encoder_channels": DENSE["channels"]},
            shaped=True,
        ),
        "cadd": _diffusion(
            objectives.normative_diffusing,
            *(0.25, 0.5),
            network={"channels": SOLID, "slices": SLICES},
            covariates=True,
            batch_size=2,
            finish=partial(memory.doubt, start=0.25),
        ),
        "guided": _diffusion(
            objectives.guided_diffusing,
            1.0,
            network={"channels": SOLID, "slices": SLICES},
            batch_size=2,
        ),
        "features": Recipe(
            losses=objectives.denoising,
            network={"channels": FLAT, "remembered": 8192},
            finish=memory.remember,
        ),
        "restore": Recipe(
            losses=objectives.restoring,
            draw=draw_batch,
            # Low ones, at which the network expects faint anomalies, find most: docs/models.md.
            levels=(0.3, 0.1),
            scores=RESTORE_SCORES,
        ),
    }
)
