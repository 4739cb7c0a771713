"""What the diffusion methods share: from a scan to noise, and back by few steps.

A level from 0 to 1 is a time of a schedule of 1,000 times (Ho et al. 2020, linear), as MONAI has
it. Networks predict the healthy image itself instead of the noise: at the same level the one
follows from the other, and few steps then suffice.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from monai.networks.schedulers import DDPMScheduler
from torch import Tensor

TIMES = 1000
SCHEDULE = DDPMScheduler(num_train_timesteps=TIMES, schedule="linear_beta")


def noised(scan: Tensor, brain: Tensor, noise: Tensor, level: Tensor | float) -> Tensor:
    """Mix noise into the brain.

    Parameters
    ----------
    scan, brain, noise : (B, S, H, W) tensors
        Outside the brain the scan stays as it is.
    level : (B,) tensor or float
        From 0, hardly any noise, to 1, almost nothing else.
    """
    return torch.where(brain > 0, SCHEDULE.add_noise(scan, noise, _time(level, scan)), scan)


def denoised(
    predict: Callable[[Tensor, Tensor], Tensor],
    noisy: Tensor,
    brain: Tensor,
    levels: Sequence[float],
    *,
    after_step: Callable[[Tensor, float], Tensor] = lambda noisy, level: noisy,
) -> Tensor:
    """Go back from noise to a healthy image by deterministic steps (DDIM, Song et al. 2021).

    Parameters
    ----------
    predict : callable
        From a noisy (B, S, H, W) image and its (B,) level to the healthy image.
    noisy : (B, S, H, W) tensor
        At the first of the levels.
    brain : (B, S, H, W) tensor
        1 inside the brain, else 0.
    levels : sequence of float
        Falling; the network is asked at each.
    after_step : callable
        What becomes of the image after a step to the level that it also gets.
    """
    for level, lower in zip(levels, [*levels[1:], None], strict=True):
        healthy = predict(noisy, noisy.new_full((len(noisy),), level)).float() * brain
        if lower is not None:
            kept = SCHEDULE.alphas_cumprod[_time(level, noisy)[0].item()]
            noise = (noisy - kept.sqrt() * healthy) / (1 - kept).sqrt()
            noisy = after_step(noised(healthy, brain, noise, lower), lower)
    return healthy


def levels_down(start: float, steps: int) -> list[float]:
    """Return as many evenly spaced levels, from `start` towards 0."""
    return np.linspace(start, 0, steps, endpoint=False).tolist()


def _time(level: Tensor | float, scan: Tensor) -> Tensor:
    if not isinstance(level, Tensor):
        level = torch.full((len(scan),), level, device=scan.device)
    return (level * (TIMES - 1)).round().long()
