"""The volumes of healthy people that networks learn from.

They lie in memory as half-precision tensors with axes (slice, row, column) = (z, y, x), so that the
last axis runs from left to right and flipping it mirrors the brain.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch import Tensor

from bids_anomaly.exceptions import NothingFoundError
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid, template_depth, template_white_matter
from bids_anomaly.reconstruction.covariates import as_numbers
from bids_anomaly.synthesis.contrast import paint
from bids_anomaly.synthesis.hypointensities import fill_hypointensities
from bids_anomaly.synthesis.labels import volumes_from_labels
from bids_anomaly.synthesis.regions import regions_in_grid
from bids_anomaly.training.people import FEWEST, Preprocessed

# Small lesions are centred where the template is mostly white matter.
LIKELY_WHITE_MATTER = 0.5
# CSF this far from the surface of the template brain is that of the ventricles.
DEEP_MM = 26.0
# Scans of different contrast that are drawn of a head that is known as a label map.
DRAWS = 4


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
        Of the template, see :func:`bids_anomaly.synthesis.regions.regions_in_grid`.
    spacing : float
        Voxel size in mm.
    covariates : (N, C) tensor, float32
        Age and sex, see :mod:`bids_anomaly.reconstruction.covariates`; NaN where unknown.
    """

    scans: Tensor
    filled: Tensor
    brains: Tensor
    white_matter: Tensor
    deep: Tensor
    regions: Tensor
    spacing: float
    covariates: Tensor

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
        )


def slices_first(values: np.ndarray) -> np.ndarray:
    """Turn a volume with axes (x, y, z) to (z, y, x), or back."""
    return values.transpose(2, 1, 0)


def load_volumes(
    scans: Sequence[nib.Nifti1Image],
    brains: Sequence[nib.Nifti1Image],
    known: Sequence[Mapping[str, str]] | None = None,
) -> HealthyVolumes:
    """Stack preprocessed T1w scans and their brain masks, all in the same model grid.

    `known` has the row of each person in ``participants.tsv``, where there is one.
    """
    grid = Grid.of(scans[0])
    white_matter, depth = (
        resample(image, grid).get_fdata(dtype=np.float32)
        for image in (template_white_matter(1), template_depth(2))
    )
    likely = white_matter * (white_matter > LIKELY_WHITE_MATTER)
    values = [scan.get_fdata(dtype=np.float32) for scan in scans]
    filled = [fill_hypointensities(scan, white_matter) for scan in values]

    def stack(volumes: Sequence[np.ndarray]) -> Tensor:
        return torch.stack([torch.from_numpy(slices_first(v).copy()) for v in volumes])

    return HealthyVolumes(
        scans=stack(values).half(),
        filled=stack(filled).half(),
        brains=stack([np.asanyarray(brain.dataobj) > 0 for brain in brains]),
        white_matter=stack([likely])[0],
        deep=stack([(depth > DEEP_MM).astype(np.float32)])[0],
        regions=stack([regions_in_grid(grid)])[0],
        spacing=float(grid.spacing[0]),
        covariates=torch.tensor([as_numbers(row) for row in known or [{}] * len(values)]),
    )


def volumes_of(people: Sequence[Preprocessed]) -> HealthyVolumes:
    """Load T1w scans of some people with what is known of them."""
    scans, brains, _, known = zip(*people, strict=True)
    return load_volumes(scans, brains, known)


def people_from_labels(
    folder: Path, *, grid: Grid, seed: int, held_out: Collection[str] = ()
) -> list[Preprocessed]:
    """Draw T1w scans of the heads whose label maps lie in a folder.

    Parameters
    ----------
    folder : Path
        With label maps ``*.nii`` or ``*.nii.gz``, also in folders inside, see
        :func:`bids_anomaly.synthesis.label_maps.tissues_in_grid`.
    grid : Grid
        The model grid.
    seed : int
        Of contrasts and textures.
    held_out : collection of str
        Labels with ``sub-`` of people whose maps are not used.

    Returns
    -------
    list of Preprocessed
        Four scans, of different contrast, of each head.

    Raises
    ------
    NothingFoundError
        If there is no label map.
    BadScanError
        If a map cannot be read, or is of another labelling.
    """
    paths = sorted([*folder.rglob("*.nii"), *folder.rglob("*.nii.gz")])
    if not paths:
        raise NothingFoundError(
            f"The folder {folder} has no label map (*.nii.gz). Check --label-maps."
        )
    paths = [path for path in paths if not _labels_in(path.relative_to(folder)) & set(held_out)]
    if not paths:
        raise NothingFoundError(
            f"All label maps in {folder} are of people who are not in the split train. Check "
            "--label-maps."
        )
    volumes = volumes_from_labels(paths, contrast="T1w", draws=DRAWS, grid=grid, seed=seed)
    return [
        Preprocessed(scan, brain, paths[index // DRAWS], {})
        for index, (scan, brain) in enumerate(volumes)
    ]


def _labels_in(path: Path) -> set[str]:
    """Return the participants whom a file or a folder around it is named after, with ``sub-``.

    FreeSurfer and SynthSeg name folders after people: ``sub-01/mri/aseg.nii.gz``.
    """
    names = [*path.parts[:-1], path.name.partition(".")[0]]
    return {part for name in names for part in name.split("_") if part.startswith("sub-")}


def controls_of(
    scans: Sequence[Preprocessed], t1w: Sequence[Preprocessed], *, modality: str, seed: int
) -> tuple[list[Preprocessed], bool]:
    """Return the scans that calibrate a modality, and whether they had to be painted.

    Parameters
    ----------
    scans : sequence of Preprocessed
        Real scans of the modality of the people who calibrate; taken if they are of enough people.
    t1w : sequence of Preprocessed
        Their T1w scans, from which the modality is painted otherwise.
    modality : str
        BIDS suffix.
    seed : int
        Of the tone curves.
    """
    if len({scan.participant for scan in scans}) >= FEWEST["calibration"]:
        return list(scans), False
    volumes = volumes_of(t1w)
    kind = torch.tensor([MODALITIES.index(modality)])
    painted = []
    for index, person in enumerate(t1w):
        generator = torch.Generator()
        slices = []
        for t1w_slice, brain, deep, regions in zip(
            volumes.filled[index], volumes.brains[index], volumes.deep, volumes.regions, strict=True
        ):
            # The same seed in each slice gives the whole volume one tone curve.
            generator.manual_seed(seed + index)
            slices.append(
                paint(
                    t1w_slice[None, None].float(),
                    brain[None, None].float(),
                    deep[None],
                    regions[None].long(),
                    kind,
                    generator=generator,
                )[0, 0]
            )
        values = slices_first(torch.stack(slices).numpy()).astype(np.float32)
        painted.append(person._replace(scan=Grid.of(person.scan).image(values)))
    return painted, True
