from dataclasses import replace

import numpy as np
import pytest

from bids_anomaly.preprocessing.template import Grid, parted
from bids_anomaly.reports import viewer
from bids_anomaly.reports.scan_viewer import peak_of, scan_viewer


def labels(scan) -> list[str]:
    (subject,) = scan_viewer([scan])["subjects"]
    return [layer["label"] for layer in subject["layers"]]


@pytest.mark.parametrize(("highest", "scale"), [(0.4, 1.0), (1.0, 1.0), (7.5, 7.5)])
def test_what_a_method_itself_calls_anomalous_is_a_layer_on_a_scale_that_fits(
    lesioned, highest, scale
):
    assert "Network" not in labels(lesioned)
    scan = replace(lesioned, network=highest * lesioned.mask)
    assert "Network" in labels(scan)
    (subject,) = scan_viewer([scan])["subjects"]
    assert subject["volumes"]["network"]["stored"][1] == scale


def test_without_a_finding_the_viewer_begins_at_the_highest_score_of_the_brain(healthy):
    zscore = np.zeros_like(healthy.zscore)
    inside = tuple(np.argwhere(healthy.brain)[100])
    zscore[inside], zscore[0, 0, 0] = 2, 9
    peak = peak_of(replace(healthy, zscore=zscore))
    np.testing.assert_allclose(peak, (healthy.affine @ [*inside, 1])[:3])


def test_the_viewer_begins_in_the_most_unusual_finding_though_another_scores_more_here(healthy):
    marked, other = (tuple(voxel) for voxel in np.argwhere(healthy.brain)[[100, -100]])
    mask, zscore = np.zeros_like(healthy.mask), np.zeros_like(healthy.zscore)
    mask[marked] = mask[other] = True
    zscore[marked], zscore[other] = 4, 5
    scan = replace(healthy, mask=mask, zscore=zscore)
    for voxel in (marked, other):
        place = (healthy.affine @ [*voxel, 1])[:3]
        np.testing.assert_allclose(peak_of(replace(scan, most_unusual=place + 3)), place)
    far = (healthy.affine @ [*marked, 1])[:3] - 15
    assert peak_of(replace(scan, most_unusual=far)) == tuple(far)


def test_finer_scans_are_packed_while_there_is_room(lesioned, monkeypatch):
    rng = np.random.default_rng(0)
    finer = [
        replace(lesioned, name=name, finer_scan=rng.random([2 * n for n in lesioned.scan.shape]))
        for name in "abc"
    ]

    def spacings() -> list[float]:
        content = scan_viewer(finer)
        for subject in content["subjects"]:
            fine = subject["volumes"]["scan"]["every"] == 1
            assert fine
            # What is not finer takes as many of its voxels as it is coarser.
            assert subject["outline"]["every"] == 2 / subject["spacing"][0]
            # The box around the brain begins at the same corner.
            corner = np.array(subject["origin"]) - np.array(subject["spacing"]) / 2
            np.testing.assert_allclose((corner - lesioned.affine[:3, 3]) % 2, 1)
        return [subject["spacing"][0] for subject in content["subjects"]]

    assert spacings() == [1, 1, 1]
    one = max(len(text) for text in scan_viewer(finer[:1])["packed"].values())
    monkeypatch.setattr(viewer, "MOST_FINE", 2 * one + 100)
    # The primary scan comes first.
    assert spacings() == [1, 1, 2]


def test_the_voxels_of_a_parted_grid_are_parts_of_those_of_the_grid():
    grid = Grid.isotropic((3, 4, 5), (-7.0, 2.0, 1.0), 2.0)
    fine = parted(grid, 2)
    assert fine.shape == (6, 8, 10)
    both = [fine.affine @ [*corner, 1] for corner in ((0, 0, 0), (1, 1, 1))]
    np.testing.assert_allclose(np.mean(both, axis=0), grid.affine @ [0, 0, 0, 1])
    np.testing.assert_allclose(fine.spacing, 1)
