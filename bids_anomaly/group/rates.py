"""How much is marked in people of different sites, sexes and ages: whom thresholds do not fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bids_anomaly.bids.participants import SITE, stated
from bids_anomaly.group.burden import Burden
from bids_anomaly.group.cohorts import FEWEST, Cohorts
from bids_anomaly.reconstruction.covariates import stated_age

EVERYBODY = "everybody"
DECADE = 10


@dataclass(frozen=True)
class Rate:
    """The marked share of the brain in people who have something in common.

    Attributes
    ----------
    by, value : str
        What they have in common, such as ``sex`` and ``F``.
    people : int
    quartiles : tuple of float
        First quartile, median and third quartile of the share of the brain that is marked on
        primary scans, 0 to 1; NaN of fewer than four people.
    """

    by: str
    value: str
    people: int
    quartiles: tuple[float, float, float]


def marked_shares(burdens: Sequence[Burden], cohorts: Cohorts | None) -> list[Rate]:
    """Return how much is marked in controls by site, sex and age, each person once.

    Controls have no disease, so what differs there are false positives. Where nobody is named as a
    control it is everybody.

    Parameters
    ----------
    burdens : sequence of Burden
    cohorts : Cohorts or None
    """
    people = [
        one
        for one in burdens
        if one.member.is_first
        and one.brain_volume
        and (cohorts is None or cohorts.of.get(one.member.participant) == cohorts.controls)
    ]
    shares = np.array([one.volume / one.brain_volume for one in people])
    rates = [_rate(EVERYBODY, EVERYBODY, shares)] if people else []
    for by, value_of in (
        (SITE, lambda known: stated(known, SITE)),
        ("sex", lambda known: stated(known, "sex")),
        ("age", _decade),
    ):
        values = np.array([value_of(one.known) for one in people])
        rates += [
            _rate(by, value, shares[values == value])
            for value in sorted({*values} - {""}, key=lambda text: (len(text), text))
        ]
    return rates


def _rate(by: str, value: str, shares: np.ndarray) -> Rate:
    quartiles = [np.nan] * 3 if len(shares) < FEWEST else np.percentile(shares, [25, 50, 75])
    low, middle, high = map(float, quartiles)
    return Rate(by, value, len(shares), (low, middle, high))


def _decade(known: Mapping[str, str]) -> str:
    age = stated_age(known.get("age", ""))
    if not np.isfinite(age):
        return ""
    first = int(age // DECADE * DECADE)
    return f"{first} to {first + DECADE - 1}"
