"""Run a workflow with Nipype: its configuration, and a process pool that survives its workers."""

import multiprocessing
import os
import resource
import tempfile
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from bids_anomaly.bids.writing import write_text
from bids_anomaly.exceptions import TemporaryError, UsageError
from bids_anomaly.running.allocation import BYTES_A_GB
from bids_anomaly.running.device import only_gpu

# Nipype reads its own file from this folder, and in every worker; the user's home stays untouched.
CONFIGURATION = """\
[logging]
workflow_level = {level}
interface_level = {level}
utils_level = {level}

[execution]
hash_method = content
crashfile_format = txt
crashdump_dir = {crash_folder}
create_report = false
remove_unnecessary_outputs = false
check_version = false
# Two seconds by default, which would be half of the time of a run of short steps on this machine.
poll_sleep_duration = 0.1
stop_on_first_crash = {stop_on_first_crash}

[monitoring]
enabled = false
"""

# Workers must not inherit a GPU context or locks.
START_METHOD = "forkserver"
# A cluster is asked about every job each time.
CLUSTER_POLL_S = 5.0
# What loading takes, and some of a small scan.
LEAST_ADDRESS_SPACE_GB = 1.5


def prepare_environment(*, threads: int, device: str) -> None:
    """Set what ITK, CUDA and matplotlib read from the environment, before their import.

    Parameters
    ----------
    threads : int
        Threads of one step.
    device : str
        ``cpu`` or ``cuda:N``. A GPU becomes the only one that steps see, for them ``cuda:0``.
    """
    # Registrations are reproducible with one thread only; participants run side by side instead.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if device != "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = only_gpu(device)
    # A read-only or missing home must not stop a run.
    os.environ.setdefault("MPLCONFIGDIR", tempfile.gettempdir())


def configure_nipype(folder: Path, *, stop_on_first_crash: bool, verbosity: int) -> None:
    """Write the configuration that Nipype reads when it is first imported, here and in workers.

    Parameters
    ----------
    folder : Path
        Gets the file, and later the tracebacks of failed nodes.
    stop_on_first_crash : bool
        Whether the first failed node ends the run.
    verbosity : int
        0 keeps Nipype silent; 1 shows warnings; 2 everything.
    """
    write_text(
        folder / "nipype.cfg",
        CONFIGURATION.format(
            level=("CRITICAL", "WARNING", "INFO")[min(verbosity, 2)],
            crash_folder=folder,
            stop_on_first_crash=str(stop_on_first_crash).lower(),
        ),
    )
    os.environ["NIPYPE_CONFIG_DIR"] = str(folder)
    os.environ["NIPYPE_NO_ET"] = "1"


def require_semaphores() -> None:
    """Check that processes can share locks, without which no pool of them works.

    Raises
    ------
    TemporaryError
        If that fails, as where /dev/shm is full, missing or read-only.
    """
    try:
        multiprocessing.get_context(START_METHOD).Lock()
    except OSError as error:
        raise TemporaryError(
            f"Processes cannot share locks here: {error.strerror}. Check that /dev/shm is there, "
            "may be written and is not full (in a container, mount it or raise --shm-size), then "
            "run again."
        ) from error


def require_address_space() -> None:
    """Check that a process may have the address space that it takes to load what steps need.

    With less, the linear algebra of SciPy waits for memory for ever instead of failing (OpenBLAS
    0.3).

    Raises
    ------
    TemporaryError
        If it is limited to less than :data:`LEAST_ADDRESS_SPACE_GB`.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE_GB * BYTES_A_GB:
        raise TemporaryError(
            f"A process may have {limit / BYTES_A_GB:.1f} GB of address space here, and needs "
            f"{LEAST_ADDRESS_SPACE_GB} GB at least, of which memory is a part. Raise the limit "
            "(ulimit -v, h_vmem), then run again."
        )


def prepare_workers() -> None:
    """Start the process that workers are forked from, which meanwhile imports what steps need.

    It keeps the environment of now.

    Raises
    ------
    TemporaryError
        See :func:`require_semaphores` and :func:`require_address_space`.
    """
    require_semaphores()
    require_address_space()
    multiprocessing.set_forkserver_preload(["bids_anomaly.running.preloaded"])
    forkserver.ensure_running()


def read_plugin(path: Path) -> tuple[type, dict[str, Any]]:
    """Read a Nipype plugin and its arguments from a JSON or YAML file.

    Parameters
    ----------
    path : Path
        With the keys ``plugin``, a name as Nipype knows it, and ``plugin_args``.

    Returns
    -------
    type
        The class of the plugin, mended; for ``SLURM`` our own, which asks for what each step needs.
    dict
        Its arguments.

    Raises
    ------
    UsageError
        If the file is not of that form, or names no plugin, or one that does not tell of each step.
    """
    import yaml
    from nipype.pipeline import plugins
    from nipype.pipeline.plugins.base import DistributedPluginBase

    from bids_anomaly.running.processes import CrashFirst

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        name, arguments = str(content["plugin"]), dict(content.get("plugin_args") or {})
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"The plugin file {path} must be YAML or JSON with the keys plugin and plugin_args "
            f"({type(error).__name__}: {error})."
        ) from error
    if name == "SLURM":
        from bids_anomaly.running.cluster import StepwiseSLURM

        return StepwiseSLURM, arguments
    if not hasattr(plugins, f"{name}Plugin"):
        raise UsageError(
            f"The plugin file {path} names the plugin {name}, which Nipype does not have. Take one "
            "that it has, such as SLURM, PBS or SGE."
        )
    plugin = getattr(plugins, f"{name}Plugin")
    if not issubclass(plugin, DistributedPluginBase):
        raise UsageError(
            f"The plugin file {path} names the plugin {name}, which does not tell what becomes of "
            "each step. Take one that does, such as SLURM, PBS or SGE."
        )
    return type(plugin.__name__, (CrashFirst, plugin), {}), arguments


def run_workflow(
    workflow,
    *,
    plugin_file: Path | None,
    nprocs: int,
    mem_gb: float,
    gpu: bool,
    on_status: Callable[[Any, str], None],
) -> None:
    """Run a workflow to its end; a node that fails stops only what needs it.

    Parameters
    ----------
    workflow : nipype.pipeline.engine.Workflow
        The run.
    plugin_file : Path or None
        Nipype plugin to use instead of processes on this machine.
    nprocs : int
        Processes at a time.
    mem_gb : float
        Memory for all of them.
    gpu : bool
        Whether nodes use a GPU, one at a time.
    on_status : callable
        Gets a node and ``start``, ``end`` or ``exception``.
    """
    from bids_anomaly.running.processes import StepsFailed, SurvivingMultiProc

    if plugin_file is not None:
        make_plugin, arguments = read_plugin(plugin_file)
        workflow.config["execution"] = {"poll_sleep_duration": CLUSTER_POLL_S}
    else:
        make_plugin = SurvivingMultiProc
        arguments = {
            "n_procs": nprocs,
            "memory_gb": mem_gb,
            # Nipype counts the lines of nvidia-smi, which knows nothing of what is visible here.
            "n_gpu_procs": int(gpu),
            "raise_insufficient": False,
            "mp_context": START_METHOD,
        }
    arguments["status_callback"] = on_status
    # An error that belongs to no node is not ours to swallow.
    with suppress(StepsFailed):
        workflow.run(plugin=make_plugin(plugin_args=arguments))
