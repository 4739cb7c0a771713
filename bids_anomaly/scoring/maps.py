"""Bring what was found in the model grid to any other grid: that of the scan, or the template."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

from bids_anomaly.preprocessing.resample import resample, resample_mask
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.scoring.calibration import healthy_exceedance
from bids_anomaly.scoring.findings import (
    anomaly_mask,
    anomaly_probability,
    combined_zscore,
)


class Findings(NamedTuple):
    """What was found, in one grid.

    Attributes
    ----------
    z : (X, Y, Z) array
        How unusual each voxel is; -inf where the combination of several scans can say nothing.
    probability : (X, Y, Z) array
        Of an anomaly, see :func:`bids_anomaly.scoring.findings.anomaly_probability`.
    mask : (X, Y, Z) bool array
        Where it is above one half, without small components.
    """

    z: np.ndarray
    probability: np.ndarray
    mask: np.ndarray


def scan_maps(
    scan: nib.Nifti1Image,
    brain: nib.Nifti1Image,
    *,
    residual: nib.Nifti1Image | None,
    spread: nib.Nifti1Image | None,
    zscore: nib.Nifti1Image,
    transforms: Sequence[Path],
    invert: Sequence[bool],
    healthy_fpr: float,
    min_lesion_volume: float,
) -> dict[str, nib.Nifti1Image]:
    """Return all maps of one scan in the grid of `scan`.

    The pseudo-healthy image is the scan minus its residual, so that it keeps the resolution of
    the scan and everything outside the brain, and the three always add up.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        Normalised scan (white matter = 1) with its skull, in the grid of the result.
    brain : nibabel.Nifti1Image
        Brain mask in the same grid.
    residual, spread, zscore : nibabel.Nifti1Image or None
        In the model grid.
    transforms, invert
        From the grid of the result to the model grid, see
        :func:`bids_anomaly.preprocessing.resample.resample`.
    healthy_fpr : float
        Nominal false positive rate.
    min_lesion_volume : float
        In mm3.

    Returns
    -------
    dict
        Images by their keys in :data:`bids_anomaly.bids.naming.OUTPUTS`; what a method does not
        give (no residual, no spread) is left out.
    """
    grid = Grid.of(scan)
    inside = np.asanyarray(brain.dataobj) > 0

    def in_brain(image: nib.Nifti1Image) -> np.ndarray:
        return resample(image, grid, transforms, invert=invert).get_fdata(dtype=np.float32) * inside

    values = scan.get_fdata(dtype=np.float32)
    found = scan_findings(
        brain,
        zscore=zscore,
        transforms=transforms,
        invert=invert,
        healthy_fpr=healthy_fpr,
        min_lesion_volume=min_lesion_volume,
    )
    maps = {"preproc": values, "zscore": found.z, "brain": inside}
    if residual is not None:
        maps["residual"] = in_brain(residual)
        maps["pseudohealthy"] = values - maps["residual"]
    if spread is not None:
        maps["spread"] = in_brain(spread)
    maps["probability"], maps["anomaly"] = found.probability, found.mask
    return {name: _image(grid, array) for name, array in maps.items()}


def combined_maps(
    brain: nib.Nifti1Image,
    *,
    zscores: Sequence[nib.Nifti1Image],
    brains: Sequence[nib.Nifti1Image],
    modalities: Sequence[str],
    transforms: Sequence[Path],
    invert: Sequence[bool],
    healthy_fpr: float,
    min_lesion_volume: float,
) -> dict[str, nib.Nifti1Image]:
    """Return the combined finding of all scans of a person in the grid of `brain`.

    Parameters are those of :func:`combined_findings`.

    Returns
    -------
    dict
        ``combined_probability`` and ``combined_anomaly``.
    """
    grid = Grid.of(brain)
    found = combined_findings(
        brain,
        zscores=zscores,
        brains=brains,
        modalities=modalities,
        transforms=transforms,
        invert=invert,
        healthy_fpr=healthy_fpr,
        min_lesion_volume=min_lesion_volume,
    )
    return {
        "combined_probability": _image(grid, found.probability),
        "combined_anomaly": _image(grid, found.mask),
    }


def scan_findings(
    brain: nib.Nifti1Image,
    *,
    zscore: nib.Nifti1Image,
    transforms: Sequence[Path],
    invert: Sequence[bool],
    healthy_fpr: float,
    min_lesion_volume: float,
) -> Findings:
    """Return what was found in one scan in the grid of `brain`; parameters as in `scan_maps`."""
    grid = Grid.of(brain)
    inside = np.asanyarray(brain.dataobj) > 0
    z = resample(zscore, grid, transforms, invert=invert).get_fdata(dtype=np.float32) * inside
    exceedance = np.where(inside, healthy_exceedance(z), 1.0)
    return Findings(z, *_findings(exceedance, inside, grid, healthy_fpr, min_lesion_volume))


def combined_findings(
    brain: nib.Nifti1Image,
    *,
    zscores: Sequence[nib.Nifti1Image],
    brains: Sequence[nib.Nifti1Image],
    modalities: Sequence[str],
    transforms: Sequence[Path],
    invert: Sequence[bool],
    healthy_fpr: float,
    min_lesion_volume: float,
) -> Findings:
    """Return what was found in all scans of a person together, in the grid of `brain`.

    Parameters
    ----------
    brain : nibabel.Nifti1Image
        Brain mask of the reference scan, in the grid of the result.
    zscores, brains : sequences of nibabel.Nifti1Image
        In the model grid, one a scan.
    modalities : sequence of str
        BIDS suffix of each. Repeated scans of one modality count as one, their mean.
    transforms, invert
        From the grid of the result to the model grid.
    healthy_fpr, min_lesion_volume
        As in :func:`scan_maps`.
    """
    grid = Grid.of(brain)
    inside = np.asanyarray(brain.dataobj) > 0
    seen_z = []
    for zscore, covered in zip(zscores, brains, strict=True):
        z = resample(zscore, grid, transforms, invert=invert).get_fdata(dtype=np.float32)
        seen = seen_in(brain, covered, transforms=transforms, invert=invert)
        # Where a scan did not see the brain it says nothing.
        seen_z.append(np.where(seen, z, -np.inf))
    by_modality: dict[str, list[np.ndarray]] = {}
    for modality, seen in zip(modalities, seen_z, strict=True):
        by_modality.setdefault(modality, []).append(seen)
    z = combined_zscore([combined_zscore(repeated) for repeated in by_modality.values()])
    found = _findings(healthy_exceedance(z), inside, grid, healthy_fpr, min_lesion_volume)
    return Findings(z, *found)


def seen_in(
    brain: nib.Nifti1Image,
    covered: nib.Nifti1Image,
    *,
    transforms: Sequence[Path],
    invert: Sequence[bool],
) -> np.ndarray:
    """Return what a scan saw of the brain of another one.

    Parameters
    ----------
    brain : nibabel.Nifti1Image
        Brain mask of the other scan, in the grid of the result.
    covered : nibabel.Nifti1Image
        Brain mask of the scan in the model grid.
    transforms, invert
        From the grid of the result to the model grid.

    Returns
    -------
    (X, Y, Z) bool array
    """
    seen = resample_mask(covered, Grid.of(brain), transforms, invert=invert)
    return (np.asanyarray(seen.dataobj) > 0) & (np.asanyarray(brain.dataobj) > 0)


def _findings(
    exceedance: np.ndarray, inside: np.ndarray, grid: Grid, healthy_fpr: float, min_volume: float
) -> tuple[np.ndarray, np.ndarray]:
    probability = anomaly_probability(exceedance, healthy_fpr) * inside
    mask = anomaly_mask(probability, inside, min_volume=min_volume, voxel_volume=grid.voxel_volume)
    return probability, mask


def _image(grid: Grid, values: np.ndarray) -> nib.Nifti1Image:
    return grid.image(values.astype(np.uint8 if values.dtype == bool else np.float32))
