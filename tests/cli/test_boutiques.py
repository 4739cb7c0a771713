"""The descriptor of the command line, judged by the programs of Boutiques themselves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("boutiques")


@pytest.fixture(scope="module")
def bosh(tmp_path_factory):
    """Give a function that runs bosh on the descriptor that the command prints."""
    folder = tmp_path_factory.mktemp("boutiques")
    program = [sys.executable, "-m", "bids_anomaly.cli.main", "--bids-exec-spec"]
    printed = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    (folder / "descriptor.json").write_text(printed)

    def run(*arguments: str, invocation: dict | None = None) -> str:
        (folder / "invocation.json").write_text(json.dumps(invocation))
        given = ["-i", "invocation.json"] if invocation else []
        finished = subprocess.run(
            [Path(sys.executable).with_name("bosh"), *arguments, "descriptor.json", *given],
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return run


def test_the_descriptor_is_valid(bosh):
    assert "OK" in bosh("validate")


def test_a_filled_form_becomes_the_command_that_a_user_would_type(bosh, tmp_path):
    command = bosh(
        "exec",
        "simulate",
        invocation={
            "bids_dir": str(tmp_path),
            "output_dir": "/out",
            "analysis_level": "participant",
            "participant_labels": ["01", "02"],
            "derivatives": ["fmriprep=/data/fmriprep", "mine=/data/mine"],
            "healthy_fpr": 0.01,
            "mem_gb": "8G",
            "strict": True,
        },
    ).splitlines()[-1]
    assert command.split() == [
        *("bids-anomaly", str(tmp_path), "/out", "participant"),
        *("--participant-label", "01", "02"),
        *("--derivatives", "fmriprep=/data/fmriprep", "mine=/data/mine"),
        *("--healthy-fpr", "0.01", "--mem", "8G", "--strict"),
    ]
