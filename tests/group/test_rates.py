"""How much is marked in people of different sites, sexes and ages."""

import numpy as np
import pytest

from bids_anomaly.group.burden import read_burden
from bids_anomaly.group.cohorts import Cohorts
from bids_anomaly.group.people import find_members
from bids_anomaly.group.rates import marked_shares

# Of each person: radius of what is marked in mm, site, sex, age, diagnosis.
PEOPLE = [
    (4, "A", "F", "61", "healthy"),
    (4, "A", "M", "65", "healthy"),
    (4, "A", "F", "68", "healthy"),
    (4, "A", "n/a", "69", "healthy"),
    (9, "B", "M", "70", "healthy"),
    (9, "B", "F", "71", "healthy"),
    (9, "B", "M", "89+", "healthy"),
    (9, "B", "M", "n/a", "healthy"),
    (20, "A", "F", "62", "stroke"),
]


@pytest.fixture
def burdens(tmp_path, synthetic):
    known = {}
    for number, (radius, site, sex, age, _) in enumerate(PEOPLE):
        synthetic.write_result(tmp_path, f"{number:02}", balls=[((-28.0, -24.0, 30.0), radius)])
        known[f"{number:02}"] = {"site": site, "sex": sex, "age": age}
    return [read_burden(member, known[member.participant]) for member in find_members(tmp_path)]


def test_controls_are_told_apart_by_site_sex_and_age(burdens):
    of = {f"{number:02}": person[-1] for number, person in enumerate(PEOPLE)}
    rates = {
        (one.by, one.value): one
        for one in marked_shares(burdens, Cohorts("diagnosis", "healthy", of))
    }
    assert {key: one.people for key, one in rates.items()} == {
        ("everybody", "everybody"): 8,
        ("site", "A"): 4, ("site", "B"): 4,
        ("sex", "F"): 3, ("sex", "M"): 4,
        ("age", "60 to 69"): 4, ("age", "70 to 79"): 2, ("age", "80 to 89"): 1,
    }  # fmt: skip
    medians = {key: one.quartiles[1] for key, one in rates.items()}
    own = [one.volume / one.brain_volume for one in burdens]
    assert medians["site", "A"] == pytest.approx(np.median(own[:4]))
    assert medians["site", "B"] == pytest.approx(np.median(own[4:8]))
    assert medians["site", "B"] > 5 * medians["site", "A"]
    # Three people have no quartiles.
    assert np.isnan(rates["sex", "F"].quartiles).all()
    # Without named controls it is everybody.
    assert marked_shares(burdens, None)[0].people == len(PEOPLE)


def test_nobody_has_no_rates():
    assert marked_shares([], None) == []
