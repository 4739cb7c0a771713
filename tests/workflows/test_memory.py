"""What steps are estimated to need, which decides how many run side by side."""

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.workflows.memory import COPIES, MOST_VOXELS, PROCESS_GB, memory_gb


@pytest.fixture
def scan(tmp_path):
    """Give a function that writes a scan of a shape."""

    def write(*shape):
        path = tmp_path / f"{'x'.join(map(str, shape))}_T1w.nii.gz"
        nib.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)).to_filename(path)
        return path

    return write


def test_memory_grows_with_the_voxels_that_a_step_holds(scan):
    small, large = scan(20, 20, 20), scan(200, 200, 200, 1)
    both = memory_gb("register_to_reference", small, large)
    assert memory_gb("reorient", small) < memory_gb("reorient", large)
    assert memory_gb("register_to_reference", small) < both
    added = COPIES["score"] * 4 * 200**3 / 1024**3
    assert memory_gb("score", large) == pytest.approx(PROCESS_GB + added)


def test_a_scan_that_cannot_be_read_is_left_to_the_step_that_reads_it(tmp_path):
    (tmp_path / "a_T1w.nii.gz").write_bytes(b"none")
    nib.MGHImage(np.zeros((9, 9, 9), np.uint8), np.eye(4)).to_filename(tmp_path / "whole.mgz")
    (tmp_path / "cut.mgz").write_bytes((tmp_path / "whole.mgz").read_bytes()[:40])
    for name in ("a_T1w.nii.gz", "missing.nii.gz", "cut.mgz"):
        path = tmp_path / name
        assert memory_gb("reorient", path) == PROCESS_GB


def test_a_header_that_tells_of_any_number_of_voxels_asks_for_no_more_than_half_a_millimetre(
    tmp_path,
):
    header = nib.Nifti2Header()
    header.set_data_shape((100_000, 100_000, 100_000))
    path = tmp_path / "a_T1w.nii"
    path.write_bytes(header.binaryblock + bytes(100))
    assert memory_gb("score", path) == PROCESS_GB + COPIES["score"] * 4 * MOST_VOXELS / 1024**3
