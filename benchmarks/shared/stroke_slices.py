"""Acute stroke on single FLAIR slices (OpenNeuro ds004889), against manual masks.

One skull-stripped axial slice a person, 1 mm, already in template space. It is no scan for the
command, so it is brought to the model grid here, repeated along z to fill the slab that a model
looks at, and evaluated in that grid at 2 mm. Some people without an acute stroke in the slice
have other lesions, which count as false positives.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import torch
from scipy.ndimage import binary_dilation

from bids_anomaly.evaluation.metrics import auprc, auprc_of_counts, dice
from bids_anomaly.evaluation.raw import RAW_INTENSITY, raw_score
from bids_anomaly.exceptions import ConstantImageError
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.preprocessing.intensity import SURE_WHITE_MATTER, white_matter_level
from bids_anomaly.preprocessing.resample import resample, resample_mask
from bids_anomaly.preprocessing.template import Grid, template_white_matter
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.training.loading import template_maps
from bids_anomaly.training.real import RealVolumes
from bids_anomaly.training.recipes import SMOOTHING_MM
from bids_anomaly.training.volumes import stack
from shared.people import Split
from shared.scored import preset_mask, reconstructed, zscore
from shared.table import Row, row_of_means

DATASET = "stroke-flair-slices"
FILE = "axial_z+18mm.npz"
Z_MM = 18.0
# Where the first row (most anterior) and column lie. The columns are centred on the midline; the
# rows were shifted until the median slice of the split dev fits the tissues of our template best
# (best of shifts, heights and scales; the height and the scale are as published).
ANTERIOR_MM = 80.0
LATERAL_MM = -78.0
# Brighter than this, relative to white matter, tissue may be diseased. Darker, it is fluid.
BRIGHT_WHITE_MATTER, BRIGHT_RIM, BRIGHT_CORTEX, FLUID = 1.2, 1.5, 1.7, 0.6
INNER_WHITE_MATTER = 0.75
# A slice of which less is healthy for sure is not learned from.
FEWEST_HEALTHY = 0.85
# Slabs of people that are reconstructed together, stacked along z.
STACK = 16
# Scores are ranked in this many steps, finest at the top, for the average precision of everybody.
RANKS = 2000


class Slice(NamedTuple):
    """One person's slice in the model grid, each (X, Y).

    In `scan` white matter is 1; `raw` has the units of the file.
    """

    raw: np.ndarray
    scan: np.ndarray
    brain: np.ndarray
    truth: np.ndarray


def stroke_rows(data: Path, split: Split, bundles: Mapping[str, Bundle], kept: Path) -> list[Row]:
    """Return the rows of FLAIR bundles, and of the slices as they came."""
    spacing = next(iter(bundles.values())).grid.spacing[:2]
    slices = read_slices(data, split, next(iter(bundles.values())))
    ill = [person.truth.any() for person in slices]
    scores = {name: scored_slices(b, slices, kept / "stroke") for name, b in bundles.items()}
    area = float(spacing.prod())
    found = {
        name: [
            preset_mask(z, p.brain, voxel_volume=area, min_volume=area)
            for z, p in zip(zs, slices, strict=True)
        ]
        for name, zs in scores.items()
    }
    raw = [raw_score(person.raw, person.brain, spacing, modality="FLAIR") for person in slices]
    scores = {RAW_INTENSITY: raw, **scores}
    label = f"Stroke, FLAIR slices at z = +18 mm (manual masks), {split}"

    def row(measure: str, among: bool, figure, names: Iterable[str]) -> Row:
        chosen = [k for k, is_ill in enumerate(ill) if is_ill == among]
        values = {name: [figure(name, k) for k in chosen] for name in names}
        return row_of_means(label, measure, values)

    def precision(name: str, k: int) -> float:
        inside = slices[k].brain
        return auprc(scores[name][k][inside], slices[k].truth[inside])

    return [
        row("AUPRC, people with stroke", True, precision, scores),
        pooled_row(label, scores, slices),
        row(
            "Dice at preset threshold, people with stroke",
            True,
            lambda name, k: dice(found[name][k], slices[k].truth),
            found,
        ),
        row(
            "voxels marked (%), people without stroke",
            False,
            lambda name, k: 100 * found[name][k][slices[k].brain].mean(),
            found,
        ),
    ]


def read_slices(data: Path, split: Split, bundle: Bundle) -> list[Slice]:
    """Bring the slices of a split into the plane of the model grid, with white matter at 1."""
    wanted = set(split.people(DATASET))
    with np.load(data / DATASET / FILE) as archive:
        chosen = [k for k, name in enumerate(archive["sub"]) if str(name) in wanted]
        flairs, masks = archive["flair"][chosen], archive["mask"][chosen]
    grid = bundle.grid
    origin = (*grid.affine[:2, 3], Z_MM)
    plane = Grid.isotropic((*grid.shape[:2], 1), origin, float(grid.spacing[0]))
    prior = resample(template_white_matter(1), plane).get_fdata()[..., 0]
    slices = []
    for flair, mask in zip(flairs, masks, strict=True):
        brain = resample_mask(_volume(flair > 0), plane).get_fdata()[..., 0] > 0
        truth = resample_mask(_volume(mask), plane).get_fdata()[..., 0] > 0
        raw = resample(_volume(flair), plane).get_fdata(dtype=np.float32)[..., 0]
        scan = raw * brain
        try:
            # Of the white matter in one slice, wide ventricles can cover the most.
            tissue = scan > 0.5 * np.median(scan[brain])
            level = white_matter_level(scan, brain & tissue & (prior > SURE_WHITE_MATTER))
        except ConstantImageError as error:
            raise SystemExit(f"A slice of {DATASET} has no white matter: {error}") from error
        slices.append(Slice(raw, (scan / level).astype(np.float32), brain, truth & brain))
    return slices


def real_flair(data: Path, bundle: Bundle) -> RealVolumes:
    """Return slices without a stroke of the split ``train``, to learn from.

    Their people are old and have had a stroke elsewhere, so what is bright in white matter may be a
    lesion, and nothing is learned from it. Slices with much of it are left out.
    """
    grid, slabs = bundle.grid, bundle.description["network"]["slices"]
    place = round(float((Z_MM - grid.affine[2, 3]) / grid.spacing[2]))
    white_matter, deep = (part[place].numpy() for part in template_maps(grid))
    found = []
    for person in read_slices(data, Split("train", None), bundle):
        healthy = surely_healthy(person, white_matter.T, deep.T)
        if not person.truth.any() and healthy.sum() > FEWEST_HEALTHY * person.brain.sum():
            found.append((person.scan, np.minimum(person.scan, 1), person.brain, healthy))

    def slab(planes: Sequence[np.ndarray]) -> torch.Tensor:
        return stack([np.repeat(plane[..., None], slabs, axis=2) for plane in planes])

    scans, t1w, brains, healthy = (slab(part) for part in zip(*found, strict=True))
    return RealVolumes(
        scans=scans.half(),
        # Fluid is dark on both, and more is not asked of it.
        t1w=t1w.half(),
        brains=brains,
        healthy=healthy,
        white_matter=slab([white_matter.T])[0],
        deep=slab([deep.T])[0],
        modality=MODALITIES.index("FLAIR"),
        spacing=float(grid.spacing[0]),
        single=True,
    )


def surely_healthy(person: Slice, white_matter: np.ndarray, deep: np.ndarray) -> np.ndarray:
    """Return where a slice without a stroke is healthy for sure, (X, Y) bool.

    Parameters
    ----------
    person : Slice
    white_matter, deep : (X, Y) array
        Of the template, see :func:`bids_anomaly.training.loading.template_maps`.
    """
    fluid = (person.scan < FLUID) & (deep > 0)
    # Thin bright rims of ventricles are healthy, as cortex is.
    rim = binary_dilation(fluid, np.ones((3, 3))) & ~fluid
    inner = ((white_matter > INNER_WHITE_MATTER) | (deep > 0)) & ~rim
    limit = np.where(inner, BRIGHT_WHITE_MATTER, np.where(rim, BRIGHT_RIM, BRIGHT_CORTEX))
    return person.brain & ~binary_dilation(person.scan > limit)


def scored_slices(bundle: Bundle, slices: Sequence[Slice], kept: Path) -> list[np.ndarray]:
    """Return the z-scores of every person's slice, (X, Y) arrays."""
    depth = bundle.description.get("network", {}).get("slices", 5)
    scores = []
    for start in range(0, len(slices), STACK):
        group = slices[start : start + STACK]
        scans = np.repeat(np.stack([person.scan for person in group], axis=2), depth, axis=2)
        brains = np.repeat(np.stack([person.brain for person in group], axis=2), depth, axis=2)
        result = reconstructed(bundle, scans, brains, kept).result
        # The middle of each slab saw nothing of the neighbouring people, nor does its score.
        middles = np.arange(depth // 2, scans.shape[2], depth)
        for person, middle in zip(group, middles, strict=True):
            repeated = {
                name: None if array is None else np.repeat(array[..., [middle]], 5, axis=2)
                for name, array in vars(result).items()
                if name != "evaluations"
            }
            slab = type(result)(**repeated, evaluations=result.evaluations)
            scan = np.repeat(person.scan[..., None], 5, axis=2)
            brain = np.repeat(person.brain[..., None], 5, axis=2)
            scores.append(zscore(bundle, scan, brain, slab)[..., 2])
    return scores


def precisions(bundle: Bundle, slices: Sequence[Slice], kept: Path) -> list[tuple[float, float]]:
    """Return the AUPRC of each person, by the score of a bundle and by its lesion output alone."""
    alone = {"rule": "own_score", "smoothing_mm": SMOOTHING_MM, "direction": 1}
    lesion = replace(bundle, description={**bundle.description, "score": alone})
    by_score, by_lesion = (
        [auprc(z[p.brain], p.truth[p.brain]) for z, p in zip(zs, slices, strict=True)]
        for zs in (scored_slices(one, slices, kept) for one in (bundle, lesion))
    )
    return list(zip(by_score, by_lesion, strict=True))


def pooled_row(
    label: str, scores: Mapping[str, Sequence[np.ndarray]], slices: Sequence[Slice]
) -> Row:
    """Return the row of the average precision over the voxels of everybody together."""
    statistics = {}
    for name, zs in scores.items():
        pooled = np.concatenate([z[p.brain] for z, p in zip(zs, slices, strict=True)])
        edges = np.unique(np.quantile(pooled, 1 - np.geomspace(1e-6, 1, RANKS)))
        lesion, healthy = (
            np.stack(
                [
                    np.bincount(
                        np.searchsorted(edges, z[p.brain & (p.truth == kind)], side="right"),
                        minlength=len(edges) + 1,
                    )
                    for z, p in zip(zs, slices, strict=True)
                ]
            )
            for kind in (True, False)
        )
        statistics[name] = lambda weights, lesion=lesion, healthy=healthy: auprc_of_counts(
            weights @ lesion, weights @ healthy
        )
    return Row(label, "AUPRC, all voxels pooled", len(slices), statistics, {}, whole_set=False)


def _volume(plane: np.ndarray) -> nib.Nifti1Image:
    """Repeat a slice (row = front to back, column = side to side) along z around its height."""
    upright = np.repeat(plane[::-1].T[..., None], 9, axis=2).astype(np.float32)
    origin = (LATERAL_MM, ANTERIOR_MM - (plane.shape[0] - 1), Z_MM - 4)
    return Grid.isotropic(upright.shape, origin, 1.0).image(upright)
