"""What all commands share: how a run is named, recorded, heard and ended."""

import logging
import os
import platform
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bids_anomaly import __version__
from bids_anomaly.exceptions import CannotWriteError, ExitCode
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.settings import Settings

# Packages whose version can change a result.
RECORDED_PACKAGES = (
    "antspyx", "nibabel", "nilearn", "nipype", "numpy", "pybids", "scipy", "torch",
)  # fmt: skip


def set_up_log(settings: Settings) -> None:
    """Say as much as was asked for."""
    logging.basicConfig(
        level=(logging.WARNING, logging.INFO, logging.DEBUG)[min(settings.verbosity, 2)],
        format="%(message)s",
    )


def new_run_id() -> str:
    """Name a run by its time; two that begin together have different names."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}_{secrets.token_hex(3)}"


def make_log_folder(output_dir: Path, run_id: str) -> Path:
    """Make the folder of a run's records and logs.

    Raises
    ------
    CannotWriteError
        If that fails.
    """
    folder = output_dir / "logs" / run_id
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise CannotWriteError(
            f"Cannot make the folder {folder}: {error.strerror}. Check that {folder.parent} is a "
            "folder, and its rights."
        ) from error
    return folder


def exit_code(failures: Sequence[Sequence[int]], sessions: int) -> ExitCode:
    """Choose the exit code of a run.

    Parameters
    ----------
    failures : sequence of sequences of int
        For each session that failed, the codes of its failed steps.
    sessions : int
        Number of all sessions.

    Returns
    -------
    ExitCode
        The common code if every session failed and all for the same reason, SOME_FAILED if only
        some did or reasons differ, OK without failures.
    """
    if not failures:
        return ExitCode.OK
    codes = {code for session in failures for code in session}
    if len(failures) == sessions and len(codes) == 1:
        return ExitCode(codes.pop())
    return ExitCode.SOME_FAILED


def code_of_run(sessions, comparisons: Sequence) -> ExitCode:
    """Choose the exit code of the participant level.

    Parameters
    ----------
    sessions : RunProgress
        What became of the sessions.
    comparisons : sequence of RunProgress
        What became of their comparisons, as far as there were any.

    Returns
    -------
    ExitCode
        That of the sessions, see :func:`exit_code`. Where a failure kept others from running, the
        others are not complete, and the code is that of the failure. Comparisons matter only if
        all sessions succeeded: SOME_FAILED if one of them failed.
    """
    failures = [[failed.code for failed in steps] for steps in sessions.failures.values()]
    if failures:
        return exit_code(failures, len(failures) if sessions.not_run else len(sessions.labels))
    failed = any(progress.failures for progress in comparisons)
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


def run_record(
    settings: Settings, run_id: str, bundles: Mapping, given: Sequence[str]
) -> dict[str, Any]:
    """Return what is needed to do the same run again.

    Parameters
    ----------
    settings : Settings
        Of the run.
    run_id : str
        See :func:`new_run_id`.
    bundles : mapping
        The models, by modality.
    given : sequence of str
        The arguments as they were given; relative paths in them count from the folder of now.
    """
    brain_tool = BRAIN_TOOLS[settings.brain_extraction].package
    packages = sorted([*RECORDED_PACKAGES, *([brain_tool] if brain_tool else [])])
    return {
        "run": run_id,
        "command": shlex.join(["bids-anomaly", *given]),
        "folder": str(Path.cwd()),
        "version": __version__,
        "settings": settings.to_json_dict(),
        "seed": settings.seed,
        "device": settings.device,
        "models": {
            bundle.name: {
                "version": bundle.version,
                "weights_sha256": bundle.description.get("sha256"),
                "digest": bundle.digest,
            }
            for bundle in bundles.values()
        },
        "packages": {name: version(name) for name in packages},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "container": os.environ.get("BIDS_ANOMALY_CONTAINER"),
    }
