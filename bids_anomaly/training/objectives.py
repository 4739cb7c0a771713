"""What the networks of the methods learn to do with a batch of healthy slabs.

Every function takes a network, a batch and a generator on its device, besides the number of the
step and of all steps; it returns the terms whose sum is minimised. Networks compute in the
precision that the loop has chosen, losses in single precision.
"""

import torch
from torch import Generator, Tensor, nn

from bids_anomaly.reconstruction.diffusion import noised
from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.reconstruction.pddpm import patch_shape
from bids_anomaly.synthesis.corrupt import KINDS
from bids_anomaly.synthesis.draws import Draws, per_sample
from bids_anomaly.synthesis.fluid import insert_fluid_anomalies
from bids_anomaly.training.data import Batch, Healthy
from bids_anomaly.training.losses import restoration_loss, weighted_l1

# The standard deviation of the noise of `denoising`, in units of the white matter level; Kascenas
# et al. 2022 take .2 of the range of a scan.
NOISE_STRENGTHS = (0.05, 0.6)
# l1 over the brain is the mean of some 2,500 voxels of a slice; with a Laplace distribution of
# scale .1 this makes their sum the logarithm of the likelihood, against the divergence in nats.
DIVERGENCE_WEIGHT = 4e-5
# How often a covariate that is known is not told.
UNTOLD_SHARE = 0.15


def restoring(network: RestorationNet, batch: Batch, **_: object) -> dict[str, Tensor]:
    """Restore slabs with synthetic anomalies, and mark them."""
    slab = batch.slab.contiguous(memory_format=torch.channels_last)
    healthy, lesion_logit = network(slab, batch.mirrored, batch.level)
    with torch.autocast(slab.device.type, enabled=False):
        return restoration_loss(healthy.float(), lesion_logit.float(), batch)


def autoencoding(network: nn.Module, batch: Healthy, **_: object) -> dict[str, Tensor]:
    """Encode and decode healthy slices."""
    decoded = network.decoder(network.encoder(batch.scan))
    return {"l1": weighted_l1(decoded, batch.scan, batch.brain)}


def variational(
    network: nn.Module, batch: Healthy, *, generator: Generator, **_: object
) -> dict[str, Tensor]:
    """Encode healthy slices as normal distributions, and decode a draw from each."""
    mean, log_variance = network.encoder(batch.scan).float().chunk(2, dim=1)
    draw = torch.randn(mean.shape, device=mean.device, generator=generator)
    decoded = network.decoder(mean + draw * (log_variance / 2).exp())
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    return {
        "l1": weighted_l1(decoded, batch.scan, batch.brain),
        "divergence": DIVERGENCE_WEIGHT * divergence.mean(),
    }


def denoising(
    network: nn.Module, batch: Healthy, *, generator: Generator, **_: object
) -> dict[str, Tensor]:
    """Remove noise that was added to healthy slices."""
    strength = Draws(len(batch.scan), batch.scan.device, generator).uniform(*NOISE_STRENGTHS)
    noise = per_sample(strength) * KINDS[network.noise](batch.scan.shape, generator)
    denoised = network(batch.scan + noise * batch.brain, torch.zeros_like(strength))
    return {"l1": weighted_l1(denoised, batch.scan, batch.brain)}


def diffusing(
    network: nn.Module, batch: Healthy, *, generator: Generator, highest: float, **_: object
) -> dict[str, Tensor]:
    """Predict healthy slices from ones that were mixed with noise."""
    noisy, level = _noised(network, batch, highest, generator)
    return {"l1": weighted_l1(network(noisy, level), batch.scan, batch.brain)}


def patch_diffusing(
    network: nn.Module, batch: Healthy, *, generator: Generator, highest: float, **_: object
) -> dict[str, Tensor]:
    """Predict a patch that was mixed with noise from it and what surrounds it."""
    noisy, level = _noised(network, batch, highest, generator)
    patch = _random_patches(batch.scan, generator)
    healthy = network(torch.where(patch > 0, noisy, batch.scan), level)
    return {"l1": weighted_l1(healthy, batch.scan, batch.brain * patch)}


def conditioned_diffusing(
    network: nn.Module, batch: Healthy, *, generator: Generator, highest: float, **_: object
) -> dict[str, Tensor]:
    """Predict healthy slices from ones that were mixed with noise and a code of the clean ones."""
    noisy, level = _noised(network, batch, highest, generator)
    return {"l1": weighted_l1(network(noisy, level, batch.scan), batch.scan, batch.brain)}


def normative_diffusing(
    network: nn.Module, batch: Healthy, *, generator: Generator, highest: float, **_: object
) -> dict[str, Tensor]:
    """Predict healthy slabs from ones that were mixed with noise and what is known of people."""
    noisy, level = _noised(network, batch, highest, generator)
    known = batch.covariates
    untold = torch.rand(known.shape, device=known.device, generator=generator) < UNTOLD_SHARE
    healthy = network(noisy, level, known.masked_fill(untold, torch.nan))
    return {"l1": weighted_l1(healthy, batch.scan, batch.brain)}


def guided_diffusing(
    network: nn.Module, batch: Healthy, *, generator: Generator, highest: float, **_: object
) -> dict[str, Tensor]:
    """Predict healthy slabs from diseased ones and from themselves mixed with noise."""
    diseased, share = insert_fluid_anomalies(
        batch.scan, batch.brain, batch.modality, spacing=batch.spacing, generator=generator
    )
    noisy, level = _noised(network, batch, highest, generator)
    healthy = network(diseased, level, beside=[noisy])
    # Anomalies are so few of the voxels that over the brain leaving them is nearly the best.
    return {
        "l1": weighted_l1(healthy, batch.scan, batch.brain),
        "anomaly": weighted_l1(healthy, batch.scan, share),
    }


def _noised(
    network: nn.Module, batch: Healthy, highest: float, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Return slabs mixed with noise at random levels, and the levels."""
    level = Draws(len(batch.scan), batch.scan.device, generator).uniform(0, highest)
    noise = KINDS[network.noise](batch.scan.shape, generator)
    return noised(batch.scan, batch.brain, noise, level), level


def _random_patches(scan: Tensor, generator: Generator) -> Tensor:
    """Return (B, 1, H, W) masks of one random patch each."""
    draw = Draws(len(scan), scan.device, generator)
    inside = []
    for side, patch in zip(scan.shape[2:], patch_shape(scan), strict=True):
        start = draw.integers(0, side - patch + 1)[:, None]
        along = torch.arange(side, device=scan.device)
        inside.append((along >= start) & (along < start + patch))
    rows, columns = inside
    return (rows[:, :, None] & columns[:, None, :])[:, None].float()
