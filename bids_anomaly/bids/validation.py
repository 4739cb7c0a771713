"""Is this folder valid BIDS: asks the official validator, if it is installed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sysconfig
from pathlib import Path

from bids_anomaly.bids.folders import check_description
from bids_anomaly.exceptions import InvalidBidsError, MissingInputError, TemporaryError, UsageError

EXECUTABLE = "bids-validator-deno"

# Only these are read: an error in somebody's functional data or table of participants is no reason
# not to look at the anatomical scans.
_READ = re.compile(r"/dataset_description\.json|/sub-[^/]+/(ses-[^/]+/)?anat/.*")
# One damaged or missing file must not stop the others: whoever opens it says so.
_ABOUT_ONE_FILE = re.compile(r"EMPTY_FILE|SYMLINK_BROKEN|FILE_READ|NIFTI_.*")


def validate(bids_dir: Path) -> None:
    """Check that a folder is a valid BIDS dataset.

    Only errors in what the app reads count: the description of the dataset and anatomical files.
    Warnings, and files that are empty, damaged or links to nothing, are passed over. Nothing is
    written to `bids_dir`, and the network is not used.

    Parameters
    ----------
    bids_dir : Path
        The dataset.

    Raises
    ------
    InvalidBidsError
        If it has no readable description, or the validator finds errors.
    MissingInputError
        If the validator cannot read the dataset.
    TemporaryError
        If it lacks memory.
    UsageError
        If the validator is not installed.
    """
    issues = _run_validator(bids_dir)
    # The validator counts it among errors that can be passed over, and this one cannot.
    check_description(bids_dir)
    errors = [
        issue
        for issue in issues
        if issue["severity"] == "error"
        and not _ABOUT_ONE_FILE.fullmatch(issue["code"])
        and _READ.fullmatch(issue.get("location", "/dataset_description.json"))
    ]
    if errors:
        some = ", ".join(_describe(error) for error in errors[:3])
        raise InvalidBidsError(
            f"The dataset {bids_dir} is not valid BIDS: {len(errors)} "
            f"error{'s' if len(errors) > 1 else ''} ({some}{', ...' if len(errors) > 3 else ''}). "
            f'Correct what "{EXECUTABLE} {bids_dir}" shows, or go on with --skip-bids-validation.'
        )


def _run_validator(bids_dir: Path) -> list[dict]:
    """Run the validator, and return the issues that it reports."""
    # No --prune: it takes stimuli/ for missing and reports errors that are none.
    command = [_find_validator(), "--format", "json", "--ignoreWarnings", "--ignoreNiftiHeaders"]
    process = subprocess.run(
        [*command, os.path.abspath(bids_dir)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"},
    )
    try:
        return json.loads(process.stdout)["issues"]["issues"]
    except ValueError as error:
        if process.returncode == -signal.SIGKILL or "out of memory" in process.stderr.lower():
            raise TemporaryError(
                f"The BIDS validator ran out of memory with {bids_dir}. It reserves 64 GB of "
                "address space, of which it fills little: raise the limit (ulimit -v, h_vmem), or "
                "go on with --skip-bids-validation."
            ) from error
        said = (line for line in process.stderr.splitlines() if any(map(str.isalnum, line)))
        reason = next(said, f"exit {process.returncode}")
        raise MissingInputError(
            f"The BIDS validator did not finish with {bids_dir} ({reason.strip()}). Check that "
            "the folder and all below it may be read, or go on with --skip-bids-validation."
        ) from error


def _find_validator() -> str:
    """Find the executable beside this Python, or else on the PATH."""
    scripts = sysconfig.get_path("scripts")
    path = shutil.which(EXECUTABLE, path=scripts) or shutil.which(EXECUTABLE)
    if path is None:
        raise UsageError(
            "The BIDS validator is not installed. Install it, from a clone, with: "
            'pip install ".[validate]", or go on with --skip-bids-validation.'
        )
    return path


def _describe(issue: dict) -> str:
    code = issue["code"] + (f" {issue['subCode']}" if "subCode" in issue else "")
    files = [issue["location"]] if "location" in issue else issue.get("affects", [])
    return f"{code} in {files[0].removeprefix('/')}" if files else code
