"""How much is anomalous in each person, from the tables of the participant level."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import median_abs_deviation

from bids_anomaly.bids.tables import MISSING, read_table
from bids_anomaly.exceptions import BadScanError
from bids_anomaly.group.people import SESSION, Member
from bids_anomaly.preprocessing.atlas import atlas_regions
from bids_anomaly.scoring.locations import LOCATIONS
from bids_anomaly.scoring.quality_limits import MEASURES, Check
from bids_anomaly.scoring.regions import ELSEWHERE

REGIONS = (*atlas_regions(), ELSEWHERE)
TISSUES = tuple(dict.fromkeys(region.tissue for region in REGIONS if region.tissue != MISSING))
# The modified z-score beyond which Iglewicz and Hoaglin (1993) call a value an outlier.
OUTLYING = 3.5


@dataclass(frozen=True)
class Burden:
    """What the tables say of one person at one timepoint.

    Attributes
    ----------
    member : Member
    known : mapping of str to str
        The person's row of ``participants.tsv``.
    brain_volume : float
        In mm3, of the primary scan, as all that is not by modality.
    volumes, lesions : mapping of str to float, int
        By modality: anomalous volume in mm3 of the person, number of lesions.
    locations : mapping of str to (int, float)
        By each of :data:`bids_anomaly.scoring.locations.LOCATIONS`: number of lesions of the
        primary scan, and their volume in mm3. Empty if its table does not say where they are.
    largest, z_peak : float
        The largest lesion in mm3 and the highest z; NaN without lesions.
    regions : (R,) array
        Anomalous volume in mm3 of each of :data:`REGIONS`.
    fractions : (R,) array
        Its share of the region; NaN where the person has none of it.
    region_z : mapping of str to (R,) array
        Mean z by modality.
    flags : tuple of (str, str)
        Scan and measure of quality that is outside the limits.
    quality : mapping of str to list of Check
        All measures of quality by the name of the scan.
    """

    member: Member
    known: Mapping[str, str]
    brain_volume: float
    volumes: Mapping[str, float]
    lesions: Mapping[str, int]
    locations: Mapping[str, tuple[int, float]]
    largest: float
    z_peak: float
    regions: np.ndarray
    fractions: np.ndarray
    region_z: Mapping[str, np.ndarray]
    flags: tuple[tuple[str, str], ...]
    quality: Mapping[str, list[Check]]

    @property
    def volume(self) -> float:
        """Anomalous volume of the primary scan in mm3."""
        return self.volumes[self.member.primary]

    @property
    def lesion_count(self) -> int:
        """Number of lesions of the primary scan."""
        return self.lesions[self.member.primary]

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
    lesions, regions = {}, {}
    for modality in dict.fromkeys((member.primary, *member.modalities)):
        lesions[modality] = _rows(member.file("lesions", modality), "volume", "z_peak")
        rows = _rows(
            member.file("regions", modality),
            *("volume", "anomalous_volume"),
            maybe=("anomalous_fraction", "z_mean"),
        )
        regions[modality] = {row["name"]: row for row in rows}
    quality = _rows(
        member.file("quality", SESSION),
        maybe=("value", "lower_limit", "upper_limit"),
        words=("scan", "measure", "flagged"),
    )
    found, by_name = lesions[member.primary], regions[member.primary]
    return Burden(
        member=member,
        known=known,
        brain_volume=sum(float(row["volume"]) for row in by_name.values()),
        volumes={m: sum(float(row["volume"]) for row in rows) for m, rows in lesions.items()},
        lesions={m: len(rows) for m, rows in lesions.items()},
        locations=_by_location(found),
        largest=max((float(row["volume"]) for row in found), default=math.nan),
        z_peak=max((float(row["z_peak"]) for row in found), default=math.nan),
        regions=np.nan_to_num(_column(by_name, "anomalous_volume")),
        fractions=_column(by_name, "anomalous_fraction"),
        region_z={m: _column(rows, "z_mean") for m, rows in regions.items()},
        flags=tuple((row["scan"], row["measure"]) for row in quality if row["flagged"] == "true"),
        quality=_checks(quality),
    )


def _by_location(lesions: Sequence[Mapping[str, str]]) -> dict[str, tuple[int, float]]:
    """Count and add up lesions by where they are; nothing if a table does not say it of each."""
    if any(row.get("location") not in LOCATIONS for row in lesions):
        return {}
    volumes = {
        location: [float(row["volume"]) for row in lesions if row["location"] == location]
        for location in LOCATIONS
    }
    return {location: (len(each), sum(each)) for location, each in volumes.items()}


def _checks(rows: Sequence[Mapping[str, str]]) -> dict[str, list[Check]]:
    """Return the measures that a page knows, by scan."""
    checks: dict[str, list[Check]] = {}
    for row in rows:
        if row["measure"] in MEASURES:
            value, lower, upper = (
                unknown if row[column] == MISSING else float(row[column])
                for column, unknown in (
                    ("value", math.nan), ("lower_limit", -math.inf), ("upper_limit", math.inf)
                )
            )  # fmt: skip
            checks.setdefault(row["scan"], []).append(Check(row["measure"], value, lower, upper))
    return checks


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


def _rows(
    path: Path, *numbers: str, maybe: Sequence[str] = (), words: Sequence[str] = ()
) -> list[Mapping[str, str]]:
    """Read a table some of whose columns hold numbers, or `maybe` n/a, and others words."""
    rows = read_checked(path, (*numbers, *maybe, *words))
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
        (log volume - median) / (median absolute deviation, as of a normal distribution); NaN where
        the reference does not vary.
    """
    logs, known = log_volume(volumes), log_volume(reference)
    if not known.size:
        return np.full(logs.shape, np.nan)
    deviation = median_abs_deviation(known, scale="normal")
    if deviation == 0:
        return np.full(logs.shape, np.nan)
    return (logs - np.median(known)) / deviation
