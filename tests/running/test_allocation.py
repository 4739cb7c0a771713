import os

import pytest

from bids_anomaly.running.allocation import (
    Allocation,
    available_cpus,
    available_memory_gb,
    complete_allocation,
)

GB = 1024**3


@pytest.fixture
def machine(tmp_path):
    """A machine of 16 CPUs and 64 GB, 32 of them free; files describe what limits a process."""

    class Machine:
        cgroup_root = tmp_path / "cgroup"
        proc_root = tmp_path / "proc"

        def write(self, path, text):
            path = tmp_path / path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")

        def look(self, function, **environ):
            return function(
                environ=environ,
                cgroup_root=self.cgroup_root,
                proc_root=self.proc_root,
                usable_cpus=lambda: 16,
            )

    machine = Machine()
    machine.write("proc/meminfo", "MemTotal: 67108864 kB\nMemAvailable:   33554432 kB")
    machine.write("proc/self/cgroup", "0::/")
    return machine


def test_without_limits_a_process_has_its_affinity_and_the_free_memory(machine):
    assert machine.look(available_cpus) == 16
    assert machine.look(available_memory_gb) == 32


def test_old_kernels_tell_the_total_memory_only(machine):
    machine.write("proc/meminfo", "MemTotal:       67108864 kB\nMemFree: 1 kB")

    assert machine.look(available_memory_gb) == 64


def test_the_affinity_of_this_process_counts():
    assert 1 <= available_cpus(environ={}) <= (os.cpu_count() or 1)


def test_a_container_of_version_2_is_limited(machine):
    machine.write("cgroup/cpu.max", "250000 100000")
    machine.write("cgroup/memory.max", 4 * GB)

    assert machine.look(available_cpus) == 2
    assert machine.look(available_memory_gb) == 4


def test_a_group_of_version_2_is_limited_by_its_parents(machine):
    machine.write("proc/self/cgroup", "0::/slurm/job_7/step_0")
    machine.write("cgroup/slurm/job_7/step_0/cpu.max", "max 100000")
    machine.write("cgroup/slurm/job_7/step_0/memory.max", "max")
    machine.write("cgroup/slurm/job_7/cpu.max", "300000 100000")
    machine.write("cgroup/slurm/job_7/memory.max", 6 * GB)
    machine.write("cgroup/slurm/job_8/memory.max", 1 * GB)

    assert machine.look(available_cpus) == 3
    assert machine.look(available_memory_gb) == 6


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize("group", ["/docker/abc", "/"])
def test_a_container_of_version_1_is_limited(machine, mount, group):
    machine.write("proc/self/cgroup", f"5:memory:{group}\n4:cpu,cpuacct:{group}\n1:name=systemd:/")
    machine.write(f"cgroup/{mount}/cpu.cfs_quota_us", 150000)
    machine.write(f"cgroup/{mount}/cpu.cfs_period_us", 50000)
    machine.write("cgroup/memory/memory.limit_in_bytes", 2 * GB)

    assert machine.look(available_cpus) == 3
    assert machine.look(available_memory_gb) == 2


def test_version_1_without_limits_does_not_limit(machine):
    machine.write("proc/self/cgroup", "5:memory:/\n4:cpu:/")
    machine.write("cgroup/cpu/cpu.cfs_quota_us", -1)
    machine.write("cgroup/cpu/cpu.cfs_period_us", 100000)
    machine.write("cgroup/memory/memory.limit_in_bytes", 9223372036854771712)

    assert machine.look(available_cpus) == 16
    assert machine.look(available_memory_gb) == 32


def test_a_quota_below_one_cpu_leaves_one(machine):
    machine.write("cgroup/cpu.max", "50000 100000")

    assert machine.look(available_cpus) == 1


def test_the_smallest_slurm_grant_counts(machine):
    assert machine.look(available_cpus, SLURM_CPUS_PER_TASK="4", SLURM_CPUS_ON_NODE="8") == 4
    assert machine.look(available_cpus, SLURM_CPUS_ON_NODE="8") == 8
    assert machine.look(available_cpus, SLURM_CPUS_ON_NODE="64") == 16
    assert machine.look(available_memory_gb, SLURM_MEM_PER_NODE="8192") == 8


def test_slurm_memory_for_a_cpu_counts_for_all_cpus(machine):
    assert machine.look(available_memory_gb, SLURM_MEM_PER_CPU="2048", SLURM_CPUS_ON_NODE="4") == 8
    assert machine.look(available_memory_gb, SLURM_MEM_PER_CPU="1024") == 16


@pytest.mark.parametrize("nothing", ["0", "", "many"])
def test_slurm_values_that_mean_no_limit_do_not_limit(machine, nothing):
    assert machine.look(available_memory_gb, SLURM_MEM_PER_NODE=nothing) == 32
    assert machine.look(available_cpus, SLURM_CPUS_PER_TASK=nothing) == 16


def test_a_system_without_proc_tells_its_installed_memory(tmp_path):
    assert available_memory_gb(environ={}, cgroup_root=tmp_path, proc_root=tmp_path) > 0


def test_what_was_not_asked_for_is_filled_in(machine):
    asked = {"environ": {}, "cgroup_root": machine.cgroup_root, "proc_root": machine.proc_root}
    asked["usable_cpus"] = lambda: 16

    assert complete_allocation(**asked) == Allocation(nprocs=16, omp_nthreads=8, mem_gb=28.8)
    assert complete_allocation(nprocs=2, **asked).omp_nthreads == 2
    assert complete_allocation(nprocs=3, omp_nthreads=1, mem_gb=5, **asked) == Allocation(3, 1, 5)
