"""Steps that are killed, or whose files are damaged afterwards, are done again; others are not.

The steps run one after another in a process that is forked for each run, so that a kill at any
moment of any step is cheap. What they are made of is that of the app: its base class of steps, its
ways to write, and what it does before Nipype looks for what is done.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nipype import Node, Workflow
from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, traits

from bids_anomaly.bids.naming import sidecar_path
from bids_anomaly.bids.writing import replacing, write_image, write_json
from bids_anomaly.cli.main import report_errors
from bids_anomaly.exceptions import ExitCode
from bids_anomaly.interfaces.base import StepInterface, save_image
from bids_anomaly.interfaces.preprocessing import Reorient
from bids_anomaly.interfaces.records import record_written
from bids_anomaly.preprocessing.images import load_nifti
from bids_anomaly.running.workfolder import forget_lost_outputs

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")

STEPS = ("reorient", "scale", "write")
PLACES = ("before", "half", "after")


class Moment:
    """Where the next run is stopped, and by which signal."""

    step = place = sent = None

    @classmethod
    def comes(cls, step: str, place: str) -> None:
        """Stop the process if this is it."""
        if (cls.step, cls.place) == (step, place):
            os.kill(os.getpid(), cls.sent)
            time.sleep(10)


def leave_half(image: nib.Nifti1Image, path: Path, step: str) -> None:
    """Write half of a file and be stopped, if that is the moment."""
    if (Moment.step, Moment.place) == (step, "half"):
        image.to_filename(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        Moment.comes(step, "half")


class StoppedReorient(Reorient):
    """Reorients a scan."""

    def _step(self, folder: Path) -> dict:
        Moment.comes("reorient", "before")
        leave_half(nib.load(self.inputs.in_file), folder / "reoriented.nii.gz", "reorient")
        done = super()._step(folder)
        Moment.comes("reorient", "after")
        return done


class _ScaleInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True)


class _ScaleOutput(TraitedSpec):
    out_file = File(exists=True)
    level = File(exists=True)


class Scale(StepInterface):
    """Divides a scan by its maximum, which it notes."""

    input_spec = _ScaleInput
    output_spec = _ScaleOutput

    def _step(self, folder: Path) -> dict:
        Moment.comes("scale", "before")
        scan = load_nifti(self.inputs.in_file)
        values = scan.get_fdata(dtype=np.float32)
        scaled = nib.Nifti1Image(values / values.max(), scan.affine)
        leave_half(scaled, folder / "scaled.nii.gz", "scale")
        write_json(folder / "level.json", {"level": float(values.max())})
        done = save_image(scaled, folder / "scaled.nii.gz")
        Moment.comes("scale", "after")
        return {"out_file": done, "level": str(folder / "level.json")}


class _WriteInput(_ScaleInput):
    level = File(exists=True, mandatory=True)
    output_dir = traits.Directory(mandatory=True, nohash=True)


class _WriteOutput(TraitedSpec):
    written = traits.List(traits.Str())


class Write(StepInterface):
    """Writes a scan and its sidecar to the output folder."""

    input_spec = _WriteInput
    output_spec = _WriteOutput

    def _step(self, folder: Path) -> dict:
        Moment.comes("write", "before")
        path = Path(self.inputs.output_dir) / "sub-01_T1w.nii.gz"
        scan = load_nifti(self.inputs.in_file)
        level = json.loads(Path(self.inputs.level).read_text())
        if (Moment.step, Moment.place) == ("write", "half"):
            write_json(sidecar_path(path), level)
            with replacing(path) as temporary:
                leave_half(scan, temporary, "write")
        write_image(path, scan, level)
        Moment.comes("write", "after")
        return {"written": record_written(folder, [path])}


def workflow_of(scan: Path, folder: Path) -> Workflow:
    steps = Workflow("session_wf", base_dir=folder / "work")
    steps.config["execution"] = {
        "hash_method": "content",
        "remove_unnecessary_outputs": "false",
        "create_report": "false",
        "crashdump_dir": str(folder),
        "check_version": "false",
    }
    reorient = Node(StoppedReorient(in_file=str(scan), fingerprint="1"), name="reorient")
    scale = Node(Scale(), name="scale")
    write = Node(Write(output_dir=str(folder / "out")), name="write")
    steps.connect(reorient, "out_file", scale, "in_file")
    steps.connect([(scale, write, [("out_file", "in_file"), ("level", "level")])])
    return steps


def run(scan: Path, folder: Path, step: str = "", place: str = "", sent: int = 0) -> int:
    """Run the steps in a process of their own; return its exit code, negative for a signal."""
    (folder / "out").mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if not child:
        code = ExitCode.INTERNAL
        try:
            Moment.step, Moment.place, Moment.sent = step, place, sent

            def action() -> ExitCode:
                forget_lost_outputs(folder / "work" / "session_wf")
                workflow_of(scan, folder).run(plugin="Linear")
                return ExitCode.OK

            with (folder / "stderr.txt").open("w") as sys.stderr:
                code = report_errors("command", action)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> Path:
    random = np.random.default_rng(0)
    distance = np.linalg.norm(np.moveaxis(np.indices((24, 24, 24)), 0, -1) - 11.5, axis=-1)
    values = (np.where(distance < 8, 800, 0) + random.integers(0, 20, (24, 24, 24))).astype("i2")
    image = nib.Nifti1Image(values, np.diag([4.0, 4.0, 4.0, 1.0]))
    image.set_qform(image.affine, 1)
    path = tmp_path_factory.mktemp("scan") / "sub-01_T1w.nii.gz"
    image.to_filename(path)
    return path


@pytest.fixture(scope="module")
def undisturbed(scan, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run(scan, folder) == 0, (folder / "stderr.txt").read_text()
    return folder


def outputs(folder: Path) -> dict[str, object]:
    """Open every image and sidecar of the output folder; what is half-written fails here."""
    found: dict[str, object] = {}
    for path in (folder / "out").glob("[!.]*"):
        if path.suffix == ".json":
            found[path.name] = json.loads(path.read_text())
        else:
            found[path.name] = nib.load(path).get_fdata().tobytes()
    return found


def done_before(folder: Path) -> dict[str, int]:
    """Return when each step was done."""
    nodes = (folder / "work" / "session_wf").glob("*/_0x*.json")
    return {
        path.parent.name: path.stat().st_mtime_ns for path in nodes if "unfinished" not in path.name
    }


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_is_stopped_anywhere_goes_on_to_the_same_results(
    step, place, scan, undisturbed, tmp_path
):
    assert run(scan, tmp_path, step, place, signal.SIGKILL) == -signal.SIGKILL
    between = outputs(tmp_path)
    whole = outputs(undisturbed)
    assert between.items() <= whole.items()
    before = done_before(tmp_path)
    assert set(before) == set(STEPS[: STEPS.index(step)])
    assert run(scan, tmp_path) == 0, (tmp_path / "stderr.txt").read_text()
    assert outputs(tmp_path) == whole
    after = done_before(tmp_path)
    assert {name: after[name] for name in before} == before


def files_of_steps(folder: Path) -> list[str]:
    work = folder / "work"
    names = (path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file())
    return sorted(
        name for name in names
        if name.endswith((".gz", ".json", ".pklz")) and "/_" not in name
        and "peak_memory" not in name
    )  # fmt: skip


def test_whatever_file_of_a_step_is_damaged_the_results_are_the_same(scan, undisturbed, tmp_path):
    assert run(scan, tmp_path) == 0
    names = files_of_steps(tmp_path)
    assert len(names) >= 10
    for number, name in enumerate(names):
        path = tmp_path / "work" / name
        path.write_bytes(path.read_bytes()[:-4] if number % 2 else b"")
        (tmp_path / "out" / "sub-01_T1w.nii.gz").unlink()
        assert run(scan, tmp_path) == 0, (name, (tmp_path / "stderr.txt").read_text())
        assert outputs(tmp_path) == outputs(undisturbed), name
        assert files_of_steps(tmp_path) == names
