"""A whole run of a small participant, which faults are put into, and the table of what came out.

The table stands at the end of what pytest prints.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

COMMAND = (sys.executable, "-m", "bids_anomaly.cli.main")
# The smallest whole run: no network but that of no image, one space, and a brain that is known.
CHEAPEST = (
    *("--model", "threshold", "--modalities", "T1w", "--brain-extraction", "none"),
    *("--output-spaces", "native", "--nprocs", "1", "--omp-nthreads", "1"),
)
TIMEOUT_S = 600
RESULT = "what came out"


def pytest_terminal_summary(terminalreporter) -> None:
    """Print what became of each run with a fault, as a table."""
    rows = [
        (report.nodeid.partition("::")[2], report.outcome, dict(report.user_properties)[RESULT])
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call" and RESULT in dict(report.user_properties)
    ]
    if rows:
        terminalreporter.section("runs with faults")
        terminalreporter.write_line("| fault | test | what came out |\n| --- | --- | --- |")
        for row in rows:
            terminalreporter.write_line("| " + " | ".join(row) + " |")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    printed: str

    @property
    def last_line(self) -> str:
        """What a user sees last."""
        return (self.printed.strip().splitlines() or [""])[-1]


@dataclass
class SmallRun:
    """The command of a small participant, in folders of its own, that can be started again."""

    bids: Path
    out: Path
    work: Path
    scratch: Path
    arguments: Sequence[str] = CHEAPEST
    before: Sequence[str] = ()
    environment: dict[str, str | None] = field(default_factory=dict)

    def start(self, *, preexec_fn: Callable | None = None) -> subprocess.Popen:
        """Start the command in a process group of its own."""
        environment = {**os.environ, **self.environment}
        self.scratch.mkdir(exist_ok=True)
        with self._printed.open("w") as printed:
            return subprocess.Popen(
                [
                    *self.before, *COMMAND, str(self.bids), str(self.out), "participant",
                    *("-w", str(self.work)), *self.arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                cwd=self.scratch,
                env={name: value for name, value in environment.items() if value is not None},
                start_new_session=True,
                preexec_fn=preexec_fn,
            )  # fmt: skip

    def end(self, process: subprocess.Popen) -> Ended:
        """Wait for the end; kill what hangs."""
        try:
            code = process.wait(TIMEOUT_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return Ended(code, self._printed.read_text(errors="replace"))

    def __call__(self, **options) -> Ended:
        """Run the command to its end."""
        return self.end(self.start(**options))

    def results(self) -> dict[str, object]:
        """Open every file of the output folder, and return what results hold.

        What is half-written fails here. Pages and logs tell of a run and differ from one to
        another; hidden files are not whole yet, which their names say.
        """
        found: dict[str, object] = {}
        for path in sorted(self.out.rglob("*")):
            name = path.relative_to(self.out).as_posix()
            if not path.is_file() or path.name.startswith(".") or name.startswith("logs/"):
                continue
            if name.endswith(".nii.gz"):
                image = nib.load(path)
                found[name] = (image.affine.tobytes(), np.asanyarray(image.dataobj).tobytes())
            elif name.endswith(".json"):
                found[name] = json.loads(path.read_text())
            elif name.endswith(".html"):
                assert path.read_text().rstrip().endswith("</html>"), name
                found[name] = "a page"
            else:
                assert path.stat().st_size > 0, name
                found[name] = path.read_bytes()
        for path in self.out.glob("logs/*/*.json"):
            json.loads(path.read_text())
        return found

    @property
    def _printed(self) -> Path:
        return self.scratch / "printed.txt"


@pytest.fixture(scope="session")
def small_person(tmp_path_factory, stripped_brain, write_dataset) -> Path:
    """A dataset of one person with a stripped T1w of 4 mm."""
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-82, -122, -78]
    scan = stripped_brain("T1w", 1, ((42, 52, 44), affine))
    return write_dataset(tmp_path_factory.mktemp("small") / "bids", {"sub-01_T1w": scan})


@pytest.fixture(scope="session")
def undisturbed(small_person, tmp_path_factory) -> SmallRun:
    """The run without a fault. Tests leave its folders as they are."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run = SmallRun(small_person, folder / "out", folder / "work", folder / "scratch")
    ended = run()
    assert ended.code == 0, ended.printed
    return run


@pytest.fixture
def small_run(small_person, tmp_path) -> SmallRun:
    """A run in fresh folders."""
    return SmallRun(small_person, tmp_path / "out", tmp_path / "work", tmp_path / "scratch")


@pytest.fixture
def tell(record_property) -> Callable[[str], None]:
    """Give a function that puts what came out of a fault into the table."""
    return lambda text: record_property(RESULT, text)


@pytest.fixture
def small_disk():
    """Give a function that mounts a file system in memory, or mounts it again, with options."""
    mounted: list[Path] = []

    def mount(folder: Path, options: str) -> None:
        folder.mkdir(exist_ok=True, parents=True)
        again = "remount," if folder in mounted else ""
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", again + options, "tmpfs", folder],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount
    for folder in set(mounted):
        subprocess.run(["umount", "--lazy", folder], check=True)
