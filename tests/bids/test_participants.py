"""Tables of participants are read as BIDS defines them."""

import pytest

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
