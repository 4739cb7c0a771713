"""CPUs and memory that this process may use, as opposed to what the machine has.

``os.cpu_count()`` on a cluster node or in a container counts CPUs that belong to others.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
PROC_ROOT = Path("/proc")
# More threads than this gain nothing in registration, and starve participants run side by side.
MOST_THREADS_A_STEP = 8
# The rest is for the operating system and the parent process.
FRACTION_OF_MEMORY = 0.9
BYTES_A_GB = 1024**3


@dataclass(frozen=True)
class Allocation:
    """What one run may use: CPUs, threads of one step, and memory in GB of 1024 MB."""

    nprocs: int
    omp_nthreads: int
    mem_gb: float


def count_usable_cpus() -> int:
    """Count the CPUs that the operating system lets this process run on.

    Returns
    -------
    int
        Size of the CPU affinity mask where there is one, else the CPUs of the machine.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def measure_installed_memory_gb() -> float:
    """Measure the memory of the machine, for systems without ``/proc/meminfo``.

    Returns
    -------
    float
        GB of 1024 MB.
    """
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / BYTES_A_GB


def available_cpus(
    *,
    environ: Mapping[str, str] = os.environ,
    cgroup_root: Path = CGROUP_ROOT,
    proc_root: Path = PROC_ROOT,
    usable_cpus: Callable[[], int] = count_usable_cpus,
) -> int:
    """Count the CPUs that this process may keep busy.

    The smallest of CPU affinity, cgroup quota and SLURM allocation.

    Parameters
    ----------
    environ : mapping
        Environment variables.
    cgroup_root, proc_root : Path
        Where the control groups and the process information are mounted.
    usable_cpus : callable
        Gives the number of CPUs in the affinity mask.

    Returns
    -------
    int
        At least 1; a quota of 1.5 CPUs counts as 1.
    """
    limits = [usable_cpus(), *_cgroup_cpu_quotas(cgroup_root, proc_root)]
    for variable in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        limits += _positive_numbers(environ.get(variable))
    return max(1, int(min(limits)))


def available_memory_gb(
    *,
    environ: Mapping[str, str] = os.environ,
    cgroup_root: Path = CGROUP_ROOT,
    proc_root: Path = PROC_ROOT,
    usable_cpus: Callable[[], int] = count_usable_cpus,
) -> float:
    """Measure the memory that this process may fill.

    The smallest of free memory, cgroup limit and SLURM allocation.

    Parameters
    ----------
    environ : mapping
        Environment variables.
    cgroup_root, proc_root : Path
        Where the control groups and the process information are mounted.
    usable_cpus : callable
        Gives the number of CPUs in the affinity mask.

    Returns
    -------
    float
        GB of 1024 MB.
    """
    limits = [
        *_free_memory_gb(proc_root),
        *_cgroup_memory_limits_gb(cgroup_root, proc_root),
        # SLURM counts in MB, and 0 stands for the whole node.
        *(mb / 1024 for mb in _positive_numbers(environ.get("SLURM_MEM_PER_NODE"))),
    ]
    for mb_a_cpu in _positive_numbers(environ.get("SLURM_MEM_PER_CPU")):
        cpus = _positive_numbers(environ.get("SLURM_CPUS_ON_NODE")) or [
            available_cpus(
                environ=environ,
                cgroup_root=cgroup_root,
                proc_root=proc_root,
                usable_cpus=usable_cpus,
            )
        ]
        limits.append(mb_a_cpu * cpus[0] / 1024)
    return min(limits) if limits else measure_installed_memory_gb()


def complete_allocation(
    *,
    nprocs: int | None = None,
    omp_nthreads: int | None = None,
    mem_gb: float | None = None,
    environ: Mapping[str, str] = os.environ,
    cgroup_root: Path = CGROUP_ROOT,
    proc_root: Path = PROC_ROOT,
    usable_cpus: Callable[[], int] = count_usable_cpus,
) -> Allocation:
    """Fill in what was not asked for from what this process may use.

    Parameters
    ----------
    nprocs, omp_nthreads : int, optional
        CPUs and threads a step; by default all available CPUs, and as many threads up to 8.
    mem_gb : float, optional
        Memory; by default 90 % of what is available.
    environ, cgroup_root, proc_root, usable_cpus
        As in :func:`available_cpus`.

    Returns
    -------
    Allocation
        What was asked for is kept as it is.
    """
    machine = {
        "environ": environ,
        "cgroup_root": cgroup_root,
        "proc_root": proc_root,
        "usable_cpus": usable_cpus,
    }
    if nprocs is None:
        nprocs = available_cpus(**machine)
    if omp_nthreads is None:
        omp_nthreads = min(nprocs, MOST_THREADS_A_STEP)
    if mem_gb is None:
        mem_gb = round(FRACTION_OF_MEMORY * available_memory_gb(**machine), 2)
    return Allocation(nprocs=nprocs, omp_nthreads=omp_nthreads, mem_gb=mem_gb)


def _cgroup_cpu_quotas(cgroup_root: Path, proc_root: Path) -> list[float]:
    quotas = []
    for folder in _cgroup_folders("cpu", cgroup_root, proc_root):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if not quota:
            quota = _read(folder / "cpu.cfs_quota_us")
            period = _read(folder / "cpu.cfs_period_us")
        # "max" and -1 mean that there is no quota, and neither is a positive number.
        for microseconds in _positive_numbers(quota):
            quotas += [microseconds / length for length in _positive_numbers(period)]
    return quotas


def _cgroup_memory_limits_gb(cgroup_root: Path, proc_root: Path) -> list[float]:
    limits = []
    for folder in _cgroup_folders("memory", cgroup_root, proc_root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limits += [size / BYTES_A_GB for size in _positive_numbers(_read(folder / name))]
    return limits


def _cgroup_folders(controller: str, cgroup_root: Path, proc_root: Path) -> Iterator[Path]:
    """List the control groups of this process, each with its parents, as all of them limit it."""
    for line in _read(proc_root / "self" / "cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:  # version 2 has one hierarchy
            mounts = [cgroup_root]
        elif controller in controllers.split(","):
            mounts = [cgroup_root / controller, cgroup_root / controllers]
        else:
            continue
        # In a container the path is often that of the host while the mount shows its end only;
        # the root of the mount is then the group itself.
        inside = Path(group.lstrip("/"))
        for mount in mounts:
            yield from (mount / part for part in (inside, *inside.parents))


def _free_memory_gb(proc_root: Path) -> list[float]:
    meminfo = _read(proc_root / "meminfo")
    for name in ("MemAvailable", "MemTotal"):
        if found := re.search(rf"^{name}:\s+(\d+) kB$", meminfo, re.MULTILINE):
            return [int(found[1]) / 1024**2]
    return []


def _positive_numbers(text: str | None) -> list[float]:
    """Give the number in `text` if it is positive, as a list, so that limits add up."""
    try:
        number = float(text or "")
    except ValueError:
        return []
    return [number] if number > 0 else []


def _read(path: Path) -> str:
    """Read a file of the kernel; one that is missing or may not be read says nothing."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
