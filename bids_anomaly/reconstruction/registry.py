"""The reconstruction methods by name.

Each is a module of this package with two functions: one of its own name, which reconstructs slabs,
and ``build``, which makes its network (but for ``threshold``, which has none). Modules are imported
when they are used, so that a run waits for no other method's libraries.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from bids_anomaly.exceptions import ModelUnavailableError
from bids_anomaly.reconstruction.batching import (
    batch_size_for,
    in_batches,
    places,
    slabs_around,
    stitched,
)
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.reconstruction.covariates import as_numbers
from bids_anomaly.reconstruction.methods import METHODS
from bids_anomaly.reconstruction.result import Reconstruction
from bids_anomaly.reconstruction.views import AXES, margins

# What building a network raises whose description or weights are not what they seem.
UNFIT = (
    AttributeError, ArithmeticError, LookupError, OSError, RuntimeError, SafetensorError, TypeError,
    ValueError,
)  # fmt: skip


def reconstruct(
    bundle: Bundle,
    scan: np.ndarray,
    brain: np.ndarray,
    *,
    device: str,
    batch_size: int | None,
    steps: int | None,
    seed: int,
    covariates: Mapping[str, str] | None = None,
) -> Reconstruction:
    """Build the pseudo-healthy image of a scan with the method of a bundle.

    Parameters
    ----------
    bundle : Bundle
        Method and weights.
    scan : (X, Y, Z) array
        In the grid of the bundle, white matter = 1, 0 outside the brain.
    brain : (X, Y, Z) bool array
        Brain mask in the same grid.
    device : str
        A torch device, such as ``cpu`` or ``cuda:0``.
    batch_size : int or None
        Slices at a time; None takes what fits.
    steps : int or None
        In how many steps, for methods that know steps; None is as in the bundle's calibration.
    seed : int
        For methods that draw random numbers.
    covariates : mapping, optional
        What is known of the person, as in ``participants.tsv``.

    Returns
    -------
    Reconstruction
        In the grid of the bundle.

    Raises
    ------
    DeviceUnavailableError
        If the device cannot hold even one slice.
    """
    network = None if bundle.weights is None else load_network(bundle).to(device)
    parts = [
        _reconstruct_in_view(
            bundle,
            network,
            _in_view(scan, view),
            _in_view(brain, view),
            device=device,
            batch_size=batch_size,
            steps=steps,
            seed=seed,
            covariates=covariates,
        )
        for view in bundle.views
    ]
    return _mean(parts, bundle.views, scan.shape)


def _in_view(volume: np.ndarray, view: str) -> np.ndarray:
    """Turn a volume so that its third axis is that of the slices, in the frame of axial ones."""
    turned = volume.transpose(AXES[view])
    return np.pad(turned, ((0, 0), margins(volume.shape[1], turned.shape[1]), (0, 0)))


def _out_of_view(volume: np.ndarray, view: str, shape: Sequence[int]) -> np.ndarray:
    """Undo :func:`_in_view` for a volume that had this shape."""
    rows = shape[AXES[view][1]]
    before, _ = margins(shape[1], rows)
    return volume[:, before : before + rows].transpose(AXES[view])


def _mean(
    parts: Sequence[Reconstruction], views: Sequence[str], shape: Sequence[int]
) -> Reconstruction:
    """Turn back what several views of a scan gave, and average it."""

    def mean(maps: Sequence[np.ndarray | None]) -> np.ndarray | None:
        there = [
            _out_of_view(one, view, shape)
            for one, view in zip(maps, views, strict=True)
            if one is not None
        ]
        return np.stack(there).mean(axis=0, dtype=np.float32) if there else None

    return Reconstruction(
        pseudo_healthy=mean([part.pseudo_healthy for part in parts]),
        spread=mean([part.spread for part in parts]),
        anomaly=mean([part.anomaly for part in parts]),
        evaluations=sum(part.evaluations for part in parts),
    )


def _reconstruct_in_view(
    bundle: Bundle,
    network: nn.Module | None,
    scan: np.ndarray,
    brain: np.ndarray,
    *,
    device: str,
    batch_size: int | None,
    steps: int | None,
    seed: int,
    covariates: Mapping[str, str] | None,
) -> Reconstruction:
    """Reconstruct a scan whose third axis is that of the slices."""
    slices = getattr(network, "slices", 1)
    volume, inside = (
        torch.from_numpy(np.ascontiguousarray(array.transpose(2, 1, 0), dtype=np.float32))
        for array in (scan, brain)
    )
    solid = getattr(network, "dimensions", 2) == 3
    if solid:
        # Each overlaps half of the next.
        windows = places(len(volume), slices, max(1, -(-2 * len(volume) // slices) - 1))
        slabs, brains = (
            torch.stack([part[window] for window in windows]) for part in (volume, inside)
        )
    else:
        windows = None
        slabs, brains = (slabs_around(part, slices) for part in (volume, inside))
    result = reconstruct_slabs(
        bundle.method,
        network,
        slabs,
        brains,
        covariates=torch.tensor(as_numbers(covariates or {})).expand(len(slabs), -1),
        levels=bundle.levels,
        steps=bundle.steps_taken(steps),
        seed=seed,
        device=device,
        batch_size=batch_size or batch_size_for(device, thickness=slices if solid else 1),
    )

    def to_volume(parts: Tensor | None) -> np.ndarray | None:
        if parts is None:
            return None
        if windows is None:
            whole = parts[:, 0]
        else:
            whole = stitched(
                zip(((window,) for window in windows), parts, strict=True), volume.shape
            )
        return whole.numpy().transpose(2, 1, 0) * brain

    return Reconstruction(
        **{
            name: to_volume(getattr(result, name))
            for name in ("pseudo_healthy", "spread", "anomaly")
        },
        evaluations=result.evaluations,
    )


def reconstruct_slabs(
    method: str,
    network: nn.Module | None,
    slabs: Tensor,
    brain: Tensor,
    *,
    covariates: Tensor,
    levels,
    steps: int | None,
    seed: int,
    device: str | torch.device,
    batch_size: int,
):
    """Let a method reconstruct a stack of slabs.

    Parameters
    ----------
    method : str
        Key of :data:`bids_anomaly.reconstruction.methods.METHODS`.
    network : torch.nn.Module or None
        Of the method, on `device`.
    slabs, brain : (N, S, H, W) tensor
        On the CPU; white matter = 1 and 0 outside the brain, and 1 inside the brain.
    covariates : (N, C) tensor
        See :func:`bids_anomaly.reconstruction.covariates.as_numbers`.
    levels : sequence of float
        Levels of corruption at which the bundle predicts.
    steps : int or None
        In how many steps, for methods that know steps; None is the method's own number.
    seed : int
        Of random numbers, which are drawn for all slabs at once on the CPU, so that they depend
        neither on the device nor on the size of the batches.
    device, batch_size
        See :func:`bids_anomaly.reconstruction.batching.in_batches`.

    Returns
    -------
    Slabs
    """
    return getattr(module_of(method), method)(
        network,
        slabs,
        brain,
        covariates=covariates,
        levels=levels,
        steps=METHODS[method].steps_taken(steps, levels),
        generator=torch.Generator().manual_seed(seed),
        run=partial(in_batches, batch_size=batch_size, device=device),
    )


def module_of(method: str) -> ModuleType:
    """Return the module of a method."""
    return import_module(f"bids_anomaly.reconstruction.{method}")


def build_network(method: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Return a new network of a method.

    Its attribute `arguments` says how it was built, `slices` how many slices it takes, and
    `dimensions`, if it has it, whether it gives back one of them (2) or all (3).
    """
    return module_of(method).build(**arguments)


def load_network(bundle: Bundle) -> nn.Module:
    """Return the network of a bundle in single precision, ready for inference.

    Raises
    ------
    ModelUnavailableError
        If the weights are not those of the network that the bundle describes.
    """
    if bundle.weights is None:
        raise ModelUnavailableError(
            f"The model bundle {bundle.folder} names no weights, which its method needs. Get the "
            "bundle again."
        )
    try:
        weights = {name: value.float() for name, value in load_file(bundle.weights).items()}
        network = build_network(bundle.method, bundle.description["network"])
        network.load_state_dict(weights)
    except UNFIT as error:
        raise ModelUnavailableError(
            f"The weights of the model bundle {bundle.folder} do not fit the network that its "
            "bundle.json describes. Get the bundle again."
        ) from error
    return network.eval()
