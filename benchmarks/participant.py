"""Measure time, CPU and memory of each step of the participant level.

Runs the real command in fresh folders and prints a markdown table::

    python benchmarks/participant.py BIDS_DIR --participant-label 01 -- --modalities T1w

Every 50 ms all processes of the run are read from ``/proc`` (Linux only). What a process does is
known from its working folder, which is that of the step it runs. Memory is the proportional set
size, which counts shared pages once; a worker that waits, with what it keeps from earlier steps,
counts as a process that starts, plans and hands on.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bids_anomaly import __version__

PERIOD_S = 0.05
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
OTHER = "start, plan, hand on"


class Process(NamedTuple):
    """One process at one moment."""

    pid: int
    parent: int
    started: int
    cpu_s: float


@dataclass
class Usage:
    """What a step used so far.

    Attributes
    ----------
    wall_s, cpu_s : float
        From its first to its last sample, and of all its threads.
    peak_mb : float
        Most memory of all its processes together.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0


class Observer:
    """Adds up what the processes of a run use, by step.

    Parameters
    ----------
    root : int
        Process of the command.
    work : Path
        Work folder of the run.
    """

    def __init__(self, root: int, work: Path):
        self.steps: dict[str, Usage] = defaultdict(Usage)
        self.total = Usage()
        self._root = root
        self._work = work.resolve()
        self._cpu_s: dict[tuple[int, int], float] = {}
        self._last = time.monotonic()

    def look(self) -> None:
        """Take one sample."""
        now = time.monotonic()
        elapsed, self._last = now - self._last, now
        memory: dict[str, float] = defaultdict(float)
        for process in descendants(self._root, read_processes()):
            step = self._step_of(process.pid)
            key = (process.pid, process.started)
            used = process.cpu_s - self._cpu_s.get(key, 0.0)
            self._cpu_s[key] = process.cpu_s
            self.steps[step].cpu_s += used
            self.total.cpu_s += used
            memory[step] += read_memory_mb(process.pid)
        running = [step for step in memory if step != OTHER] or [OTHER]
        for step in running:
            self.steps[step].wall_s += elapsed
        self.total.wall_s += elapsed
        for step, size in memory.items():
            self.steps[step].peak_mb = max(self.steps[step].peak_mb, size)
        self.total.peak_mb = max(self.total.peak_mb, sum(memory.values()))

    def _step_of(self, pid: int) -> str:
        """Return the step that a process works on, such as ``reorient (preprocess sub 01 T1w)``."""
        try:
            folder = Path(os.readlink(f"/proc/{pid}/cwd")).relative_to(self._work)
        except (OSError, ValueError):
            return OTHER
        # The folder of a step is RUN_wf/SESSION_wf/[PART_wf/]STEP.
        if len(folder.parts) < 3:
            return OTHER
        *_, part, step = folder.parts
        return f"{step} ({part.removesuffix('_wf')})".replace("_", " ")


def read_processes() -> Iterator[Process]:
    """Yield all processes of the machine."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            text = Path("/proc", name, "stat").read_text()
        except OSError:
            continue
        # The name of the program stands in parentheses and may hold spaces.
        fields = text.rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        yield Process(int(name), int(fields[1]), int(fields[19]), ticks / TICKS_A_SECOND)


def descendants(root: int, processes: Iterable[Process]) -> list[Process]:
    """Return a process and all below it."""
    children: dict[int, list[Process]] = defaultdict(list)
    found = []
    for process in processes:
        children[process.parent].append(process)
        if process.pid == root:
            found.append(process)
    for process in found:
        found.extend(children[process.pid])
    return found


def read_memory_mb(pid: int) -> float:
    """Read the proportional set size of a process in MB; 0 if it has just ended."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        return 0.0
    return 0.0


def run(arguments: Sequence[str], work: Path) -> tuple[int, Observer]:
    """Run the command and watch it; return its exit code and what was seen."""
    command = subprocess.Popen([sys.executable, "-m", "bids_anomaly.cli.main", *arguments])
    observer = Observer(command.pid, work)
    while command.poll() is None:
        observer.look()
        time.sleep(PERIOD_S)
    return command.returncode, observer


def describe_machine() -> str:
    """Say what the machine is, and how busy it was before."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return (
        f"{len(os.sched_getaffinity(0))} cores ({models[0] if models else platform.machine()}), "
        f"{gigabytes:.0f} GB, load before the run {os.getloadavg()[0]:.1f}"
    )


def describe_run(out: Path) -> str:
    """Say which models and settings a run had, from its own record."""
    record = json.loads(next(out.glob("logs/*/run.json")).read_text())
    models = ", ".join(f"{name} {model['version']}" for name, model in record["models"].items())
    settings = record["settings"]
    return (
        f"models {models}; {record['device']}, --nprocs {settings['nprocs']} --omp-nthreads "
        f"{settings['omp_nthreads']}"
    )


def table(observer: Observer) -> str:
    """Write what was seen as a markdown table, in the order in which steps began."""
    rows = [
        "| step | wall-clock (s) | CPU (s) | peak memory (MB) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, usage in (*observer.steps.items(), ("**all**", observer.total)):
        rows.append(f"| {name} | {usage.wall_s:.1f} | {usage.cpu_s:.1f} | {usage.peak_mb:.0f} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bids_dir", metavar="BIDS_DIR", type=Path)
    parser.add_argument("--participant-label", nargs="+", default=[], metavar="LABEL")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    asked, extra = parser.parse_args(sys.argv[1:end]), sys.argv[end + 1 :]
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="bids-anomaly-benchmark-") as folder:
        out, work = Path(folder, "out"), Path(folder, "work")
        arguments = [str(asked.bids_dir), str(out), "participant", "-w", str(work)]
        if asked.participant_label:
            arguments += ["--participant-label", *asked.participant_label]
        code, observer = run([*arguments, *extra], work)
        print(f"bids-anomaly {__version__}; {machine}")
        if code == 0:
            print(describe_run(out))
        print(f"\n{table(observer)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
