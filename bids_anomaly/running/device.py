"""The device of a run, checked while arguments are parsed, so that a missing one costs seconds.

Nothing here imports torch or touches CUDA: a parent process that has done so cannot start workers
that use the GPU.
"""

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from bids_anomaly.exceptions import DeviceUnavailableError, UsageError

DEVICE = re.compile(r"auto|cpu|cuda(?::([0-9]+))?")
NVIDIA_SMI_TIMEOUT_S = 10
WAYS_OUT = (
    'Start the container with "docker run --gpus all" or "apptainer run --nv", or use --device cpu.'
)


def list_gpus(command: Sequence[str] = ("nvidia-smi", "-L")) -> tuple[tuple[str, ...], ...]:
    """List the NVIDIA GPUs of the machine or container.

    Parameters
    ----------
    command : sequence of str
        Prints one line a GPU, and one a slice below it where a GPU is divided (MIG).

    Returns
    -------
    tuple of tuple of str
        For each GPU its UUID, followed by the UUIDs of its slices. Empty when the command is
        absent, fails, or does not answer within 10 seconds.
    """
    try:
        listing = subprocess.run(
            command, capture_output=True, text=True, timeout=NVIDIA_SMI_TIMEOUT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    gpus: list[tuple[str, ...]] = []
    for line in listing.splitlines():
        uuid = re.search(r"\(UUID: (\S+)\)", line)
        if not uuid:
            continue
        if line.startswith("GPU"):
            gpus.append((uuid[1],))
        elif gpus:
            gpus[-1] += (uuid[1],)
    return tuple(gpus)


def torch_can_use_gpus() -> bool:
    """Tell whether the installed torch was built for CUDA, without importing it.

    Returns
    -------
    bool
        False only when torch is installed and was built without CUDA.
    """
    torch = find_spec("torch")
    if torch is None or torch.origin is None:
        return True
    version = Path(torch.origin).with_name("version.py")
    return not (version.is_file() and re.search(r"^cuda\b.*= None$", version.read_text(), re.M))


def resolve_device(
    requested: str,
    *,
    environ: Mapping[str, str] = os.environ,
    list_gpus: Callable[[], Sequence[Sequence[str]]] = list_gpus,
    torch_can_use_gpus: Callable[[], bool] = torch_can_use_gpus,
) -> str:
    """Turn ``--device`` into the device that will be used.

    Parameters
    ----------
    requested : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; N counts the visible GPUs from 0.
    environ : mapping
        Environment variables; ``CUDA_VISIBLE_DEVICES`` restricts and orders the visible GPUs.
    list_gpus, torch_can_use_gpus : callable
        What the machine has, and whether the installed torch can use it.

    Returns
    -------
    str
        ``'cpu'`` or ``'cuda:N'``. ``auto`` is the first visible GPU, or the CPU without one.

    Raises
    ------
    UsageError
        If `requested` is none of the four forms.
    DeviceUnavailableError
        If a GPU was named that this process cannot use.
    """
    form = DEVICE.fullmatch(requested)
    if form is None:
        raise UsageError(
            f"The --device parameter must be auto, cpu, cuda or cuda:N. Got {requested!r} instead."
        )
    if requested == "cpu":
        return "cpu"
    gpus = list_gpus()
    visible = visible_gpus(gpus, environ.get("CUDA_VISIBLE_DEVICES"))
    usable = torch_can_use_gpus()
    if requested == "auto":
        return "cuda:0" if visible and usable else "cpu"
    number = int(form[1] or 0)
    if number >= len(visible):
        names = ", ".join(f"cuda:{place}" for place in range(len(visible))) or "none"
        if len(gpus) > len(visible):
            names += f"; CUDA_VISIBLE_DEVICES={environ['CUDA_VISIBLE_DEVICES']!r} hides others"
        raise DeviceUnavailableError(
            f"--device {requested} asks for a GPU that this process cannot see "
            f"(visible: {names}). {WAYS_OUT}"
        )
    if not usable:
        raise DeviceUnavailableError(
            f"--device {requested} asks for a GPU, but the installed torch was built without "
            "CUDA. Install a torch with CUDA or take the container image that has it, "
            "or use --device cpu."
        )
    return f"cuda:{number}"


def only_gpu(device: str, *, environ: Mapping[str, str] = os.environ) -> str:
    """Return the `CUDA_VISIBLE_DEVICES` with which processes see one GPU only, as ``cuda:0``.

    Brain extractions take the first GPU that they see, so this is how all steps get the same one.

    Parameters
    ----------
    device : str
        ``cuda:N`` from :func:`resolve_device`.
    environ : mapping
        Environment variables in which N was counted.

    Returns
    -------
    str
        A number or UUID, as CUDA reads it.
    """
    number = int(device.removeprefix("cuda:"))
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    return str(number) if visible is None else visible.split(",")[number].strip()


def visible_gpus(
    gpus: Sequence[Sequence[str]], cuda_visible_devices: str | None
) -> tuple[str, ...]:
    """Restrict the GPUs of a machine to those that CUDA will show to this process.

    Parameters
    ----------
    gpus : sequence of sequence of str
        As from :func:`list_gpus`.
    cuda_visible_devices : str or None
        Value of ``CUDA_VISIBLE_DEVICES``: numbers, UUIDs or unique beginnings of UUIDs. None when
        the variable is not set.

    Returns
    -------
    tuple of str
        UUIDs in the order in which CUDA numbers them. As in CUDA, an entry that names no GPU hides
        those after it, and one given twice hides all.
    """
    if cuda_visible_devices is None:
        return tuple(gpu[0] for gpu in gpus)
    visible: list[str] = []
    for entry in cuda_visible_devices.split(","):
        uuid = _find_gpu(gpus, entry.strip())
        if uuid is None:
            break
        visible.append(uuid)
    return tuple(visible) if len(set(visible)) == len(visible) else ()


def _find_gpu(gpus: Sequence[Sequence[str]], entry: str) -> str | None:
    if entry.isdecimal():
        return gpus[int(entry)][0] if int(entry) < len(gpus) else None
    matches = [uuid for gpu in gpus for uuid in gpu if entry and uuid.startswith(entry)]
    return matches[0] if len(matches) == 1 else None
