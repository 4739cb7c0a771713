"""Synthetic lesions in held-out healthy people, whose truth is known exactly, by size.

Two kinds, in scans of their own: those that models are trained with
(:mod:`bids_anomaly.synthesis`, on people that no model saw), and simple ones that no model is
trained with: blobs of prescribed volumes that scale what is there. FLAIR and T2w are painted from
T1w by fixed tone curves, which are not those of training either. Evaluated in the model grid.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import torch
from scipy.ndimage import binary_dilation, gaussian_filter, generate_binary_structure, label

from bids_anomaly.bids.naming import output_path
from bids_anomaly.evaluation.metrics import SIZE_BINS, auprc, dice, lesionwise
from bids_anomaly.evaluation.raw import RAW_INTENSITY, raw_score
from bids_anomaly.evaluation.scan import ALL_SIZES
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.preprocessing.template import TEMPLATE
from bids_anomaly.reconstruction.bundle import FALLBACK_FAMILY, Bundle, choose_bundles
from bids_anomaly.synthesis.anomaly import Anatomy, insert_anomalies
from bids_anomaly.training.loading import load_volumes
from bids_anomaly.training.volumes import HealthyVolumes, slices_first
from shared.people import Split
from shared.real_scans import HEALTHY, command
from shared.scored import preset_mask, reconstructed, zscore
from shared.table import Row, rows_by_measure

# T1w intensities relative to white matter, and what is painted there.
TONE_KNOTS = (0.0, 0.1, 0.3, 0.72, 1.0, 1.4)
TONES = {"FLAIR": (0.05, 0.2, 0.2, 1.12, 1.0, 0.95), "T2w": (0.8, 2.6, 2.6, 1.45, 1.0, 0.85)}
# Below this T1w intensity a voxel is more CSF than tissue, and gets no blob.
TISSUE = 0.5
# How many blobs a scan has of each range of volumes (mm3), and by what they multiply intensities.
BLOBS = (((1000, 20000), 1), ((100, 1000), 3), ((30, 100), 4), ((8, 30), 6))
FACTORS = {"T1w": (0.55, 0.80), "FLAIR": (1.25, 1.70), "T2w": (1.30, 2.00)}
# Blurs the border of blobs as the voxels of a scan do; in voxels.
BLUR = 0.4
# Blobs keep this many voxels apart, and a lesion is left out of the figures of other sizes with
# this margin, since scores are smoothed.
MARGIN = 3
# The last one is all of them.
SIZES = (*SIZE_BINS, *ALL_SIZES)
# Slabs that get anomalies of the training generator in each scan, and their thickness.
SLABS, SLAB_SLICES = 3, 25


class Lesioned(NamedTuple):
    """A scan with lesions, all (X, Y, Z) in the model grid."""

    scan: np.ndarray
    brain: np.ndarray
    truth: np.ndarray


class Healthy(NamedTuple):
    """A held-out person: T1w, the scan to insert into, brain, and likely white matter."""

    t1w: np.ndarray
    scan: np.ndarray
    brain: np.ndarray
    white_matter: np.ndarray


def synthetic_rows(
    data: Path,
    results: Path,
    split: Split,
    modality: str,
    bundles: Mapping[str, Bundle],
    kinds: Collection[str] | None = None,
) -> Iterable[Row]:
    """Yield the rows of a modality, by kind of lesion and size, and what a reconstruction costs.

    `kinds` are keys of :data:`INSERTIONS`; all by default.
    """
    who = split.people(HEALTHY)
    volumes = read_people(data, results, who)
    kept = results / "reconstructed"
    painted = modality if modality == "T1w" else f"{modality} painted from T1w"
    cost = {name: [] for name in bundles}
    for kind in kinds or INSERTIONS:
        insert = INSERTIONS[kind]
        measured: dict[str, list[list[dict]]] = {name: [] for name in (RAW_INTENSITY, *bundles)}
        for person in range(len(who)):
            lesioned = insert(volumes, person, modality)
            raw = raw_score(
                lesioned.scan, lesioned.brain, np.full(3, volumes.spacing), modality=modality
            )
            measured[RAW_INTENSITY].append(
                [
                    {"AUPRC": auprc(raw[counted], truth[counted])}
                    for truth, counted in _by_size(lesioned, volumes.spacing)
                ]
            )
            for name, bundle in bundles.items():
                timed = reconstructed(bundle, lesioned.scan, lesioned.brain, kept)
                z = zscore(bundle, lesioned.scan, lesioned.brain, timed.result)
                measured[name].append(by_size(z, lesioned, volumes.spacing))
                cost[name].append(
                    {
                        "seconds a volume": timed.seconds,
                        "CPU seconds a volume": timed.cpu_seconds,
                        "network evaluations a slice": timed.result.evaluations,
                    }
                )
        for index, bounds in enumerate(SIZES):
            yield from rows_by_measure(
                f"IXI, {kind} of {_in_words(bounds)}, {painted}, {split}",
                {name: [sizes[index] for sizes in all_] for name, all_ in measured.items()},
                whole_set=bounds in ALL_SIZES,
            )
    yield from rows_by_measure(
        f"cost of a reconstruction, {modality}",
        cost,
        {
            "seconds a volume": ".1f",
            "CPU seconds a volume": ".1f",
            "network evaluations a slice": ".0f",
        },
    )


def read_people(data: Path, results: Path, who: list[str]) -> HealthyVolumes:
    """Read held-out people in the model grid, preprocessed by the real command."""
    output = results / "preprocessed" / HEALTHY
    paths = {
        name: [
            output_path(output, name, {"sub": person}, modality="T1w", space=TEMPLATE)
            for person in who
        ]
        for name in ("model_scan", "model_brain")
    }
    if not all(path.is_file() for path in paths["model_brain"]):
        baseline = choose_bundles(FALLBACK_FAMILY, ("T1w",))["T1w"]
        options = ("--stage", "preprocess", "--modalities", "T1w")
        command(data, results, HEALTHY, output, who, baseline, *options)
    scans, brains = ([nib.load(p) for p in paths[n]] for n in ("model_scan", "model_brain"))
    return load_volumes(scans, brains)


def paint(volumes: HealthyVolumes, person: int, modality: str) -> Healthy:
    """Return a person's healthy scan of a modality, white matter = 1, axes (x, y, z)."""

    def upright(values: torch.Tensor) -> np.ndarray:
        return np.ascontiguousarray(slices_first(values.float().numpy()))

    t1w, brain = upright(volumes.scans[person]), upright(volumes.brains[person]) > 0
    if modality == "T1w":
        scan = t1w
    else:
        tones = np.interp(upright(volumes.filled[person]), TONE_KNOTS, TONES[modality])
        scan = (tones * brain).astype(np.float32)
    return Healthy(t1w, scan, brain, upright(volumes.white_matter) > 0)


def with_blobs(volumes: HealthyVolumes, person: int, modality: str) -> Lesioned:
    """Scale blobs of prescribed volumes, centred in white matter and kept within tissue."""
    rng = np.random.default_rng([person, 1])
    voxel_volume = volumes.spacing**3
    healthy = paint(volumes, person, modality)
    tissue = healthy.brain & (healthy.t1w > TISSUE)
    free = tissue.copy()
    factor = np.ones(tissue.shape)
    truth = np.zeros(tissue.shape, bool)
    for (low, high), count in BLOBS:
        for _ in range(count):
            volume = np.exp(rng.uniform(np.log(low), np.log(high)))
            size = max(int(volume / voxel_volume), int(np.ceil(low / voxel_volume)))
            blob = _blob(free, free & healthy.white_matter, size, rng)
            factor[blob] = rng.uniform(*FACTORS[modality])
            truth |= blob
            free &= ~_grown(blob)
    change = gaussian_filter(factor - 1, BLUR)
    return Lesioned((healthy.scan * (1 + change)).astype(np.float32), healthy.brain, truth)


def with_training_anomalies(volumes: HealthyVolumes, person: int, modality: str) -> Lesioned:
    """Insert anomalies of the training generator into slabs at three heights of the brain."""
    generator = torch.Generator().manual_seed(person)
    healthy = paint(volumes, person, modality)
    scan = torch.from_numpy(slices_first(healthy.scan).copy())
    lesion = torch.zeros_like(scan)
    reach = SLAB_SLICES // 2
    covered = volumes.brains[person].any(2).any(1).nonzero()[:, 0]
    heights = np.linspace(int(covered[0]) + reach, int(covered[-1]) - reach, SLABS).astype(int)
    for height in heights:
        window = slice(height - reach, height + reach + 1)
        anatomy = Anatomy(
            volumes.scans[person, window].float()[None],
            volumes.brains[person, window].float()[None],
            volumes.white_matter[height][None],
            volumes.deep[height][None],
        )
        lesioned = None
        # Some draws leave the scan as it is.
        while lesioned is None or not lesioned.lesion.any():
            lesioned = insert_anomalies(
                scan[window][None],
                anatomy,
                torch.tensor([MODALITIES.index(modality)]),
                0.3 + 0.7 * torch.rand(1, generator=generator),
                spacing=volumes.spacing,
                generator=generator,
            )
        scan[window] = lesioned.scan[0]
        lesion[window] = torch.maximum(lesion[window], lesioned.lesion[0])
    changed, truth = (np.ascontiguousarray(slices_first(v.numpy())) for v in (scan, lesion))
    return Lesioned(changed, healthy.brain, truth > 0)


INSERTIONS: dict[str, Callable[[HealthyVolumes, int, str], Lesioned]] = {
    "blobs": with_blobs,
    "anomalies as in training": with_training_anomalies,
}


def by_size(z: np.ndarray, lesioned: Lesioned, spacing: float) -> list[dict[str, float]]:
    """Return the figures for each of :data:`SIZES`; lesions of other sizes are left out of them."""
    voxel_volume = spacing**3
    found = preset_mask(z, lesioned.brain, voxel_volume=voxel_volume)
    figures = []
    for truth, counted in _by_size(lesioned, spacing):
        counts = lesionwise(found, truth, voxel_volume=voxel_volume, bins=((0.0, np.inf),))[0]
        figures.append(
            {
                "AUPRC": auprc(z[counted], truth[counted]),
                "Dice at preset threshold": dice(found & counted, truth) if truth.any() else np.nan,
                "lesions found": counts.sensitivity,
            }
        )
    free = lesioned.brain & ~_grown(lesioned.truth)
    figures[-1]["lesion-free voxels marked (%)"] = 100 * float(found[free].mean())
    return figures


def _by_size(lesioned: Lesioned, spacing: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the lesions of each of the sizes, and the brain without those of other sizes."""
    labels, _ = label(lesioned.truth, generate_binary_structure(3, 3))
    volumes = np.bincount(labels.ravel()) * spacing**3
    volumes[0] = 0
    for low, high in SIZES:
        truth = ((volumes >= low) & (volumes < high))[labels]
        others = _grown(lesioned.truth & ~truth) & ~truth
        yield truth, lesioned.brain & ~others


def _blob(free: np.ndarray, centres: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a connected blob of `size` voxels among the free ones, around one of the centres."""
    candidates = np.argwhere(centres)
    radius = np.cbrt(3 * size / (4 * np.pi))
    reach = int(3 * radius) + 2
    while True:
        centre = candidates[rng.integers(len(candidates))]
        window = tuple(slice(max(c - reach, 0), c + reach + 1) for c in centre)
        within = tuple(c - part.start for c, part in zip(centre, window, strict=True))
        room = free[window]
        offset = np.indices(room.shape) - np.reshape(within, (3, 1, 1, 1))
        noise = gaussian_filter(rng.standard_normal(room.shape), max(radius / 2, 0.5))
        warped = np.sqrt((offset**2).sum(axis=0)) / radius + 0.25 * noise / noise.std()
        warped = np.where(room, warped, np.inf)
        warped[within] = -np.inf
        limit = np.partition(warped.ravel(), size - 1)[size - 1]
        labels, _ = label((warped <= limit) & room, generate_binary_structure(3, 3))
        piece = labels == labels[within]
        # Noise, or a lack of room, can cut off a piece; then it is tried elsewhere.
        if piece.sum() == size:
            blob = np.zeros_like(free)
            blob[window] = piece
            return blob


def _grown(mask: np.ndarray) -> np.ndarray:
    return binary_dilation(mask, generate_binary_structure(3, 1), iterations=MARGIN)


def _in_words(bounds: tuple[float, float]) -> str:
    low, high = bounds
    if bounds in ALL_SIZES:
        return "all sizes"
    return f"{low:g} to {high:g} mm3" if np.isfinite(high) else f"more than {low:g} mm3"
