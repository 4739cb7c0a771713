"""Phantoms that networks learn in seconds."""

import pytest
import torch

from bids_anomaly.training.volumes import HealthyVolumes


@pytest.fixture(scope="session")
def ellipsoids() -> HealthyVolumes:
    """Two smooth ellipsoids of white matter with a grey rim, at 5 mm."""
    z, y, x = torch.meshgrid(
        torch.arange(12.0), torch.arange(32.0), torch.arange(32.0), indexing="ij"
    )
    distance = ((z - 5.5) / 7) ** 2 + ((y - 15.5) / 14) ** 2 + ((x - 15.5) / 13) ** 2
    brain = distance < 1
    scans = [torch.where(distance < core, 1.0, 0.7) * brain for core in (0.6, 0.75)]
    return HealthyVolumes(
        scans=torch.stack(scans).half(),
        filled=torch.stack(scans).half(),
        brains=torch.stack([brain, brain]),
        white_matter=(distance < 0.6).float(),
        deep=(distance < 0.1).float(),
        regions=torch.zeros(distance.shape, dtype=torch.uint8),
        spacing=5.0,
        covariates=torch.full((2, 2), torch.nan),
    )
