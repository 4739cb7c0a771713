"""Remove the slow intensity changes that coils leave in a scan, and leave disease in it."""

from dataclasses import dataclass
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter

from bids_anomaly.preprocessing.resample import isotropic_grid, resample, resample_mask
from bids_anomaly.preprocessing.template import Grid, template_tissues
from bids_anomaly.preprocessing.transforms import Chain

# A field as smooth as this needs no finer samples.
SPACING_MM = 4.0
# How much a change of one octave costs. What a scan does not ask for clearly is left alone.
STIFFNESS = 0.006
STIFFNESS_PERIOD_MM = 200.0
# Maps of the template fit the scan by an affine only: they are blurred, and nothing is excluded.
PRIOR_BLUR_MM, LEAST_PRIOR = 4.0, 0.02
SMALLEST_TISSUE_SD = 0.03
# Share of the brain that no healthy tissue explains, and the range of its log intensities.
OUTLIER_SHARE, OUTLIER_RANGE = 0.3, 3.0
# Lesions fade into their surroundings, which therefore do not count either.
NEIGHBOURHOOD_MM = 10.0
# A dark lesion on T1w is taken for grey matter, and cortex over it looks right by itself: what it
# lacks is white matter, over a distance that no cortex fills. Where grey matter is the brighter one
# lesions are brighter still, and asking for white matter only made fields worse (gliomas on FLAIR).
WHITE_REACH_MM, LEAST_WHITE = 30.0, 0.55
# Columns of maps of CSF, grey and white matter.
GREY, WHITE = 1, 2
# Air and bone in a mask: this far below the median in log intensity.
DARKEST = 3.0


class Stage(NamedTuple):
    """Part of the estimation of a field.

    Attributes
    ----------
    shortest_mm : float
        Shortest period of the field.
    largest_sd : float
        Bound of the variation of grey and of white matter in log intensity. Without one a large
        lesion widens white matter until it belongs to it.
    least_overlap : float
        How far the tissues of a neighbourhood have to agree with the template's for it to count.
    rounds : int
        Of expectation-maximisation.
    asks_for_white : bool
        Whether white matter has to be found where the template has it, on scans where grey matter
        is darker. Strong shading hides it until most of the field is known.
    """

    shortest_mm: float
    largest_sd: float
    least_overlap: float
    rounds: int
    asks_for_white: bool


# From slow and tolerant, which strong shading needs, to quick and strict, which leaves lesions out.
STAGES = (
    Stage(250.0, 0.2, 0.5, 5, asks_for_white=False),
    Stage(140.0, 0.14, 0.6, 5, asks_for_white=True),
    Stage(100.0, 0.1, 0.7, 8, asks_for_white=True),
)


def correct_bias(
    scan: nib.Nifti1Image, brain: nib.Nifti1Image, template_from_scan: Chain
) -> nib.Nifti1Image:
    """Divide a scan by its bias field, estimated inside the brain from its healthy tissue.

    Log intensities are a smooth field plus one of three tissues, where the template's maps allow
    it, or something else: lesions, vessels, scalp. A field of cosines and the tissues' means and
    variances are found by expectation-maximisation (Ashburner and Friston 2005, doi
    10.1016/j.neuroimage.2005.02.018; outliers as in Van Leemput et al. 2001, doi
    10.1109/42.938237). A neighbourhood whose tissues are not those of the template says nothing of
    the field, nor does a region that lacks white matter; the field goes on through it as smooth as
    it can: so a lesion stays as bright or as dark as it was. N4 takes lesions for shading
    (``benchmarks/bias.py``).

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        Arbitrary units.
    brain : nibabel.Nifti1Image
        Brain mask in the grid of `scan`.
    template_from_scan : Chain
        It pulls the template onto the scan.

    Returns
    -------
    nibabel.Nifti1Image
        float32, in the grid of `scan`. The logarithm of the field has a mean of 0 in the brain.
    """
    grid = Grid.of(scan)
    field = bias_field(scan, brain, template_from_scan)
    return grid.image(scan.get_fdata(dtype=np.float32) / field)


def bias_field(
    scan: nib.Nifti1Image, brain: nib.Nifti1Image, template_from_scan: Chain
) -> np.ndarray:
    """Estimate the bias field of a scan; parameters are those of :func:`correct_bias`.

    Returns
    -------
    (X, Y, Z) float32 array
        In the grid of `scan`, > 0. Outside the brain it stays in the range that it has inside.
    """
    coarse = isotropic_grid(scan, SPACING_MM)
    inside = np.asanyarray(resample_mask(brain, coarse).dataobj) > 0
    values = resample(scan, coarse).get_fdata(dtype=np.float32)
    inside &= values > max(np.median(values[inside]), 0) * np.exp(-DARKEST)
    if not inside.any():
        # An empty brain has no field; its white matter level says so to the user.
        return np.ones(scan.shape, np.float32)
    tissues = np.stack(
        [
            resample(tissue, coarse, template_from_scan).get_fdata(dtype=np.float32)
            for tissue in template_tissues(1)
        ],
        axis=-1,
    )
    cosines = Cosines.over(inside, coarse, shortest=STAGES[-1].shortest_mm)
    coefficients = _fit(values, inside, tissues, cosines)

    in_brain = np.asanyarray(brain.dataobj) > 0
    field = cosines.field(coefficients, Grid.of(scan))
    lowest, highest = field[in_brain].min(), field[in_brain].max()
    return np.exp(np.clip(field, lowest, highest) - field[in_brain].mean()).astype(np.float32)


@dataclass(frozen=True)
class Cosines:
    """Products of cosines along the axes of a grid: all smooth fields over a box.

    Attributes
    ----------
    grid : Grid
    start, stop : (3,) arrays
        Edges of the box in voxels of `grid`. Beyond them the field goes on as its mirror image.
    waves : (K, 3) int array
        Half waves over the box along each axis.
    """

    grid: Grid
    start: np.ndarray
    stop: np.ndarray
    waves: np.ndarray

    @classmethod
    def over(cls, inside: np.ndarray, grid: Grid, *, shortest: float) -> "Cosines":
        """Return those over the bounding box of a mask with a period of `shortest` mm or more."""
        where = np.argwhere(inside)
        start, stop = where.min(axis=0) - 0.5, where.max(axis=0) + 0.5
        most = (2 * (stop - start) * grid.spacing / shortest).astype(int)
        waves = np.array([*np.ndindex(*(most + 1))][1:], dtype=int).reshape(-1, 3)
        every = cls(grid, start, stop, waves)
        return cls(grid, start, stop, waves[every.frequency <= 1 / shortest])

    @property
    def frequency(self) -> np.ndarray:
        """Cycles per mm of each, (K,) array."""
        size = (self.stop - self.start) * self.grid.spacing
        return np.linalg.norm(self.waves / (2 * size), axis=1)

    def at(self, voxels: np.ndarray) -> np.ndarray:
        """Return all of them at (N, 3) voxel indices of their grid, (N, K) array."""
        position = (voxels - self.start) / (self.stop - self.start)
        columns = np.ones((len(voxels), len(self.waves)))
        for axis in range(3):
            columns *= np.cos(np.pi * np.outer(position[:, axis], self.waves[:, axis]))
        return columns

    def field(self, coefficients: np.ndarray, onto: Grid) -> np.ndarray:
        """Return their sum in a grid whose axes are parallel to those of their own.

        Parameters
        ----------
        coefficients : (K,) array
        onto : Grid

        Returns
        -------
        (X, Y, Z) array
        """
        cube = np.zeros(self.waves.max(axis=0, initial=0) + 1)
        cube[tuple(self.waves.T)] = coefficients
        to_own = np.linalg.inv(self.grid.affine) @ onto.affine
        for axis, count in enumerate(onto.shape):
            voxels = np.arange(count) * to_own[axis, axis] + to_own[axis, 3]
            position = (voxels - self.start[axis]) / (self.stop[axis] - self.start[axis])
            along = np.cos(np.pi * np.outer(position, np.arange(cube.shape[0])))
            # Each turn replaces the first axis by one of the grid, which goes to the end.
            cube = np.tensordot(cube, along, axes=([0], [1]))
        return cube


def _fit(
    values: np.ndarray, inside: np.ndarray, tissues: np.ndarray, cosines: Cosines
) -> np.ndarray:
    """Return the coefficients of the log field by expectation-maximisation.

    Parameters
    ----------
    values, inside : (X, Y, Z) arrays
        Intensities, positive where `inside` is true.
    tissues : (X, Y, Z, 3) array
        Probability of CSF, grey and white matter.
    cosines : Cosines
        In the grid of `values`.
    """
    spacing = float(cosines.grid.spacing[0])
    logs = np.log(values[inside]).astype(float)
    blurred = gaussian_filter(tissues, (*[PRIOR_BLUR_MM / spacing] * 3, 0))[inside]
    prior = blurred + LEAST_PRIOR
    prior /= prior.sum(axis=1, keepdims=True)
    near, far = NEIGHBOURHOOD_MM / spacing, WHITE_REACH_MM / spacing
    expected = _around(prior, inside, near)
    expected_white = _around(prior[:, WHITE:], inside, far)
    outlier = OUTLIER_SHARE / OUTLIER_RANGE
    mean, sd = _tissue_statistics(logs, tissues[inside])
    columns = cosines.at(np.argwhere(inside))
    coefficients = np.zeros(len(cosines.waves))
    field = np.zeros(len(logs))
    stiffness = STIFFNESS / 2 * (STIFFNESS_PERIOD_MM * cosines.frequency) ** 4
    for stage in STAGES:
        chosen = cosines.frequency <= 1 / stage.shortest_mm
        # A constant beside the field, which would else have to take part in the brain's mean.
        design = np.column_stack([np.ones(len(logs)), columns[:, chosen]])
        penalty = np.diag([0.0, *stiffness[chosen]])
        sd = _bounded(sd, stage)
        for _ in range(stage.rounds):
            share = _tissue_shares(logs - field, (1 - OUTLIER_SHARE) * prior, mean, sd, outlier)
            overlap = np.minimum(_around(share, inside, near), expected).sum(axis=1)
            trusted = _above(stage.least_overlap, overlap)
            if stage.asks_for_white and mean[GREY] < mean[WHITE]:
                white = (_around(share[:, WHITE:], inside, far) / expected_white)[:, 0]
                trusted = np.minimum(trusted, _above(LEAST_WHITE, white))
            share *= trusted[:, None]
            mean, sd = _moments(logs - field, share, mean, sd)
            sd = _bounded(sd, stage)
            weight = share / sd**2
            precision = weight.sum(axis=1)
            weighted = (weight * (logs[:, None] - mean)).sum(axis=1)
            normal = (design * precision[:, None]).T @ design + penalty * precision.sum()
            coefficients[chosen] = np.linalg.lstsq(normal, design.T @ weighted)[0][1:]
            field = columns @ coefficients
    return coefficients


def _above(least: float, values: np.ndarray) -> np.ndarray:
    """Return 0 up to the least value, and from there on linearly up to 1 at 1."""
    return np.clip((values - least) / (1 - least), 0, 1)


def _tissue_shares(
    flat: np.ndarray, prior: np.ndarray, mean: np.ndarray, sd: np.ndarray, outlier: float
) -> np.ndarray:
    """Return how likely each voxel is each tissue, (V, 3) array; the rest is something else."""
    density = np.exp(-0.5 * ((flat[:, None] - mean) / sd) ** 2) / (np.sqrt(2 * np.pi) * sd)
    likelihood = prior * density
    return likelihood / (likelihood.sum(axis=1, keepdims=True) + outlier)


def _tissue_statistics(logs: np.ndarray, tissues: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return median and robust standard deviation of log intensities where tissues are sure."""
    weights = tissues**4 + 1e-9
    mean = np.array([_weighted_median(logs, weight) for weight in weights.T])
    deviations = np.abs(logs[:, None] - mean)
    sd = [1.4826 * _weighted_median(*pair) for pair in zip(deviations.T, weights.T, strict=True)]
    return mean, np.array(sd)


def _moments(
    flat: np.ndarray, share: np.ndarray, mean: np.ndarray, sd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each tissue; one that is hardly there keeps its own."""
    total = share.sum(axis=0)
    there = total > 10
    divisor = np.where(there, total, 1)
    new_mean = np.where(there, (share * flat[:, None]).sum(axis=0) / divisor, mean)
    squares = (share * (flat[:, None] - new_mean) ** 2).sum(axis=0) / divisor
    return new_mean, np.where(there, np.sqrt(squares), sd)


def _bounded(sd: np.ndarray, stage: Stage) -> np.ndarray:
    """Keep the variation of tissues plausible; CSF with its partial volume has no upper bound."""
    return np.clip(sd, SMALLEST_TISSUE_SD, [np.inf, stage.largest_sd, stage.largest_sd])


def _around(shares: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """Average (V, K) shares of the voxels of a mask over their neighbourhood in it."""
    volume = np.zeros((*inside.shape, shares.shape[1]))
    volume[inside] = shares
    weight = np.maximum(gaussian_filter(inside.astype(float), sigma), 1e-6)
    return gaussian_filter(volume, (sigma, sigma, sigma, 0))[inside] / weight[inside][:, None]


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulated, cumulated[-1] / 2)])
