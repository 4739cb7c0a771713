"""Tables of participants are read as BIDS defines them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.bids.participants import declared_controls, participants_by, read_participants
from bids_anomaly.exceptions import InvalidBidsError, MissingInputError


@pytest.fixture
def write(tmp_path):
    """Give a function that writes a table and returns its path."""

    def write(*lines):
        table = tmp_path / "participants.tsv"
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return table

    return write


def test_a_quote_is_a_character_like_any_other(write):
    table = write(
        "participant_id\tremark\tgroup",
        'sub-01\t"left" hand\tcontrol',
        'sub-02\t" 5 inch scar\tcontrol',
        "sub-03\tnone\tpatient",
    )
    people = read_participants(table.parent)
    assert {key: row["remark"] for key, row in people.items()} == {
        "sub-01": '"left" hand',
        "sub-02": '" 5 inch scar',
        "sub-03": "none",
    }
    assert declared_controls(table, "group=control") == {"sub-01", "sub-02"}


def test_only_the_end_of_a_line_ends_a_row(write):
    table = write("participant_id\tremark\tage", "sub-01\ta\u2028b\x0cc\t61", "sub-02\td\t62")
    assert {key: row["age"] for key, row in read_participants(table.parent).items()} == {
        "sub-01": "61",
        "sub-02": "62",
    }


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system_and_empty_ones_do_not_count(tmp_path, ending):
    text = ending.join(["participant_id\tage", "sub-01\t61", "", "sub-02\t62", "\t", ""])
    (tmp_path / "participants.tsv").write_bytes(text.encode())
    assert read_participants(tmp_path) == {
        "sub-01": {"participant_id": "sub-01", "age": "61"},
        "sub-02": {"participant_id": "sub-02", "age": "62"},
    }


def test_values_that_are_missing_at_the_end_of_a_row_are_unknown(write):
    table = write("participant_id\tage\tgroup", "sub-01\t61", "sub-02", "sub-03\t63\tpatient\t")
    assert read_participants(table.parent) == {
        "sub-01": {"participant_id": "sub-01", "age": "61"},
        "sub-02": {"participant_id": "sub-02"},
        "sub-03": {"participant_id": "sub-03", "age": "63", "group": "patient"},
    }
    assert participants_by(table, "group") == {"": {"sub-01", "sub-02"}, "patient": {"sub-03"}}


def test_a_row_with_more_values_than_columns_is_named_by_its_line(write):
    table = write("participant_id\tage", "sub-01\t61", "sub-02\t\t62")
    for read in (
        lambda: read_participants(table.parent),
        lambda: participants_by(table, "age"),
    ):
        with pytest.raises(InvalidBidsError, match=r"participants\.tsv has 3 values in line 3"):
            read()


def test_an_empty_table_says_nothing_of_anybody(write):
    table = write()
    assert read_participants(table.parent) == {}
    with pytest.raises(MissingInputError, match="has no column participant_id"):
        participants_by(table, "group")


def write_people(folder, table, *labels):
    folder.mkdir(exist_ok=True)
    for label in labels:
        (folder / f"sub-{label}").mkdir()
    (folder / "participants.tsv").write_text(table, encoding="utf-8")
    return folder


@given(
    numbers=st.lists(st.integers(1, 99), min_size=1, max_size=6, unique=True),
    width=st.integers(2, 4),
    written=st.sampled_from(
        ["{0}", "sub-{0}", "{1}", "\u00a0sub-{1}\u00a0", "sub-{1} ", "\ufeff{1}"]
    ),
)
def test_people_are_found_whatever_an_editor_made_of_their_identifiers(
    numbers, width, written, tmp_path_factory
):
    labels = [f"{number:0{width}}" for number in numbers]
    rows = [
        f"{written.format(number, label)}\t{number}"
        for number, label in zip(numbers, labels, strict=True)
    ]
    table = "\n".join(["participant_id\tAge", *rows]) + "\n"
    folder = write_people(tmp_path_factory.mktemp("bids") / "x", table, *labels)
    known = read_participants(folder)
    assert {key: row["age"] for key, row in known.items()} == {
        f"sub-{label}": str(number) for label, number in zip(labels, numbers, strict=True)
    }
    assert participants_by(folder / "participants.tsv", "age") == {
        str(number): {f"sub-{label}"} for label, number in zip(labels, numbers, strict=True)
    }


def test_what_could_be_two_people_is_matched_to_none_and_said(tmp_path, caplog):
    folder = write_people(tmp_path / "x", "participant_id\tage\n1\t60\n", "01", "001")
    assert list(read_participants(folder)) == ["sub-1"]
    assert "has sub-1, who have no folder, and nothing on sub-001, sub-01" in caplog.text


def test_rows_that_contradict_each_other_are_refused_and_equal_ones_count_once(tmp_path):
    same = write_people(tmp_path / "x", "participant_id\tage\nsub-01\t60\n01\t60\n", "01")
    assert list(read_participants(same)) == ["sub-01"]
    other = write_people(tmp_path / "y", "participant_id\tage\nsub-01\t60\n01\t61\n", "01")
    with pytest.raises(InvalidBidsError, match="sub-01 in several rows"):
        read_participants(other)


@pytest.mark.parametrize(
    ("written", "age"),
    [("60,5", "60.5"), ("060Y", "60"), ("726M", "60.5"), ("89+", "89+"), ("60", "60")],
)
def test_ages_are_read_however_they_are_written(written, age, tmp_path):
    folder = write_people(tmp_path / "x", f"participant_id\tAGE\nsub-01\t{written}\n", "01")
    assert read_participants(folder)["sub-01"]["age"] == age


def test_an_age_that_is_none_is_named(tmp_path, caplog):
    folder = write_people(tmp_path / "x", "participant_id\tage\nsub-01\told\n", "01")
    read_participants(folder)
    assert "gives sub-01 the age 'old', which is none" in caplog.text
