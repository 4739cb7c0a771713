"""What a run says of its steps while it goes on."""

from collections import Counter

import pytest
from nipype import Node, Workflow
from nipype.interfaces.utility import Rename

from bids_anomaly.reports.runs import steps_path
from bids_anomaly.running.console import make_console
from bids_anomaly.running.progress import RunProgress, in_words


@pytest.fixture
def node(tmp_path):
    """A step of one session."""
    session_wf = Workflow("session_wf")
    session_wf.add_nodes([Node(Rename(format_string="other"), name="rename")])
    run_wf = Workflow("run_wf", base_dir=tmp_path / "work")
    run_wf.add_nodes([session_wf])
    [node] = run_wf._create_flat_graph().nodes()
    return node


def follow(node, log_folder):
    """Tell of a step that ends, and return what was understood."""
    progress = RunProgress(
        {"session_wf": "sub-01"}, Counter({"session_wf": 1}), log_folder, make_console()
    )
    assert progress.not_run == ["session_wf"]
    for status in ("start", "end"):
        progress(node, status)
    return progress


def test_a_log_that_cannot_be_written_stops_nothing(node, tmp_path):
    progress = follow(node, tmp_path / "no" / "such" / "folder")
    assert progress.executed == 1
    assert progress.not_run == []


@pytest.mark.parametrize(("last", "done"), [("end", True), ("exception", False)])
def test_a_session_whose_last_step_fails_is_not_called_done(node, tmp_path, capfd, last, done):
    progress = RunProgress(
        {"session_wf": "sub-01"}, Counter({"session_wf": 1}), tmp_path, make_console()
    )
    progress(node, "start")
    progress(node, last)
    said = "".join(capfd.readouterr())
    assert ("sub-01: done" in said) is done
    assert ("sub-01: rename failed" in said) is not done


def test_the_table_of_steps_has_one_header(node, tmp_path):
    for _ in range(2):
        follow(node, tmp_path)
    header, *lines = steps_path(tmp_path, "sub-01").read_text().splitlines()
    assert header == "step\tseconds\tpeak_memory_mb"
    assert lines == ["rename\t0.0\tn/a"] * 2


def test_without_a_terminal_each_step_has_a_line_with_its_seconds(node, tmp_path, capfd):
    follow(node, tmp_path)
    assert "sub-01: rename: 0.0 s" in capfd.readouterr().err.splitlines()


def test_a_session_of_which_all_was_done_before_is_said_to_be_so(node, tmp_path, capfd):
    progress = RunProgress(
        {"session_wf": "sub-01"}, Counter({"session_wf": 1}), tmp_path, make_console()
    )
    progress(node, "end")
    assert progress.done_before == {"session_wf": 1}
    assert progress.executed == 0
    assert capfd.readouterr().err.splitlines() == ["sub-01: done before"]


def test_a_session_that_goes_on_says_from_where_once(node, tmp_path, capfd):
    progress = RunProgress(
        {"session_wf": "sub-01"}, Counter({"session_wf": 4}), tmp_path, make_console()
    )
    for status in ("end", "end", "start", "end", "start", "end"):
        progress(node, status)
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if "done" in line] == [
        "sub-01: 2 steps were done before; going on from there",
        "sub-01: done",
    ]


@pytest.mark.parametrize(
    ("parents", "step", "words"),
    [
        ("run_wf.sub_01_wf", "write_quality", "write quality"),
        ("run_wf.sub_01_wf", "write_sub_01_acq_x_T1w", "write sub-01_acq-x_T1w"),
        (
            "run_wf.sub_01_wf.preprocess_sub_01_T1w_wf",
            "extract_brain",
            "extract brain (preprocess sub-01_T1w)",
        ),
    ],
)
def test_names_of_bids_keep_their_hyphens(node, parents, step, words):
    names = {"sub_01_T1w": "sub-01_T1w", "sub_01_acq_x_T1w": "sub-01_acq-x_T1w"}
    named = Node(Rename(format_string="other"), name=step)
    named._hierarchy = parents
    assert in_words(named, names) == words
