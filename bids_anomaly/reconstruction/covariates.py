"""What is known of a person, in numbers that networks take."""

import math
from collections.abc import Mapping

COVARIATES = ("age", "sex")
MIDDLE_AGE, AGE_SCALE = 50.0, 20.0
# BIDS writes everybody above as 89+. Exact ages above count as this too, so that a person is the
# same in a raw dataset, from which models get their input, and in results, from which they learn.
OLDEST_AGE = 89
# Of the units of ages in DICOM, how many are a year.
YEARS = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}
SEXES = {"f": -1.0, "female": -1.0, "m": 1.0, "male": 1.0}


def as_numbers(known: Mapping[str, str]) -> list[float]:
    """Return age and sex as numbers around 0.

    Parameters
    ----------
    known : mapping
        From column to value, as ``participants.tsv`` has them; what is missing, ``n/a`` or not
        understood is unknown. Ages above 89 count as 89.

    Returns
    -------
    list of float
        In the order of :data:`COVARIATES`; NaN where unknown.
    """
    age = stated_age(known.get("age", ""))
    if age > OLDEST_AGE:
        age = float(OLDEST_AGE)
    return [
        (age - MIDDLE_AGE) / AGE_SCALE,
        SEXES.get(known.get("sex", "").strip().lower(), math.nan),
    ]


def stated_age(text: str) -> float:
    """Return the age in years that a table states, NaN if it states none.

    ``89+`` is 89, ``60,5`` is 60.5, and ``060Y`` and ``726M`` are ages as DICOM writes them.
    """
    text = text.strip().removesuffix("+").replace(",", ".")
    per_year = YEARS.get(text[-1:].upper())
    try:
        return float(text[:-1]) / per_year if per_year else float(text)
    except ValueError:
        return math.nan
