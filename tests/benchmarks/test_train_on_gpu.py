"""The training on another machine, in seconds on the CPU, where little more than torch is there."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bids_anomaly.reconstruction.bundle import PACKAGED, load_bundle
from bids_anomaly.reconstruction.registry import load_network
from bids_anomaly.training.volumes import HealthyVolumes, pack

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "train_on_gpu.py"
ABSENT = ("ants", "bids", "h5py", "matplotlib", "nibabel", "nilearn", "nipype", "pandas", "scipy",
          "skimage", "sklearn")  # fmt: skip


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    """Two small heads of noise."""
    folder = tmp_path_factory.mktemp("packed")
    shape = (2, 12, 32, 32)
    brains = torch.zeros(shape, dtype=torch.bool)
    brains[:, 1:11, 4:28, 4:28] = True
    scans = (0.7 + 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0))) * brains
    volumes = HealthyVolumes(
        scans.half(),
        scans.half(),
        brains,
        brains[0].float(),
        torch.zeros(shape[1:]),
        torch.zeros(shape[1:], dtype=torch.uint8),
        2.0,
        torch.zeros(2, 3),
    )
    pack(volumes, folder, people_a_file=1)
    (folder / "data.txt").write_text("2 heads of noise\n")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the script where the libraries of the app cannot be imported."""
    nothing = tmp_path_factory.mktemp("absent")
    for name in ABSENT:
        (nothing / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r})\n")
    path = os.pathsep.join([str(nothing), str(ROOT)])

    def run(*arguments: object) -> str:
        command = [sys.executable, SCRIPT, *arguments]
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [str(part) for part in command], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return importlib.import_module("train_on_gpu")


def test_a_training_gives_weights_that_make_a_bundle(packed, run, script, tmp_path):
    options = ("--from", "restore-FLAIR", "--batch-size", 2, "--device", "cpu")
    printed = run("train", packed, *options, "--steps", 3, "--output", tmp_path)
    assert "3 of 3 steps" in printed
    told = json.loads((tmp_path / "FLAIR.json").read_text())
    assert told["data"] == "2 heads of noise"
    script.make_bundle("restore-FLAIR", tmp_path / "FLAIR.safetensors", tmp_path / "new")
    bundle = load_bundle(tmp_path / "new")
    assert bundle.description["training"]["steps"] == 3
    before = load_network(load_bundle(PACKAGED / "restore-FLAIR")).state_dict()
    after = load_network(bundle).state_dict()
    moved = [float((after[name] - before[name]).abs().max()) for name in before]
    assert 0 < max(moved) < 0.1


def test_a_training_that_ran_out_of_time_goes_on_to_the_same_weights(
    packed, script, tmp_path, monkeypatch
):
    monkeypatch.setattr(script, "EVERY", 1)

    def train(folder: str, minutes: float) -> tuple[int, dict]:
        path = script.train_for(
            packed,
            "restore-T1w",
            tmp_path / folder,
            minutes=minutes,
            steps=3,
            batch_size=1,
            seed=0,
            device=torch.device("cpu"),
            checkpoints=tmp_path / folder,
        )
        return json.loads(path.with_suffix(".json").read_text())["steps"], load_file(path)

    done, _ = train("pieces", minutes=0)
    assert done == 1
    done, in_pieces = train("pieces", minutes=10)
    assert done == 3
    _, at_once = train("at-once", minutes=10)
    for name, value in at_once.items():
        assert torch.equal(in_pieces[name], value)


def test_devices_are_compared(packed, run):
    printed = run("compare", packed, "--model", "restore-T1w", "--devices", "cpu", "cpu")
    assert printed.count("s a volume") == 2
    differences = [float(line.split()[-1]) for line in printed.splitlines()]
    np.testing.assert_array_equal(differences, 0)
