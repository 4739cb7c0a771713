import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.exceptions import MissingInputError, NothingFoundError
from bids_anomaly.group.cohorts import Design, cohort_labels, design, read_cohorts
from bids_anomaly.group.comparison import max_t_test


def people(*groups: str, **columns):
    values = list(groups)
    rows = [{name: column[i] for name, column in columns.items()} for i in range(len(values))]
    return values, rows


@given(st.lists(st.text(max_size=12), max_size=8))
def test_every_group_has_a_label_of_its_own_in_file_names(names):
    labels = cohort_labels(names)
    assert set(labels) == set(names)
    assert all(label.isalnum() and label.isascii() for label in labels.values())
    # Some disks do not tell upper from lower case.
    assert len({label.lower() for label in labels.values()}) == len(set(names))


def test_a_label_stays_readable():
    assert cohort_labels(["early MS", "MS", "ms"]) == {
        "early MS": "earlyMS", "MS": "MS", "ms": "ms2",
    }  # fmt: skip


def test_groups_that_are_too_small_are_refused_in_a_sentence():
    setup = design(*people("a", "a", "a", "c", "c", "c", "c"), cases="a", controls="c")
    assert setup == (
        "a against c: not compared, because a has 3 of at least 4 people. Run the participant "
        "level for more."
    )


def test_age_and_sex_are_held_constant_where_they_are_known():
    setup = design(
        *people(
            *"aaaacccc",
            age=["30", "41", "52", "89+", "35", "47", "55", "61"],
            sex=list("FMFMFFMM"),
        ),
        cases="a",
        controls="c",
    )
    assert isinstance(setup, Design)
    assert setup.names == ("age", "sex")
    assert setup.covariates.shape == (8, 2)
    assert setup.notes == ()


def test_sites_are_held_constant_as_far_as_the_group_allows():
    sites = ["A", "B", "A", "B", "B", "A", "C", "C"]
    setup = design(*people(*"aaaacccc", site=sites), cases="a", controls="c")
    assert setup.names == ("site",)
    # B and C against A; C has controls alone, which still says nothing of the group.
    assert setup.covariates.shape == (8, 2)
    assert setup.notes == ()


def test_a_site_that_is_the_group_is_said_not_to_be_accounted_for():
    setup = design(*people(*"aaaacccc", site=list("BBBBAAAA")), cases="a", controls="c")
    assert setup.names == ()
    assert setup.notes == (
        "a against c: site cannot be told from the group (or from each other), and is not "
        "accounted for.",
    )
    sites = ["B", "B", "C", "C", "A", "A", "A", "A"]
    setup = design(*people(*"aaaacccc", site=sites), cases="a", controls="c")
    assert setup.names == ("site",)
    assert "part of site cannot be told from the group" in setup.notes[0]


def test_one_site_is_nothing_to_hold_constant():
    setup = design(*people(*"aaaacccc", site=["A"] * 8), cases="a", controls="c")
    assert (setup.names, setup.notes) == ((), ())


def test_a_difference_between_scanners_is_not_taken_for_one_between_groups():
    """Most cases are of one site, most controls of another, and values differ by site alone."""
    random = np.random.default_rng(0)
    groups = ["a"] * 20 + ["c"] * 20
    sites = ["A"] * 15 + ["B"] * 5 + ["A"] * 5 + ["B"] * 15
    values = random.normal(size=(40, 30)) + 3 * (np.array(sites) == "A")[:, None]
    with_site = design(*people(*groups, site=sites), cases="a", controls="c")
    without = design(*people(*groups), cases="a", controls="c")
    smallest = [
        max_t_test([values], setup.is_case, setup.covariates, seed=0, permutations=200).p.min()
        for setup in (with_site, without)
    ]
    assert smallest[0] > 0.05 > smallest[1]


def test_what_few_know_is_left_out_and_said():
    ages = ["30", "41", "n/a", "n/a", "35", "47", "55", "61"]
    setup = design(*people(*"aaaacccc", age=ages), cases="a", controls="c")
    assert setup.names == ()
    assert setup.notes == (
        "a against c: age is not accounted for, because it is known of 6 of 8 people only.",
    )


def test_the_few_who_lack_what_most_know_are_left_out_and_counted():
    ages = ["30", "41", "52", "36", "n/a", "35", "47", "55", "61", "44"]
    setup = design(*people(*"aaaaaccccc", age=ages), cases="a", controls="c")
    assert setup.names == ("age",)
    assert setup.rows.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert "1 people are left out, because their age is not known" in setup.notes[0]


def test_a_sex_that_is_the_group_is_not_held_constant():
    setup = design(*people(*"aaaacccc", sex=list("FFFFMMMM")), cases="a", controls="c")
    assert setup.names == ()
    assert "cannot be told from the group" in setup.notes[0]


def test_an_age_is_held_constant_although_sex_is_the_group():
    setup = design(
        *people(
            *"aaaacccc",
            age=["30", "41", "52", "36", "35", "47", "55", "61"],
            sex=list("FFFFMMMM"),
        ),
        cases="a",
        controls="c",
    )
    assert setup.names == ("age",)
    assert setup.covariates.shape == (8, 1)
    assert "sex cannot be told from the group" in setup.notes[0]


def test_groups_of_different_ages_are_told():
    ages = ["70", "75", "78", "80", "35", "41", "38", "44"]
    setup = design(*people(*"aaaacccc", age=ages), cases="a", controls="c")
    assert setup.names == ("age",)
    assert "96 % of who is in which group is explained by age" in setup.notes[0]


@pytest.mark.parametrize("few", [1, 2, 3, 4, 6, 10])
def test_it_is_said_where_less_than_half_of_what_people_tell_is_left(few):
    """Cases and controls of two sites, of which each has `few` of one group."""
    sites = ["A"] * (20 - few) + ["B"] * few + ["A"] * few + ["B"] * (20 - few)
    setup = design(*people(*"a" * 20, *"c" * 20, site=sites), cases="a", controls="c")
    explained = (1 - few / 10) ** 2
    said = f"as little as {40 * (1 - explained):.0f} would"
    assert [said in note for note in setup.notes] == ([True] if explained > 0.5 else [])


def test_groups_come_from_the_column_of_the_controls(tmp_path):
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tdiagnosis\nsub-1\thealthy\nsub-2\tMS\nsub-3\tn/a\n"
    )
    cohorts = read_cohorts(tmp_path, "diagnosis=healthy")
    assert cohorts.of == {"1": "healthy", "2": "MS"}
    with pytest.raises(NothingFoundError, match="Nobody in"):
        read_cohorts(tmp_path, "diagnosis=control")
    with pytest.raises(MissingInputError, match="no column group"):
        read_cohorts(tmp_path, "group=control")
