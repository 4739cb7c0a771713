"""The order of sessions, and which of their scans are compared."""

import json
from datetime import date, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.bids.timepoints import (
    Order,
    common_entities,
    copy_order,
    in_order,
    matching_scans,
    order_of_results,
    years_between,
)


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
    ("labels", "expected", "is_known"),
    [
        (["2", "10", "1"], ["1", "2", "10"], True),
        (["m12", "m3"], ["m3", "m12"], True),
        (["02", "1"], ["1", "02"], True),
        (["followup", "baseline"], ["baseline", "followup"], False),
        (["pre", "post"], ["post", "pre"], False),
        (["test", "retest"], ["retest", "test"], False),
        (["before", "after"], ["after", "before"], False),
        (["01", "1"], ["01", "1"], False),
        (["baseline", "m12"], ["baseline", "m12"], False),
        (["a", "1", "b2"], ["1", "a", "b2"], False),
        (["2", "1b", "1"], ["1", "1b", "2"], True),
        (["m06pre", "m06post"], ["m06post", "m06pre"], False),
        (["only"], ["only"], True),
    ],
)
def test_without_times_only_numbers_say_the_order(labels, expected, is_known, tmp_path):
    assert in_order(tmp_path, "01", labels) == Order(expected, is_known)


@pytest.mark.parametrize(
    ("pre", "post"),
    [
        ("2019-01-01T10:00:00", "2020-01-01T10:00:00"),
        ("2019-01-01", "2019-01-02"),
        ("2019-12-31 23:00", "2020-01-01 01:00"),
        ("20191231", "20200101"),
        ("20191231235959.5", "20200101000000.25"),
        ("20191111", "20201112"),
        ("201911110930", "202003041530"),
        ("20191111093000", "20200304153000"),
        ("31.12.2019", "01.01.2020"),
        ("31/12/2019", "01/01/2020"),
        ("12/31/2019 08:30:00", "01/01/2020 08:30:00"),
        ("31-Dec-2019", "01-Jan-2020"),
        ("1901-01-01T00:00:00Z", "1901-06-01T00:00:00Z"),
    ],
)
def test_times_of_any_format_decide_where_every_session_has_one(pre, post, write_sessions):
    dataset = write_sessions(f"ses-pre\t{pre}", f"ses-post\t{post}")
    assert in_order(dataset, "01", ["post", "pre"]) == Order(["pre", "post"], is_known=True)


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        (["ses-pre\t2019-01-01"], "session_id\tacq_time"),
        (["ses-pre\tn/a", "ses-post\t2020-01-01"], "session_id\tacq_time"),
        (["ses-pre\t2020-01-01", "ses-post\t2020-01-01"], "session_id\tacq_time"),
        (["ses-pre\t02/01/2020", "ses-post\t01/02/2020"], "session_id\tacq_time"),
        (["ses-pre\tmorning", "ses-post\tevening"], "session_id\tacq_time"),
        (["ses-pre\t3", "ses-post\t1"], "session_id\tscore"),
        (["ses-pre\t1", "ses-post\t2"], "session_id\torder"),
        (["ses-pre\t201911", "ses-post\t202001"], "session_id\tacq_time"),
        (["ses-pre"], "session_id\tacq_time"),
    ],
)
def test_times_that_are_missing_or_mean_two_things_leave_the_order_unknown(
    rows, header, write_sessions
):
    dataset = write_sessions(*rows, header=header)
    assert in_order(dataset, "01", ["pre", "post"]) == Order(["post", "pre"], is_known=False)


def write_scan_times(dataset, label, time):
    folder = dataset / "sub-01" / f"ses-{label}"
    folder.mkdir(parents=True)
    name = f"sub-01_ses-{label}"
    rows = (
        f"filename\tacq_time\nfunc/{name}_bold.nii.gz\t1999-01-01\nanat/{name}_T1w.nii.gz\t{time}\n"
    )
    (folder / f"{name}_scans.tsv").write_text(rows)


def write_sidecar(dataset, label, content):
    path = dataset / "sub-01" / f"ses-{label}" / "anat" / f"sub-01_ses-{label}_T1w.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_tables_of_scans_decide_where_that_of_sessions_does_not(tmp_path):
    write_scan_times(tmp_path, "pre", "2019-01-01T08:00:00")
    write_scan_times(tmp_path, "post", "2019-02-01T08:00:00")
    assert in_order(tmp_path, "01", ["post", "pre"]) == Order(["pre", "post"], is_known=True)


@pytest.mark.parametrize(
    "times",
    [
        [
            {"AcquisitionDateTime": "2019-01-01T08:00:00"},
            {"AcquisitionDateTime": "2019-03-01T08:00:00"},
        ],
        [{"SeriesDate": "20190101"}, {"SeriesDate": "20190301"}],
        [{"StudyDate": 20190101}, {"StudyDate": 20190301}],
    ],
)
def test_sidecars_decide_where_tables_do_not(times, tmp_path):
    for label, content in zip(("pre", "post"), times, strict=True):
        write_sidecar(tmp_path, label, content)
    assert in_order(tmp_path, "01", ["post", "pre"]) == Order(["pre", "post"], is_known=True)


def test_a_time_of_day_alone_is_no_order(tmp_path):
    write_sidecar(tmp_path, "pre", {"AcquisitionTime": "08:00:00"})
    write_sidecar(tmp_path, "post", {"AcquisitionTime": "09:00:00"})
    assert not in_order(tmp_path, "01", ["pre", "post"]).is_known


def test_only_the_order_is_copied(write_sessions, tmp_path):
    dataset = write_sessions(
        "ses-b\tsecret\t2019-01-01",
        "ses-a\tsecret\t2020-01-01",
        header="session_id\tpathology\tacq_time",
    )
    copy_order(dataset, tmp_path / "out", "01", ["a", "b"])
    copied = (tmp_path / "out" / "sub-01" / "sub-01_sessions.tsv").read_text()
    assert "secret" not in copied
    assert copied.startswith("session_id\tacq_time\torder\nses-b\t2019-01-01\t1\n")
    copy_order(dataset, tmp_path / "out", "02", ["x", "y"])
    assert not (tmp_path / "out" / "sub-02").exists()


@given(
    dates=st.lists(
        st.dates(date(1925, 1, 1), date(2100, 1, 1)), min_size=2, max_size=5, unique=True
    ),
    source=st.sampled_from(["sessions", "scans", "sidecars"]),
)
def test_the_output_knows_the_order_of_the_input_whatever_said_it(dates, source, tmp_path_factory):
    bids = tmp_path_factory.mktemp("bids")
    labels = [f"x{'abcde'[-i]}" for i in range(1, len(dates) + 1)]
    rows = []
    for label, day in zip(labels, dates, strict=True):
        if source == "scans":
            write_scan_times(bids, label, f"{day}T08:00:00")
        elif source == "sidecars":
            write_sidecar(bids, label, {"AcquisitionDateTime": f"{day}T08:00:00.5"})
        rows.append(f"ses-{label}\t{day}")
    if source == "sessions":
        (bids / "sub-01").mkdir()
        table = "\n".join(["session_id\tacq_time", *rows]) + "\n"
        (bids / "sub-01" / "sub-01_sessions.tsv").write_text(table)
    copy_order(bids, bids / "out", "01", labels)
    expected = [label for _, label in sorted(zip(dates, labels, strict=True))]
    assert in_order(bids, "01", labels) == Order(expected, is_known=True)
    assert order_of_results(bids / "out", "01", labels) == Order(expected, is_known=True)
    if source != "sessions":  # dates of scans are not carried further than they were
        assert str(dates[0]) not in (bids / "out/sub-01/sub-01_sessions.tsv").read_text()


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


def test_an_order_that_is_written_already_is_not_written_again(tmp_path):
    out = tmp_path / "out"
    (out / "sub-01").mkdir(parents=True)
    copy_order(tmp_path, out, "01", ["1", "2"])
    (table,) = (out / "sub-01").iterdir()
    before = table.stat().st_mtime_ns, table.stat().st_ino
    copy_order(tmp_path, out, "01", ["1", "2"])
    assert (table.stat().st_mtime_ns, table.stat().st_ino) == before
    copy_order(tmp_path, out, "01", ["1", "2", "3"])
    assert "ses-3" in table.read_text()


@given(
    moments=st.lists(
        st.datetimes(datetime(1925, 1, 1), datetime(2100, 1, 1)), min_size=2, max_size=4
    )
)
@pytest.mark.parametrize("form", ["%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S"])
def test_times_without_separators_are_read_by_their_length(form, moments, tmp_path_factory):
    dataset = tmp_path_factory.mktemp("bids")
    texts = [moment.strftime(form) for moment in moments]
    (dataset / "sub-01").mkdir()
    rows = [f"ses-{which}\t{text}" for which, text in enumerate(texts)]
    table = "\n".join(["session_id\tacq_time", *rows])
    (dataset / "sub-01" / "sub-01_sessions.tsv").write_text(table)
    stated = [datetime.strptime(text, form) for text in texts]
    years = years_between(dataset, "01", [str(which) for which in range(len(texts))])
    assert years is not None
    for which, moment in enumerate(stated):
        days = (moment - min(stated)).total_seconds() / 86400
        assert years[str(which)] * 365.25 == pytest.approx(days, abs=1e-6)


@pytest.mark.parametrize(
    ("ranks", "is_taken"), [(("2", "1"), True), (("1", "1"), False), (("n/a", "1"), False)]
)
def test_ranks_of_the_output_count_where_they_say_an_order(ranks, is_taken, write_sessions):
    rows = [f"ses-{label}\tn/a\t{rank}" for label, rank in zip("12", ranks, strict=True)]
    out = write_sessions(*rows, header="session_id\tacq_time\torder")
    assert order_of_results(out, "01", ["1", "2"]).labels == (
        ["2", "1"] if is_taken else ["1", "2"]
    )


def test_a_time_that_is_not_there_is_written_as_such(write_sessions, tmp_path):
    dataset = write_sessions("ses-1\t", "ses-2\t2020-01-01")
    copy_order(dataset, tmp_path / "out", "01", ["1", "2"])
    table = (tmp_path / "out" / "sub-01" / "sub-01_sessions.tsv").read_text()
    assert "ses-1\tn/a\t1\n" in table
