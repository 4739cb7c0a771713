import subprocess
import sys

import pytest

# What a worker of a run sees, as Nipype starts it.
PROGRAM = """
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bids_anomaly.cli.execution import prepare_environment

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    prepare_environment(
        configuration_folder=folder, crash_folder=folder, threads=1, device=sys.argv[2],
        stop_on_first_crash=False, verbosity=0,
    )
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
        [sys.executable, tmp_path / "program.py", tmp_path, device],
        env=environ,
        capture_output=True,
        text=True,
    )
    assert finished.stdout == f"{seen}\n", finished.stderr


IN_TURN = """
import sys
from pathlib import Path

from bids_anomaly.cli.execution import prepare_environment, run_workflow

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    prepare_environment(
        configuration_folder=folder, crash_folder=folder, threads=1, device="cpu",
        stop_on_first_crash=False, verbosity=0,
    )
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
""".replace("ABSOLUTE", repr("def absolute(value):\n    return abs(value)\n"))


def test_one_session_is_finished_before_the_next_is_begun(tmp_path):
    (tmp_path / "program.py").write_text(IN_TURN)
    finished = subprocess.run(
        [sys.executable, tmp_path / "program.py", tmp_path],
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
    )
    nodes = [line for line in finished.stdout.splitlines() if line.startswith("run_wf.")]
    assert nodes == [
        f"run_wf.sub_0{person}_wf.{name}" for person in (1, 2, 3) for name in ("first", "second")
    ], finished.stderr
