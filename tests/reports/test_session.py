import ants
import numpy as np
import pytest

from bids_anomaly.preprocessing.template import MODEL_GRID_2MM, Grid
from bids_anomaly.reconstruction.bundle import choose_bundles
from bids_anomaly.reports.session import ScanResult, write_session_report

# The brain of the person is larger than that in the model grid: 3 mm for 2 mm.
NATIVE = Grid.isotropic(MODEL_GRID_2MM.shape, (-120.0, -140.0, -120.0), 3.0)
BRAIN = (slice(20, 60),) * 3


@pytest.fixture
def write(tmp_path):
    """Give a function that writes a report of a brain with high scores at some places."""
    identity = ants.create_ants_transform(transform_type="AffineTransform", dimension=3)
    ants.write_transform(identity, str(tmp_path / "identity.mat"))

    def write(*places) -> str:
        brain = np.zeros(MODEL_GRID_2MM.shape, np.uint8)
        brain[BRAIN] = 1
        scan = brain * np.float32(0.8)
        scan[25:55, 25:55, 25:55] = 1
        zscore = np.zeros(brain.shape, np.float32)
        for place in places:
            zscore[place] = 5
        result = ScanResult(
            name="sub-01_T1w",
            bundle=choose_bundles("threshold", ("T1w",))["T1w"],
            corrected=NATIVE.image(scan),
            brain=NATIVE.image(brain),
            brain_method="deepbet",
            white_matter_level=1.0,
            scan_in_model_grid=MODEL_GRID_2MM.image(scan),
            brain_in_model_grid=MODEL_GRID_2MM.image(brain),
            zscore=MODEL_GRID_2MM.image(zscore),
            pseudo_healthy=None,
            evaluations=0,
        )
        path = write_session_report(
            tmp_path,
            "sub-01",
            [result],
            scan_from_template=tmp_path / "identity.mat",
            healthy_fpr=0.002,
            min_lesion_volume=100.0,
            lesions=[],
            regions=[],
            quality=[],
        )
        return path.read_text()

    return write


def test_anomalies_are_counted_in_the_volume_of_the_person(write):
    ten_voxels_a_side, one_voxel = (slice(30, 40),) * 3, (50, 50, 50)
    # A voxel of the person has 27 mm3; what is smaller than 100 mm3 does not count.
    page = write(ten_voxels_a_side, one_voxel)
    assert "27.00 ml in 1 place<" in page
    assert "1728 ml" in page


def test_without_an_anomaly_none_is_counted(write):
    assert "0.00 ml in 0 places" in write()
