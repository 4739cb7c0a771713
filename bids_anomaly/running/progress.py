"""What happens during a run: progress on a terminal, a log and the failures of each session."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bids_anomaly.exceptions import ExitCode
from bids_anomaly.interfaces.records import FAILURE_FILE, read_peak_memory, read_warnings
from bids_anomaly.reports.runs import STEPS_COLUMNS, steps_path
from bids_anomaly.running.processes import KILLED

KILLED_MESSAGE = (
    "The process of the step ended unexpectedly, most often for lack of memory. Run again with "
    "fewer --nprocs or more memory; what is done is kept."
)


@dataclass(frozen=True)
class FailedStep:
    """A node that failed.

    Attributes
    ----------
    step : str
        Its name, in words.
    code : int
        Exit code of this kind of failure.
    message : str
        What went wrong and what to do.
    details : str
        The text of the crash file, or the traceback if there is none.
    crash_file : Path or None
        Where it is.
    """

    step: str
    code: int
    message: str
    details: str
    crash_file: Path | None


class RunProgress:
    """Listens to Nipype's status callback.

    Parameters
    ----------
    labels : mapping
        Session labels by the name of their workflow.
    steps : Counter
        Number of nodes of each session's workflow.
    log_folder : Path
        Gets a log and a table of steps a session.
    console : rich.console.Console
        Where progress is shown: a bar on a terminal, elsewhere a line for each step.
    names : mapping, optional
        BIDS names of scans by how they stand in names of nodes, which have no hyphens.
    """

    def __init__(
        self,
        labels: Mapping[str, str],
        steps: Counter,
        log_folder: Path,
        console: Console,
        names: Mapping[str, str] | None = None,
    ):
        self.failures: dict[str, list[FailedStep]] = {}
        self.executed = 0
        self.labels = labels
        self.steps = sum(steps.values())
        self.done_before = Counter()
        self._names = names or {}
        self._waiting = Counter(steps)
        self._began: set[str] = set()
        self._started: dict[str, float] = {}
        self._log_folder = log_folder
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("steps", total=self.steps)

    @property
    def not_run(self) -> list[str]:
        """Sessions, by the name of their workflow, of which no step failed but some did not run."""
        return [name for name in self.labels if self._waiting[name] and name not in self.failures]

    def __enter__(self) -> "RunProgress":
        """Show the progress bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the progress bar away."""
        self._bar.stop()

    def __call__(self, node, status: str) -> None:
        """Take note that a node started, ended or failed (``exception``)."""
        if is_plumbing(node) and status != "exception":
            return
        session = session_of(node)
        step = in_words(node, self._names)
        label = self.labels.get(session, session)
        if status == "start":
            self._started[node.fullname] = time.monotonic()
            self._say_what_was_done(session, label)
            self._bar.update(self._task, description=f"{label}: {step}")
            return
        seconds = None
        if node.fullname in self._started:
            seconds = time.monotonic() - self._started.pop(node.fullname)
            self.executed += 1
        if status == "exception":
            failure = failed_step(node, step)
            self.failures.setdefault(session, []).append(failure)
            self._console.print(
                f"{label}: {step} failed: {failure.message}", style="red", markup=False
            )
            self._log(label, f"FAILED {step}: {failure.message}")
        elif seconds is None:
            self.done_before[session] += 1
            self._log(label, f"{step}: done before")
        else:
            if not self._console.is_terminal:
                self._console.print(f"{label}: {step}: {seconds:.1f} s", markup=False)
            self._log(label, f"{step}: {seconds:.1f} s")
            self._note_usage(label, step, seconds, read_peak_memory(Path(node.output_dir())))
        for warning in read_warnings(Path(node.output_dir())) if status == "end" else ():
            self._console.print(f"{label}: warning: {warning}", style="yellow", markup=False)
            self._log(label, f"WARNING {warning}")
        self._bar.advance(self._task)
        self._waiting[session] -= 1
        if self._waiting[session] == 0 and session not in self.failures:
            before = "" if session in self._began else " before"
            self._console.print(f"{label}: done{before}", markup=False)

    def _say_what_was_done(self, session: str, label: str) -> None:
        """Say before the first step of a session how many of an earlier run it goes on from."""
        if session not in self._began and self.done_before[session]:
            self._console.print(
                f"{label}: {self.done_before[session]} steps were done before; going on from there",
                markup=False,
            )
        self._began.add(session)

    def _note_usage(self, label: str, step: str, seconds: float, memory_mb: float | None) -> None:
        path = steps_path(self._log_folder, label)
        header = "" if path.exists() else "\t".join(STEPS_COLUMNS) + "\n"
        memory = "n/a" if memory_mb is None else f"{memory_mb:.0f}"
        _append(path, f"{header}{step}\t{seconds:.1f}\t{memory}\n")

    def _log(self, label: str, line: str) -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        _append(self._log_folder / f"{label}.log", f"{stamp} {line}\n")


def _append(path: Path, text: str) -> None:
    # A disk that is too full for a log is not too full for every result; those say it themselves.
    with suppress(OSError), path.open("a", encoding="utf-8") as file:
        file.write(text)


def session_of(node) -> str:
    """Return the name of the session's workflow that a node belongs to."""
    return node.fullname.split(".")[1]


def in_words(node, names: Mapping[str, str]) -> str:
    """Return what a node does, such as ``extract brain (preprocess sub-01_T1w)``.

    Parameters
    ----------
    node : nipype.pipeline.engine.Node
        Of a graph.
    names : mapping
        BIDS names by how they stand in names of nodes.
    """
    parents = node.fullname.split(".")[2:-1]
    words = _with_names(node.name, names)
    if not parents:
        return words
    return f"{words} ({' '.join(_with_names(one.removesuffix('_wf'), names) for one in parents)})"


def _with_names(words: str, names: Mapping[str, str]) -> str:
    """Put spaces between words, and the hyphens back into a BIDS name at their end."""
    for written in sorted(names, key=len, reverse=True):
        if words == written or words.endswith(f"_{written}"):
            return words.removesuffix(written).replace("_", " ") + names[written]
    return words.replace("_", " ")


def is_plumbing(node) -> bool:
    """Return whether a node only hands files on."""
    return type(node.interface).__name__ in ("IdentityInterface", "Merge")


def failed_step(node, step: str) -> FailedStep:
    """Read why a node failed from what it left in its folder, and from its crash file."""
    traceback = getattr(node, "_traceback", None) or []
    trace = "".join(traceback) if isinstance(traceback, list) else str(traceback)
    written = getattr(node, "_crash_file", None)
    crash_file, details = None, trace
    if written:
        with suppress(OSError):
            details = Path(written).read_text(encoding="utf-8", errors="replace")
            crash_file = Path(written)
    try:
        record = json.loads((Path(node.output_dir()) / FAILURE_FILE).read_text())
    except (OSError, json.JSONDecodeError):
        if KILLED in trace:
            code, message = ExitCode.TEMPORARY, KILLED_MESSAGE
        else:
            message = trace.strip().rsplit("\n", 1)[-1] or "unknown error"
            code = ExitCode.INTERNAL
        return FailedStep(step, int(code), message, details, crash_file)
    return FailedStep(step, record["code"], record["message"], details, crash_file)
