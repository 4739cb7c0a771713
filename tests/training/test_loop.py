import csv
from dataclasses import replace

import pytest
import torch

from bids_anomaly.exceptions import TrainingError
from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.training.checkpoint import append_row, drop_rows_after
from bids_anomaly.training.data import draw_batch
from bids_anomaly.training.loop import train
from bids_anomaly.training.losses import restoration_loss
from bids_anomaly.training.recipes import RECIPES

STEPS = 30


def fresh_network():
    torch.manual_seed(0)
    return RestorationNet(slices=3, channels=(16, 32))


def learn(ellipsoids, folder, *, network=None, steps=STEPS, seed=0, interval=10, **options):
    return train(
        ellipsoids,
        network or fresh_network(),
        recipe=RECIPES["restore"],
        modalities=("T1w", "FLAIR"),
        steps=steps,
        batch_size=4,
        seed=seed,
        device=torch.device("cpu"),
        folder=folder,
        interval=interval,
        **options,
    )


@pytest.fixture(scope="module")
def uninterrupted(ellipsoids, tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    return learn(ellipsoids, folder).state_dict(), folder


def read_losses(folder):
    with (folder / "losses.csv").open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def without_times(rows):
    return [{**row, "seconds_per_step": None} for row in rows]


def test_losses_fall(ellipsoids, tmp_path):
    learn(ellipsoids, tmp_path, steps=100, interval=20)
    totals = [
        row["l1"] + row["ssim"] + row["cross_entropy"] + row["dice"]
        for row in read_losses(tmp_path)
    ]
    assert len(totals) == 5
    assert totals[-1] < 0.9 * totals[0]


def test_the_course_of_the_training_is_written_as_a_table(uninterrupted):
    rows = read_losses(uninterrupted[1])
    assert [row["step"] for row in rows] == [10, 20, 30]
    terms = ("l1", "ssim", "cross_entropy", "dice", "seconds_per_step")
    assert all(row[key] > 0 for row in rows for key in terms)


class Killed(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("stop_at", [10, 13, 20])
def test_an_interrupted_training_goes_on_to_exactly_the_same_weights(
    ellipsoids, uninterrupted, tmp_path, stop_at
):
    def kill(step, losses):
        if step == stop_at:
            raise Killed

    with pytest.raises(Killed):
        learn(ellipsoids, tmp_path, on_step=kill)
    resumed = learn(ellipsoids, tmp_path).state_dict()
    expected, folder = uninterrupted
    assert resumed.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(resumed[name], value), name
    assert without_times(read_losses(tmp_path)) == without_times(read_losses(folder))


def test_work_after_the_last_checkpoint_is_done_again(ellipsoids, uninterrupted, tmp_path):
    class Network(RestorationNet):
        """Fails in the middle of a stretch between two checkpoints."""

        calls = 0

        def forward(self, *inputs):
            self.calls += 1
            if self.calls == 17:
                raise Killed
            return super().forward(*inputs)

    torch.manual_seed(0)
    network = Network(slices=3, channels=(16, 32))
    with pytest.raises(Killed):
        learn(ellipsoids, tmp_path, network=network)
    resumed = learn(ellipsoids, tmp_path).state_dict()
    assert all(torch.equal(resumed[name], value) for name, value in uninterrupted[0].items())


@pytest.mark.parametrize("left", ["", "step,lo"])
def test_a_table_whose_header_was_cut_off_is_begun_again(tmp_path, left):
    table = tmp_path / "losses.csv"
    table.write_text(left)
    drop_rows_after(table, 0)
    append_row(table, {"step": 1, "loss": 0.5})
    assert table.read_text() == "step,loss\n1,0.50000\n"


def test_a_finished_training_is_not_done_again(ellipsoids, uninterrupted):
    def forbidden(step, losses):
        raise AssertionError("trained again")

    expected, folder = uninterrupted
    again = learn(ellipsoids, folder, on_step=forbidden).state_dict()
    assert all(torch.equal(again[name], value) for name, value in expected.items())


def test_the_seed_decides(ellipsoids, uninterrupted, tmp_path):
    same = learn(ellipsoids, tmp_path / "same", steps=STEPS).state_dict()
    other = learn(ellipsoids, tmp_path / "other", steps=STEPS, seed=1).state_dict()
    expected = uninterrupted[0]
    assert all(torch.equal(same[name], value) for name, value in expected.items())
    assert any(not torch.equal(other[name], value) for name, value in expected.items())


@pytest.fixture
def batch(ellipsoids):
    generator = torch.Generator().manual_seed(0)
    return draw_batch(ellipsoids, 8, slices=3, modalities=["T1w"], generator=generator)


def test_a_network_can_learn_one_batch_by_heart(batch):
    network = fresh_network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    totals = []
    for _ in range(150):
        losses = restoration_loss(*network(batch.slab, batch.mirrored, batch.level), batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        totals.append(sum(value.item() for value in losses.values()))
    assert totals[-1] < 0.2 * totals[0]


def test_the_truth_costs_almost_nothing_and_worse_costs_more(batch):
    truth = restoration_loss(batch.healthy, 40 * batch.lesion - 20, batch)
    untouched = restoration_loss(batch.slab[:, 1:2], torch.zeros_like(batch.lesion), batch)
    assert sum(truth.values()) < 0.1
    for name, value in truth.items():
        assert value < untouched[name], name


def test_an_error_inside_the_anomaly_counts_three_times(batch):
    logit = torch.zeros_like(batch.lesion)
    elsewhere = batch.brain * (1 - batch.lesion)
    inside = restoration_loss(batch.healthy + 0.1 * batch.lesion, logit, batch)["l1"]
    outside = restoration_loss(batch.healthy + 0.1 * elsewhere, logit, batch)["l1"]
    ratio = (inside / batch.lesion.sum()) / (outside / elsewhere.sum())
    assert ratio == pytest.approx(3, rel=1e-4)


def test_a_training_that_diverges_stops_before_it_writes(ellipsoids, tmp_path):
    learn(ellipsoids, tmp_path, steps=2, interval=2)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    broken = replace(ellipsoids, scans=torch.full_like(ellipsoids.scans, torch.nan))
    with pytest.raises(TrainingError, match=r"step 4: .*l1.* is not a number"):
        learn(broken, tmp_path, steps=4, interval=2)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
