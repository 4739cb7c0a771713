"""Train a bundle of the family ``restore`` from preprocessed healthy people."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch

from bids_anomaly.exceptions import BadScanError, ModelUnavailableError
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.reconstruction.networks import RestorationNet
from bids_anomaly.reconstruction.restore import load_network
from bids_anomaly.scoring.calibration import Calibration, calibrate
from bids_anomaly.synthesis.contrast import MODALITIES, paint
from bids_anomaly.training.checkpoint import claim_folder
from bids_anomaly.training.controls import scores_by_person
from bids_anomaly.training.data import load_volumes, slices_first
from bids_anomaly.training.distributed import ALONE, Place, connected
from bids_anomaly.training.export import write_bundle
from bids_anomaly.training.loop import train
from bids_anomaly.training.people import FEWEST, Preprocessed, same_grid
from bids_anomaly.training.validation import held_out_slabs, validate

# Levels of corruption at which the healthy image is predicted and averaged. Low ones, at which the
# network expects faint anomalies, find most: see docs/training.md.
LEVELS = (0.3, 0.1)
SCORES: dict[str, dict[str, Any]] = {
    "T1w": {"rule": "lesion_and_darkening", "smoothing_mm": 1.2, "residual_weight": 1.0},
    "FLAIR": {"rule": "intensity_and_lesion", "smoothing_mm": 1.2, "lesion_weight": 1.0},
    "T2w": {"rule": "brightening_in_lesion", "smoothing_mm": 1.2, "fluid_level": 1.8},
}


class Trained(NamedTuple):
    """A bundle, and the scores of the people who calibrate it, a (V,) array a person."""

    bundle: Bundle
    scores: list[np.ndarray]


def train_restoration(
    people: Sequence[Preprocessed],
    watched: Sequence[Preprocessed],
    controls: Mapping[str, Sequence[Preprocessed]],
    folder: Path,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    device: str,
    start: Bundle | None,
    interval: int,
    place: Place = ALONE,
    description: Mapping[str, Any],
    on_step: Callable[[int, Mapping[str, float]], None],
) -> list[Trained]:
    """Train one network, calibrate it for each modality, and write a bundle for each.

    Parameters
    ----------
    people : sequence of Preprocessed
        T1w scans of healthy people to train on.
    watched : sequence of Preprocessed
        T1w scans of others, on whom the training is validated; may be empty.
    controls : mapping
        For each modality to learn, scans of other healthy people, whose scores say what is unusual;
        see :func:`controls_of`.
    folder : Path
        Gets a bundle ``restore-<modality>`` for each modality, all with the same weights, and in
        ``training/`` checkpoints, losses and validations.
    steps, batch_size, seed, device, interval, place, on_step
        See :func:`bids_anomaly.training.loop.train`.
    start : Bundle or None
        Where the weights start; None is at random.
    description : mapping
        ``version``, ``licence``, ``calibration_data`` and ``training`` of the bundles.

    Returns
    -------
    list of Trained
        Empty in all processes but the first.

    Raises
    ------
    UsageError
        If an earlier training in `folder` was another one.
    ModelUnavailableError
        If `start` cannot be trained on these scans.
    BadScanError
        If scans do not share a grid, or the network cannot take it.
    """
    grid = Grid.of(people[0].scan)
    for scan in (scans[0] for scans in controls.values()):
        if not same_grid(Grid.of(scan.scan), grid):
            raise BadScanError(
                f"The scan {scan.path} has another grid than {people[0].path.name}. Preprocess all "
                "modalities with models of the same grid."
            )
    network = _network(start, grid, people[0].path, seed)
    modalities = list(controls)
    training = folder / "training"
    configuration = {
        "modalities": modalities,
        "steps": steps,
        "batch_size": batch_size,
        "seed": seed,
        "device": torch.device(device).type,
        "processes": place.count,
        "from": start and start.digest(),
        "scans": [person.path.name for person in people],
    }
    with connected(place, device):
        claim_folder(training, configuration, place=place)
        network = train(
            load_volumes([person.scan for person in people], [person.brain for person in people]),
            network,
            modalities=modalities,
            steps=steps,
            batch_size=batch_size,
            seed=seed,
            device=torch.device(device),
            folder=training,
            interval=interval,
            place=place,
            validate=_validation(
                watched, network.slices, modalities, torch.device(device), training, place
            ),
            on_step=on_step,
        )
    if not place.writes:
        return []
    return [
        _write_calibrated(
            network,
            controls[modality],
            folder,
            modality=modality,
            grid=grid,
            device=device,
            description=description,
        )
        for modality in modalities
    ]


def controls_of(
    scans: Sequence[Preprocessed], t1w: Sequence[Preprocessed], *, modality: str, seed: int
) -> tuple[list[Preprocessed], bool]:
    """Return the scans that calibrate a modality, and whether they had to be painted.

    Parameters
    ----------
    scans : sequence of Preprocessed
        Real scans of the modality of the people who calibrate; taken if they are of enough people.
    t1w : sequence of Preprocessed
        Their T1w scans, from which the modality is painted otherwise.
    modality : str
        BIDS suffix.
    seed : int
        Of the tone curves.
    """
    if len({scan.participant for scan in scans}) >= FEWEST["calibration"]:
        return list(scans), False
    volumes = load_volumes([scan.scan for scan in t1w], [scan.brain for scan in t1w])
    kind = torch.tensor([MODALITIES.index(modality)])
    painted = []
    for index, person in enumerate(t1w):
        generator = torch.Generator()
        slices = []
        for t1w_slice, brain, deep in zip(
            volumes.filled[index], volumes.brains[index], volumes.deep, strict=True
        ):
            # The same seed in each slice gives the whole volume one tone curve.
            generator.manual_seed(seed + index)
            slices.append(
                paint(
                    t1w_slice[None, None].float(),
                    brain[None, None].float(),
                    deep[None],
                    kind,
                    generator=generator,
                )[0, 0]
            )
        values = slices_first(torch.stack(slices).numpy()).astype(np.float32)
        painted.append(person._replace(scan=Grid.of(person.scan).image(values)))
    return painted, True


def _network(start: Bundle | None, grid: Grid, scan: Path, seed: int) -> RestorationNet:
    """Return the network to begin with, checked against the grid of the scans."""
    if start is None:
        torch.manual_seed(seed)
        network = RestorationNet()
    elif start.weights is None:
        raise ModelUnavailableError(
            f"The bundle {start.name} has no weights to start from. Name another with --from."
        )
    elif not same_grid(start.grid, grid):
        raise ModelUnavailableError(
            f"The bundle {start.name} works in another grid than {scan}. Preprocess the scans with "
            f"--model {start.folder}, or train without --from."
        )
    else:
        network = load_network(start).train()
    # One halving by the stem, and one from each resolution to the next.
    multiple = 2 ** len(network.channels)
    if any(size % multiple for size in grid.shape[:2]) or grid.shape[2] < network.slices:
        raise BadScanError(
            f"The scan {scan} has {' x '.join(map(str, grid.shape))} voxels; the network needs "
            f"axial slices whose sides are multiples of {multiple}. Preprocess with a model whose "
            "grid has them."
        )
    return network


def _validation(
    watched: Sequence[Preprocessed],
    slices: int,
    modalities: Sequence[str],
    device: torch.device,
    folder: Path,
    place: Place,
) -> Callable[[int, RestorationNet], Mapping[str, float]] | None:
    """Return what measures the network at each checkpoint, if there is anybody to measure it on."""
    if not watched or not place.writes:
        return None
    volumes = load_volumes([scan.scan for scan in watched], [scan.brain for scan in watched])
    slabs = held_out_slabs(volumes, slices=slices, modalities=modalities)
    return lambda step, network: validate(
        network, slabs, device=device, picture=folder / "validation" / f"step-{step:06d}.png"
    )


def _write_calibrated(
    network: RestorationNet,
    controls: Sequence[Preprocessed],
    folder: Path,
    *,
    modality: str,
    grid: Grid,
    device: str,
    description: Mapping[str, Any],
) -> Trained:
    contents = {
        **description,
        "calibration_data": description["calibration_data"][modality],
        "method": "restore",
        "modality": modality,
        "grid": grid,
        "score": SCORES[modality],
        "network": network,
        "levels": list(LEVELS),
        "dimensions": "2.5-D",
    }
    # A bundle needs a calibration to be loaded, and a calibration the scores of the bundle.
    unknown = Calibration(np.array([0.0, 1.0]), np.array([0.9, 0.1]), people=0)
    with TemporaryDirectory(dir=folder) as draft:
        bundle = write_bundle(Path(draft), calibration=unknown, **contents)
        scores = scores_by_person(bundle, controls, device=device)
    bundle = write_bundle(folder / f"restore-{modality}", calibration=calibrate(scores), **contents)
    return Trained(bundle, scores)
