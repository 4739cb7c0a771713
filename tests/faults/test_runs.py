"""Whole runs with a fault each: kills in every step, full disks, machines that lack something.

    pytest -m slow tests/faults/test_runs.py

prints a table of what came out. After each fault every file of the output folder opens, and the
same command then gives the results of a run that nothing disturbed.
"""

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bids_anomaly.exceptions import ExitCode

pytestmark = pytest.mark.slow

# What a user is told to do on, by exit code.
TOLD = {
    ExitCode.CANNOT_WRITE: ("space", "rights"),
    ExitCode.TEMPORARY: ("memory", "again", "Wait until"),
}
AT_MOST_S = 300


def differing(found: dict, whole: dict) -> list[str]:
    """Name the files of a run that are not as in one that nothing disturbed.

    The record of a session may say which of its steps failed.
    """
    return sorted(
        name
        for name, held in found.items()
        if whole.get(name)
        != ({**held, "failed_steps": []} if name.endswith("_report.json") else held)
    )


def steps_of(work: Path) -> list[Path]:
    """List the folders of steps below a work folder, in the order in which they were done."""
    made = sorted(work.rglob("made.json"), key=lambda path: path.stat().st_mtime_ns)
    return [path.parent.relative_to(work) for path in made]


def seconds_of(step: Path) -> float:
    """Return how long a step took."""
    times = [(step / name).stat().st_mtime for name in ("_inputs.pklz", "made.json")]
    return times[1] - times[0]


def has_begun(step: Path, since: float) -> bool:
    """Tell whether Nipype has begun a step; it notes so in a file that it renames at the end."""
    try:
        return any(path.stat().st_mtime > since for path in step.glob("_0x*_unfinished.json"))
    except FileNotFoundError:
        return False


def is_alive(group: int) -> bool:
    """Tell whether any process of a group still runs."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended meanwhile
            continue
        if int(of_group) == group and state != "Z":
            return True
    return False


def wait_until(happens: Callable[[], bool], *, at_most: float) -> bool:
    """Look often until something happens; tell whether it did."""
    deadline = time.monotonic() + at_most
    while time.monotonic() < deadline:
        if happens():
            return True
        time.sleep(0.001)
    return happens()


def kill_all(process: subprocess.Popen) -> int:
    """End all processes at once, as a cluster does at the end of the time limit."""
    os.killpg(process.pid, signal.SIGKILL)
    return -signal.SIGKILL


def kill_first(process: subprocess.Popen) -> int:
    """End the first process alone, as the system does that runs out of memory."""
    process.kill()
    process.wait()
    return -signal.SIGKILL


def terminate(process: subprocess.Popen) -> int:
    """Ask the first process to end, as ``kill``, docker and SLURM do."""
    process.terminate()
    return ExitCode.TERMINATED


@pytest.mark.parametrize(("stop", "every"), [(kill_all, 1), (kill_first, 5), (terminate, 3)])
def test_a_run_that_is_stopped_in_steps_in_turn(stop, every, small_run, undisturbed, tell):
    whole = undisturbed.results()
    steps = steps_of(undisturbed.work)
    assert len(steps) >= 10
    steps = steps[::every]
    hit = 0
    for step in steps:
        took = seconds_of(undisturbed.work / step)
        since = time.time()
        process = small_run.start()
        folder = small_run.work / step

        def begun_or_over(folder=folder, since=since, process=process) -> bool:
            return has_begun(folder, since) or process.poll() is not None

        wait_until(begun_or_over, at_most=AT_MOST_S)
        assert process.poll() is None, (step, small_run.end(process).printed)
        time.sleep(took / 3)
        hit += has_begun(folder, since)
        code = stop(process)
        ended = small_run.end(process) if stop is terminate else None
        assert process.wait() == code, ended
        assert wait_until(lambda group=process.pid: not is_alive(group), at_most=10), step
        assert not differing(small_run.results(), whole), step
        if ended:
            assert "Traceback" not in ended.printed, ended.printed
    ended = small_run()
    assert ended.code == 0, ended.printed
    assert small_run.results() == whole
    tell(f"{len(steps)} kills, {hit} of them while the step ran; same results")
    assert hit >= len(steps) - 1


SHARES = (0.1, 0.5, 0.9)


def kilobytes(folder: Path) -> int:
    """Return what a folder takes on a disk of pages of 4 kB."""
    return sum(4 * (1 + path.stat().st_size // 4096) for path in folder.rglob("*"))


def check_told(ended, code: int = ExitCode.CANNOT_WRITE) -> None:
    """Hold that a run ended with a code and a sentence that says what to do."""
    assert ended.code == code, ended.printed
    assert "Traceback" not in ended.printed, ended.printed
    assert any(word in ended.printed for word in TOLD[code]), ended.printed


@pytest.mark.parametrize("place", ["out", "work"])
def test_a_disk_that_fills_up(place, small_run, undisturbed, small_disk, tell):
    whole = undisturbed.results()
    needed = kilobytes(getattr(undisturbed, place))
    disk = getattr(small_run, place)
    for share in SHARES:
        small_disk(disk, f"size={int(share * needed)}k")
        check_told(small_run())
        assert not differing(small_run.results(), whole)
    small_disk(disk, f"size={4 * needed}k")
    ended = small_run()
    assert ended.code == 0, ended.printed
    assert small_run.results() == whole
    tell(f"full at {', '.join(f'{share:.0%}' for share in SHARES)}: told, 73; same results")


def test_a_folder_for_temporary_files_that_fills_up(
    small_run, undisturbed, small_disk, tmp_path, tell
):
    small_run.environment["TMPDIR"] = str(tmp_path / "temporary")
    small_disk(tmp_path / "temporary", "size=4k")
    (tmp_path / "temporary" / "of others").write_bytes(bytes(4000))
    ended = small_run()
    if ended.code:
        check_told(ended)
        assert not differing(small_run.results(), undisturbed.results())
        small_disk(tmp_path / "temporary", "size=100m")
        again = small_run()
        assert again.code == 0, again.printed
    assert small_run.results() == undisturbed.results()
    tell(f"{ended.code}; same results")


def test_an_output_folder_that_becomes_read_only(small_run, undisturbed, small_disk, tell):
    small_disk(small_run.out, "size=100m")
    process = small_run.start()
    assert wait_until(lambda: bool(steps_of(small_run.work)), at_most=AT_MOST_S)
    small_disk(small_run.out, "ro")
    check_told(small_run.end(process))
    assert not differing(small_run.results(), undisturbed.results())
    small_disk(small_run.out, "rw")
    ended = small_run()
    assert ended.code == 0, ended.printed
    assert small_run.results() == undisturbed.results()
    tell("told, 73; same results")


@pytest.fixture(scope="session")
def shim(tmp_path_factory) -> Path:
    """A library that lets the file system of a folder lack what some have."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler on this machine")
    library = tmp_path_factory.mktemp("shim") / "filesystem.so"
    source = Path(__file__).with_name("filesystem.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


@pytest.mark.parametrize("place", ["out", "work"])
def test_a_quota(place, small_run, undisturbed, shim, tell):
    folder = getattr(undisturbed, place)
    sizes = sorted(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    faults = {"LD_PRELOAD": str(shim), "FAULT": "quota"}
    faults["FAULT_FOLDER"] = str(getattr(small_run, place))
    for size in (sizes[-3] - 1, sizes[-9] - 1):
        small_run.environment = faults | {"FAULT_BYTES": str(size)}
        check_told(small_run())
        assert not differing(small_run.results(), undisturbed.results())
    small_run.environment = {}
    ended = small_run()
    assert ended.code == 0, ended.printed
    assert small_run.results() == undisturbed.results()
    tell("told, 73; same results")


@pytest.mark.parametrize("place", ["out", "work"])
def test_a_file_system_without_renaming_over_links_and_locks(
    place, small_run, undisturbed, shim, tell
):
    small_run.environment = {"LD_PRELOAD": str(shim), "FAULT": "plain"}
    small_run.environment["FAULT_FOLDER"] = str(getattr(small_run, place))
    for _ in range(2):
        ended = small_run()
        assert ended.code == 0, ended.printed
        assert small_run.results() == undisturbed.results()
    tell("same results, twice")


LACKING = {
    "network": ("unshare", "--net", "--"),
    "more than one CPU": ("taskset", "--cpu-list", "0"),
    "/dev/shm": (
        *("unshare", "--mount", "--", "sh", "-c"),
        'mount -t tmpfs -o ro none /dev/shm && exec "$@"',
        "sh",
    ),
}


@pytest.mark.parametrize("lacking", LACKING)
def test_a_machine_without(lacking, small_run, undisturbed, tell):
    small_run.before = LACKING[lacking]
    probe = subprocess.run([*small_run.before, "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"this machine does not let anybody do so: {probe.stderr}")
    ended = small_run()
    if lacking == "/dev/shm":
        check_told(ended, ExitCode.TEMPORARY)
        tell("told, 75")
        return
    assert ended.code == 0, ended.printed
    assert small_run.results() == undisturbed.results()
    tell("same results")


SURROUNDINGS = {
    "no HOME": {"HOME": None, "USER": None, "LOGNAME": None},
    "a HOME that cannot be made": {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": None},
    "locale C": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "an empty environment but for PATH": {name: None for name in os.environ if name != "PATH"},
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_a_run_in_odd_surroundings(surroundings, small_run, undisturbed, tell):
    small_run.environment = SURROUNDINGS[surroundings]
    ended = small_run()
    assert ended.code == 0, ended.printed
    assert small_run.results() == undisturbed.results()
    tell("same results")


def test_files_that_only_their_owner_may_read(small_run, undisturbed, tell):
    ended = small_run(preexec_fn=lambda: os.umask(0o077))
    assert ended.code == 0, ended.printed
    assert small_run.results() == undisturbed.results()
    modes = {path.stat().st_mode & 0o077 for path in small_run.out.rglob("*")}
    assert modes == {0}
    tell("same results, for nobody else")


def test_modules_of_others_on_the_python_path(small_run, undisturbed, tmp_path, tell):
    others = tmp_path / "others"
    others.mkdir()
    for name in (
        "data", "utils", "config", "models", "base", "settings", "main", "cli", "tests",
        "bids_utils", "sitecustomize", "usercustomize", "interfaces", "workflows", "conftest",
    ):  # fmt: skip
        (others / f"{name}.py").write_text("raise RuntimeError('of others')\n")
    small_run.environment = {"PYTHONPATH": str(others)}
    ended = small_run()
    assert ended.code == 0, ended.printed
    assert small_run.results() == undisturbed.results()
    tell("same results")


@pytest.mark.parametrize("gigabytes", [1, 2, 3, 4])
def test_a_limit_of_the_address_space(gigabytes, small_run, undisturbed, tell):
    limit = gigabytes * 1024**3
    # The validator reserves 64 GB; see tests/bids/test_validation.py.
    small_run.arguments = (*small_run.arguments, "--skip-bids-validation")
    ended = small_run(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    if ended.code:
        check_told(ended, ExitCode.TEMPORARY)
        assert not differing(small_run.results(), undisturbed.results())
        tell(f"told, 75: {ended.last_line}")
        return
    assert small_run.results() == undisturbed.results()
    tell("same results")


def test_eight_runs_at_once_into_one_output_folder(small_run, undisturbed, tmp_path, tell):
    runs = [
        replace(small_run, work=tmp_path / f"work{number}", scratch=tmp_path / f"{number}")
        for number in range(8)
    ]
    processes = [run.start() for run in runs]
    for run, process in zip(runs, processes, strict=True):
        ended = run.end(process)
        assert ended.code == 0, ended.printed
    assert small_run.results() == undisturbed.results()
    tell("8 times 0; same results")


def test_eight_runs_at_once_with_one_work_folder(small_run, undisturbed, tmp_path, tell):
    runs = [replace(small_run, scratch=tmp_path / f"{number}") for number in range(8)]
    processes = [run.start() for run in runs]
    ends = [run.end(process) for run, process in zip(runs, processes, strict=True)]
    for ended in ends:
        if ended.code:
            check_told(ended, ExitCode.TEMPORARY)
    codes = sorted(ended.code for ended in ends)
    assert codes == [0] + 7 * [ExitCode.TEMPORARY]
    assert small_run.results() == undisturbed.results()
    tell("one run does it, the others are told, 75; same results")
