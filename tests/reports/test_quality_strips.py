"""Where the points of measures of quality lie on the page of the group level."""

from types import SimpleNamespace

import numpy as np
import pytest

from bids_anomaly.reports.quality_strips import HEIGHT, WIDTH, quality_strips
from bids_anomaly.scoring.quality_limits import Check


def scanned(label: str, **scans) -> SimpleNamespace:
    """Return what the strips read of a person: measures by scan."""
    quality = {
        f"{label}_{suffix}": [Check(name, *numbers) for name, numbers in checks.items()]
        for suffix, checks in scans.items()
    }
    return SimpleNamespace(member=SimpleNamespace(label=label), quality=quality)


@pytest.fixture
def strips():
    people = [
        scanned("sub-01", T1w={"noise": (0.02, -np.inf, 0.06), "brain_volume": (1500, 900, 2000)}),
        scanned("sub-02", T1w={"noise": (0.10, -np.inf, 0.06), "brain_volume": (1200, 900, 2000)}),
        scanned("sub-03", FLAIR={"noise": (np.nan, -np.inf, 0.06)}),
        scanned("sub-04", FLAIR={"noise": (0.03, -np.inf, 0.06)}),
    ]
    return quality_strips(people, lambda label: f"{label}.html")


def test_there_is_a_strip_a_measure_and_modality_without_what_was_not_measured(strips):
    assert [(strip.title, strip.modality, len(strip.points)) for strip in strips] == [
        ("Brain volume (ml)", "T1w", 2),
        ("WM noise (WM = 1)", "FLAIR", 1),
        ("WM noise (WM = 1)", "T1w", 2),
    ]


def test_points_lie_by_value_and_good_scans_in_the_band(strips):
    volume, _, noise = strips
    first, second = volume.points
    assert volume.good[0] < second.x < first.x < volume.good[1]
    assert (volume.low, volume.high) == ("900", "2000")
    good, noisy = noise.points
    assert good.x <= noise.good[1] < noisy.x
    assert (good.is_flagged, noisy.is_flagged) == (False, True)
    assert noisy.link == "sub-02.html"
    assert noisy.words == "sub-02_T1w: 0.10"
    for strip in strips:
        for point in strip.points:
            assert 0 < point.x < WIDTH
            assert 0 < point.y < HEIGHT
