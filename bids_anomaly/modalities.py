"""What is known of each kind of scan, beside what its model says: a row for each modality."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Modality:
    """A kind of scan, by its BIDS suffix.

    Attributes
    ----------
    suffix : str
        BIDS suffix, such as ``FLAIR``.
    disease_is_dark : bool
        Whether disease is mostly darker than healthy tissue.
    good : mapping of str to (low, high)
        What good scans have at least and at most of each measure of quality that depends on the
        contrast; a side on which no value is bad is open.
    is_refused : bool
        Whether a scan whose tissues are not where the template has them is refused.
    """

    suffix: str
    disease_is_dark: bool = False
    good: Mapping[str, Range] = field(default_factory=dict)
    is_refused: bool = False


# In the order in which a scan is the reference of its session. The limits of quality are what
# people of all development sets have, widened by a quarter of the range (benchmarks/quality.py).
KNOWN = (
    Modality(
        suffix="T1w",
        disease_is_dark=True,
        good={
            "grey_to_white": (0.61, 0.97),
            "fluid_to_white": (0.04, 0.79),
            "grey_position": (0.23, 0.67),
            "tissue_agreement": (0.25, math.inf),
        },
        is_refused=True,
    ),
    Modality(
        suffix="FLAIR",
        # The position of grey matter is from 0.25 on in T1w and up to 0.21 here; the limit lies
        # between. A glioma may fill ventricles, and leave little of what the template has.
        good={
            "grey_to_white": (0.72, 1.20),
            "fluid_to_white": (-math.inf, 1.60),
            "grey_position": (-0.28, 0.23),
            "tissue_agreement": (0.05, math.inf),
        },
    ),
    Modality(
        suffix="T2w",
        # Of six scans, so these tell other contrasts apart and no more.
        good={"grey_to_white": (1.05, math.inf), "fluid_to_white": (1.4, math.inf)},
    ),
)
MODALITIES = tuple(modality.suffix for modality in KNOWN)
# Whose scan leads a session, the first that is there: in the order of what was measured on people
# who had several (docs/accuracy.md, benchmarks/modalities.py). T2w was hardly tested.
PRIMARY_ORDER = ("FLAIR", "T1w", "T2w")


def modality_of(suffix: str) -> Modality:
    """Return what is known of a modality; of one without a row, that disease is bright.

    Examples
    --------
    >>> modality_of("T1w").disease_is_dark, modality_of("PDw").disease_is_dark
    (True, False)
    """
    return next((one for one in KNOWN if one.suffix == suffix), Modality(suffix=suffix))


def in_usual_order(suffixes: Iterable[str]) -> list[str]:
    """Return suffixes once each: those with a row in the order of the rows, then the others.

    Examples
    --------
    >>> in_usual_order(["PDw", "T2w", "T1w", "T2w"])
    ['T1w', 'T2w', 'PDw']
    """
    there = set(suffixes)
    return [*(suffix for suffix in MODALITIES if suffix in there), *sorted(there - {*MODALITIES})]


def primary_modality(there: Collection[str], asked_for: str | None) -> str:
    """Return the modality whose scan leads.

    Parameters
    ----------
    there : collection of str
        Modalities of a session, at least one.
    asked_for : str or None
        Leads if it is there; else the first of :data:`PRIMARY_ORDER` that is.
    """
    return next(one for one in (asked_for, *PRIMARY_ORDER, *there) if one in there)
