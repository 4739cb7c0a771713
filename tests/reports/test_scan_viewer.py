from dataclasses import replace

import numpy as np
import pytest

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
