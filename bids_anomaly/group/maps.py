"""Sums of maps over people: as much memory for thousands as for one."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.group.people import Member
from bids_anomaly.preprocessing.images import UNREADABLE, load_nifti
from bids_anomaly.preprocessing.template import OUTPUT_GRID, Grid, same_grid


@dataclass
class Sums:
    """What is known of each voxel of the template after some people; add more with :meth:`add`.

    Attributes
    ----------
    people : int
        How many were added.
    primaries : Counter
        How many have which modality as their primary scan.
    anomalous : (X, Y, Z) int array
        How many have an anomaly there, by their primary scan.
    z, scanned : mapping of str to (X, Y, Z) arrays
        By modality: the sum of z-scores, and how many have brain there.
    scans : mapping of str to int
        By modality: how many people have it.
    """

    people: int = 0
    primaries: Counter = field(default_factory=Counter)
    anomalous: np.ndarray = field(default_factory=lambda: np.zeros(OUTPUT_GRID.shape, np.int32))
    z: dict[str, np.ndarray] = field(default_factory=dict)
    scanned: dict[str, np.ndarray] = field(default_factory=dict)
    scans: dict[str, int] = field(default_factory=dict)

    def add(self, mask: np.ndarray, zscores: Mapping[str, np.ndarray], primary: str) -> None:
        """Add one person.

        Parameters
        ----------
        mask : (X, Y, Z) bool array
            Anomalies in the template.
        zscores : mapping of str to (X, Y, Z) array
            By modality, 0 outside the brain.
        primary : str
            The modality of `mask`.
        """
        self.people += 1
        self.primaries[primary] += 1
        self.anomalous += mask
        for modality, z in zscores.items():
            if modality not in self.z:
                self.z[modality] = np.zeros(OUTPUT_GRID.shape)
                self.scanned[modality] = np.zeros(OUTPUT_GRID.shape, np.int32)
                self.scans[modality] = 0
            self.z[modality] += z
            self.scanned[modality] += z != 0
            self.scans[modality] += 1

    def frequency(self) -> np.ndarray:
        """Return the share of people with an anomaly in each voxel, (X, Y, Z) float32."""
        return (self.anomalous / max(self.people, 1)).astype(np.float32)

    def mean_z(self, modality: str) -> np.ndarray:
        """Return the mean z-score where at least half of the people have brain, else 0.

        At the edge of the brain few people would make a mean of their own.
        """
        scanned = self.scanned[modality]
        known = 2 * scanned >= self.scans[modality]
        mean = np.divide(
            self.z[modality], scanned, out=np.zeros(OUTPUT_GRID.shape), where=known & (scanned > 0)
        )
        return mean.astype(np.float32)


def load_maps(member: Member) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Read the maps of one person in the template.

    Returns
    -------
    (X, Y, Z) bool array
        Anomalies of the primary scan.
    dict of str to (X, Y, Z) float32 array
        z-scores by modality.

    Raises
    ------
    BadScanError
        If one is missing, cannot be read, is in another grid, or is not finite.
    """
    mask = _read(member.file("anomaly", member.primary)) > 0
    return mask, {m: _read(member.file("zscore", m)) for m in member.modalities}


def _read(path: Path) -> np.ndarray:
    advice = "Delete it, and run the participant level again."
    try:
        image = load_nifti(path)
        values = np.asanyarray(image.dataobj, dtype=np.float32)
    except UNREADABLE as error:
        raise BadScanError(f"The map {path.name} cannot be read ({error}). {advice}") from error
    if not same_grid(Grid.of(image), OUTPUT_GRID):
        raise BadScanError(
            f"The map {path.name} is not in the grid of the template at 2 mm. {advice}"
        )
    if not np.isfinite(values).all():
        raise BadScanError(f"The map {path.name} holds values that are no numbers. {advice}")
    return values
