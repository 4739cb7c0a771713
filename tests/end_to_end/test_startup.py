"""Questions about the command itself are answered before anything heavy is imported."""

import json
import resource
import subprocess
import sys

import pytest

import bids_anomaly

HEAVY = ("nibabel", "nipype", "numpy", "bids", "scipy", "torch", "ants", "monai", "rich")
PROGRAM = """
import sys
from bids_anomaly.cli.main import main
try:
    main(sys.argv[1:])
finally:
    heavy = [name for name in {heavy!r} if name in sys.modules]
    print("imported:", *heavy, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["--citation"], ["--bids-exec-spec"], ["--wrong"]]
)
def test_no_scientific_package_is_imported_to_answer_a_question(arguments):
    answered = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(heavy=HEAVY), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answered.stderr.splitlines()[-1] == "imported:"


@pytest.mark.parametrize(
    "module",
    ["running.console", "running.runs", "cli.reports", "cli.group", "cli.evaluate", "cli.train"],
)
def test_what_runs_no_workflow_does_without_nipype(module):
    """Which would ask the network for its version, unless it was told not to before."""
    program = f"import sys, bids_anomaly.{module}; print('nipype' in sys.modules)"
    answered = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert answered.stdout == "False\n", answered.stderr


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_a_question_is_answered_in_less_than_a_second(argument, command):
    """Of the processor, so that other work on the machine does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert command(argument).code == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_the_version_is_that_of_the_package(command):
    answered = command("--version")
    assert answered.code == 0
    assert answered.stdout == f"bids-anomaly {bids_anomaly.__version__}\n"


def test_the_help_names_every_argument_of_a_bids_app(command):
    answered = command("--help")
    assert answered.code == 0
    for name in ("BIDS_DIR", "OUTPUT_DIR", "{participant,group}", "--participant-label", "-w"):
        assert name in answered.stdout


def test_the_descriptor_is_json(command):
    answered = command("--bids-exec-spec")
    assert json.loads(answered.stdout)["tool-version"] == bids_anomaly.__version__
