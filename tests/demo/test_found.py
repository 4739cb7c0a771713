"""What the demo says of the lesion that it inserted."""

import numpy as np
import pytest

from bids_anomaly.bids.naming import output_path
from bids_anomaly.bids.tables import write_rows
from bids_anomaly.demo.found import how_well_found, what_is_marked
from bids_anomaly.preprocessing.template import Grid

GRID = Grid.isotropic((20, 20, 20), (-40.0, -40.0, -40.0), 4.0)


def test_the_baseline_is_the_scan_as_it_came(tmp_path):
    lesion = np.zeros(GRID.shape, bool)
    lesion[8:12, 8:12, 8:12] = True
    # The app finds half of the lesion, which is bright in what it made of the scan.
    found = lesion & (np.arange(20) < 10)
    maps = {
        "brain": np.ones(GRID.shape),
        "anomaly": found,
        "zscore": 4.0 * found,
        "preproc": 1.0 + lesion,
    }
    for output, values in maps.items():
        path = output_path(tmp_path / "out", output, {"sub": "01"}, modality="T1w")
        path.parent.mkdir(parents=True, exist_ok=True)
        GRID.image(values.astype(np.float32)).to_filename(path)
    scan, truth = tmp_path / "scan.nii.gz", tmp_path / "lesion.nii.gz"
    GRID.image((900 - 500 * lesion).astype(np.int16)).to_filename(scan)
    GRID.image(lesion.astype(np.uint8)).to_filename(truth)
    said = how_well_found(tmp_path / "out", "01", scan=scan, lesion=truth)
    assert said.dice == pytest.approx(2 / 3)
    assert said.rank == pytest.approx(0.75)
    assert said.rank_of_raw_intensity == 1


@pytest.mark.parametrize("volumes", [(), (800.0, 1200.0)])
def test_what_is_marked_is_counted_and_measured(tmp_path, volumes):
    marked = np.zeros(GRID.shape, bool)
    marked[0, : len(volumes)] = True
    for output, values in (("brain", np.ones(GRID.shape)), ("anomaly", marked)):
        path = output_path(tmp_path, output, {"sub": "01"}, modality="T1w")
        path.parent.mkdir(parents=True, exist_ok=True)
        GRID.image(values.astype(np.uint8)).to_filename(path)
    table = output_path(tmp_path, "lesions", {"sub": "01"}, modality="T1w", extension=".tsv")
    write_rows(table, ("index", "volume"), enumerate(volumes, 1))
    said = what_is_marked(tmp_path, "01")
    assert said.findings == len(volumes)
    assert said.ml == pytest.approx(sum(volumes) / 1000)
    assert said.share == pytest.approx(len(volumes) / 400)
