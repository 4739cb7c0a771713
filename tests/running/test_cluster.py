"""SLURM is played by small programs that do what it does: run the script, and tell of it."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SUBMIT = Path(__file__).parents[2] / "singularity" / "slurm" / "submit.sh"

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

from bids_anomaly.running import execution

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


@pytest.fixture
def submit(tmp_path):
    """Give a function that calls ``submit.sh`` for a dataset of three people."""
    (tmp_path / "bin").mkdir()
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/submitted\necho 7\n')
    sbatch.chmod(stat.S_IRWXU)
    for person in ("01", "02", "10"):
        (tmp_path / "bids" / f"sub-{person}").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "bids")
    (tmp_path / "app.sif").write_text("")

    def submit(line):
        finished = subprocess.run(
            [SUBMIT, *line.split()],
            cwd=tmp_path,
            env={"PATH": f"{tmp_path}/bin:{os.defpath}"},
            capture_output=True,
            text=True,
        )
        submitted = tmp_path / "submitted"
        return SimpleNamespace(
            code=finished.returncode,
            stdout=finished.stdout,
            stderr=finished.stderr,
            people=[path.read_text().split() for path in tmp_path.glob("work/*.txt")],
            jobs=submitted.read_text().splitlines() if submitted.exists() else [],
        )

    return submit


@pytest.mark.parametrize("bids", ["bids", "linked"])
def test_everybody_is_submitted_with_all_options(bids, submit, tmp_path):
    submitted = submit(f"app.sif {bids} out work --modalities T1w FLAIR")
    assert submitted.code == 0, submitted.stderr
    assert submitted.people == [["sub-01", "sub-02", "sub-10"]]
    (job,) = submitted.jobs
    assert "--array=1-3%100" in job
    assert job.endswith(f"{tmp_path}/bids {tmp_path}/out {tmp_path}/work --modalities T1w FLAIR")
    assert submitted.stdout == "3 participants in job array 7.\n"


@pytest.mark.parametrize(
    "options",
    [
        "--participant-label 10 sub-02 --nprocs 1",
        "--nprocs 1 --participant_label 02 10 02",
        "--participant-label=02 --nprocs 1 --participant_label=sub-10",
        "--participant-labels 02,10 --nprocs 1",
        "--exclude-participant-label 01 --nprocs 1",
        "--exclude_participant_label=sub-01,99 --nprocs 1",
        "--participant-label 01 02 10 --exclude-participant-label 01 --nprocs 1",
    ],
)
@pytest.mark.parametrize("stages", [1, 2])
def test_a_subset_is_submitted_alone_and_its_labels_are_not_passed_on(options, stages, submit):
    """Each task has its own label, to which these would be added."""
    submitted = submit("--two-stage " * (stages - 1) + f"app.sif bids out work {options}")
    assert submitted.code == 0, submitted.stderr
    assert submitted.people == [["sub-02", "sub-10"]]
    assert len(submitted.jobs) == stages
    for job in submitted.jobs:
        assert "--array=1-2%100" in job
        assert job.endswith("--nprocs 1")
        assert "label" not in job


@pytest.mark.parametrize(
    ("line", "code", "named"),
    [
        ("missing.sif bids out work", 66, "missing.sif"),
        ("app.sif missing out work", 66, "missing"),
        ("app.sif bin out work", 66, "bin"),
        ("app.sif bids out work --participant-label 02 99", 18, "sub-99"),
        ("app.sif bids out work --participant-label --nprocs 1", 2, "--participant-label"),
        ("app.sif bids out work --exclude-participant-label 01,02 10", 2, "everybody"),
        ("app.sif bids app.sif work", 73, "app.sif"),
    ],
)
def test_what_cannot_be_submitted_is_refused_before_a_folder_is_made(
    line, code, named, submit, tmp_path
):
    submitted = submit(line)
    assert submitted.code == code
    (told,) = submitted.stderr.splitlines()
    assert named in told
    assert not submitted.jobs
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "work").exists()
