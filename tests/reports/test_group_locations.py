"""Where lesions lie, by group."""

from dataclasses import replace

import pytest

from bids_anomaly.group.burden import read_burden
from bids_anomaly.group.cohorts import Cohorts
from bids_anomaly.group.people import find_members
from bids_anomaly.reports.group_locations import locations_tables

DEEP, OTHER = (2, 800.0), (1, 100.0)


@pytest.fixture(scope="module")
def burdens(synthetic, tmp_path_factory):
    """A control without lesions, and two patients with a periventricular one each."""
    folder = tmp_path_factory.mktemp("group")
    for label, radius in (("01", 0.0), ("02", 5.0), ("03", 5.0)):
        balls = [((-28.0, -24.0, 30.0), radius)] if radius else []
        synthetic.write_result(folder, label, balls=balls)
    return [read_burden(member, {}) for member in find_members(folder)]


def cells(table) -> dict[tuple[str, str], list[str]]:
    return {(place, group): rest for place, group, *rest in table.rows}


def test_numbers_and_volumes_are_means_over_the_people_of_a_group(burdens):
    first, second, third = burdens
    third = replace(third, locations={**third.locations, "deep white matter": DEEP, "other": OTHER})
    cohorts = Cohorts("group", "control", {"01": "control", "02": "patient", "03": "patient"})
    (table,) = locations_tables([first, second, third], cohorts)
    rows = cells(table)
    # Controls first, in every place.
    assert [group for place, group, *_ in table.rows if place == "Other"] == ["control", "patient"]
    assert rows["Periventricular", "patient"][:3] == ["2", "100", "1.0"]
    assert rows["Periventricular", "control"] == ["1", "0", "0.0", "0"]
    assert rows["Deep white matter", "patient"] == ["2", "50", "1.0", "0.40"]
    assert "Left out" not in table.note


def test_without_groups_it_is_everybody(burdens):
    (table,) = locations_tables(burdens, None)
    assert cells(table)["Periventricular", "Everybody"][:2] == ["3", "67"]


def test_later_sessions_do_not_count(burdens):
    first, second, third = burdens
    later = replace(third, member=replace(third.member, is_first=False))
    (table,) = locations_tables([first, second, later], None)
    assert cells(table)["Periventricular", "Everybody"][:2] == ["2", "50"]


def test_results_that_do_not_say_it_are_left_out_and_counted(burdens):
    first, second, third = burdens
    silent = replace(third, locations={})
    (table,) = locations_tables([first, second, silent], None)
    assert table.note.endswith("Left out: 1 person whose results do not say it.")
    assert locations_tables([first, silent], None) == []


def test_nobody_with_a_lesion_has_no_table(burdens):
    assert locations_tables(burdens[:1], None) == []
    assert locations_tables([], None) == []
