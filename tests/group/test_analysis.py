"""What the comparison of groups says of what it leaves out."""

from types import SimpleNamespace

import numpy as np

from bids_anomaly.group.analysis import analyse
from bids_anomaly.group.burden import REGIONS
from bids_anomaly.group.cohorts import Cohorts


def person(number, fractions):
    return SimpleNamespace(
        member=SimpleNamespace(is_first=True, participant=f"{number:02}"),
        known={},
        fractions=fractions,
        volume=float(number),
        lesion_count=1,
    )


def test_a_region_that_some_do_not_show_is_named_and_has_the_means_of_the_others():
    random = np.random.default_rng(0)
    fractions = random.random((16, len(REGIONS)))
    fractions[:, 5] = np.nan  # nobody's
    fractions[[1, 9], 3] = np.nan
    burdens = [person(number, row) for number, row in enumerate(fractions)]
    groups = {f"{number:02}": "case" if number % 2 else "control" for number in range(16)}
    collected = SimpleNamespace(burdens=burdens, zscores={}, rows={})
    found = analyse(collected, Cohorts("group", "control", groups), seed=0)
    (comparison,) = found.comparisons
    (note,) = [note for note in found.notes if "outside of the scans" in note]
    assert f"{REGIONS[3].name} (2)" in note
    assert REGIONS[5].name not in note
    assert np.isnan(comparison.regions.t[[3, 5]]).all()
    assert np.isfinite(np.delete(comparison.regions.t, [3, 5])).all()
    cases = np.delete(fractions[1::2, 3], [0, 4])
    np.testing.assert_allclose(comparison.means[0, 3], cases.mean())
