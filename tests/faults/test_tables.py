"""Whatever tables and JSON files of a dataset hold: a sentence or a result, and nobody is lost."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bids_anomaly.bids.dataset import copy_participants, derivative_description
from bids_anomaly.bids.filters import matches, read_bids_filter
from bids_anomaly.bids.folders import list_participants
from bids_anomaly.bids.participants import participants_by, read_participants
from bids_anomaly.bids.reading import read_object
from bids_anomaly.bids.timepoints import copy_order, in_order, order_of_results, sessions_table
from bids_anomaly.bids.writing import write_json
from bids_anomaly.exceptions import BidsAnomalyError
from bids_anomaly.reconstruction.covariates import as_numbers

PEOPLE = ("01", "02", "10")
SESSIONS = ("1", "2", "10")
# What tables hold in reality, and what breaks readers: ends of lines of other systems, marks of
# encodings, other digits, formulas, quotes, numbers that are none or too long.
CELLS = st.one_of(
    st.sampled_from(
        [
            "", " ", "n/a", "N/A", "sub-01", "01", "1", "sub-1", "sub-02", "10", "SUB-01", "\u0661",
            "89+", "90", "060Y", "60,5", "-3", "1e999", "nan", "inf", "M", "female", '"', '"a', "'",
            "=1+1", "+1", "@x", "<b>", "\ufeffx", "\u200b01", "\x85", "\u2028", "9" * 5000,
            "2020-01-01", "2020-01-01 ", "01/02/2020", "20200101120000", "2020-13-45", "ses-1",
            "1900-01-00T00:00:00+99:00", "0000-00-00",
        ]
    ),
    st.text(max_size=8),
)  # fmt: skip
NAMES = st.one_of(
    st.sampled_from(
        ["participant_id", "Participant_ID", "age", "AGE ", "sex", "group", "session_id",
         "acq_time", "order", "filename", "", "\ufeffparticipant_id"]
    ),
    st.text(max_size=6),
)  # fmt: skip
TABLES = st.builds(
    lambda header, rows, tab, end: end.join(tab.join(row) for row in [header, *rows]) + end,
    st.lists(NAMES, min_size=1, max_size=5),
    st.lists(st.lists(CELLS, max_size=6), max_size=6),
    st.sampled_from(["\t", "\t", "\t", ",", ";"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
CONTENTS = st.one_of(
    TABLES.map(lambda text: text.encode("utf-8")),
    TABLES.map(lambda text: text.encode("utf-8-sig")),
    TABLES.map(lambda text: text.encode("utf-16")),
    st.binary(max_size=60),
)
DEEP = "[" * 100_000
JSON = st.one_of(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), CELLS),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=8,
    ).map(json.dumps),
    st.sampled_from([DEEP, '{"a":' * 50_000, "", "{", '{"Name": "\\ud800"}', "9" * 5000, "\0"]),
    st.text(max_size=20),
)

untimed = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def dataset(tmp_path) -> Path:
    folder = tmp_path / "bids"
    for label in PEOPLE:
        for session in SESSIONS:
            (folder / f"sub-{label}" / f"ses-{session}" / "anat").mkdir(parents=True)
    (folder / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    return folder


def assert_said(error: BidsAnomalyError, path: Path) -> None:
    assert path.name in str(error)
    assert str(error).endswith(".")


def result_or_complaint(read, *arguments):
    """Return what a function returns, or the error that a user can act on; others are a fault."""
    try:
        return read(*arguments), None
    except BidsAnomalyError as error:
        return None, error


@untimed
@given(content=CONTENTS)
@example(content="participant_id\tage\n01\t60\n".encode("utf-16-le"))
@example(content=("participant_id\n" + "9" * 5000 + "\n").encode())
def test_any_table_of_participants_is_read_or_refused(content, dataset, tmp_path):
    table = dataset / "participants.tsv"
    table.write_bytes(content)
    found, error = result_or_complaint(read_participants, dataset)
    if error:
        assert_said(error, table)
    else:
        for known in found.values():
            assert len(as_numbers(known)) == 2
    # Those who have folders are run, whatever the table says of them.
    assert list_participants(dataset) == sorted(PEOPLE)
    _, error = result_or_complaint(copy_participants, dataset, tmp_path / "out")
    if error:
        assert_said(error, table)
    else:
        kept = (tmp_path / "out" / "participants.tsv").read_bytes().decode("utf-8")
        rows = table.read_text(encoding="utf-8-sig").split("\n")
        assert len(kept.rstrip("\n").split("\n")) == len("\n".join(rows).rstrip("\n").split("\n"))
    for column in ("group", "age", "participant_id"):
        _, error = result_or_complaint(participants_by, table, column)
        if error:
            assert_said(error, table)


@untimed
@given(content=CONTENTS, sidecar=JSON)
@example(content=("session_id\torder\n" + "1\t" + "9" * 5000 + "\n").encode(), sidecar="")
@example(content=b"", sidecar='{"AcquisitionDateTime": " 2020-01-01 "}')
def test_any_table_of_sessions_leaves_every_session_in_its_order(
    content, sidecar, dataset, tmp_path
):
    sessions_table(dataset, "01").write_bytes(content)
    for session in SESSIONS:
        image = dataset / "sub-01" / f"ses-{session}" / "anat" / f"sub-01_ses-{session}_T1w.json"
        image.write_text(sidecar, encoding="utf-8")
    order = in_order(dataset, "01", SESSIONS)
    assert sorted(order.labels) == sorted(SESSIONS)
    copy_order(dataset, tmp_path / "out", "01", SESSIONS)
    again = order_of_results(tmp_path / "out", "01", SESSIONS)
    assert again.labels == order.labels


@untimed
@given(text=JSON)
@example(text=DEEP)
@example(text='{"T1w": {"run": "' + "9" * 5000 + '"}}')
def test_any_filter_is_read_or_refused(text, tmp_path):
    path = tmp_path / "filter.json"
    path.write_text(text, encoding="utf-8")
    found, error = result_or_complaint(read_bids_filter, path)
    if error:
        assert_said(error, path)
    for wanted in (found or {}).values():
        assert matches({"run": "1", "suffix": "T1w"}, wanted) in (True, False)


@untimed
@given(text=JSON)
@example(text='{"Name": "\\ud800", "License": "CC0"}')
def test_any_description_can_be_read_and_what_is_taken_from_it_written(text, dataset, tmp_path):
    path = dataset / "dataset_description.json"
    path.write_text(text, encoding="utf-8")
    write_json(tmp_path / "copy.json", read_object(path))
    _, error = result_or_complaint(list_participants, dataset)
    if error:
        assert_said(error, path)
    else:
        write_json(tmp_path / "derived.json", derivative_description(dataset))
        json.loads((tmp_path / "derived.json").read_text(encoding="utf-8"), parse_constant=fail)


def fail(constant: str) -> None:
    pytest.fail(f"{constant} is no JSON")
