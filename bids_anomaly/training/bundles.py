"""Train a network of any method on preprocessed healthy people, and write its bundles."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from bids_anomaly.exceptions import BadScanError, ModelUnavailableError, UsageError
from bids_anomaly.preprocessing.template import Grid, same_grid
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.reconstruction.covariates import COVARIATES
from bids_anomaly.reconstruction.methods import METHODS
from bids_anomaly.reconstruction.registry import build_network, load_network
from bids_anomaly.reconstruction.views import AXIAL
from bids_anomaly.scoring.calibration import Calibration, calibrate
from bids_anomaly.training.checkpoint import claim_folder
from bids_anomaly.training.controls import scores_by_person
from bids_anomaly.training.data import Batch, draw_healthy
from bids_anomaly.training.distributed import ONE_WORKER, Worker, connected
from bids_anomaly.training.export import write_bundle
from bids_anomaly.training.loading import volumes_of
from bids_anomaly.training.loop import train
from bids_anomaly.training.marked import Marked, draw_marked, stack_marked
from bids_anomaly.training.people import Preprocessed
from bids_anomaly.training.real import RealVolumes, draw_real
from bids_anomaly.training.recipes import RECIPES, in_views, with_others
from bids_anomaly.training.validation import held_out_slabs, validate
from bids_anomaly.training.volumes import HealthyVolumes

FINISH_SEED = 20_250_102
# A bundle needs a calibration to be loaded, and a calibration the scores of the bundle.
UNCALIBRATED = Calibration(np.array([0.0, 1.0]), np.array([0.9, 0.1]), people=0)


class Trained(NamedTuple):
    """A bundle, and the scores of the people who calibrate it, a (V,) array a person."""

    bundle: Bundle
    scores: list[np.ndarray]


def train_bundles(
    method: str,
    people: Sequence[Preprocessed],
    validation: Sequence[Preprocessed],
    controls: Mapping[str, Sequence[Preprocessed]],
    folder: Path,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    device: str,
    start: Bundle | None,
    interval: int,
    noise: str | None = None,
    views: Sequence[str] = (),
    marked: Mapping[str, Sequence[Marked]] = MappingProxyType({}),
    real: Sequence[RealVolumes] = (),
    left_out: Mapping[Path, np.ndarray] | None = None,
    worker: Worker = ONE_WORKER,
    description: Mapping[str, Any],
    on_claim: Callable[[], None] = lambda: None,
    on_step: Callable[[int, Mapping[str, float]], None],
    on_control: Callable[[Preprocessed, float], None] = lambda scan, seconds: None,
) -> list[Trained]:
    """Train one network, calibrate it for each modality, and write a bundle for each.

    Long because a training has this many choices, each of which is named here once.

    Parameters
    ----------
    method : str
        Key of :data:`bids_anomaly.training.recipes.RECIPES`.
    people : sequence of Preprocessed
        T1w scans of healthy people to train on.
    validation : sequence of Preprocessed
        T1w scans of others, on whom the training is validated; may be empty.
    controls : mapping
        For each modality to learn, scans of other healthy people, whose scores say what is unusual;
        see :func:`controls_of`.
    folder : Path
        Gets a bundle ``<method>-<modality>`` for each modality, all with the same weights, and in
        ``training/`` checkpoints, losses and validations.
    steps, batch_size, seed, device, interval, worker, on_step
        See :func:`bids_anomaly.training.loop.train`.
    start : Bundle or None
        Where the weights start; None is at random.
    noise : str or None
        Key of :data:`bids_anomaly.synthesis.corrupt.KINDS` for methods that learn from noise;
        None is the method's own.
    views : sequence of str
        Keys of :data:`bids_anomaly.reconstruction.views.AXES` that slabs are of, axial first, for
        methods that learn lesions; by default those of `start`, else axial.
    marked : mapping
        Scans of each modality whose lesions are learned from, besides painted ones.
    real : sequence of RealVolumes
        Real scans of healthy tissue, learned from besides painted ones.
    left_out : mapping, optional
        See :func:`bids_anomaly.training.controls.scores_by_person`: lesions of those who calibrate.
    description : mapping
        ``version``, ``licence``, ``calibration_data`` and ``training`` of the bundles.
    on_claim : callable
        Called in process 0 once the folder is known to be of this training.
    on_control : callable
        See `on_scan` of :func:`bids_anomaly.training.controls.scores_by_person`.

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
    views = tuple(views) or (start.views if start else (AXIAL,))
    recipe = in_views(RECIPES[method], views)
    others: list[Callable[..., Batch]] = [
        partial(draw_real, volumes.to(torch.device(device))) for volumes in real
    ]
    if marked:
        others.append(partial(draw_marked, stack_marked(marked).to(torch.device(device))))
    if others:
        recipe = with_others(recipe, others)
    network = _network(method, start, grid, people[0].path, noise=noise, seed=seed)
    modalities = list(controls)
    training = folder / "training"
    configuration = {
        "method": method,
        "noise": getattr(network, "noise", None),
        "views": list(views),
        "modalities": modalities,
        "steps": steps,
        "batch_size": batch_size,
        "seed": seed,
        "device": torch.device(device).type,
        "processes": worker.world_size,
        "from": start and start.digest,
        "scans": [person.path.name for person in people],
        "real": sum(len(volumes.scans) for volumes in real),
        "marked": [one.scan.path.name for own in marked.values() for one in own],
    }
    volumes = volumes_of(people)
    with connected(worker, device):
        claim_folder(training, configuration, worker=worker)
        if worker.writes:
            on_claim()
        network = train(
            volumes,
            network,
            recipe=recipe,
            modalities=modalities,
            steps=steps,
            batch_size=batch_size,
            seed=seed,
            device=torch.device(device),
            folder=training,
            interval=interval,
            worker=worker,
            validate=_validation(
                method, volumes, validation, modalities, training, slices=network.slices
            )
            if validation and worker.writes
            else None,
            on_step=on_step,
        )
    if not worker.writes:
        return []
    _finish(method, network, volumes, modalities)
    return [
        _write_calibrated(
            method,
            network,
            controls[modality],
            folder,
            modality=modality,
            grid=grid,
            views=views,
            device=device,
            left_out=left_out,
            description=description,
            on_control=on_control,
        )
        for modality in modalities
    ]


def _network(
    method: str, start: Bundle | None, grid: Grid, scan: Path, *, noise: str | None, seed: int
) -> nn.Module:
    """Return the network to begin with, checked against the grid of the scans."""
    if start is None:
        torch.manual_seed(seed)
        network = build_network(method, _arguments(method, grid, noise))
    elif start.weights is None:
        raise ModelUnavailableError(
            f"The bundle {start.name} has no weights to start from. Name another with --from."
        )
    elif start.method != method:
        raise ModelUnavailableError(
            f"The bundle {start.name} is of the method {start.method}, so its weights cannot start "
            f"one of the method {method}. Name another with --from, or use --method {start.method}."
        )
    elif noise is not None and noise != start.description["network"].get("noise"):
        raise UsageError(
            f"The bundle {start.name} was trained without {noise} noise, and --from goes on as it "
            "began. Leave out --noise or --from."
        )
    elif not same_grid(start.grid, grid):
        raise ModelUnavailableError(
            f"The bundle {start.name} works in another grid than {scan}. Preprocess the scans with "
            f"--model {start.folder}, or train without --from."
        )
    else:
        network = load_network(start).train()
    # Every resolution halves the one before; the first that of the scan.
    multiple = 2 ** len(network.arguments["channels"])
    if any(size % multiple for size in grid.shape[:2]) or grid.shape[2] < network.slices:
        raise BadScanError(
            f"The scan {scan} has {' x '.join(map(str, grid.shape))} voxels; the network needs "
            f"axial slices whose sides are multiples of {multiple}, at least {network.slices} of "
            "them. Preprocess with a model whose grid has them."
        )
    return network


def _arguments(method: str, grid: Grid, noise: str | None) -> dict[str, Any]:
    recipe = RECIPES[method]
    arguments = dict(recipe.network)
    if recipe.shaped:
        arguments["shape"] = grid.shape[1::-1]
    usual = METHODS[method].noise
    if noise is not None and usual is None:
        noisy = ", ".join(name for name, row in METHODS.items() if row.noise)
        raise UsageError(
            f"The method {method} learns without noise, so it cannot take --noise {noise}. "
            f"Leave it out, or choose one of {noisy}."
        )
    if usual is not None:
        arguments["noise"] = noise or usual
    return arguments


def _finish(
    method: str, network: nn.Module, volumes: HealthyVolumes, modalities: Sequence[str]
) -> None:
    """Let a trained network learn the rest that its method needs, if it needs any."""
    recipe = RECIPES[method]
    if recipe.finish is None:
        return
    device = next(network.parameters()).device
    generator = torch.Generator(device).manual_seed(FINISH_SEED)
    draw = partial(
        draw_healthy,
        volumes.to(device),
        recipe.batch_size,
        slices=network.slices,
        modalities=modalities,
        generator=generator,
    )
    recipe.finish(network.eval(), draw, generator)


def _validation(
    method: str,
    volumes: HealthyVolumes,
    validation: Sequence[Preprocessed],
    modalities: Sequence[str],
    folder: Path,
    *,
    slices: int,
) -> Callable[[int, nn.Module], Mapping[str, float]]:
    """Return what measures the network at each checkpoint."""
    slabs = held_out_slabs(volumes_of(validation), slices=slices, modalities=modalities)

    def measure(step: int, network: nn.Module) -> Mapping[str, float]:
        _finish(method, network, volumes, modalities)
        return validate(
            method,
            network,
            slabs,
            levels=RECIPES[method].levels,
            device=next(network.parameters()).device,
            picture=folder / "validation" / f"step-{step:06d}.png",
        )

    return measure


def _write_calibrated(
    method: str,
    network: nn.Module,
    controls: Sequence[Preprocessed],
    folder: Path,
    *,
    modality: str,
    grid: Grid,
    views: Sequence[str],
    device: str,
    left_out: Mapping[Path, np.ndarray] | None,
    description: Mapping[str, Any],
    on_control: Callable[[Preprocessed, float], None],
) -> Trained:
    recipe = RECIPES[method]
    contents = {
        **description,
        "calibration_data": description["calibration_data"][modality],
        "method": method,
        "modality": modality,
        "grid": grid,
        "score": recipe.scores[modality],
        "network": network,
        "levels": list(recipe.levels),
        "views": list(views),
        "dimensions": _dimensions(network),
        "covariates": list(COVARIATES) if recipe.covariates else [],
    }
    with TemporaryDirectory(dir=folder) as draft:
        bundle = write_bundle(Path(draft), calibration=UNCALIBRATED, **contents)
        scores = scores_by_person(
            bundle, controls, device=device, left_out=left_out, on_scan=on_control
        )
    bundle = write_bundle(
        folder / f"{method}-{modality}", calibration=calibrate(scores), **contents
    )
    return Trained(bundle, scores)


def _dimensions(network: nn.Module) -> str:
    if getattr(network, "dimensions", 2) == 3:
        return "3-D"
    return "2-D" if network.slices == 1 else "2.5-D"
