"""What is known of a person, in numbers that networks take."""

import math
from collections.abc import Mapping

COVARIATES = ("age", "sex")
MIDDLE_AGE, AGE_SCALE = 50.0, 20.0
SEXES = {"f": -1.0, "female": -1.0, "m": 1.0, "male": 1.0}


def as_numbers(known: Mapping[str, str]) -> list[float]:
    """Return age and sex as numbers around 0.

    Parameters
    ----------
    known : mapping
        From column to value, as ``participants.tsv`` has them; what is missing, ``n/a`` or not
        understood is unknown.

    Returns
    -------
    list of float
        In the order of :data:`COVARIATES`; NaN where unknown.
    """
    try:
        age = (float(known.get("age", "")) - MIDDLE_AGE) / AGE_SCALE
    except ValueError:
        age = math.nan
    return [age, SEXES.get(known.get("sex", "").strip().lower(), math.nan)]
