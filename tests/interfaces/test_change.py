"""The comparison of two sessions refuses brains that are not one and the same."""

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.interfaces.change import WriteChange
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import write_matrix
from bids_anomaly.scoring.findings import Threshold

GRID = Grid.isotropic((40, 40, 40), (-40.0, -40.0, -40.0), 2.0)
BRAIN = np.zeros(GRID.shape, np.uint8)
BRAIN[10:30, 10:30, 10:30] = 1


@pytest.fixture
def compare(tmp_path):
    """Return the step for two scans that lie in one grid, the second with a brain of its own."""

    def prepared(second_brain):
        rng = np.random.default_rng(0)
        out = tmp_path / "out"
        out.mkdir()
        files = {"scans": [], "brains": [], "zscores": [], "lesions": [], "transforms": []}
        for which, brain in enumerate((BRAIN, second_brain), start=1):
            images = {
                "scans": brain.astype(np.float32),
                "brains": brain,
                "zscores": (brain * rng.standard_normal(brain.shape)).astype(np.float32),
                "lesions": np.zeros_like(brain),
            }
            for key, values in images.items():
                path = out / f"sub-01_ses-{which}_desc-{key}_FLAIR.nii.gz"
                nib.save(GRID.image(values), path)
                files[key].append(str(path))
            matrix = tmp_path / f"{which}.mat"
            write_matrix(matrix, np.eye(4))
            files["transforms"].append(str(matrix))
        return WriteChange(
            output_dir=str(out),
            entities={"sub": "01"},
            scan_entities=[{"sub": "01", "ses": "1"}, {"sub": "01", "ses": "2"}],
            modality="FLAIR",
            space="midpoint1to2",
            threshold=Threshold(),
            **files,
        )

    return prepared


def test_brains_that_do_not_overlap_are_not_compared(compare, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    step = compare(np.roll(BRAIN, 8, axis=0))
    with pytest.raises(BadScanError, match=r"overlap by 0\.6") as raised:
        step.run()
    assert "sub-01_ses-1 and sub-01_ses-2" in str(raised.value)
    assert not list(tmp_path.rglob("*midpoint*"))


@pytest.mark.parametrize("moved", [(False, False), (True, False), (False, True), (True, True)])
def test_places_are_found_by_way_of_the_reference_of_each_session(moved, compare, tmp_path):
    shift, still = np.eye(4), tmp_path / "still.mat"
    shift[0, 3] = 6  # from places in the reference to places in the scan
    write_matrix(still, np.eye(4))
    write_matrix(tmp_path / "rigid.mat", shift)
    step = compare(BRAIN)
    step.inputs.from_template = [str(still), str(still)]
    step.inputs.rigids = [str(tmp_path / "rigid.mat") if one else "" for one in moved]
    labels = np.zeros(GRID.shape, np.int32)
    labels[20, 20, 20] = 1
    ((*place, _, _, _),) = step._places(labels, GRID, (np.eye(4), np.eye(4)), tmp_path)
    np.testing.assert_allclose(place, (-6 * np.mean(moved), 0, 0), atol=1e-4)
