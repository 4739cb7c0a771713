import errno
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.sparse import lil_matrix

from bids_anomaly.exceptions import ExitCode, TemporaryError, UsageError
from bids_anomaly.running.execution import read_plugin, require_address_space
from bids_anomaly.running.processes import Dependencies, run_step

# What a worker of a run sees, as Nipype starts it.
PROGRAM = """
import multiprocessing
import os
import resource
import sys
from concurrent.futures import ProcessPoolExecutor

from bids_anomaly.running.execution import prepare_environment

if __name__ == "__main__":
    prepare_environment(threads=1, device=sys.argv[1])
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("forkserver")) as pool:
        print(pool.submit(os.getenv, "CUDA_VISIBLE_DEVICES", "all").result())
"""


@pytest.mark.parametrize(
    ("device", "variable", "seen"),
    [("cpu", None, "all"), ("cuda:1", None, "1"), ("cuda:1", "3,GPU-ab22", "GPU-ab22")],
)
def test_workers_see_only_the_chosen_gpu(device, variable, seen, tmp_path):
    """Brain extractions run on the first GPU that they see, whatever number was chosen."""
    (tmp_path / "program.py").write_text(PROGRAM)
    environ = {"PYTHONPATH": ":".join(sys.path)}
    if variable:
        environ["CUDA_VISIBLE_DEVICES"] = variable
    finished = subprocess.run(
        [sys.executable, tmp_path / "program.py", device],
        env=environ,
        capture_output=True,
        text=True,
    )
    assert finished.stdout == f"{seen}\n", finished.stderr


IN_TURN = """
import sys
from pathlib import Path

from bids_anomaly.running.execution import (
    configure_nipype,
    prepare_environment,
    prepare_workers,
    run_workflow,
)

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    prepare_environment(threads=1, device="cpu")
    configure_nipype(folder, stop_on_first_crash=False, verbosity=0)
    prepare_workers()
    from nipype import Function, Node, Workflow

    run_wf = Workflow("run_wf", base_dir=folder)
    for label in ("sub_01_wf", "sub_02_wf", "sub_03_wf"):
        session_wf = Workflow(label)
        first, second = (
            Node(Function(["value"], ["out"], function=ABSOLUTE), name=name)
            for name in ("first", "second")
        )
        first.inputs.value = 1
        session_wf.connect(first, "out", second, "value")
        run_wf.add_nodes([session_wf])

    def tell(node, status):
        if status == "end":
            print(node.fullname)

    run_workflow(
        run_wf, plugin_file=None, nprocs=1, mem_gb=4, gpu=False, on_status=tell
    )
""".replace(
    "ABSOLUTE",
    repr(
        "def absolute(value):\n"
        "    import sys\n"
        "    print('imported:', *{'ants', 'torch'} & {*sys.modules}, flush=True)\n"
        "    return abs(value)\n"
    ),
)


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory):
    """What was told of a run of three sessions with two steps each."""
    folder = tmp_path_factory.mktemp("in-turn")
    (folder / "program.py").write_text(IN_TURN)
    return subprocess.run(
        [sys.executable, folder / "program.py", folder],
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
    )


def test_one_session_is_finished_before_the_next_is_begun(in_turn):
    nodes = [line for line in in_turn.stdout.splitlines() if line.startswith("run_wf.")]
    assert nodes == [
        f"run_wf.sub_0{person}_wf.{name}" for person in (1, 2, 3) for name in ("first", "second")
    ], in_turn.stderr


def test_workers_find_imported_what_takes_long(in_turn):
    told = [line for line in in_turn.stdout.splitlines() if line.startswith("imported:")]
    assert len(told) == 6
    assert all({*line.split()[1:]} == {"ants", "torch"} for line in told)


def test_what_is_imported_before_workers_are_forked_asks_for_no_gpu():
    """A process that is forked after that could use none."""
    program = (
        "import torch\n"
        "for name in ('is_available', 'device_count', 'init', '_lazy_init'):\n"
        "    setattr(torch.cuda, name, None)\n"
        "import bids_anomaly.running.preloaded\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


STOPPED = """
import sys
import time
from collections import Counter
from pathlib import Path

from bids_anomaly.running.execution import configure_nipype, prepare_environment, run_workflow

if __name__ == "__main__":
    folder, stop, error = Path(sys.argv[1]), sys.argv[2] == "stop", sys.argv[3]
    prepare_environment(threads=1, device="cpu")
    configure_nipype(folder, stop_on_first_crash=stop, verbosity=0)
    from nipype import Function, Node, Workflow

    from bids_anomaly.running.console import make_console
    from bids_anomaly.running.progress import RunProgress
    from bids_anomaly.running.runs import code_of_run

    run_wf = Workflow("run_wf", base_dir=folder)
    labels = {f"sub_0{person}_wf": f"sub-0{person}" for person in (1, 2, 3)}
    for name, seconds in zip(labels, (0, -1, 1.5)):
        session_wf = Workflow(name)
        step = Node(Function(["seconds", "path"], ["out"], function=WAIT), name="wait")
        step.inputs.seconds = seconds
        step.inputs.path = str(folder / f"{name}.txt")
        session_wf.add_nodes([step])
        run_wf.add_nodes([session_wf])

    progress = RunProgress(labels, Counter(dict.fromkeys(labels, 1)), folder, make_console())

    def tell(node, status):
        progress(node, status)
        if status == error:
            raise OSError(28, "No space left on device")

    try:
        run_workflow(
            run_wf, plugin_file=None, nprocs=int(sys.argv[4]), mem_gb=9, gpu=False, on_status=tell
        )
    except OSError as raised:
        print("raised", raised)
    there = [path.name for path in sorted(folder.glob("sub_*.txt"))]
    time.sleep(2)
    print("written", *there)
    print("later", *[path.name for path in sorted(folder.glob("sub_*.txt"))][len(there):])
    print("failed", *progress.failures)
    print("not run", *progress.not_run)
    print("code", int(code_of_run(progress, [])))
""".replace(
    "WAIT",
    repr(
        "def wait(seconds, path):\n"
        "    import pathlib, time\n"
        "    time.sleep(seconds)\n"
        "    pathlib.Path(path).write_text('done')\n"
        "    return path\n"
    ),
)


@pytest.fixture
def run_three(tmp_path):
    """Give a function that runs three people, of whom the second fails, and returns what was."""
    (tmp_path / "program.py").write_text(STOPPED)

    def run(*, stop: bool, error: str = "never", nprocs: int = 1) -> dict[str, str]:
        arguments = [tmp_path, "stop" if stop else "go on", error, str(nprocs)]
        finished = subprocess.run(
            [sys.executable, tmp_path / "program.py", *arguments],
            env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in finished.stderr, finished.stderr
        words = ("raised", "written", "later", "failed", "not run", "code")
        return {
            word: line.removeprefix(word).strip()
            for line in finished.stdout.splitlines()
            for word in words
            if line.startswith(word)
        }

    return run


def test_a_failure_stops_nobody_else(run_three):
    told = run_three(stop=False)
    assert told["written"] == "sub_01_wf.txt sub_03_wf.txt"
    assert (told["failed"], told["not run"], told["code"]) == ("sub_02_wf", "", "1")


def test_who_was_not_run_after_the_first_failure_does_not_count_as_done(run_three):
    told = run_three(stop=True)
    assert told["written"] == "sub_01_wf.txt"
    assert (told["failed"], told["not run"]) == ("sub_02_wf", "sub_03_wf")
    # That of the failure: 1 would say that the third is complete.
    assert told["code"] == "70"


@pytest.mark.parametrize("error", ["never", "exception"])
def test_nothing_is_written_when_a_stopped_run_is_over(error, run_three):
    told = run_three(stop=True, error=error, nprocs=3)
    assert "sub_03_wf.txt" in told["written"]
    assert told["later"] == ""


@pytest.mark.parametrize("stop", [False, True])
def test_an_error_of_the_run_itself_is_raised_after_a_failure_too(stop, run_three):
    assert "No space left" in run_three(stop=stop, error="exception")["raised"]


class OnFullDisk:
    """A step whose folder takes none of the notes that Nipype begins with."""

    def run(self, updatehash):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @property
    def result(self):
        raise FileNotFoundError("result.pklz")


def test_a_disk_that_is_too_full_for_the_notes_of_nipype_is_told():
    done = run_step(OnFullDisk(), updatehash=False, task=3)
    code, message = done["known"]
    assert code == ExitCode.CANNOT_WRITE
    assert message.startswith("Cannot write to the work folder: No space left on device.")
    assert "OSError" in done["traceback"][-1]
    assert done["taskid"] == 3


BUSY = """
import sys
from pathlib import Path

from bids_anomaly.running.execution import configure_nipype, prepare_environment, run_workflow

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    prepare_environment(threads=1, device="cpu")
    configure_nipype(folder, stop_on_first_crash=False, verbosity=0)
    from nipype import Function, Node, Workflow

    run_wf, session_wf = Workflow("run_wf", base_dir=folder), Workflow("sub_01_wf")
    session_wf.add_nodes([Node(Function(["path"], ["out"], function=WORK), name="work")])
    session_wf.inputs.work.path = str(folder / "begun")
    run_wf.add_nodes([session_wf])
    run_workflow(
        run_wf, plugin_file=None, nprocs=1, mem_gb=9, gpu=False, on_status=lambda *_: None
    )
""".replace(
    "WORK",
    repr(
        "def work(path):\n"
        "    import ctypes, os, pathlib\n"
        "    pathlib.Path(path + '-').write_text(str(os.getpid()))\n"
        "    os.rename(path + '-', path)\n"
        "    ctypes.PyDLL(None).sleep(60)\n"  # as registrations do, it lets no thread run meanwhile
    ),
)


def test_workers_end_when_the_first_process_is_killed(tmp_path):
    (tmp_path / "program.py").write_text(BUSY)
    first = subprocess.Popen(
        [sys.executable, tmp_path / "program.py", tmp_path],
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin"},
    )
    begun = tmp_path / "begun"
    while not begun.exists():
        assert first.poll() is None
        time.sleep(0.05)
    worker = int(begun.read_text())
    os.kill(worker, 0)
    first.kill()
    first.wait()
    deadline = time.monotonic() + 20
    with pytest.raises(ProcessLookupError):  # noqa: PT012
        while time.monotonic() < deadline:
            os.kill(worker, 0)
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("plugin", "complaint"),
    [
        ("{plugin: Fog}", "which Nipype does not have"),
        ("{plugin: SLURMGraph}", "does not tell what becomes of each step"),
        ("{plugin_args: {}}", "must be YAML or JSON with the keys"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_refused(plugin, complaint, tmp_path):
    (tmp_path / "plugin.yaml").write_text(plugin)
    with pytest.raises(UsageError, match=complaint):
        read_plugin(tmp_path / "plugin.yaml")


@pytest.mark.parametrize("limit", [1024**3, resource.RLIM_INFINITY, 4 * 1024**3])
def test_too_little_address_space_is_told_before_anything_waits_for_it(limit, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda of: (limit, limit))
    if limit == 1024**3:
        with pytest.raises(TemporaryError, match=r"1\.0 GB of address space.*needs 1\.5 GB"):
            require_address_space()
    else:
        require_address_space()


SHARES_LOCKS = """
from bids_anomaly.running.execution import require_semaphores
from bids_anomaly.exceptions import TemporaryError
try:
    require_semaphores()
    print("shared")
except TemporaryError as error:
    print(error)
"""


@pytest.mark.parametrize("option", ["rw", "ro"])
def test_a_read_only_folder_of_locks_is_told_and_what_to_do(option):
    mount = f'mount -t tmpfs -o {option} tmpfs /dev/shm && exec "$@"'
    try:
        finished = subprocess.run(
            ["unshare", "--mount", "sh", "-c", mount, "sh", sys.executable, "-c", SHARES_LOCKS],
            env={"PYTHONPATH": ":".join(sys.path), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if "unshare" in finished.stderr or "mount" in finished.stderr:
        pytest.skip("this user may not mount")
    assert finished.returncode == 0, finished.stderr
    if option == "rw":
        assert finished.stdout == "shared\n"
    else:
        assert "/dev/shm" in finished.stdout
        assert "run again" in finished.stdout


def test_what_steps_wait_for_is_added_up_as_nipype_would():
    waiting = lil_matrix(np.random.default_rng(0).integers(0, 2, (30, 30)))
    ours = Dependencies(waiting)
    for done in range(30):
        # How Nipype notes that a step is done.
        for matrix in (waiting, ours):
            row = matrix.getrowview(done)
            row[row.nonzero()] = 0
        np.testing.assert_array_equal(ours.sum(0), waiting.sum(0))
        np.testing.assert_array_equal(ours.sum(axis=0) == 0, waiting.sum(axis=0) == 0)
    assert ours.sum() == 0
