"""The folder of the datasets: the first argument of the benchmarks that need one."""

import argparse
import os
from pathlib import Path

VARIABLE = "BIDS_ANOMALY_DATA"


def add_data_folder(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``data``, which may be left out where the environment names the folder."""
    folder = os.environ.get(VARIABLE)
    parser.add_argument(
        "data",
        metavar="DATA",
        type=Path,
        nargs="?" if folder else None,
        default=folder,
        help=f"folder of the datasets (default: environment variable {VARIABLE})",
    )
