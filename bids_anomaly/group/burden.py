"""How much is anomalous in each person, from the tables of the participant level."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bids_anomaly.bids.naming import COMBINED
from bids_anomaly.bids.tables import MISSING, read_table
from bids_anomaly.exceptions import BadScanError
from bids_anomaly.group.people import Member
from bids_anomaly.preprocessing.atlas import atlas_regions
from bids_anomaly.scoring.regions import ELSEWHERE

REGIONS = (*atlas_regions(), ELSEWHERE)
TISSUES = tuple(dict.fromkeys(region.tissue for region in REGIONS if region.tissue != MISSING))
# The modified z-score beyond which Iglewicz and Hoaglin (1993) call a value an outlier, and what
# makes a median absolute deviation a standard deviation.
OUTLYING, MAD_TO_SD = 3.5, 1.4826


@dataclass(frozen=True)
class Burden:
    """What the tables say of one person on one occasion.

    Attributes
    ----------
    member : Member
    known : mapping of str to str
        The person's row of ``participants.tsv``.
    brain_volume : float
        In mm3.
    volumes, lesions : mapping of str to float, int
        By modality, and ``combined``: anomalous volume in mm3 of the person, number of lesions.
    largest, z_peak : float
        The largest lesion in mm3 and the highest z; NaN without lesions.
    regions : (R,) array
        Anomalous volume in mm3 of each of :data:`REGIONS`, combined finding.
    fractions : (R,) array
        Its share of the region; NaN where the person has none of it.
    region_z : mapping of str to (R,) array
        Mean z by modality.
    flags : tuple of (str, str)
        Scan and measure of quality that is outside the limits.
    """

    member: Member
    known: Mapping[str, str]
    brain_volume: float
    volumes: Mapping[str, float]
    lesions: Mapping[str, int]
    largest: float
    z_peak: float
    regions: np.ndarray
    fractions: np.ndarray
    region_z: Mapping[str, np.ndarray]
    flags: tuple[tuple[str, str], ...]

    @property
    def volume(self) -> float:
        """Anomalous volume of the combined finding in mm3."""
        return self.volumes[COMBINED]

    def tissue_volume(self, tissue: str) -> float:
        """Return the anomalous volume in mm3 in one of :data:`TISSUES`."""
        within = [region.tissue == tissue for region in REGIONS]
        return float(self.regions[within].sum())


def read_burden(member: Member, known: Mapping[str, str]) -> Burden:
    """Read the tables of one person.

    Parameters
    ----------
    member : Member
    known : mapping of str to str
        The person's row of ``participants.tsv``.

    Raises
    ------
    BadScanError
        If a table is missing, or is not what the participant level writes.
    """
    lesions = _rows(member.file("combined_lesions"), "volume", "z_peak")
    regions = _rows(
        member.file("regions"),
        *("volume", "anomalous_volume"),
        maybe=("anomalous_fraction", "z_mean"),
    )
    quality = read_checked(member.file("quality"), ("scan", "measure", "flagged"))
    of_scans: dict[str, dict[str, Mapping[str, str]]] = {}
    for row in regions:
        scans = of_scans.setdefault(row["modality"], {})
        scans.setdefault(row["scan"], {})[row["name"]] = row
    # Of several scans of a modality the first, as with the maps.
    by_name = {modality: min(scans.items())[1] for modality, scans in of_scans.items()}
    for modality in (COMBINED, *member.modalities):
        if modality not in by_name:
            what = "the combined finding" if modality == COMBINED else modality
            raise BadScanError(
                f"The table {member.file('regions').name} says nothing of {what}: that is left "
                "from a run before the last one. Run the participant level again with all "
                "modalities, or choose others with --modalities."
            )
    combined = by_name[COMBINED]
    tables = {
        modality: _rows(path, "volume")
        for (output, modality), path in member.files.items()
        if output == "lesions" and modality in by_name
    }
    tables[COMBINED] = lesions
    return Burden(
        member=member,
        known=known,
        brain_volume=sum(float(row["volume"]) for row in combined.values()),
        volumes={m: sum(float(row["volume"]) for row in rows) for m, rows in tables.items()},
        lesions={m: len(rows) for m, rows in tables.items()},
        largest=max((float(row["volume"]) for row in lesions), default=math.nan),
        z_peak=max((float(row["z_peak"]) for row in lesions), default=math.nan),
        regions=np.nan_to_num(_column(combined, "anomalous_volume")),
        fractions=_column(combined, "anomalous_fraction"),
        region_z={m: _column(rows, "z_mean") for m, rows in by_name.items() if m != COMBINED},
        flags=tuple((row["scan"], row["measure"]) for row in quality if row["flagged"] == "true"),
    )


def read_checked(path: Path, columns: Sequence[str]) -> list[Mapping[str, str]]:
    """Read a table that has to have some columns.

    Raises
    ------
    BadScanError
        If it cannot be read, or lacks one.
    """
    try:
        rows = read_table(path)
        for row in rows:
            for column in columns:
                row[column]
    except (OSError, ValueError, KeyError) as error:
        raise BadScanError(
            f"The table {path.name} cannot be read ({error}). Delete it, and run the participant "
            "level again."
        ) from error
    return rows


def _rows(path: Path, *numbers: str, maybe: Sequence[str] = ()) -> list[Mapping[str, str]]:
    """Read a table some of whose columns hold numbers, or `maybe` n/a."""
    rows = read_checked(path, (*numbers, *maybe))
    for row in rows:
        for column in (*numbers, *maybe):
            try:
                if column in numbers or row[column] != MISSING:
                    float(row[column])
            except ValueError as error:
                raise BadScanError(
                    f"The table {path.name} has {row[column]!r} for {column}. Delete it, and run "
                    "the participant level again."
                ) from error
    return rows


def _column(by_name: Mapping[str, Mapping[str, str]], column: str) -> np.ndarray:
    values = [by_name.get(region.name, {}).get(column, MISSING) for region in REGIONS]
    return np.array([math.nan if value == MISSING else float(value) for value in values])


def log_volume(volumes: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return log10(1 + volume in ml) of volumes in mm3, in which burdens are compared."""
    return np.log10(1 + np.asarray(volumes, dtype=float) / 1000)


def modified_z(volumes: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return how far burdens are from those of a reference, in robust standard deviations.

    Parameters
    ----------
    volumes, reference : arrays
        In mm3.

    Returns
    -------
    array
        (log volume - median) / (1.4826 median absolute deviation); NaN where the reference does
        not vary.
    """
    logs, known = log_volume(volumes), log_volume(reference)
    if not known.size:
        return np.full(logs.shape, np.nan)
    spread = MAD_TO_SD * np.median(np.abs(known - np.median(known)))
    if spread == 0:
        return np.full(logs.shape, np.nan)
    return (logs - np.median(known)) / spread
