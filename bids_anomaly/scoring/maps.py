"""Bring what a model says to the grid of the scan, and what was found there to the template."""

import nibabel as nib
import numpy as np

from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import Chain
from bids_anomaly.scoring.findings import Findings
from bids_anomaly.scoring.score import smoothed

# Voxels of which less is brain say nothing.
LEAST_SHARE = 0.01
# Standard deviation of the Gaussian by which a finding fades into what is kept of the scan.
FADING_MM = 1.5


def scan_maps(
    scan: nib.Nifti1Image,
    brain: nib.Nifti1Image,
    found: Findings,
    *,
    covered: nib.Nifti1Image,
    pseudo_healthy: nib.Nifti1Image | None,
    residual: nib.Nifti1Image | None,
    spread: nib.Nifti1Image | None,
    network: nib.Nifti1Image | None,
    to_model: Chain,
) -> dict[str, nib.Nifti1Image]:
    """Return all maps of one scan in the grid of `scan`.

    The pseudo-healthy image keeps the resolution of the scan and everything outside the brain: it
    is the scan minus the residual in the model grid, which is coarser. That would keep the fine
    part of a lesion too, so where something was found it is the model's own image. The residual
    that is written is scan minus pseudo-healthy image, so the three always add up.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        Normalised scan (white matter = 1) with its skull, in the grid of the result.
    brain : nibabel.Nifti1Image
        Brain mask in the same grid.
    found : Findings
        What was found in the same grid.
    covered : nibabel.Nifti1Image
        Brain mask in the model grid.
    pseudo_healthy, residual, spread, network : nibabel.Nifti1Image or None
        In the model grid; the first two come together, the last is what the method itself calls
        anomalous.
    to_model : Chain
        From the grid of the result to the model grid.

    Returns
    -------
    dict
        Images by their keys in :data:`bids_anomaly.bids.outputs.OUTPUTS`; what a method does not
        give (no residual, no spread, no map of its own) is left out.
    """
    grid = Grid.of(scan)
    inside = np.asanyarray(brain.dataobj) > 0

    def in_brain(image: nib.Nifti1Image) -> np.ndarray:
        return resample(image, grid, to_model).get_fdata(dtype=np.float32) * inside

    values = scan.get_fdata(dtype=np.float32)
    maps = {"preproc": values, "zscore": found.z, "brain": inside}
    if residual is not None and pseudo_healthy is not None:
        kept = values - in_brain(residual)
        own, share = _resample_with_share(pseudo_healthy, covered, grid, to_model)
        weight = _near(found.mask, inside, grid) * share
        maps["pseudohealthy"] = kept + weight * (own - kept)
        maps["residual"] = values - maps["pseudohealthy"]
    for name, image in (("spread", spread), ("network", network)):
        if image is not None:
            maps[name] = in_brain(image)
    maps["probability"], maps["anomaly"] = found.probability, found.mask
    return {name: _image(grid, array) for name, array in maps.items()}


def resample_in_brain(
    values: nib.Nifti1Image,
    brain: nib.Nifti1Image,
    onto: Grid,
    chain: Chain,
    *,
    beyond: np.ndarray | float = 0.0,
) -> nib.Nifti1Image:
    """Resample what is known inside the brain only, without the 0 outside leaking in.

    Parameters
    ----------
    values, brain : nibabel.Nifti1Image
        In one grid; `values` are 0 outside the brain.
    onto, chain
        See :func:`bids_anomaly.preprocessing.resample.resample`.
    beyond : (X, Y, Z) array or float
        What stands where nothing is known.

    Returns
    -------
    nibabel.Nifti1Image
        float32; at the surface, the mean over the part of a voxel that is brain.
    """
    known, share = _resample_with_share(values, brain, onto, chain)
    return onto.image(np.where(share > LEAST_SHARE, known, beyond).astype(np.float32))


def _near(mask: np.ndarray, brain: np.ndarray, grid: Grid) -> np.ndarray:
    """Return 1 where something was found, falling to 0 around it; 0 outside the brain."""
    around = smoothed(mask, brain, FADING_MM, tuple(grid.spacing))
    # At a straight border it is one half.
    return np.where(mask, 1, np.minimum(2 * around, 1)) * brain


def _resample_with_share(
    values: nib.Nifti1Image, brain: nib.Nifti1Image, onto: Grid, chain: Chain
) -> tuple[np.ndarray, np.ndarray]:
    """Return what :func:`resample_in_brain` says, and the share of each voxel that is brain."""
    share = resample(brain, onto, chain).get_fdata(dtype=np.float32)
    sums = resample(values, onto, chain).get_fdata(dtype=np.float32)
    known = share > LEAST_SHARE
    return np.where(known, sums / np.where(known, share, 1), 0).astype(np.float32), share


def _image(grid: Grid, values: np.ndarray) -> nib.Nifti1Image:
    return grid.image(values.astype(np.uint8 if values.dtype == bool else np.float32))
