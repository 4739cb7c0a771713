import json

import numpy as np
import pytest
import torch

from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.reconstruction.bundle import load_bundle, named_bundle
from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.reconstruction.registry import load_network, reconstruct
from bids_anomaly.scoring.calibration import calibrate, load_calibration
from bids_anomaly.training.export import write_bundle, write_recalibrated

GRID = Grid.isotropic((32, 48, 16), (-64.0, -90.0, -30.0), 4.0)
SCORE = {"rule": "lesion_and_darkening", "smoothing_mm": 1.2, "residual_weight": 1.0}


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = RestorationNet(slices=3, channels=(8, 16))
    torch.nn.init.normal_(network.leave[-1].weight, std=0.05)
    return network.eval()


@pytest.fixture
def calibration():
    rng = np.random.default_rng(0)
    return calibrate([rng.normal(size=5000) for _ in range(3)])


@pytest.fixture
def bundle(tmp_path, network, calibration):
    return write(tmp_path / "new" / "restore-FLAIR", calibration, network=network)


def write(folder, calibration, *, method="restore", **description):
    return write_bundle(
        folder,
        method=method,
        modality="FLAIR",
        version="1.2.3",
        grid=GRID,
        score=SCORE,
        calibration=calibration,
        calibration_data="three phantoms",
        licence="CC0-1.0",
        **{"levels": [0.5], **description},
    )


def test_a_bundle_is_read_as_it_was_written(bundle):
    again = load_bundle(bundle.folder)
    assert again == bundle
    assert (again.name, again.version, again.method) == ("restore-FLAIR", "1.2.3", "restore")
    assert again.grid.shape == GRID.shape
    np.testing.assert_array_equal(again.grid.affine, GRID.affine)
    assert again.description["score"] == SCORE
    assert again.description["levels"] == [0.5]
    assert again.description["licence"] == "CC0-1.0"
    assert again.description["calibration"] == {"data": "three phantoms", "people": 3}


def test_the_network_comes_back_up_to_half_precision(bundle, network):
    loaded = load_network(bundle)
    slab = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        for written, read in zip(
            network(slab, slab[:, 1:2], torch.tensor([0.2, 0.8])),
            loaded(slab, slab[:, 1:2], torch.tensor([0.2, 0.8])),
            strict=True,
        ):
            torch.testing.assert_close(read, written, atol=5e-3, rtol=1e-2)
    assert not loaded.training
    assert all(value.dtype == torch.float32 for value in loaded.state_dict().values())


def test_the_calibration_comes_back(bundle, calibration):
    loaded = load_calibration(bundle.calibration)
    score = np.linspace(-3, 5, 50)
    np.testing.assert_allclose(loaded.zscore(score), calibration.zscore(score), atol=1e-4)


def test_the_bundle_works(bundle):
    scan = np.random.default_rng(0).uniform(0.5, 1, GRID.shape).astype(np.float32)
    result = reconstruct(bundle, scan, scan > 0, device="cpu", batch_size=None, steps=None, seed=0)
    assert result.pseudo_healthy.shape == GRID.shape
    assert result.evaluations == 4


def test_a_method_without_a_network_needs_no_weights(tmp_path, calibration):
    bundle = write(tmp_path / "bundle", calibration, method="threshold")
    assert bundle.weights is None
    names = {path.name for path in bundle.folder.iterdir()}
    assert names == {"bundle.json", "calibration.npz"}


@pytest.mark.parametrize(("name", "status"), [("ae-T1w", "comparison"), ("restore-T1w", None)])
def test_a_copy_is_for_what_the_original_is_for(name, status, tmp_path, calibration):
    copy = write_recalibrated(
        named_bundle(name), tmp_path / "copy", calibration=calibration, calibration_data="phantoms"
    )
    assert copy.description.get("status") == status
    assert copy.status == named_bundle(name).status


def test_a_bundle_can_be_written_again_in_its_place(bundle, network, calibration):
    with torch.no_grad():
        network.leave[-1].bias += 1
    again = write(bundle.folder, calibration, network=network, levels=[1.0])
    assert again.description["levels"] == [1.0]
    assert again.description["sha256"] != bundle.description["sha256"]
    names = {path.name for path in bundle.folder.iterdir()}
    assert names == {"bundle.json", "calibration.npz", "model.safetensors"}


def test_the_description_is_readable_json(bundle):
    text = (bundle.folder / "bundle.json").read_text()
    assert json.loads(text) == dict(bundle.description)
    assert text.count("\n") > 10


def test_whoever_may_read_the_description_may_read_the_weights(bundle):
    modes = {path.stat().st_mode for path in bundle.folder.iterdir()}
    assert len(modes) == 1
