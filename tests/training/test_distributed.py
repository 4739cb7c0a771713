"""Two processes on the CPU take the step that one process takes on the whole batch."""

import os
import subprocess
import sys
import textwrap
from dataclasses import fields

import pytest
import torch

from bids_anomaly.exceptions import UsageError
from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.training.data import Batch, draw_batch
from bids_anomaly.training.distributed import Worker, launched_with
from bids_anomaly.training.loading import load_volumes
from bids_anomaly.training.losses import restoration_loss
from bids_anomaly.training.people import load_people

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone")
WORKER = textwrap.dedent(
    """
    import sys
    from pathlib import Path

    import torch

    from bids_anomaly.reconstruction.networks import RestorationNet
    from bids_anomaly.training.data import draw_batch
    from bids_anomaly.training.loading import load_volumes
    from bids_anomaly.training.distributed import average_gradients, connected, launched_with
    from bids_anomaly.training.losses import restoration_loss
    from bids_anomaly.training.people import load_people

    derivatives, weights, output = map(Path, sys.argv[1:])
    people = load_people(derivatives, modality="T1w")
    volumes = load_volumes([person.scan for person in people], [person.brain for person in people])
    network = RestorationNet(slices=3, channels=(16, 32))
    network.load_state_dict(torch.load(weights, weights_only=True))
    worker, _ = launched_with()
    with connected(worker, "cpu"):
        batch = draw_batch(
            volumes,
            worker.share(8),
            slices=3,
            modalities=["T1w", "FLAIR"],
            generator=torch.Generator().manual_seed(worker.seed(5)),
        )
        restored = network(batch.slab, batch.mirrored, batch.level)
        sum(restoration_loss(*restored, batch).values()).backward()
        average_gradients(network, worker)
        if worker.writes:
            torch.save([parameter.grad for parameter in network.parameters()], output)
    """
)


@pytest.fixture(scope="module")
def volumes(preprocessed):
    people = load_people(preprocessed, modality="T1w")
    return load_volumes([person.scan for person in people], [person.brain for person in people])


def torchrun(*arguments, cwd, processes=2):
    """Run a script or module by torch's own launcher."""
    return subprocess.run(
        [*TORCHRUN, "--nproc-per-node", str(processes), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_two_processes_find_the_gradients_of_one(volumes, preprocessed, tmp_path):
    torch.manual_seed(0)
    network = RestorationNet(slices=3, channels=(16, 32))
    for parameter in network.leave[-1].parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "worker.py").write_text(WORKER)
    finished = torchrun("worker.py", preprocessed, "weights.pt", "gradients.pt", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr

    shares = [
        draw_batch(
            volumes,
            4,
            slices=3,
            modalities=["T1w", "FLAIR"],
            generator=torch.Generator().manual_seed(Worker(rank, 2).seed(5)),
        )
        for rank in range(2)
    ]
    # The shares differ, so that the mean of two losses would not be the loss of both.
    assert not torch.equal(shares[0].brain, shares[1].brain)
    whole = Batch(
        **{
            field.name: torch.cat([getattr(share, field.name) for share in shares])
            for field in fields(Batch)
        }
    )
    restored = network(whole.slab, whole.mirrored, whole.level)
    sum(restoration_loss(*restored, whole).values()).backward()
    found = torch.load(tmp_path / "gradients.pt", weights_only=True)
    for gradient, parameter in zip(found, network.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6)


def test_a_batch_is_shared_out_evenly_or_refused():
    assert Worker(rank=1, world_size=4).share(16) == 4
    with pytest.raises(UsageError, match="multiple of 3"):
        Worker(rank=0, world_size=3).share(16)


def test_each_process_draws_batches_of_its_own():
    assert len({Worker(rank, 4).seed(7) for rank in range(4)}) == 4
    assert Worker().seed(7) == 7


def test_the_launcher_says_which_process_this_is():
    environ = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    assert launched_with(environ) == (Worker(5, 8), 1)
    assert launched_with({}) == (Worker(0, 1), 0)
