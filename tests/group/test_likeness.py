"""Which group people are like, and when that is not said."""

from pathlib import Path

import numpy as np
import pytest

from bids_anomaly.group.burden import REGIONS, Burden
from bids_anomaly.group.cohorts import Cohorts
from bids_anomaly.group.likeness import judge_likeness
from bids_anomaly.group.people import Member
from bids_anomaly.group.prototypes import PERMUTATIONS
from bids_anomaly.reports.likeness import likeness_methods, likeness_section


def person(label, group=None, *, seed, modalities=("T1w",), primary="T1w", known=None, first=True):
    """Somebody of whom a few regions are raised if there is a disease."""
    random = np.random.default_rng(seed)
    z = {m: random.normal(0, 0.3, len(REGIONS)) for m in modalities}
    fractions = np.zeros(len(REGIONS))
    start = {"stroke": 10, "tumour": 40}.get(group)
    if start:
        for values in z.values():
            values[start : start + 4] += 3
        fractions[start : start + 4] = 0.2
    member = Member(label, None, Path(f"sub-{label}.html"), {}, primary, first)
    return Burden(
        member, known or {}, 1e6, {primary: 0.0}, {primary: 0}, {}, np.nan, np.nan,
        np.zeros(len(REGIONS)), fractions, z, (), {},
    )  # fmt: skip


def judged(sizes, *, change=lambda number, group: {}, without=()):
    """Judge people of groups of some sizes."""
    names = [group for group, size in sizes.items() for _ in range(size)]
    burdens = [
        person(f"{n:02}", group, seed=n, **change(n, group)) for n, group in enumerate(names)
    ]
    of = {f"{n:02}": group for n, group in enumerate(names) if n not in without}
    return judge_likeness(burdens, Cohorts("group", "control", of), seed=0), names


THREE = {"control": 6, "stroke": 5, "tumour": 5}


def test_people_are_like_their_group_and_regions_say_why():
    found, names = judged(THREE)
    assert found.groups == ["control", "stroke", "tumour"]
    assert found.profiles.p == pytest.approx(1 / (PERMUTATIONS + 1))
    assert [one.most_like for one in found.people] == names
    stroke = [one for one in found.regions if one.group == "stroke"]
    assert {one.region for one in stroke[:3]} <= {*range(10, 14), *range(40, 44)}
    assert sum(one.share for one in stroke) == pytest.approx(1)
    section = likeness_section(found)
    assert "no diagnosis" in section.findings[0].text
    assert section.maps is not None
    assert "200 permutations" in likeness_methods(found)[0]


@pytest.mark.parametrize("lift", [-6, 0, 6])
def test_what_is_higher_than_elsewhere_in_people_is_called_higher_on_any_scanner(lift):
    """Some regions are raised by a stroke; the scanner of these people moves all regions alike."""
    names = ["control"] * 6 + ["stroke"] * 6
    burdens = [person(f"{n:02}", group, seed=n) for n, group in enumerate(names)]
    for burden, group in zip(burdens, names, strict=True):
        burden.region_z["T1w"] += lift * (group == "stroke")
        burden.fractions[:] = 0
    cohorts = Cohorts("group", "control", {f"{n:02}": g for n, g in enumerate(names)})
    found = judge_likeness(burdens, cohorts, seed=0)
    first = [one for one in found.regions if one.group == "stroke"][:4]
    assert {one.region for one in first} == set(range(10, 14))
    for one in first:
        assert one.mean == pytest.approx(3, abs=0.5)
        assert one.mean_others == pytest.approx(0, abs=0.3)
    said = {one.title: one.text for one in likeness_section(found).findings}
    assert said["stroke"].count("mean z, T1w higher than in others") == 3
    assert said["control"].count("mean z, T1w lower than in others") == 3
    assert "less the person's median" in said["stroke"]


def test_shares_are_told_as_they_are():
    found, _ = judged(THREE)
    shares = [
        one
        for one in found.regions
        if one.modality == "primary" and one.group == "stroke" and one.region in range(10, 14)
    ]
    assert len(shares) == 4
    assert all((one.mean, one.mean_others) == (pytest.approx(0.2), 0) for one in shares)


def test_people_without_a_group_are_judged_by_all_others():
    found, _ = judged(THREE, without=(15,))
    assert "cannot be judged" in found.notes[0]  # four are left in the group
    found, _ = judged({**THREE, "tumour": 6}, without=(16,))
    assert {one.burden: one.most_like for one in found.people}[16] == "tumour"
    assert found.profiles.confusion.sum() == 16


def test_all_groups_and_each_are_recognised_by_what_is_told():
    found, _ = judged(THREE, change=lambda n, group: {"known": {"age": str(50 + n % 4)}})
    rows = found.recognised
    assert [(*one.by, one.group) for one in rows] == [
        (by, group) for by in ("profiles", "age") for group in (None, *THREE)
    ]
    assert [one.people for one in rows[:4]] == [16, 6, 5, 5]
    assert [one.taken_for for one in rows[:4]] == [[6, 5, 5], [6, 0, 0], [0, 5, 0], [0, 0, 5]]
    for of_all, *of_each in (rows[:4], rows[4:]):
        shares = [one.share.estimate for one in of_each]
        assert of_all.share.estimate == pytest.approx(np.mean(shares))
        assert np.isfinite(of_all.p)
    (shown, *_) = likeness_section(found).tables
    assert shown.rows[0][:3] == ["profiles", "all", "16"]
    assert shown.rows[1] == ["profiles", "control", "6", "1.00", "", "", "6", "0", "0"]


def test_of_chance_nobody_is_named():
    found, _ = judged({"control": 6, "a": 6})
    assert not found.is_above_chance
    assert not found.people
    assert not found.regions
    section = likeness_section(found)
    assert "not above chance" in section.findings[0].text
    assert section.maps is None


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"control": 6, "stroke": 4}, "fewer than two groups"),
        ({"control": 9}, "fewer than two groups"),
        ({}, "fewer than two groups"),
    ],
)
def test_too_few_people_are_not_judged(sizes, said):
    found, _ = judged(sizes)
    assert found.profiles is None
    assert said in found.notes[-1]
    assert likeness_methods(found) == []
    assert likeness_section(found).tables == []


def test_a_group_that_is_too_small_is_named_and_its_people_are_not_judged():
    found, names = judged({**THREE, "rare": 2})
    assert found.notes[0].startswith("Likeness to rare (2) cannot be judged")
    assert {names[one.burden] for one in found.people} == set(THREE)


def test_what_a_group_lacks_does_not_tell_it():
    def change(number, group):
        more = ("FLAIR",) if group != "tumour" else ()
        return {"modalities": ("T1w", *more)}

    found, _ = judged(THREE, change=change)
    assert any("without FLAIR" in note for note in found.notes)
    assert {one.modality for one in found.regions} <= {"T1w", "primary"}


def test_other_primary_scans_have_no_comparable_shares():
    found, _ = judged(
        THREE,
        change=lambda n, group: {
            "modalities": ("T1w", "FLAIR"), "primary": "FLAIR" if n % 2 else "T1w"
        },
    )  # fmt: skip
    assert any("without anomalous shares" in note for note in found.notes)
    assert "primary" not in {one.modality for one in found.regions}


def test_who_has_nothing_that_is_compared_is_left_out():
    found, _ = judged(
        {**THREE, "control": 8},
        change=lambda n, _: {"modalities": ("T2w",), "primary": "T2w"} if n == 0 else {},
    )
    assert any(note.endswith("known of them: sub-00.") for note in found.notes)
    assert 0 not in {one.burden for one in found.people}


def test_regions_that_some_lack_are_no_trouble():
    names = [group for group, size in THREE.items() for _ in range(size)]
    burdens = [person(f"{n:02}", group, seed=n) for n, group in enumerate(names)]
    for at, burden in enumerate(burdens):
        burden.region_z["T1w"][at % 7 :: 9] = np.nan
    cohorts = Cohorts("group", "control", {f"{n:02}": g for n, g in enumerate(names)})
    assert [one.most_like for one in judge_likeness(burdens, cohorts, seed=0).people] == names


def test_later_sessions_do_not_count():
    found, names = judged({**THREE, "control": 9}, change=lambda n, _: {"first": n >= 3})
    assert found.profiles.confusion.sum() == len(names) - 3


def test_it_is_said_where_a_site_could_be_the_reason():
    found, _ = judged(
        THREE,
        change=lambda n, group: {
            "known": {"site": group, "age": str(50 + n % 4), "sex": "FM"[n % 2]}
        },
    )
    assert found.known.p < 0.05
    assert any("Age, sex and site alone tell" in note for note in found.notes)
    found, _ = judged(THREE)
    assert any("age, sex and site could explain" in note for note in found.notes)
