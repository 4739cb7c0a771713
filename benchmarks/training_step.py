"""Where the seconds of a training step go: drawing a batch, the network forwards, and backwards.

One head is made from the template, since what is drawn costs the same for any; no data are needed::

    python benchmarks/training_step.py [--threads 1 2] [--modalities FLAIR T2w]

Prints medians over some steps, and shares of the whole step, for each number of threads.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np
import torch
from shared.table import line

from bids_anomaly.modalities import MODALITIES
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import (
    MODEL_GRID_2MM,
    template_brain,
    template_white_matter,
)
from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.training.loading import load_volumes
from bids_anomaly.training.loop import OPTIMISER, computes_in_bfloat16
from bids_anomaly.training.recipes import RECIPES
from bids_anomaly.training.volumes import HealthyVolumes

BATCH, WARM_UP = 16, 2
PARTS = ("draw", "forwards", "backwards", "step")


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--modalities", nargs="+", choices=MODALITIES, default=["FLAIR"])
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    volumes = head()
    print(line(["threads", *PARTS]))
    print(line(["---"] * (1 + len(PARTS))))
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        seconds = measure(volumes, arguments.modalities, arguments.steps)
        cells = [f"{part:.2f} s ({part / seconds[-1]:.0%})" for part in seconds]
        print(line([str(threads), *cells]), flush=True)


def head() -> HealthyVolumes:
    """Return one T1w scan of the template's brain and white matter."""
    brain, white = (
        resample(image, MODEL_GRID_2MM).get_fdata(dtype=np.float32)
        for image in (template_brain(1), template_white_matter(1))
    )
    inside = brain > 0
    scan = ((0.7 + 0.3 * white) * inside).astype(np.float32)
    return load_volumes(
        [MODEL_GRID_2MM.image(scan)], [MODEL_GRID_2MM.image(inside.astype(np.uint8))]
    )


def measure(volumes: HealthyVolumes, modalities: Sequence[str], steps: int) -> list[float]:
    """Return the median seconds of each part, and of the whole step last."""
    recipe, device = RECIPES["restore"], torch.device("cpu")
    torch.manual_seed(0)
    network = RestorationNet().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), **OPTIMISER)
    generator = torch.Generator().manual_seed(0)
    in_bfloat16 = computes_in_bfloat16(device, dimensions=2)
    found = []
    for _ in range(WARM_UP + steps):
        times = [time.perf_counter()]
        batch = recipe.draw(
            volumes, BATCH, slices=network.slices, modalities=modalities, generator=generator
        )
        times.append(time.perf_counter())
        with torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16):
            losses = recipe.losses(network, batch, generator=generator, step=0, steps=1)
        times.append(time.perf_counter())
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        optimizer.step()
        times.append(time.perf_counter())
        found.append([*np.diff(times), times[-1] - times[0]])
    return list(np.median(found[WARM_UP:], axis=0))


if __name__ == "__main__":
    main()
