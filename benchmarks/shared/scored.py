"""Reconstruct and score scans that lie in the model grid already, and keep what came out."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.reconstruction.registry import reconstruct
from bids_anomaly.reconstruction.result import Reconstruction
from bids_anomaly.scoring.calibration import load_calibration
from bids_anomaly.scoring.findings import Threshold, find
from bids_anomaly.training.controls import score_of

ARRAYS = ("pseudo_healthy", "spread", "anomaly")


@dataclass(frozen=True)
class Timed:
    """A reconstruction, and what it took: seconds by the clock, and of all CPUs together."""

    result: Reconstruction
    seconds: float
    cpu_seconds: float


def reconstructed(
    bundle: Bundle,
    scan: np.ndarray,
    brain: np.ndarray,
    kept: Path,
    known: Mapping[str, str] | None = None,
    *,
    steps: int | None = None,
) -> Timed:
    """Reconstruct a scan, or read what was kept of the same scan, weights and levels.

    Parameters
    ----------
    bundle : Bundle
    scan : (X, Y, Z) array
        In the model grid, white matter = 1.
    brain : (X, Y, Z) bool array
    kept : Path
        Folder of what was done before. Calibration and score can change without doing it again.
    known : mapping, optional
        What ``participants.tsv`` says of the person.
    steps : int, optional
        As ``--steps``; the bundle's own by default.
    """
    if bundle.weights is None:
        return _reconstruct(bundle, scan, brain, known, steps)
    key = hashlib.sha256(bundle.weights.read_bytes())
    # All that a reconstruction can depend on; scores and thresholds come later.
    later = ("score", "calibration", "metrics")
    key.update(repr([p for p in bundle.description.items() if p[0] not in later]).encode())
    told = sorted((known or {}).items()) if bundle.description.get("covariates") else []
    if steps is not None:
        key.update(f"steps {steps}".encode())
    key.update(scan.tobytes() + brain.tobytes() + repr(told).encode() * bool(told))
    path = kept / f"{bundle.name}-{key.hexdigest()[:24]}.npz"
    if path.is_file():
        with np.load(path) as archive:
            arrays = {n: archive[n].astype(np.float32) if n in archive else None for n in ARRAYS}
            result = Reconstruction(**arrays, evaluations=int(archive["evaluations"]))
            return Timed(result, float(archive["seconds"]), float(archive["cpu_seconds"]))
    timed = _reconstruct(bundle, scan, brain, known, steps)
    kept.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(timed.result, name) for name in ARRAYS}
    part = path.with_suffix(".part.npz")
    np.savez_compressed(
        part,
        evaluations=timed.result.evaluations,
        seconds=timed.seconds,
        cpu_seconds=timed.cpu_seconds,
        **{name: array.astype(np.float16) for name, array in arrays.items() if array is not None},
    )
    part.replace(path)
    return timed


def zscore(
    bundle: Bundle, scan: np.ndarray, brain: np.ndarray, result: Reconstruction
) -> np.ndarray:
    """Score a scan as the app does, (X, Y, Z) array of healthy standard deviations."""
    score = score_of(bundle, scan, brain, result)
    return load_calibration(bundle.calibration).zscore(score) * brain


def preset_mask(
    z: np.ndarray,
    brain: np.ndarray,
    *,
    voxel_volume: float,
    min_volume: float = Threshold.min_lesion_volume,
) -> np.ndarray:
    """Return the mask at the threshold that the app presets; tiny components left out."""
    preset = Threshold(min_lesion_volume=min_volume)
    return find(z, brain, preset, voxel_volume=voxel_volume).mask


def _reconstruct(
    bundle: Bundle,
    scan: np.ndarray,
    brain: np.ndarray,
    known: Mapping[str, str] | None,
    steps: int | None,
) -> Timed:
    options = {"device": "cpu", "batch_size": None, "steps": steps, "seed": 0}
    wall, cpu = time.perf_counter(), time.process_time()
    result = reconstruct(bundle, scan, brain, covariates=known, **options)
    return Timed(result, time.perf_counter() - wall, time.process_time() - cpu)
