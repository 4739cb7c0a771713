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
