"""SLURM is played by small programs that do what it does: run the script, and tell of it."""

import os
import stat
import subprocess
import sys

import pytest

SBATCH = """#!/bin/sh
echo "$@" >> "$SPOOL/submitted"
for script; do :; done
case "$*" in *"$SPOOL_KILLS"*) ;; *) bash "$script" >/dev/null 2>&1 ;; esac
echo "Submitted batch job $(wc -l < "$SPOOL/submitted")"
"""
SQUEUE = "#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1\n"
PROGRAM = """
import json
import sys
from pathlib import Path

from bids_anomaly.cli import execution

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    execution.CLUSTER_POLL_S = 0.1
    execution.prepare_environment(threads=1, device="cpu")
    execution.configure_nipype(folder, stop_on_first_crash=False, verbosity=0)
    from nipype import Function, Node, Workflow

    run_wf = Workflow("run_wf", base_dir=folder)
    run_wf.config["execution"] = {"job_finished_timeout": 1}
    absolute = "def absolute(value, use_gpu=False):\\n    return abs(value)\\n"
    first = Node(
        Function(["value", "use_gpu"], ["out"], function=absolute), name="first", mem_gb=0.5
    )
    second = Node(
        Function(["value", "use_gpu"], ["out"], function=absolute),
        name="second", n_procs=2, mem_gb=1.5,
    )
    first.inputs.value = -3
    second.inputs.use_gpu = True
    run_wf.connect(first, "out", second, "value")

    class Tell:
        failures = []

        def __call__(self, node, status):
            print(node.name, status, getattr(node, "_traceback", None) or "")
            self.failures += [node.name] if status == "exception" else []

    execution.run_workflow(
        run_wf, plugin_file=folder / "plugin.json", nprocs=1, mem_gb=4, gpu=False, on_status=Tell()
    )
"""


@pytest.fixture
def run(tmp_path):
    """Give a function that runs two nodes and returns what was said and submitted."""
    for name, program in (("sbatch", SBATCH), ("squeue", SQUEUE)):
        (tmp_path / name).write_text(program)
        (tmp_path / name).chmod(stat.S_IRWXU)
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(plugin: str, *, kills: str = "nothing") -> tuple[str, list[str]]:
        (tmp_path / "plugin.json").write_text(plugin)
        finished = subprocess.run(
            [sys.executable, tmp_path / "program.py", tmp_path],
            # No LOGNAME, as in a container or a cron job.
            env={
                "PYTHONPATH": ":".join(sys.path),
                "PATH": f"{tmp_path}:{os.defpath}",
                "SPOOL": str(tmp_path),
                "SPOOL_KILLS": kills,
            },
            capture_output=True,
            text=True,
        )
        submitted = tmp_path / "submitted"
        return finished.stdout + finished.stderr, (
            submitted.read_text().splitlines() if submitted.exists() else []
        )

    return run


def test_each_step_asks_for_its_cpus_memory_and_gpu(run):
    said, submitted = run('{"plugin": "SLURM"}')
    assert "second end" in said
    assert [line.split(" -o ")[0].split() for line in submitted] == [
        ["--cpus-per-task=1", "--mem=1536M"],
        ["--cpus-per-task=2", "--mem=2560M", "--gres=gpu:1"],
    ]


def test_what_the_user_asks_for_comes_last_so_that_it_holds(run):
    _, submitted = run('{"plugin": "SLURM", "plugin_args": {"sbatch_args": "--mem=8G -p long"}}')
    assert all(
        "M --mem=8G -p long" in line or "gpu:1 --mem=8G -p long" in line for line in submitted
    )
    assert len(submitted) == 2


def test_a_job_that_was_killed_is_told_as_such(run):
    said, submitted = run('{"plugin": "SLURM"}', kills="first")
    assert "first exception ['WorkerKilled: the job 1 ended without a result']" in said
    assert len(submitted) == 1


@pytest.mark.parametrize(
    ("plugin", "complaint"),
    [
        ('{"plugin": "Carrier pigeon"}', "names the plugin Carrier pigeon, which Nipype does not"),
        ("[1, 2]", "must be YAML or JSON with the keys plugin and plugin_args"),
    ],
)
def test_a_plugin_file_that_says_nothing_useful_is_refused(plugin, complaint, run):
    said, submitted = run(plugin)
    assert complaint in said
    assert not submitted
