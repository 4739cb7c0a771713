import numpy as np
import pytest
import torch

from bids_anomaly.training.volumes import STEPS_OF_WHITE, HealthyVolumes, pack, unpack


@pytest.fixture
def volumes() -> HealthyVolumes:
    """Five people of noise in boxes, some voxels of whom are raised."""
    random = torch.Generator().manual_seed(0)
    shape = (5, 6, 10, 13)
    brains = torch.zeros(shape, dtype=torch.bool)
    brains[:, 1:5, 2:9, 3:12] = True
    scans = torch.rand(shape, generator=random) * 1.4 * brains
    filled = torch.where(torch.rand(shape, generator=random) > 0.9, 1.5 * brains, scans)
    covariates = torch.rand(5, 3, generator=random)
    covariates[2] = float("nan")
    return HealthyVolumes(
        scans.half(),
        filled.half(),
        brains,
        torch.rand(shape[1:], generator=random),
        (torch.rand(shape[1:], generator=random) > 0.5).float(),
        torch.randint(9, shape[1:], generator=random).to(torch.uint8),
        2.0,
        covariates,
    )


@pytest.mark.parametrize("people_a_file", [1, 2, 5, 9])
def test_packed_volumes_come_back_as_they_were_but_for_rounding(volumes, people_a_file, tmp_path):
    written = pack(volumes, tmp_path, people_a_file=people_a_file)
    assert len(written) == 1 + -(-5 // people_a_file)
    there = unpack(tmp_path)
    for name in ("brains", "deep", "regions", "covariates"):
        kept, asked = getattr(there, name), getattr(volumes, name)
        assert kept.dtype == asked.dtype
        np.testing.assert_array_equal(kept, asked)
    for name in ("scans", "filled"):
        difference = getattr(there, name).float() - getattr(volumes, name).float()
        assert difference.abs().max() < 0.51 / STEPS_OF_WHITE + 1e-3
    assert torch.allclose(there.white_matter, volumes.white_matter, atol=1e-3)
    assert there.spacing == volumes.spacing


def test_people_keep_their_order_where_there_are_more_than_ten_files(volumes, tmp_path):
    many = HealthyVolumes(
        *(getattr(volumes, name).repeat(3, 1, 1, 1) for name in ("scans", "filled", "brains")),
        *(getattr(volumes, name) for name in ("white_matter", "deep", "regions", "spacing")),
        torch.arange(45.0).view(15, 3),
    )
    pack(many, tmp_path, people_a_file=1)
    np.testing.assert_array_equal(unpack(tmp_path).covariates, many.covariates)


def test_coronal_slices_hold_the_same_voxels_with_margins(volumes):
    turned = volumes.coronal
    assert turned.view == "coronal"
    assert turned.scans.shape == (5, 10, 10, 13)
    for name in ("scans", "filled", "brains"):
        kept, asked = getattr(turned, name), getattr(volumes, name)
        assert kept.dtype == asked.dtype
        np.testing.assert_array_equal(kept[:, :, 2:8].transpose(1, 2), asked)
        assert not kept[:, :, :2].any()
        assert not kept[:, :, 8:].any()
    np.testing.assert_array_equal(turned.regions[:, 2:8].transpose(0, 1), volumes.regions)
