"""How well a network restores people it was not trained on, with and without synthetic lesions."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from skimage.metrics import structural_similarity
from sklearn.metrics import average_precision_score

from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.synthesis.contrast import MODALITIES
from bids_anomaly.training.data import Batch, HealthyVolumes, draw_batch
from bids_anomaly.training.loop import restore_batch
from bids_anomaly.training.mosaic import WHITE_AT, write_mosaic

# The same slabs at every validation of every training on the same people.
SEED = 20_250_101
SLABS = 96
AT_A_TIME = 16
SHOWN = 6
CALLED_LESION = 0.5


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
            SLABS,
            slices=slices,
            modalities=[modality],
            generator=torch.Generator().manual_seed(SEED + MODALITIES.index(modality)),
        )
        for modality in modalities
    }


def validate(
    network: RestorationNet, slabs: dict[str, Batch], *, device: torch.device, picture: Path
) -> dict[str, float]:
    """Measure a network on held-out slabs, and draw some of them.

    Parameters
    ----------
    network : RestorationNet
        On `device`.
    slabs : dict
        From :func:`held_out_slabs`.
    device : torch.device
        Where to compute.
    picture : Path
        PNG with rows of corrupted slice, restored slice, truth, and lesion output.

    Returns
    -------
    dict
        For each modality, over brain voxels: l1 and SSIM of the restored slices against the truth;
        the area under the precision-recall curve of the lesion output; and, of the slices that are
        healthy, l1, SSIM and the share of voxels whose lesion output is above one half.
    """
    measures: dict[str, float] = {}
    rows = []
    for modality, batch in slabs.items():
        healthy, probability = _restored(network, batch, device)
        brain = batch.brain[:, 0].numpy() > 0
        truth, lesion = batch.healthy[:, 0].numpy(), batch.lesion[:, 0].numpy() > 0
        clean = ~lesion.any(axis=(1, 2))
        compared = list(zip(healthy, truth, brain, strict=True))
        error = [float(np.abs(a - b)[m].mean()) for a, b, m in compared]
        similarity = [_ssim(a, b, m) for a, b, m in compared]
        named = {
            "l1": np.mean(error),
            "ssim": np.mean(similarity),
            "auprc": average_precision_score(lesion[brain], probability[brain]),
            "healthy_l1": np.mean(np.array(error)[clean]),
            "healthy_ssim": np.mean(np.array(similarity)[clean]),
            "false_positive_share": (probability[clean][brain[clean]] > CALLED_LESION).mean(),
        }
        measures |= {f"{modality}_{name}": float(value) for name, value in named.items()}
        corrupted = batch.slab[:, batch.slab.shape[1] // 2].numpy()
        rows += [
            [image[index] / WHITE_AT[modality] for image in (corrupted, healthy, truth)]
            + [probability[index] * brain[index]]
            for index in np.flatnonzero(~clean)[:SHOWN]
        ]
    write_mosaic(picture, rows, ("corrupted", "restored", "truth", "lesion output"), by_row=False)
    return measures


@torch.no_grad()
def _restored(
    network: RestorationNet, batch: Batch, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Return healthy slices and lesion probabilities, (B, H, W)."""
    healthy, probability = [], []
    for start in range(0, len(batch.slab), AT_A_TIME):
        part = Batch(
            **{
                field.name: getattr(batch, field.name)[start : start + AT_A_TIME].to(device)
                for field in fields(batch)
            }
        )
        image, logit = restore_batch(network, part, device)
        healthy.append((image * part.brain)[:, 0].cpu())
        probability.append(logit.sigmoid()[:, 0].cpu())
    return torch.cat(healthy).numpy(), torch.cat(probability).numpy()


def _ssim(restored: np.ndarray, truth: np.ndarray, brain: np.ndarray) -> float:
    """Return the mean structural similarity inside the brain."""
    _, similarity = structural_similarity(restored, truth, data_range=1.5, full=True)
    return float(similarity[brain].mean())
