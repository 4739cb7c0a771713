"""Compare what steps need of memory with what was estimated, on a scan that is made finer first.

    python benchmarks/memory.py SCAN --voxel 0.7 -- --nprocs 2

SCAN is one NIfTI file with a BIDS name. It is interpolated to voxels of that size, the participant
level runs on it, and a markdown table says for each step the seconds, the peak of its process and
the estimate that steps are scheduled by. The exit code is 1 where an estimate is below the peak.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from nilearn.image import resample_img
from shared.table import line

HEAD = ("step", "seconds", "peak (MB)", "estimate (MB)")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scan", type=Path, metavar="SCAN")
    parser.add_argument("--voxel", type=float, required=True, metavar="MM")
    parser.add_argument("--folder", type=Path, help="where all is kept (default: nowhere)")
    parser.add_argument("options", nargs="*", help="of the participant level, after --")
    # A list of options that begins after another option is not found otherwise.
    arguments = parser.parse_intermixed_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        shape = write_finer(arguments.scan, folder / "bids", arguments.voxel)
        started = time.monotonic()
        run(folder, arguments.options)
        seconds = time.monotonic() - started
        rows = list(read_steps(folder / "out"))
    print(line(HEAD), line(["---"] * len(HEAD)), *map(line, rows), sep="\n")
    peak = max(int(row[2]) for row in rows)
    print(
        f"\n{arguments.voxel:g} mm, {'x'.join(map(str, shape))} voxels: {seconds:.0f} s, "
        f"{peak / 1024:.1f} GB at the peak of one process."
    )
    return int(any(int(row[2]) > int(row[3]) for row in rows))


def write_finer(scan: Path, bids: Path, voxel: float) -> tuple[int, ...]:
    """Write a dataset of a scan with smaller voxels, and return its shape."""
    image = nib.squeeze_image(nib.load(scan))
    affine = image.affine[:3, :3] * (voxel / np.array(image.header.get_zooms()))
    finer = resample_img(
        image, target_affine=affine, interpolation="linear", force_resample=True, copy_header=True
    )
    values = np.round(finer.get_fdata(dtype=np.float32)).astype(np.int16)
    written = nib.Nifti1Image(values, finer.affine)
    written.set_qform(finer.affine, 1)
    written.set_sform(finer.affine, 1)
    written.header.set_xyzt_units("mm", "sec")
    path = bids / "sub-01" / "anat" / f"sub-01_{scan.name.split('_')[-1]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    written.to_filename(path)
    (bids / "dataset_description.json").write_text(
        json.dumps({"Name": "one finer scan", "BIDSVersion": "1.10.0"})
    )
    return values.shape


def run(folder: Path, options: Sequence[str]) -> None:
    """Run the participant level."""
    command = [sys.executable, "-m", "bids_anomaly.cli.main", folder / "bids", folder / "out"]
    command += ["participant", "-w", folder / "work", "--skip-bids-validation", *options]
    subprocess.run(command, check=True, stdout=sys.stderr)


def read_steps(out: Path) -> Iterable[list[str]]:
    """Give step, seconds, peak and estimate of each step of all runs."""
    for table in sorted(out.glob("logs/*/*_steps.tsv")):
        with table.open(newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                yield [
                    row["step"], row["seconds"], row["peak_memory_mb"], row["estimated_memory_mb"]
                ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
