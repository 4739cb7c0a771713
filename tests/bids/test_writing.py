import errno
import json
import multiprocessing
import os
import resource
import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.bids.writing import (
    remove_lost,
    remove_lost_shared,
    replacing,
    write_bytes,
    write_image,
    write_json,
    write_text,
)
from bids_anomaly.exceptions import CannotWriteError


@pytest.fixture
def full_disk():
    """Let no file grow beyond 64 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_is_written_is_there_and_nothing_else(tmp_path):
    write_text(tmp_path / "new" / "folder" / "text.txt", "Straße\n")
    assert (tmp_path / "new/folder/text.txt").read_text(encoding="utf-8") == "Straße\n"
    assert os.listdir(tmp_path / "new/folder") == ["text.txt"]


def test_a_failure_half_way_leaves_what_was_there(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.tsv"]


def test_the_old_content_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
    assert path.read_text() == "new"


def test_a_file_system_that_renames_over_nothing_is_written_to(tmp_path, monkeypatch):
    def replace(path, target):
        if Path(target).exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        os.rename(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    for content in ("old", "new"):
        write_text(tmp_path / "a.txt", content)
    assert (tmp_path / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_the_temporary_name_keeps_the_extension(tmp_path):
    with replacing(tmp_path / "sub-01_T1w.nii.gz") as temporary:
        assert temporary.name.endswith("sub-01_T1w.nii.gz")
        temporary.touch()


@pytest.mark.parametrize("size", [10, 10**6])
def test_a_full_disk_is_said_with_the_way_on_and_harms_nothing(tmp_path, full_disk, size):
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(b"old")
    content = os.urandom(size)
    if size < 2**16:
        write_bytes(path, content)
        assert path.read_bytes() == content
        return
    with pytest.raises(CannotWriteError, match=f"Cannot write {path}: .*run the same") as error:
        write_bytes(path, content)
    assert error.value.exit_code == 73
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["scan.nii.gz"]


def test_a_full_disk_while_an_image_is_written_leaves_no_half_image(tmp_path, full_disk):
    noise = np.random.default_rng(0).normal(size=(40, 40, 40))
    path = tmp_path / "sub-01_desc-residual_T1w.nii.gz"
    with pytest.raises(CannotWriteError, match=str(path)):
        write_image(path, nib.Nifti1Image(noise, np.eye(4)), {"SkullStripped": False})
    assert not list(tmp_path.glob("*.nii.gz"))
    assert not list(tmp_path.glob(".*"))


def test_a_file_in_the_way_of_a_folder_is_said(tmp_path):
    (tmp_path / "anat").touch()
    with pytest.raises(CannotWriteError, match=str(tmp_path / "anat" / "x.json")):
        write_json(tmp_path / "anat" / "x.json", {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_said(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(CannotWriteError, match="Permission denied"):
        write_text(tmp_path / "locked" / "x.txt", "")


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    anat = tmp_path / "sub-01" / "ses-1" / "anat"
    anat.mkdir(parents=True)
    with replacing(anat / "sub-01_T1w.nii.gz") as temporary:
        temporary.touch()
    lost, written_now = temporary, temporary.with_name(f"{temporary.name}.gz")
    finished, foreign = anat / "sub-01_T1w.nii.gz", anat / ".0123-notes"
    for path in (lost, written_now, finished, foreign):
        path.write_text("half")
    for path in (lost, finished, foreign):
        os.utime(path, (0, 0))
    remove_lost(tmp_path / "sub-01")
    assert {path.name for path in anat.iterdir()} == {
        written_now.name, finished.name, foreign.name,
    }  # fmt: skip
    remove_lost(tmp_path / "sub-02")


def test_what_was_left_of_shared_files_is_removed_too(tmp_path):
    name = ".0123456789ab-table.tsv"
    lost = [tmp_path / name, tmp_path / "group" / name, tmp_path / "logs" / name]
    kept = [tmp_path / "sub-01" / "anat" / name, tmp_path / ".bidsignore"]
    for path in (*lost, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
        os.utime(path, (0, 0))
    remove_lost_shared(tmp_path)
    assert [path for path in (*lost, *kept) if path.exists()] == kept
    remove_lost_shared(tmp_path / "new")


def test_json_is_readable_by_people_and_machines(tmp_path):
    write_json(tmp_path / "x.json", {"Name": "Müller", "n": [1, 2]})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"Name": "Müller", "n": [1, 2]}
    assert "Müller" in text
    assert text.endswith("}\n")


def test_an_image_comes_with_its_description(tmp_path):
    image = nib.Nifti1Image(np.arange(8, dtype=np.float32).reshape(2, 2, 2), np.eye(4))
    write_image(tmp_path / "sub-01_desc-residual_T1w.nii.gz", image, {"SkullStripped": False})
    read = nib.load(tmp_path / "sub-01_desc-residual_T1w.nii.gz")
    np.testing.assert_array_equal(read.get_fdata(), image.get_fdata())
    sidecar = json.loads((tmp_path / "sub-01_desc-residual_T1w.json").read_text())
    assert sidecar == {"SkullStripped": False}


def _write_often(path: Path, letter: bytes) -> None:
    for _ in range(60):
        write_bytes(path, letter * 200_000)


def _read_until_done(path: Path, writers) -> None:
    """Check that whoever reads sees one writer's content, whole."""
    while any(writer.is_alive() for writer in writers):
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 200_000
            assert len(set(content)) == 1


def test_processes_that_replace_the_same_file_leave_it_whole(tmp_path):
    path = tmp_path / "dataset_description.json"
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_write_often, args=(path, letter)) for letter in (b"a", b"b")]
    for writer in writers:
        writer.start()
    _read_until_done(path, writers)
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert os.listdir(tmp_path) == [path.name]


def test_writers_with_the_same_process_number_do_not_get_in_each_others_way(tmp_path):
    # As in two containers, where numbers start at 1 in each; threads stand in for them.
    path = tmp_path / "dataset_description.json"
    failures = []

    def write(letter):
        try:
            _write_often(path, letter)
        except CannotWriteError as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for writer in writers:
        writer.start()
    _read_until_done(path, writers)
    for writer in writers:
        writer.join()
    assert not failures
    assert os.listdir(tmp_path) == [path.name]
