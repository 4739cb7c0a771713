import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.training.loading import load_volumes
from bids_anomaly.training.people import find_people, load_people
from bids_anomaly.training.preview import write_preview
from bids_anomaly.training.validation import held_out_slabs, validate

MODALITIES = ("T1w", "FLAIR")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def volumes(preprocessed):
    people = load_people(preprocessed, modality="T1w")
    return load_volumes([person.scan for person in people], [person.brain for person in people])


@pytest.fixture(scope="module")
def slabs(volumes):
    return held_out_slabs(volumes, slices=3, modalities=MODALITIES)


class Oracle(torch.nn.Module):
    """Knows the truth, slab by slab in their order, and is asked four times for it.

    At the level and at the strongest of all, each time as it is and mirrored.
    """

    def __init__(self, slabs):
        super().__init__()
        self.slices = 3
        self.answers = []
        for batch in slabs.values():
            answer = (batch.healthy, 20 * batch.lesion - 10)
            for flip in (False, True) * 2:
                shown = [part.flip(-1) if flip else part for part in answer]
                self.answers += zip(*(part.split(16) for part in shown), strict=True)

    def forward(self, slab, mirrored, level):
        return self.answers.pop(0)


def measured(network, slabs, picture):
    return validate("restore", network, slabs, levels=(0.5,), device=CPU, picture=picture)


def test_the_truth_measures_as_perfect(slabs, tmp_path):
    measures = measured(Oracle(slabs), slabs, tmp_path / "new" / "mosaic.png")
    for modality in MODALITIES:
        assert measures[f"{modality}_l1"] == pytest.approx(0, abs=1e-6)
        assert measures[f"{modality}_ssim"] == pytest.approx(1)
        assert measures[f"{modality}_auprc"] == pytest.approx(1)


def test_an_untrained_network_leaves_healthy_slices_as_they_are(slabs, tmp_path):
    network = RestorationNet(slices=3, channels=(16, 32))
    measures = measured(network, slabs, tmp_path / "mosaic.png")
    for modality in MODALITIES:
        assert measures[f"{modality}_healthy_l1"] < 0.2 * measures[f"{modality}_l1"]
        assert measures[f"{modality}_auprc"] < 0.5


def test_a_slab_without_brain_says_nothing(slabs, tmp_path):
    for batch in slabs.values():
        batch = dataclasses.replace(batch, brain=batch.brain.clone())
        batch.brain[3] = 0
        measures = measured(Oracle({"T1w": batch}), {"T1w": batch}, tmp_path / "mosaic.png")
        assert measures["T1w_l1"] == pytest.approx(0, abs=1e-6)
        assert measures["T1w_ssim"] == pytest.approx(1)


def test_the_picture_has_a_row_for_each_slab_and_four_columns(slabs, tmp_path):
    network = RestorationNet(slices=3, channels=(16, 32))
    measured(network, slabs, tmp_path / "mosaic.png")
    picture = np.asarray(Image.open(tmp_path / "mosaic.png"))
    assert picture.shape == (16 + 2 * 6 * (2 * 48 + 4), 4 * (2 * 32 + 4))
    assert picture.std() > 10


def test_held_out_slabs_are_always_the_same(volumes, slabs):
    again = held_out_slabs(volumes, slices=3, modalities=["FLAIR"])["FLAIR"]
    for field in dataclasses.fields(again):
        assert torch.equal(getattr(again, field.name), getattr(slabs["FLAIR"], field.name))


def test_the_preview_shows_real_scans_where_there_are_any(volumes, preprocessed, tmp_path):
    heights = {}
    for name, modalities in {
        "with": ["FLAIR"],
        "without": ["T2w"],
        "both": ["FLAIR", "T2w"],
    }.items():
        real = {modality: find_people(preprocessed, modality=modality) for modality in modalities}
        path = tmp_path / f"{name}.png"
        write_preview(path, volumes, real, slices=3, modalities=modalities, seed=0)
        heights[name] = Image.open(path).height
    assert heights["with"] * 3 == heights["without"] * 4
    assert heights["both"] == heights["with"] + heights["without"]
