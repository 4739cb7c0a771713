"""How well a network restores people it was not trained on, with and without synthetic lesions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bids_anomaly.evaluation.metrics import auprc, l1, ssim
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.reconstruction.batching import batch_size_for
from bids_anomaly.reconstruction.covariates import as_numbers
from bids_anomaly.reconstruction.registry import reconstruct_slabs
from bids_anomaly.synthesis.recipes import RECIPES
from bids_anomaly.training.data import Batch, draw_batch
from bids_anomaly.training.mosaic import WHITE_AT, write_mosaic
from bids_anomaly.training.volumes import HealthyVolumes

# The same slabs at every validation of every training on the same people.
SEED = 20_250_101
# Of each modality, fewer of thick ones.
SLABS, THICK_SLABS, THICK = 96, 16, 16
SHOWN = 6
# Span of the intensities of a brain, white matter = 1.
DATA_RANGE = 1.5
# Methods that go through many levels are validated with few.
STEPS = 1
# A difference to the healthy slice that is shown white.
WHITE_DIFFERENCE = 0.5


def held_out_slabs(
    volumes: HealthyVolumes, *, slices: int, modalities: Sequence[str]
) -> dict[str, Batch]:
    """Draw slabs of held-out people, most with synthetic lesions; always the same ones.

    Parameters
    ----------
    volumes : HealthyVolumes
        Held-out people, on the CPU.
    slices : int
        Slices a slab.
    modalities : sequence of str
        Which contrasts to draw.

    Returns
    -------
    dict
        Slabs of each modality.
    """
    return {
        modality: draw_batch(
            volumes,
            SLABS if slices < THICK else THICK_SLABS,
            slices=slices,
            modalities=[modality],
            generator=torch.Generator().manual_seed(SEED + MODALITIES.index(modality)),
        )
        for modality in modalities
    }


def validate(
    method: str,
    network: nn.Module,
    slabs: dict[str, Batch],
    *,
    levels: Sequence[float],
    device: torch.device,
    picture: Path,
) -> dict[str, float]:
    """Measure a network on held-out slabs, and draw some of them.

    Parameters
    ----------
    method : str
        Whose network it is.
    network : torch.nn.Module
        On `device`.
    slabs : dict
        From :func:`held_out_slabs`.
    levels : sequence of float
        Of the method; `restore` predicts at the highest only.
    device : torch.device
        Where to compute.
    picture : Path
        PNG with rows of corrupted slice, restored slice, truth, and anomaly.

    Returns
    -------
    dict
        For each modality, over brain voxels: l1 and SSIM of the restored slices against the truth;
        the area under the precision-recall curve of the method's own anomaly map, or of the
        difference in the direction of disease; and, of the slices that are healthy, l1 and SSIM.
    """
    measures: dict[str, float] = {}
    rows = []
    for modality, batch in slabs.items():
        middle = batch.slab.shape[1] // 2
        thick = batch.slab.shape[1] >= THICK
        corrupted = batch.slab[:, middle].numpy()
        found = reconstruct_slabs(
            method,
            network,
            batch.slab,
            batch.brains,
            covariates=torch.tensor(as_numbers({})).expand(len(batch.slab), -1),
            levels=levels,
            steps=STEPS,
            seed=SEED,
            device=device,
            batch_size=batch_size_for("cpu", thickness=len(batch.slab[0]) if thick else 1),
        )
        brain = batch.brain[:, 0].numpy() > 0
        truth, lesion = batch.healthy[:, 0].numpy(), batch.lesion[:, 0].numpy() > 0
        healthy, anomaly = (
            part if part is None else part[:, part.shape[1] // 2].numpy() * brain
            for part in (found.pseudo_healthy, found.anomaly)
        )
        if healthy is None:
            healthy = corrupted
        if anomaly is None:
            direction = 1 if RECIPES[MODALITIES.index(modality)].brightens else -1
            anomaly = direction * (corrupted - healthy)
        clean = ~lesion.any(axis=(1, 2))
        # Slices are drawn where most people have brain; the smallest brain may end before.
        error, similarity = np.full((2, len(brain)), np.nan)
        for index in np.flatnonzero(brain.any(axis=(1, 2))):
            pair = healthy[index], truth[index], brain[index]
            error[index] = l1(*pair)
            similarity[index] = ssim(*pair, data_range=DATA_RANGE)
        named = {
            "l1": np.nanmean(error),
            "ssim": np.nanmean(similarity),
            "auprc": auprc(anomaly[brain], lesion[brain]),
            "healthy_l1": np.nanmean(error[clean]),
            "healthy_ssim": np.nanmean(similarity[clean]),
        }
        measures |= {f"{modality}_{name}": float(value) for name, value in named.items()}
        rows += [
            [image[index] / WHITE_AT[modality] for image in (corrupted, healthy, truth)]
            + [anomaly[index] * brain[index] / WHITE_DIFFERENCE]
            for index in np.flatnonzero(~clean)[:SHOWN]
        ]
    write_mosaic(picture, rows, ("corrupted", "restored", "truth", "anomaly"), by_row=False)
    return measures
