"""Measure how long the reports of participants take, and how large they are.

Writes the reports of an output folder again and prints a markdown table::

    python benchmarks/reports.py OUT

Wall-clock and CPU seconds are those of one process, without the start of Python. A report should
take at most 10 s and 15 MB; more is marked, and makes the exit code 1.
"""

import argparse
import sys
import time
from pathlib import Path

from bids_anomaly import __version__
from bids_anomaly.bids.records import read_record
from bids_anomaly.cli.reports import find_records
from bids_anomaly.reports.session import write_session_report

MOST_S, MOST_MB = 10.0, 15.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output_dir", metavar="OUT", type=Path, help="what a run wrote")
    output_dir = parser.parse_args().output_dir
    print(f"bids-anomaly {__version__}\n")
    print("| session | scans | wall-clock (s) | CPU (s) | size (MB) | |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    too_much = 0
    for path in find_records(output_dir, participants=(), sessions=()):
        record = read_record(path)
        wall, cpu = time.perf_counter(), time.process_time()
        report = write_session_report(output_dir, record)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = report.stat().st_size / 1e6
        over = wall > MOST_S or size > MOST_MB
        too_much += over
        print(
            f"| {record.label} | {len(record.scans)} | {wall:.1f} | {cpu:.1f} | {size:.1f} | "
            f"{'too much' if over else ''} |",
            flush=True,
        )
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main())
