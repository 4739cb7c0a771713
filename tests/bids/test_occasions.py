"""The order of sessions, and which of their scans are compared."""

from types import SimpleNamespace

import pytest

from bids_anomaly.bids.occasions import common_entities, copy_order, in_order, matching_scans


def scan(**entities):
    return SimpleNamespace(entities={"sub": "01", **entities})


@pytest.fixture
def write_sessions(tmp_path):
    """Give a function that writes the table of sessions of one participant."""

    def write(*rows, header="session_id\tacq_time"):
        folder = tmp_path / "sub-01"
        folder.mkdir(exist_ok=True)
        (folder / "sub-01_sessions.tsv").write_text("\n".join([header, *rows]) + "\n")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["2", "10", "1"], ["1", "2", "10"]),
        (["m12", "m3"], ["m3", "m12"]),
        (["followup", "baseline"], ["baseline", "followup"]),
        (["a", "1", "b2"], ["1", "a", "b2"]),
    ],
)
def test_without_times_labels_are_ordered_with_numbers_by_value(labels, expected, tmp_path):
    assert in_order(tmp_path, "01", labels) == expected


def test_times_decide_where_every_session_has_one(write_sessions):
    dataset = write_sessions("ses-pre\t2019-01-01T10:00:00", "ses-post\t2020-01-01T10:00:00")
    assert in_order(dataset, "01", ["post", "pre"]) == ["pre", "post"]


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        (["ses-pre\t2019-01-01"], "session_id\tacq_time"),
        (["ses-pre\tn/a", "ses-post\t2020-01-01"], "session_id\tacq_time"),
        (["ses-pre\t3", "ses-post\t1"], "session_id\tscore"),
        (["ses-pre"], "session_id\tacq_time"),
    ],
)
def test_times_that_are_missing_leave_it_to_the_labels(rows, header, write_sessions):
    dataset = write_sessions(*rows, header=header)
    assert in_order(dataset, "01", ["pre", "post"]) == ["post", "pre"]


def test_only_the_order_is_copied(write_sessions, tmp_path):
    dataset = write_sessions("ses-1\tsecret\t2019-01-01", header="session_id\tpathology\tacq_time")
    copy_order(dataset, tmp_path / "out", "01")
    copied = (tmp_path / "out" / "sub-01" / "sub-01_sessions.tsv").read_text()
    assert copied == "session_id\tacq_time\nses-1\t2019-01-01\n"
    copy_order(dataset, tmp_path / "out", "02")
    assert not (tmp_path / "out" / "sub-02").exists()


def test_scans_match_by_all_entities_but_the_session():
    first = [scan(ses="1", run="1"), scan(ses="1", run="2")]
    second = [scan(ses="2", run="2"), scan(ses="2", run="3")]
    assert matching_scans(first, second) == [(first[1], second[0])]


def test_the_only_scans_of_two_sessions_match_whatever_they_are_called():
    first, second = scan(ses="1", acq="old", run="1"), scan(ses="2", acq="new", run="1")
    assert matching_scans([first], [second]) == [(first, second)]
    assert common_entities(first.entities, second.entities) == {"sub": "01", "run": "1"}
    assert matching_scans([first], [second, scan(ses="2", acq="newer")]) == []
    assert matching_scans([first], []) == []
