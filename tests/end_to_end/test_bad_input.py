"""What the command does about scans, arguments and machines that cannot work."""

import ctypes
import gzip
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from markupsafe import escape


def corrupt(path: Path, scan: nib.Nifti1Image) -> None:
    """Cut a file in the middle of its compressed data, as a broken transfer does."""
    scan.to_filename(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def not_compressed_data(path: Path, scan: nib.Nifti1Image) -> None:
    path.write_bytes(b"<html>404 Not Found</html>" * 40)


def four_dimensional(path: Path, scan: nib.Nifti1Image) -> None:
    values = np.asanyarray(scan.dataobj)
    nib.Nifti1Image(np.stack([values, values], axis=-1), scan.affine).to_filename(path)


def with_nan(path: Path, scan: nib.Nifti1Image) -> None:
    values = scan.get_fdata(dtype=np.float32)
    values[40:60, 40:60, 40:60] = np.nan
    nib.Nifti1Image(values, scan.affine).to_filename(path)


def of_zeros(path: Path, scan: nib.Nifti1Image) -> None:
    nib.Nifti1Image(np.zeros(scan.shape, np.int16), scan.affine).to_filename(path)


def of_three_slices(path: Path, scan: nib.Nifti1Image) -> None:
    scan.slicer[:, :, 40:43].to_filename(path)


def without_orientation(path: Path, scan: nib.Nifti1Image) -> None:
    image = nib.Nifti1Image(np.asanyarray(scan.dataobj), scan.affine)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    image.to_filename(path)


def link_to_nothing(path: Path, scan: nib.Nifti1Image) -> None:
    """Leave the link of a DataLad dataset whose content was not fetched."""
    path.symlink_to("../../.git/annex/objects/XX/content.nii.gz")


def pointer_of_annex(path: Path, scan: nib.Nifti1Image) -> None:
    """Leave what stands for an unlocked file of a DataLad dataset that was not fetched."""
    path.write_text("/annex/objects/MD5E-s9--0.nii.gz\n")


# Each way to break a scan, with its exit code; the name of the function names the participant.
BROKEN = {
    corrupt: 65,
    not_compressed_data: 65,
    four_dimensional: 65,
    with_nan: 65,
    of_zeros: 65,
    of_three_slices: 65,
    without_orientation: 65,
    link_to_nothing: 66,
    pointer_of_annex: 66,
}


def label_of(breaking: Callable) -> str:
    return breaking.__name__.replace("_", "")


@pytest.fixture(scope="module")
def broken_scans(tmp_path_factory, stripped_brain, write_dataset, sagittal_grid) -> Path:
    """A dataset of one good person and one for each way to break a scan."""
    scan = stripped_brain("T1w", 1, sagittal_grid)
    names = {"sub-good_T1w": scan}
    bids = write_dataset(tmp_path_factory.mktemp("broken") / "bids", names)
    for breaking in BROKEN:
        label = f"sub-{label_of(breaking)}"
        path = bids / label / "anat" / f"{label}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        breaking(path, scan)
    people = sorted(path.name for path in bids.glob("sub-*"))
    (bids / "participants.tsv").write_text("participant_id\n" + "".join(f"{p}\n" for p in people))
    return bids


def assert_failed_alone(finished, out: Path, label: str) -> None:
    """Check that a failure is told once, in one sentence that names the scan, and in a report."""
    about_it = [line for line in finished.stderr.splitlines() if f"sub-{label}_T1w" in line]
    assert len(about_it) == 1, finished.stderr
    assert about_it[0].endswith((".", ")"))
    assert "Traceback" not in finished.stderr
    report = (out / f"sub-{label}.html").read_text()
    assert f"sub-{label}_T1w" in report
    crash_files = [
        path
        for path in out.glob("logs/*/crash-*.txt")
        if f".sub_{label}_wf." in path.read_text().splitlines()[0]
    ]
    assert crash_files
    for path in crash_files:
        assert str(path.relative_to(out)) in report
        assert str(escape(path.read_text())) in report
    assert not (out / f"sub-{label}").exists()


@pytest.mark.parametrize("code", sorted(set(BROKEN.values())))
def test_broken_scans_end_in_their_exit_code_and_one_sentence_each(
    code, broken_scans, command, tmp_path
):
    labels = [label_of(breaking) for breaking in BROKEN if BROKEN[breaking] == code]
    out = tmp_path / "out"
    # A run ends in the code of its failures if that is the same for all. The validator has its own
    # test below.
    finished = command(
        broken_scans, out, "participant", "--participant-label", *labels, "-w", tmp_path / "work",
        "--skip-bids-validation", "--nprocs", "2",
    )  # fmt: skip
    assert finished.code == code, finished.stderr
    for label in labels:
        assert_failed_alone(finished, out, label)


@pytest.mark.slow
def test_broken_scans_do_not_stop_the_good_one(
    broken_scans, command, tmp_path, assert_valid_bids, run_records
):
    out = tmp_path / "out"
    finished = command(broken_scans, out, "participant", "-w", tmp_path / "work")
    assert finished.code == 1, finished.stderr
    for breaking in BROKEN:
        assert_failed_alone(finished, out, label_of(breaking))
    assert (out / "sub-good.html").is_file()
    names = {path.name for path in (out / "sub-good" / "anat").iterdir()}
    assert "sub-good_desc-pseudohealthy_T1w.nii.gz" in names
    assert "sub-good_label-lesion_desc-anomalyT1w_mask.nii.gz" in names
    assert_valid_bids(out)
    failed = run_records(out)[0]["result"]["failed_sessions"]
    assert failed == sorted(f"sub-{label_of(breaking)}" for breaking in BROKEN)


@pytest.fixture(scope="module")
def quick(tmp_path_factory, write_dataset):
    """A dataset of one scan that is never opened, and a new output and work folder."""
    folder = tmp_path_factory.mktemp("quick")
    image = nib.Nifti1Image(np.ones((20, 20, 20), np.uint8), np.eye(4))
    image.header.set_xyzt_units("mm", "sec")
    bids = write_dataset(folder / "bids", {"sub-01_T1w": image})
    (folder / "file").write_text("")
    description = '{"Name": "nobody", "BIDSVersion": "1.10.0"}'
    (folder / "nobody").mkdir()
    (folder / "nobody" / "dataset_description.json").write_text(description)
    (folder / "empty").mkdir()
    (folder / "invalid").mkdir()
    (folder / "invalid" / "sub-01_T1w.nii.gz").write_bytes(gzip.compress(b"no BIDS"))
    return SimpleNamespace(folder=folder, bids=bids)


# Arguments in terms of the folder of `quick`, the exit code, and what the sentence must name.
REFUSED = {
    "unknown participant": ("{0}/bids {0}/out participant --participant-label 99", 18, "sub-99"),
    "no such session": ("{0}/bids {0}/out participant --session-label 7", 18, "ses-7"),
    "modality that nobody has": ("{0}/bids {0}/out participant --modalities FLAIR", 18, "FLAIR"),
    "missing dataset": ("{0}/missing {0}/out participant", 66, "{0}/missing"),
    "dataset of nobody": ("{0}/nobody {0}/out participant", 18, "no participants"),
    "empty folder": ("{0}/empty {0}/out participant", 16, "{0}/empty"),
    "invalid dataset": ("{0}/invalid {0}/out participant", 16, "{0}/invalid"),
    "output inside the input": ("{0}/bids {0}/bids/sub-01 participant", 2, "{0}/bids/sub-01"),
    "output is the input": ("{0}/bids {0}/bids participant", 2, "{0}/bids"),
    "work inside the input": ("{0}/bids {0}/out participant -w {0}/bids/work", 2, "{0}/bids/work"),
    "output below a file": ("{0}/bids {0}/file/out participant", 73, "{0}/file/out"),
    "output on a read-only disk": ("{0}/bids /proc/out participant", 73, "/proc/out"),
    "work below a file": ("{0}/bids {0}/out participant -w {0}/file/work", 73, "{0}/file/work"),
    "output is a file": ("{0}/bids {0}/file participant", 73, "{0}/file is a file"),
    "work is a file": ("{0}/bids {0}/out participant -w {0}/file", 73, "{0}/file is a file"),
    "no enhancement here": ("{0}/bids {0}/out participant --tfce", 2, "--tfce"),
    "no controls here": ("{0}/bids {0}/out participant --controls a=b", 2, "--controls"),
    "unknown model": ("{0}/bids {0}/out participant --model foo", 69, "'foo'"),
    "missing device": ("{0}/bids {0}/out participant --device cuda:7", 69, "cuda:7"),
    "unknown template": ("{0}/bids {0}/out participant --output-spaces MNI9", 2, "MNI9"),
    "unknown option": ("{0}/bids {0}/out participant --no-such-option", 2, "--no-such-option"),
    "no analysis level": ("{0}/bids {0}/out", 2, "participant"),
}


# By the command itself, which imports what it needs and finds nothing imported: before anything is
# imported, after the device, and after the validator and pybids. The others run in this process.
BY_COMMAND = ("unknown option", "missing device", "unknown participant")


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_in_one_sentence(case, quick, command, command_here, tmp_path):
    line, code, named = REFUSED[case]
    arguments = line.format(quick.folder).split()
    if "-w" not in arguments:
        arguments += ["-w", str(tmp_path / "work")]
    finished = (command if case in BY_COMMAND else command_here)(*arguments)
    assert finished.code == code, finished.stderr
    told = finished.stderr.splitlines()
    assert len(told) == 1, finished.stderr
    assert told[0].startswith("bids-anomaly: error: ")
    assert named.format(quick.folder) in told[0]
    assert finished.stdout == ""
    assert not (tmp_path / "work").exists()
    assert not (quick.folder / "out").exists()


def without_the_rights_of_root() -> None:
    """Let permissions bind this process even if it is root's, who may read everything."""
    dac_override, dac_read_search, pr_capbset_drop = 1, 2, 24
    for capability in (dac_override, dac_read_search):
        ctypes.CDLL(None).prctl(pr_capbset_drop, capability, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="gives up capabilities")
@pytest.mark.parametrize("validation", [(), ("--skip-bids-validation",)], ids=["valid?", "skip"])
@pytest.mark.parametrize("locked", [".", "sub-01", "sub-01/anat", "sub-01/anat/sub-01_T1w.nii.gz"])
def test_what_may_not_be_read_is_named(locked, validation, quick, command, tmp_path):
    path = quick.bids / locked
    rights = path.stat().st_mode
    path.chmod(0)
    try:
        finished = command(
            quick.bids, tmp_path / "out", "participant", "-w", tmp_path / "work", *validation,
            preexec_fn=without_the_rights_of_root,
        )  # fmt: skip
    finally:
        path.chmod(rights)
    assert finished.code == 66, finished.stderr
    told = [line for line in finished.stderr.splitlines() if str(path) in line]
    assert len(told) == 1, finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="gives up capabilities")
def test_a_folder_that_may_not_be_read_does_not_hide_the_others(write_dataset, command, tmp_path):
    image = nib.Nifti1Image(np.ones((20, 20, 20), np.uint8), np.eye(4))
    bids = write_dataset(tmp_path / "bids", {"sub-01_T1w": image, "sub-02_T1w": image})
    locked = bids / "sub-02" / "anat"
    locked.chmod(0)
    try:
        finished = command(
            bids, tmp_path / "out", "participant", "--dry-run", "--skip-bids-validation",
            "-w", tmp_path / "work", preexec_fn=without_the_rights_of_root,
        )  # fmt: skip
    finally:
        locked.chmod(0o755)
    assert finished.code == 0, finished.stderr
    assert "sub-01" in finished.stdout
    assert "sub-02" not in finished.stdout
    assert str(locked) in finished.stderr


def test_a_refused_run_leaves_no_trace_in_the_input(quick, command_here, tmp_path):
    before = sorted(quick.bids.rglob("*"))
    command_here(quick.bids, quick.bids, "participant", "-w", tmp_path)
    command_here(quick.bids, quick.bids / "out", "participant", "-w", tmp_path)
    assert sorted(quick.bids.rglob("*")) == before


@pytest.fixture(scope="module")
def good_scan(tmp_path_factory, stripped_brain, write_dataset, sagittal_grid) -> Path:
    scan = stripped_brain("T1w", 1, sagittal_grid)
    return write_dataset(tmp_path_factory.mktemp("good") / "bids", {"sub-01_T1w": scan})


PREPROCESS = ("participant", "--stage", "preprocess", "--skip-bids-validation")


@pytest.fixture(scope="module")
def preprocessed_work(good_scan, command, tmp_path_factory) -> Path:
    """A work folder in which the good scan is preprocessed."""
    folder = tmp_path_factory.mktemp("preprocessed-work")
    finished = command(good_scan, folder / "out", *PREPROCESS, "-w", folder / "work")
    assert finished.code == 0, finished.stderr
    return folder / "work"


@pytest.fixture
def work_before_registration(preprocessed_work) -> Path:
    """A work folder in which the next thing to do is to register the good scan."""
    for step in list(preprocessed_work.rglob("register_to_template")):
        shutil.rmtree(step)
    return preprocessed_work


def whole_files(out: Path) -> bool:
    """Say whether all images and sidecars below a folder can be read to their end."""
    for path in out.rglob("*.nii.gz"):
        gzip.decompress(path.read_bytes())
    for path in out.rglob("*.json"):
        json.loads(path.read_text())
    return not list(out.rglob(".*-*"))


def test_a_full_disk_below_the_work_folder_is_told(good_scan, command, tmp_path):
    """A limit on the size of files makes writes fail where a full disk would."""

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    out = tmp_path / "out"
    finished = command(
        good_scan, out, "participant", "-w", tmp_path / "work", "--skip-bids-validation",
        preexec_fn=limit_files,
    )  # fmt: skip
    assert finished.code == 73, finished.stderr
    assert "Traceback" not in finished.stderr
    assert whole_files(out)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_full_output_disk_leaves_nothing_half_written(
    good_scan, preprocessed_work, command, small_disk
):
    finished = command(good_scan, small_disk, *PREPROCESS, "-w", preprocessed_work)
    assert finished.code == 73, finished.stderr
    assert "Traceback" not in finished.stderr
    assert "sub-01" in finished.stderr
    assert whole_files(small_disk)


def children_of(parent: int) -> list[int]:
    """List the children of a process."""
    children = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
        except OSError:
            continue
        if f"\nPPid:\t{parent}\n" in status:
            children.append(int(folder.name))
    return children


def working_on(step: str, running) -> tuple[list[int], list[int]]:
    """List the workers of a command that are at a step, and all processes below the command."""
    below, at_step = [], []
    for child in children_of(running.process.pid):
        below.append(child)
        for worker in children_of(child):
            below.append(worker)
            with suppress(FileNotFoundError, ProcessLookupError):  # It may have just ended.
                if Path(os.readlink(f"/proc/{worker}/cwd")).name == step:
                    at_step.append(worker)
    return at_step, below


def is_alive(process: int) -> bool:
    """Say whether a process runs; one that has ended and that nobody waits for does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)],
)
def test_a_stopped_run_leaves_no_process_behind(
    sent, code, good_scan, work_before_registration, start, tmp_path
):
    """Signals go to the main process alone, as from ``docker stop``."""
    running = start(good_scan, tmp_path / "out", *PREPROCESS, "-w", work_before_registration)
    deadline = time.monotonic() + 600
    working, below = [], []
    while not working and running.process.poll() is None:
        assert time.monotonic() < deadline
        working, below = working_on("register_to_template", running)
        time.sleep(0.02)
    assert working
    running.process.send_signal(sent)
    running.process.wait(30)
    time.sleep(3)
    left = [process for process in below if is_alive(process)]
    finished = running.wait()
    assert not left
    assert finished.code == code
    (told,) = finished.stderr.splitlines()[-1:]
    assert "Run the same command again" in told
    assert "Traceback" not in finished.stderr
    assert "failed" not in finished.stderr


@pytest.mark.slow
def test_a_second_run_of_a_participant_in_the_same_work_folder_is_refused(
    good_scan, preprocessed_work, start, command_here, tmp_path
):
    first = start(good_scan, tmp_path / "out", *PREPROCESS, "-w", preprocessed_work)
    deadline = time.monotonic() + 600
    while not list(tmp_path.glob("out/logs/*/run.json")):
        assert time.monotonic() < deadline
        assert first.process.poll() is None
        time.sleep(0.02)
    # It must not end before the others have begun.
    os.killpg(first.process.pid, signal.SIGSTOP)
    for option in ((), ("--clean-workdir",)):
        second = command_here(
            good_scan, tmp_path / "out-2", *PREPROCESS, "-w", preprocessed_work, *option
        )
        assert second.code == 75, second.stderr
        (told,) = second.stderr.splitlines()
        assert str(preprocessed_work) in told
        assert not (tmp_path / "out-2").exists()
    os.killpg(first.process.pid, signal.SIGCONT)
    finished = first.wait()
    assert finished.code == 0, finished.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_killed_worker_fails_its_session_and_the_run_ends(
    good_scan, work_before_registration, start, tmp_path
):
    """Kill workers whenever they register, as the kernel does when memory runs out."""
    out = tmp_path / "out"
    running = start(good_scan, out, *PREPROCESS, "-w", work_before_registration)
    killed, deadline = 0, time.monotonic() + 600
    while not killed and running.process.poll() is None:
        assert time.monotonic() < deadline
        for worker in working_on("register_to_template", running)[0]:
            with suppress(ProcessLookupError):  # It may have just ended.
                os.kill(worker, signal.SIGKILL)
                killed += 1
        time.sleep(0.02)
    finished = running.wait(timeout=300)
    assert killed
    assert finished.code == 75, finished.stderr
    told = [line for line in finished.stderr.splitlines() if "ended unexpectedly" in line]
    assert len(told) == 1
    assert "register to template" in told[0]
    assert "Traceback" not in finished.stderr
    assert "ended unexpectedly" in (out / "sub-01.html").read_text()
