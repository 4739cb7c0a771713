r"""Train networks of the release on a machine with a GPU.

That machine needs torch, NumPy, safetensors and MONAI, and nothing else that the app needs; the
scans travel as packed volumes::

    python benchmarks/train_on_gpu.py pack DATA --preprocessed PREPROCESSED --output VOLUMES
    python benchmarks/train_on_gpu.py train VOLUMES --from restore-FLAIR --minutes 8 --output FOLDER
    python benchmarks/train_on_gpu.py compare VOLUMES --model restore-FLAIR
    python benchmarks/train_on_gpu.py bundle restore-FLAIR FOLDER/FLAIR.safetensors --output BUNDLE

``pack`` needs the app and preprocessed people (``train_release.py``); each of its files has less
than 16 MB. ``train`` takes as many steps as fit into the minutes, unless ``--steps`` says how many,
and writes the averaged weights; called again with the same options it goes on from its checkpoint.
``compare`` prints the time of a volume on each device, and how far their maps are apart. ``bundle``
puts weights into a copy of a bundle, which then has to be calibrated (``docs/models.md``).
"""

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file

from bids_anomaly.reconstruction.batching import in_batches, slabs_around
from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.reconstruction.restore import restore
from bids_anomaly.reconstruction.views import AXIAL
from bids_anomaly.training.checkpoint import CHECKPOINT
from bids_anomaly.training.loop import train
from bids_anomaly.training.recipes import RECIPES, in_views
from bids_anomaly.training.volumes import HealthyVolumes, pack, unpack

PACKAGED = Path(__file__).parents[1] / "bids_anomaly" / "resources" / "bundles"
PEOPLE_A_FILE = 50
EVERY = 500
# Steps that say how long a step takes, after some that warm the device up.
WARM_UP, TIMED = 5, 20
REPEATS = 3


class TimeUp(Exception):
    """The minutes are over; the last checkpoint has what was learnt."""


def main() -> None:
    """Pack, train, compare, or make a bundle."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)

    packing = commands.add_parser("pack", help="write the volumes of a training")
    packing.add_argument("data", type=Path, help="folder of the datasets")
    packing.add_argument("--preprocessed", type=Path, required=True)
    packing.add_argument("--output", type=Path, required=True)
    packing.add_argument("--seed", type=int, default=0)

    training = commands.add_parser("train", help="train on packed volumes")
    training.add_argument("volumes", type=Path)
    training.add_argument("--from", dest="start", required=True, help="packaged bundle")
    training.add_argument("--minutes", type=float, default=8.0)
    training.add_argument("--steps", type=int)
    training.add_argument("--batch-size", type=int, default=64)
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--device", default="cuda")
    training.add_argument("--output", type=Path, required=True)
    training.add_argument("--checkpoints", type=Path, help="folder (default: inside the output)")

    comparing = commands.add_parser("compare", help="compare devices")
    comparing.add_argument("volumes", type=Path)
    comparing.add_argument("--model", required=True, help="packaged bundle")
    comparing.add_argument("--devices", nargs="+", default=["cpu", "cuda"])

    bundling = commands.add_parser("bundle", help="put weights into a copy of a bundle")
    bundling.add_argument("model", help="packaged bundle")
    bundling.add_argument("weights", type=Path)
    bundling.add_argument("--output", type=Path, required=True)

    arguments = parser.parse_args()
    if arguments.command == "pack":
        pack_people(arguments.data, arguments.preprocessed, arguments.output, arguments.seed)
    elif arguments.command == "train":
        train_for(
            arguments.volumes,
            arguments.start,
            arguments.output,
            minutes=arguments.minutes,
            steps=arguments.steps,
            batch_size=arguments.batch_size,
            seed=arguments.seed,
            device=torch.device(arguments.device),
            checkpoints=arguments.checkpoints or arguments.output,
        )
    elif arguments.command == "compare":
        compare(arguments.volumes, arguments.model, arguments.devices)
    else:
        make_bundle(arguments.model, arguments.weights, arguments.output)


def pack_people(data: Path, preprocessed: Path, output: Path, seed: int) -> None:
    """Pack all that ``train_release.py`` trains on."""
    # What only this machine has.
    from train_release import training_people

    from bids_anomaly.training.loading import volumes_of

    people, told = training_people(data, preprocessed, seed=seed)
    written = pack(volumes_of(people), output, people_a_file=PEOPLE_A_FILE)
    (output / "data.txt").write_text(f"{told}\n", encoding="utf-8")
    for path in written:
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")


def train_for(
    folder: Path,
    start: str,
    output: Path,
    *,
    minutes: float,
    steps: int | None,
    batch_size: int,
    seed: int,
    device: torch.device,
    checkpoints: Path,
) -> Path:
    """Train for some minutes, and write the averaged weights in half precision.

    Returns
    -------
    Path
        The file of weights; beside it ``<modality>.json`` says how they came about.
    """
    began = time.monotonic()
    description = _described(start)
    modality = description["modality"]
    volumes = unpack(folder).to(device)
    options = {
        "recipe": in_views(RECIPES["restore"], description.get("views", [AXIAL])),
        "modalities": [modality],
        "batch_size": batch_size,
        "seed": seed,
        "device": device,
    }
    work = checkpoints / f"training-{modality}"
    asked = work / "steps.json"
    if steps is None and asked.is_file():
        steps = json.loads(asked.read_text())["steps"]
    if steps is None:
        seconds = _seconds_a_step(volumes, _network(start), options)
        left = 60 * minutes - (time.monotonic() - began)
        steps = max(1, int(left / seconds))
        print(f"{seconds:.3f} s a step: {steps} steps in {left / 60:.1f} minutes.", flush=True)
    work.mkdir(parents=True, exist_ok=True)
    asked.write_text(json.dumps({"steps": steps}))

    def stop_in_time(step: int, losses: Mapping[str, float]) -> None:
        if step % EVERY == 0:
            print(step, {name: round(value, 4) for name, value in losses.items()}, flush=True)
            if time.monotonic() - began > 60 * minutes:
                raise TimeUp

    try:
        average = train(
            volumes,
            _network(start),
            steps=steps,
            folder=work,
            interval=EVERY,
            on_step=stop_in_time,
            **options,
        )
        weights, done = average.state_dict(), steps
    except TimeUp:
        state = torch.load(work / CHECKPOINT, map_location="cpu", weights_only=True)
        inside = "module."
        weights = {
            name.removeprefix(inside): value
            for name, value in state["average"].items()
            if name.startswith(inside)
        }
        done = state["step"]
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{modality}.safetensors"
    save_file({name: value.half().contiguous() for name, value in weights.items()}, path)
    told = {
        "data": (folder / "data.txt").read_text(encoding="utf-8").strip(),
        "split": "train",
        "modalities": [modality],
        "steps": done,
        "of_steps": steps,
        "batch_size": batch_size,
        "seed": seed,
        "from": f"{description['name']} {description['version']}",
    }
    path.with_suffix(".json").write_text(json.dumps(told, indent=2) + "\n")
    print(f"{path}: {done} of {steps} steps.")
    return path


def compare(folder: Path, model: str, devices: list[str]) -> None:
    """Print the time of a volume on each device, and the largest difference of their maps."""
    description = _described(model)
    volumes = unpack(folder)
    network = _network(model).eval()
    slabs = slabs_around(volumes.scans[0].float(), network.slices)
    brain = volumes.brains[0].float()[:, None]
    levels = description["levels"]
    first = None
    for device in devices:
        placed = network.to(device)
        run = partial(in_batches, batch_size=len(slabs), device=device)
        seconds = []
        # The first warms the device up.
        for _ in range(1 + REPEATS):
            began = time.perf_counter()
            found = restore(placed, slabs, brain, run=run, levels=levels, steps=len(levels))
            seconds.append(time.perf_counter() - began)
        maps = torch.stack([found.pseudo_healthy * brain, found.anomaly * brain])
        first = maps if first is None else first
        print(
            f"{device}: {statistics.median(seconds[1:]):.2f} s a volume; largest difference to "
            f"{devices[0]}: {float((maps - first).abs().max()):.1e}"
        )


def make_bundle(model: str, weights: Path, output: Path) -> None:
    """Write a bundle that has the description and the calibration of another, and these weights."""
    # What only the machine with the app has.
    from shared.candidates import write_candidate

    training = json.loads(weights.with_suffix(".json").read_text())
    write_candidate(PACKAGED / model, output, load_file(weights), training)


def _described(model: str) -> dict:
    return json.loads((PACKAGED / model / "bundle.json").read_text(encoding="utf-8"))


def _network(model: str) -> RestorationNet:
    # The package's own load_network needs libraries that are absent where this trains.
    network = RestorationNet(**_described(model)["network"])
    weights = load_file(PACKAGED / model / "model.safetensors")
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    return network


def _seconds_a_step(volumes: HealthyVolumes, network: RestorationNet, options: Mapping) -> float:
    """Time some steps of a training that is thrown away."""

    def seconds(steps: int) -> float:
        began = time.monotonic()
        with TemporaryDirectory() as folder:
            train(volumes, network, steps=steps, folder=Path(folder), interval=EVERY, **options)
        return time.monotonic() - began

    # The device warms up first; what both others do beside steps cancels out.
    seconds(WARM_UP)
    return max(seconds(WARM_UP + TIMED) - seconds(WARM_UP), 1e-3) / TIMED


if __name__ == "__main__":
    main()
