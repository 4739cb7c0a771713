"""What the packaged weights do with the template brain, into which a dark blob is put."""

import numpy as np
import pytest
from nibabel.affines import apply_affine, from_matvec

from bids_anomaly.preprocessing.intensity import SURE_WHITE_MATTER, white_matter_level
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid, template_brain, template_white_matter
from bids_anomaly.reconstruction.bundle import DEFAULT_FAMILY, packaged_bundles
from bids_anomaly.reconstruction.registry import load_network, reconstruct

LEARNT = [bundle for bundle in packaged_bundles() if bundle.weights]
ON_T1W = [bundle for bundle in LEARNT if bundle.modality == "T1w"]
JUDGED = [
    # What is for comparison only takes its time.
    pytest.param(bundle, marks=[] if bundle.method == DEFAULT_FAMILY else pytest.mark.slow)
    for bundle in ON_T1W
]
# In white matter of the left hemisphere, mm in the template.
CENTRE, RADIUS_MM, DARKENING = np.array([-26.0, -22.0, 28.0]), 7.0, 0.4
# The slices that methods see: as many as the networks for volumes take, around the blob.
SLICES = slice(36, 68)


@pytest.fixture(scope="module")
def brain_with_blob():
    """Return slices of a healthy T1w brain, of the same with a blob, of the brain and the blob."""
    grid = ON_T1W[0].grid
    part = Grid(
        (*grid.shape[:2], SLICES.stop - SLICES.start),
        grid.affine @ from_matvec(np.eye(3), [0, 0, SLICES.start]),
    )
    scan = resample(template_brain(1), part).get_fdata(dtype=np.float32)
    white = resample(template_white_matter(1), part).get_fdata()
    brain = scan > 0.1 * scan.max()
    scan = scan * brain / white_matter_level(scan, brain & (white > SURE_WHITE_MATTER))
    places = apply_affine(part.affine, np.moveaxis(np.indices(part.shape), 0, -1))
    blob = np.linalg.norm(places - CENTRE, axis=-1) < RADIUS_MM
    assert white[blob].mean() > 0.8
    return scan, scan - np.float32(DARKENING) * blob, brain, blob


@pytest.mark.parametrize("bundle", LEARNT, ids=lambda bundle: bundle.name)
def test_weights_fit_the_network_that_the_bundle_describes(bundle):
    load_network(bundle)


@pytest.mark.parametrize("bundle", JUDGED, ids=lambda bundle: bundle.name)
def test_a_blob_is_noticed_and_the_rest_kept(bundle, brain_with_blob):
    healthy, diseased, brain, blob = brain_with_blob
    options = {"device": "cpu", "batch_size": None, "steps": None, "seed": 0}
    without, found = (reconstruct(bundle, s, brain, **options) for s in (healthy, diseased))
    elsewhere = brain & ~blob
    if not bundle.makes_image:
        change = found.anomaly - without.anomaly
        assert change[blob].mean() > 10 * np.abs(change[elsewhere]).mean()
        return
    # A network that copies passes all of the blob on, one that knows healthy brains little of it;
    # the short trainings that most are from lie between.
    change = found.pseudo_healthy - without.pseudo_healthy
    passed_on = -change[blob].mean() / DARKENING
    assert passed_on < 0.95
    assert np.abs(change[elsewhere]).mean() < 0.05 * DARKENING
