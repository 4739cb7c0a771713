import gzip
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from bids_anomaly import __version__
from bids_anomaly.exceptions import CannotWriteError, UsageError
from bids_anomaly.interfaces.records import record_made, record_written
from bids_anomaly.reports.session import write_failure_report
from bids_anomaly.reports.session_page import Failure, SessionPage, write_session_page
from bids_anomaly.running.workfolder import (
    GROUP_PREFIX,
    STAMP,
    WORKFLOW_NAME,
    check_writable,
    forget_lost_outputs,
    make_folder,
    prepare_work_folder,
    work_folder,
)


def check_often(folder):
    for _ in range(300):
        make_folder(folder)


def test_runs_side_by_side_do_not_disturb_each_other(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(check_often, [tmp_path / "shared"] * 4))
    assert not list((tmp_path / "shared").iterdir())


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWriteError, match="file/folder"):
        make_folder(tmp_path / "file" / "folder")


@pytest.mark.parametrize("folder", ["file", "file/folder"])
def test_a_file_where_a_folder_is_needed_is_called_a_file(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWriteError, match=f"{tmp_path}/file is a file, not a folder"):
        check_writable(tmp_path / folder)


def test_a_check_leaves_nothing(tmp_path):
    check_writable(tmp_path / "new" / "folder")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_cleaned_by_a_run_alone_in_it(shared):
    leave_what_runs_make(shared)
    with work_folder(shared, ["01"], clean=True):
        assert (shared / STAMP).is_file()
        assert not (shared / WORKFLOW_NAME).exists()
    with work_folder(shared / "new", ["01"], clean=True):
        assert (shared / "new" / STAMP).is_file()


@pytest.fixture
def shared(tmp_path):
    """A work folder in which a user keeps files of other kinds, links among them."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis.tex").write_text("years of work")
    folder = tmp_path / "scratch"
    (folder / "group-analysis").mkdir(parents=True)
    (folder / "group-analysis" / "table.csv").write_text("1,2")
    (folder / "notes.txt").write_text("mine")
    (folder / "linked").symlink_to(elsewhere)
    return folder


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.*")}


def leave_what_runs_make(folder):
    prepare_work_folder(folder, clean=False)
    for name in (WORKFLOW_NAME, f"{GROUP_PREFIX}ab12cd34"):
        (folder / name / "step").mkdir(parents=True)
        (folder / name / "step" / "result.txt").write_text("of a run")


def test_cleaning_removes_what_runs_made_and_nothing_else(shared):
    before = files_in(shared)
    leave_what_runs_make(shared)
    prepare_work_folder(shared, clean=True)
    after = files_in(shared)
    assert json.loads(after.pop(STAMP))["version"] == __version__
    assert after == before
    assert (shared / "linked" / "thesis.tex").read_text() == "years of work"
    assert not (shared / WORKFLOW_NAME).exists()
    assert not list(shared.glob(f"{GROUP_PREFIX}*"))


def test_a_link_to_another_disk_is_removed_and_not_what_is_there(shared, tmp_path):
    prepare_work_folder(shared, clean=False)
    (shared / WORKFLOW_NAME).symlink_to(tmp_path / "elsewhere")
    prepare_work_folder(shared, clean=True)
    assert not (shared / WORKFLOW_NAME).is_symlink()
    assert (tmp_path / "elsewhere" / "thesis.tex").is_file()


def test_a_folder_that_the_app_did_not_make_is_not_cleaned(shared):
    before = files_in(shared)
    with pytest.raises(UsageError, match="was not made by bids-anomaly"):
        prepare_work_folder(shared, clean=True)
    assert files_in(shared) == before


@pytest.mark.parametrize("stamp", ['{"version": "0.0.1"}', '{"vers', "[]"])
def test_the_folder_of_another_version_is_refused_until_it_is_cleaned(stamp, tmp_path):
    leave_what_runs_make(tmp_path)
    (tmp_path / STAMP).write_text(stamp)
    with pytest.raises(UsageError, match="--clean-workdir"):
        prepare_work_folder(tmp_path, clean=False)
    assert (tmp_path / WORKFLOW_NAME).is_dir()
    prepare_work_folder(tmp_path, clean=True)
    assert list(files_in(tmp_path)) == [STAMP]


@pytest.mark.parametrize("clean", [False, True])
def test_a_new_or_empty_folder_gets_its_stamp(clean, tmp_path):
    for folder in (tmp_path, tmp_path / "new"):
        prepare_work_folder(folder, clean=clean)
        assert (folder / STAMP).is_file()


def test_what_cannot_be_removed_is_named(shared, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    leave_what_runs_make(shared)
    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(CannotWriteError, match=f"{WORKFLOW_NAME}: Permission denied"):
        prepare_work_folder(shared, clean=True)


@pytest.fixture
def node(tmp_path):
    """The folder of a node that wrote an image with its sidecar, a transform and a report."""
    out, folder = tmp_path / "out", tmp_path / "work" / "session_wf" / "write_maps"
    for parent in (out, folder):
        parent.mkdir(parents=True)
    names = ("sub-01_T1w.nii.gz", "sub-01_T1w.json", "sub-01_xfm.h5", "sub-01.html")
    for name in names:
        (out / name).write_text(f"first {name}")
    (folder / "_0x0123.json").write_text("{}")
    paths = [out / name for name in names if name != "sub-01_T1w.json"]
    assert record_written(folder, paths) == [str(path) for path in paths]
    return folder


def runs_again(node):
    forget_lost_outputs(node.parent)
    return not (node / "_0x0123.json").exists()


def write_again(path, text):
    """Replace a file as another run does, later than the clock of the disk can miss."""
    path.write_text(text)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def test_a_node_whose_files_are_as_it_left_them_is_done(node):
    assert not runs_again(node)


@pytest.mark.parametrize(
    "name", ["sub-01_T1w.nii.gz", "sub-01_T1w.json", "sub-01_xfm.h5", "sub-01.html"]
)
def test_a_node_runs_again_when_any_file_that_it_wrote_is_gone(name, node, tmp_path):
    (tmp_path / "out" / name).unlink()
    assert runs_again(node)


@pytest.mark.parametrize("name", ["sub-01_T1w.nii.gz", "sub-01_T1w.json", "sub-01_xfm.h5"])
def test_a_node_runs_again_when_another_run_wrote_its_files(name, node, tmp_path):
    write_again(tmp_path / "out" / name, f"other {name}")  # of the same size
    assert runs_again(node)


def test_a_report_may_be_written_by_another_step(node, tmp_path):
    write_again(tmp_path / "out" / "sub-01.html", "with comparisons")
    assert not runs_again(node)


@pytest.mark.parametrize("record", ["", '{"/out/sub-01_T1w.nii', "[]"])
def test_a_node_whose_record_is_broken_runs_again(record, node):
    (node / "written.json").write_text(record)
    assert runs_again(node)


@pytest.fixture
def step(tmp_path):
    """The folder of a node that left files of several kinds in it, and what Nipype leaves."""
    folder = tmp_path / "work" / "session_wf" / "register"
    folder.mkdir(parents=True)
    for name in STEP_FILES:
        (folder / name).write_bytes(gzip.compress(name.encode() * 100))
    record_made(folder)
    (folder / "_inputs.pklz").write_bytes(b"written again at each run")
    (folder / "peak_memory.json").write_text("12")
    (folder / "_0x0123.json").write_text("{}")
    return folder


STEP_FILES = ("warp.nii.gz", "affine.mat", "composite.h5", "quality.json", "result_register.pklz")


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def empty(path):
    path.write_bytes(b"")


def change_a_byte(path):
    """Change what a file holds, not its size nor its time, as a broken disk does."""
    time, content = path.stat().st_mtime_ns, bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    os.utime(path, ns=(time, time))


def test_a_node_whose_folder_is_as_it_left_it_is_done(step):
    (step / "_inputs.pklz").write_bytes(b"written again")
    (step / "peak_memory.json").write_text("14")
    assert not runs_again(step)


@pytest.mark.parametrize("damage", [cut, empty, change_a_byte, os.unlink])
@pytest.mark.parametrize("name", STEP_FILES)
def test_a_node_runs_again_when_any_file_in_its_folder_is_damaged(name, damage, step):
    damage(step / name)
    # Nipype itself runs a node again that lacks its result.
    assert runs_again(step) or not (step / "result_register.pklz").exists()


@pytest.mark.parametrize("damage", [cut, empty])
def test_a_node_runs_again_when_the_record_of_its_files_is_damaged(damage, step):
    damage(step / "made.json")
    assert runs_again(step)


@pytest.fixture
def report_node(session_record, tmp_path):
    """The folder of the node that wrote a report and its record."""
    out, folder = tmp_path / "out", tmp_path / "work" / "session_wf" / "write_report"
    folder.mkdir(parents=True)
    (folder / "_0x0123.json").write_text("{}")
    page = out / "sub-01.html"
    written = [session_record("T1w").write(out), page]
    write_session_page(page, SessionPage(title="sub-01"))
    record_written(folder, written)
    return folder


def test_a_report_of_an_earlier_failure_is_written_again(report_node, tmp_path):
    """Also where the step that writes it was done long before."""
    assert not runs_again(report_node)
    failure = Failure("require quality (sub-01_T1w)", "Too much noise.", "")
    write_failure_report(tmp_path / "out", "sub-01", [failure])
    assert runs_again(report_node)


def test_a_report_of_a_success_is_not(report_node, tmp_path):
    write_again(tmp_path / "out" / "sub-01.html", '<meta name="failed-steps" content="1">')
    assert not runs_again(report_node)


def test_a_work_folder_that_was_moved_is_recognised(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    prepare_work_folder(before, clean=False)
    (before / WORKFLOW_NAME).mkdir()
    prepare_work_folder(before, clean=False)
    linked = tmp_path / "linked"
    linked.symlink_to(before)
    prepare_work_folder(linked, clean=False)
    prepare_work_folder(before, clean=False)
    linked.unlink()
    before.rename(after)
    with pytest.raises(UsageError, match=f"{after} was {before} when it was made"):
        prepare_work_folder(after, clean=False)
    prepare_work_folder(after, clean=True)
    assert not (after / WORKFLOW_NAME).exists()
