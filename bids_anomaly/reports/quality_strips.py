"""A strip a measure of quality, with a point for each scan that leads to the page of its person."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from bids_anomaly.group.burden import Burden
from bids_anomaly.reports.numbers import two_digits
from bids_anomaly.scoring.quality_limits import MEASURES, Check

# Pixels of a strip, and how far the middle of a point stays from its edges.
WIDTH, HEIGHT, MARGIN = 560, 30, 6
# Steps of this share of the height are spread evenly, however many there are.
GOLDEN = 0.618034


class Point(NamedTuple):
    """A scan: its place in pixels, the page of its person (may be empty), and what it has."""

    x: float
    y: float
    link: str
    words: str
    is_flagged: bool


class QualityStrip(NamedTuple):
    """One measure of all scans of a modality.

    Attributes
    ----------
    title, words : str
        The measure with its unit, and what it is.
    modality : str
    low, high : str
        The values at the ends.
    good : (float, float)
        From where to where good scans lie, in pixels.
    points : sequence of Point
    """

    title: str
    words: str
    modality: str
    low: str
    high: str
    good: tuple[float, float]
    points: Sequence[Point]


def quality_strips(burdens: Sequence[Burden], link_of: Callable[[str], str]) -> list[QualityStrip]:
    """Draw every measure, one modality below the other.

    Parameters
    ----------
    burdens : sequence of Burden
    link_of : callable
        The page of a session, given its label; empty without one.
    """
    scans: dict[tuple[str, str], list[tuple[str, str, Check]]] = {}
    for one in burdens:
        for scan, checks in one.quality.items():
            for check in checks:
                if np.isfinite(check.value):
                    key = check.measure, scan.rpartition("_")[2]
                    scans.setdefault(key, []).append((one.member.label, scan, check))
    order = list(MEASURES)
    return [
        _strip(MEASURES[measure], modality, scans[measure, modality], link_of)
        for measure, modality in sorted(scans, key=lambda key: (order.index(key[0]), key[1]))
    ]


def _strip(measure, modality: str, scans: Sequence[tuple[str, str, Check]], link_of: Callable):
    values = [check.value for *_, check in scans]
    limits = [limit for *_, check in scans for limit in (check.lower, check.upper)]
    shown = np.array([*values, *(limit for limit in limits if np.isfinite(limit))])
    low, high = shown.min(), shown.max()
    if low == high:
        low, high = low - 1, high + 1

    def across(value: float) -> float:
        share = (np.clip(value, low, high) - low) / (high - low)
        return round(float(MARGIN + share * (WIDTH - 2 * MARGIN)), 1)

    points = [
        Point(
            across(check.value),
            round(MARGIN + (number * GOLDEN) % 1 * (HEIGHT - 2 * MARGIN), 1),
            link_of(label),
            f"{scan}: {two_digits(check.value)}",
            check.flagged,
        )
        for number, (label, scan, check) in enumerate(scans)
    ]
    # The limits of a measure are those of the version that wrote it; the last one stands.
    good = scans[-1][2]
    ends = across(good.lower), across(good.upper)
    return QualityStrip(
        measure.heading, measure.words, modality, two_digits(low), two_digits(high), ends, points
    )
