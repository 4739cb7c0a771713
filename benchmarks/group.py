"""Measure what the group level costs: time and peak memory for 10, 100 and 1,000 people.

The maps are those of people who do not exist: noise with some lesions, in the template.
A few different ones are written, and linked to by the names of many people, so that the disk holds
them all; each is read and unpacked anew. Half of the people are controls.

    python benchmarks/group.py --people 10 100 1000 --compare
    python benchmarks/group.py --people 20 100 --tfce

With --tfce, only threshold-free cluster enhancement is measured: the processor's time for a
permutation, from the difference of two runs that have few of them, and the peak of memory.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from shared.synthetic_results import write_dataset, write_result

from bids_anomaly import __version__
from bids_anomaly.group.collect import compared_voxels
from bids_anomaly.group.comparison import PERMUTATIONS, max_t_test
from bids_anomaly.group.enhancement import memory_gb, tfce_test

DIFFERENT = 12
# Of TFCE, whose thousand take long.
FEW_PERMUTATIONS = (5, 25)


def write_people(folder: Path, count: int, originals: Path) -> None:
    """Write the results of people, who share the files of a few."""
    rows = []
    random = np.random.default_rng(0)
    for number in range(count):
        label = f"{number:05}"
        source = originals / f"sub-{number % DIFFERENT}" / "anat"
        anat = folder / f"sub-{label}" / "anat"
        anat.mkdir(parents=True)
        for path in source.iterdir():
            os.link(path, anat / path.name.replace(f"sub-{number % DIFFERENT}_", f"sub-{label}_"))
        rows.append(
            {
                "participant_id": f"sub-{label}",
                "age": f"{random.uniform(40, 80):.0f}",
                "sex": "FM"[random.integers(2)],
                "group": "control" if number < count / 2 else "patient",
            }
        )
    write_dataset(folder, rows)


def measure(out: Path, work: Path, extra: Sequence[str]) -> tuple[float, float]:
    """Run the command; return seconds and peak memory in MB, what lies in files left out."""
    arguments = ["nowhere", str(out), "group", "-w", str(work), *extra]
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "bids_anomaly.cli.main", *arguments], stdout=subprocess.DEVNULL
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, anonymous_mb(process.pid))
        time.sleep(0.1)
    if process.returncode:
        sys.exit(process.returncode)
    return time.monotonic() - started, peak


def anonymous_mb(pid: int) -> float:
    """Read the memory of a process in MB, without files that are mapped into it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")]
    return int(sizes[0]) / 1024 if sizes else 0.0


def measure_tfce(count: int) -> tuple[float, float, float, float]:
    """Return seconds to begin, seconds a permutation, and GB at the peak: measured, and reckoned.

    Seconds are those of the processor, which others that share it do not lengthen much.
    """
    voxels, random = compared_voxels(), np.random.default_rng(0)
    before, values = anonymous_mb(os.getpid()), np.empty((count, int(voxels.sum())))
    for person in values:
        noise = gaussian_filter(random.normal(size=voxels.shape).astype(np.float32), 1.0)[voxels]
        person[:] = noise / noise.std()
    is_case, covariates = np.arange(count) % 2 == 1, random.normal(size=(count, 2))
    places = np.array_split(np.arange(values.shape[1]), 50)
    blocks = (values[:, some] for some in places)
    t = max_t_test(blocks, is_case, covariates, seed=0, permutations=2).t
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], anonymous_mb(os.getpid()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    seconds = []
    for permutations in FEW_PERMUTATIONS:
        started = time.process_time()
        tfce_test(values, voxels, is_case, covariates, t=t, seed=0, permutations=permutations)
        seconds.append(time.process_time() - started)
    done.set()
    watcher.join()
    each = (seconds[1] - seconds[0]) / (FEW_PERMUTATIONS[1] - FEW_PERMUTATIONS[0])
    begin = seconds[0] - FEW_PERMUTATIONS[0] * each
    return begin, each, (peak[0] - before) / 1024, memory_gb(count, values.shape[1])


def print_tfce(people: Sequence[int]) -> None:
    """Print what TFCE costs for one group and modality."""
    print(f"| people | seconds a permutation | minutes for {PERMUTATIONS:,} | GB | GB reckoned |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for count in people:
        begin, each, gigabytes, reckoned = measure_tfce(count)
        minutes = (begin + PERMUTATIONS * each) / 60
        print(
            f"| {count} | {each:.2f} | {minutes:.0f} | {gigabytes:.2f} | {reckoned:.2f} |",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", nargs="+", type=int, default=[10, 100, 1000])
    parser.add_argument(
        "--compare", action="store_true", help="compare the groups too, by permutation"
    )
    parser.add_argument(
        "--tfce", action="store_true", help="measure threshold-free cluster enhancement instead"
    )
    asked = parser.parse_args()
    if asked.tfce:
        print_tfce(asked.people)
        return 0
    extra = ["--controls", "group=control"] if asked.compare else []
    cores = len(os.sched_getaffinity(0))
    print(
        f"bids-anomaly {__version__}; {cores} cores ({platform.machine()}), load before "
        f"{os.getloadavg()[0]:.1f}; {'with' if asked.compare else 'without'} comparisons\n"
    )
    print("| people | seconds | seconds a person | peak memory (MB) | page (MB) |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="bids-anomaly-benchmark-") as name:
        folder = Path(name)
        random = np.random.default_rng(1)
        for number in range(DIFFERENT):
            balls = [
                (tuple(random.uniform((-40, -70, 0), (40, 30, 50))), random.uniform(2, 9))
                for _ in range(number)
            ]
            write_result(folder / "originals", str(number), balls=balls, seed=number)
        for count in asked.people:
            out = folder / f"out-{count}"
            write_people(out, count, folder / "originals")
            seconds, peak = measure(out, folder / "work", extra)
            size = (out / "group.html").stat().st_size / 1e6
            print(
                f"| {count} | {seconds:.1f} | {seconds / count:.3f} | {peak:.0f} | {size:.1f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
