"""Make the volumes of healthy people from preprocessed scans and from label maps."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch import Tensor

from bids_anomaly.exceptions import NothingFoundError
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.preprocessing.atlas import atlas_labels, atlas_regions
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid, template_depth, template_white_matter
from bids_anomaly.reconstruction.covariates import as_numbers
from bids_anomaly.synthesis.contrast import paint
from bids_anomaly.synthesis.hypointensities import fill_hypointensities
from bids_anomaly.synthesis.labels import volumes_from_labels
from bids_anomaly.synthesis.regions import TONES
from bids_anomaly.training.people import FEWEST, Preprocessed
from bids_anomaly.training.volumes import HealthyVolumes, slices_first, stack

# Small lesions are centred where the template is mostly white matter.
LIKELY_WHITE_MATTER = 0.5
# CSF this far from the surface of the template brain is that of the ventricles.
DEEP_MM = 26.0
# Scans of different contrast that are drawn of a head that is known as a label map.
DRAWS = 4


def load_volumes(
    scans: Sequence[nib.Nifti1Image],
    brains: Sequence[nib.Nifti1Image],
    known: Sequence[Mapping[str, str]] | None = None,
) -> HealthyVolumes:
    """Stack preprocessed T1w scans and their brain masks, all in the same model grid.

    `known` has the row of each person in ``participants.tsv``, where there is one.
    """
    grid = Grid.of(scans[0])
    values = [scan.get_fdata(dtype=np.float32) for scan in scans]
    everywhere = resample(template_white_matter(1), grid).get_fdata(dtype=np.float32)
    filled = [fill_hypointensities(scan, everywhere) for scan in values]
    white_matter, deep = template_maps(grid)

    return HealthyVolumes(
        scans=stack(values).half(),
        filled=stack(filled).half(),
        brains=stack([np.asanyarray(brain.dataobj) > 0 for brain in brains]),
        white_matter=white_matter,
        deep=deep,
        regions=stack([regions_in_grid(grid)])[0],
        spacing=float(grid.spacing[0]),
        covariates=torch.tensor([as_numbers(row) for row in known or [{}] * len(values)]),
    )


def template_maps(grid: Grid) -> tuple[Tensor, Tensor]:
    """Return where the template has white matter, and where it is deep.

    Returns
    -------
    white_matter, deep : (Z, Y, X) tensors, float32
        See :class:`bids_anomaly.training.volumes.HealthyVolumes`.
    """
    white_matter, depth = (
        resample(image, grid).get_fdata(dtype=np.float32)
        for image in (template_white_matter(1), template_depth(2))
    )
    likely = white_matter * (white_matter > LIKELY_WHITE_MATTER)
    return stack([likely])[0], stack([(depth > DEEP_MM).astype(np.float32)])[0]


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


@cache
def _table() -> dict[int, int]:
    """Return the number of the group, from 1 on, of each index of the atlas that is in one."""
    groups = list(TONES)
    return {
        region.index: number
        for number, prefixes in enumerate(groups, start=1)
        for region in atlas_regions()
        if region.name.startswith(prefixes)
    }


def regions_in_grid(grid: Grid) -> np.ndarray:
    """Return which row of tones each voxel of a grid in the template's space has.

    Returns
    -------
    (X, Y, Z) uint8 array
        From 1 on in the order of :data:`bids_anomaly.synthesis.regions.TONES`, 0 elsewhere.
    """
    table = _table()
    lookup = np.zeros(max(table) + 1, np.uint8)
    lookup[list(table)] = list(table.values())
    labels = atlas_labels(grid)
    return np.where(labels <= max(table), lookup[np.minimum(labels, max(table))], 0)
