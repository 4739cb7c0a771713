"""The volumes of healthy people that networks learn from, and files that carry them.

They lie in memory as half-precision tensors with axes (slice, row, column) = (z, y, x), so that the
last axis runs from left to right and flipping it mirrors the brain. Nothing here needs more than
torch and NumPy, nor does a training: a machine that only trains gets packed volumes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bids_anomaly.reconstruction.views import AXIAL, CORONAL, margins

# Packed scans have a byte a voxel; this many steps are the intensity of white matter, so that they
# reach to twice of it, and rounding is well below noise.
STEPS_OF_WHITE = 127


@dataclass(frozen=True)
class HealthyVolumes:
    """Healthy T1w scans in the model grid.

    Attributes
    ----------
    scans : (N, Z, Y, X) tensor, float16
        White matter = 1, 0 outside the brain.
    filled : (N, Z, Y, X) tensor, float16
        The same without dark islands in white matter, to paint other contrasts from.
    brains : (N, Z, Y, X) tensor, bool
    white_matter : (Z, Y, X) tensor, float32
        Probability of white matter in the template, 0 where it is not likely.
    deep : (Z, Y, X) tensor, float32
        1 far from the surface of the template brain, else 0.
    regions : (Z, Y, X) tensor, uint8
        Of the template, see :func:`bids_anomaly.training.loading.regions_in_grid`.
    spacing : float
        Voxel size in mm.
    covariates : (N, C) tensor, float32
        Age and sex, see :mod:`bids_anomaly.reconstruction.covariates`; NaN where unknown.
    view : str
        Of the slices, a key of :data:`bids_anomaly.reconstruction.views.AXES`. Axes are named as in
        axial ones.
    """

    scans: Tensor
    filled: Tensor
    brains: Tensor
    white_matter: Tensor
    deep: Tensor
    regions: Tensor
    spacing: float
    covariates: Tensor
    view: str = AXIAL

    @cached_property
    def coronal(self) -> "HealthyVolumes":
        """Axial volumes in coronal slices, with margins where these have fewer rows."""
        rows = margins(self.scans.shape[2], self.scans.shape[1])

        def turned(volume: Tensor) -> Tensor:
            return F.pad(volume.transpose(-3, -2), (0, 0, *rows)).contiguous()

        names = ("scans", "filled", "brains", "white_matter", "deep", "regions")
        return replace(self, view=CORONAL, **{name: turned(getattr(self, name)) for name in names})

    @cached_property
    def brain_area(self) -> Tensor:
        """Mean number of voxels of brain in each slice, (Z,)."""
        return self.brains.sum((2, 3)).float().mean(0)

    def to(self, device: torch.device) -> "HealthyVolumes":
        """Return the same volumes on another device."""
        return HealthyVolumes(
            *(getattr(self, name).to(device) for name in ("scans", "filled", "brains")),
            self.white_matter.to(device),
            self.deep.to(device),
            self.regions.to(device),
            self.spacing,
            self.covariates.to(device),
            self.view,
        )


def pack(volumes: HealthyVolumes, folder: Path, *, people_a_file: int) -> list[Path]:
    """Write volumes into small files, for a machine that only trains.

    Scans are rounded to :data:`STEPS_OF_WHITE`, and only what is brain is kept.

    Parameters
    ----------
    volumes : HealthyVolumes
        On the CPU.
    folder : Path
        Gets ``template.npz`` and ``people-0.npz`` and so on; made if missing.
    people_a_file : int
        How many scans go into a file: 50 of a 2 mm grid take about 8 MB.

    Returns
    -------
    list of Path
        What was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "template.npz"]
    np.savez_compressed(
        written[0],
        white_matter=volumes.white_matter.half().numpy(),
        deep=volumes.deep.bool().numpy(),
        regions=volumes.regions.numpy(),
        spacing=volumes.spacing,
    )
    for start in range(0, len(volumes.scans), people_a_file):
        some = slice(start, start + people_a_file)
        inside = volumes.brains[some]
        scans, filled = (_bytes(part[some][inside]) for part in (volumes.scans, volumes.filled))
        written.append(folder / f"people-{start // people_a_file}.npz")
        np.savez_compressed(
            written[-1],
            brains=np.packbits(inside.numpy(), axis=-1),
            scans=scans,
            # Nearly everywhere 0, so that it takes no room.
            raised=filled - scans,
            covariates=volumes.covariates[some].numpy(),
        )
    return written


def unpack(folder: Path) -> HealthyVolumes:
    """Read what :func:`pack` wrote."""
    with np.load(folder / "template.npz") as template:
        white_matter, deep, regions, spacing = (
            template[name] for name in ("white_matter", "deep", "regions", "spacing")
        )
    width = white_matter.shape[-1]
    parts = []
    for index in range(len(list(folder.glob("people-*.npz")))):
        with np.load(folder / f"people-{index}.npz") as people:
            brains = np.unpackbits(people["brains"], axis=-1, count=width).astype(bool)
            scans = np.zeros(brains.shape, np.uint8)
            filled = np.zeros(brains.shape, np.uint8)
            scans[brains] = people["scans"]
            filled[brains] = people["scans"] + people["raised"]
            parts.append((scans, filled, brains, people["covariates"]))
    scans, filled, brains, covariates = (
        torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True)
    )
    return HealthyVolumes(
        scans=(scans.float() / STEPS_OF_WHITE).half(),
        filled=(filled.float() / STEPS_OF_WHITE).half(),
        brains=brains,
        white_matter=torch.from_numpy(white_matter).float(),
        deep=torch.from_numpy(deep).float(),
        regions=torch.from_numpy(regions),
        spacing=float(spacing),
        covariates=covariates,
    )


def slices_first(values: np.ndarray) -> np.ndarray:
    """Turn a volume with axes (x, y, z) to (z, y, x), or back."""
    return values.transpose(2, 1, 0)


def stack(volumes: Sequence[np.ndarray]) -> Tensor:
    """Stack (X, Y, Z) volumes as networks learn from them: (N, Z, Y, X)."""
    return torch.stack([torch.from_numpy(slices_first(volume).copy()) for volume in volumes])


def _bytes(intensities: Tensor) -> np.ndarray:
    return (intensities.float() * STEPS_OF_WHITE).round().clamp(0, 255).byte().numpy()
