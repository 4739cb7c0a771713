"""A model bundle: a folder with weights, their description and healthy statistics.

::

    model.safetensors   weights, half precision (methods without a network have none, and bundles
                        of one network for several modalities share a file: entry ``weights``)
    bundle.json         what the model is, the grid and intensities it expects, where it is from
    calibration.npz     scores of healthy people, see :mod:`bids_anomaly.scoring.calibration`
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from bids_anomaly.exceptions import ModelUnavailableError
from bids_anomaly.modalities import in_usual_order
from bids_anomaly.preprocessing.template import TEMPLATE, Grid
from bids_anomaly.reconstruction.methods import METHODS, RELEASE
from bids_anomaly.reconstruction.views import AXES, AXIAL
from bids_anomaly.scoring.calibration import load_calibration
from bids_anomaly.scoring.score import RULES

WEIGHTS = "model.safetensors"
# How preprocessing leaves intensities, whatever the model.
NORMALISATION = "divided by the white matter level (shorth of likely white matter)"
PACKAGED = Path(str(files("bids_anomaly.resources") / "bundles"))
DEFAULT_FAMILY = "restore"
# The family that needs no weights and stands in where the one asked for has no bundle.
FALLBACK_FAMILY = "threshold"
# Voxels along an axis of a model grid, beyond which a number is no size.
LARGEST_SIZE = 1000


@dataclass(frozen=True)
class Bundle:
    """What ``bundle.json`` says, and where the bundle lies.

    Attributes
    ----------
    folder : Path
        The bundle.
    description : mapping
        The content of ``bundle.json``.

    Examples
    --------
    >>> bundle = load_bundle(PACKAGED / "restore-FLAIR")
    >>> bundle.method, bundle.description["modality"], bundle.grid.shape
    ('restore', 'FLAIR', (80, 96, 80))
    """

    folder: Path
    description: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Family and modality, such as ``restore-T1w``."""
        return self.description["name"]

    @property
    def version(self) -> str:
        """Version of weights and calibration."""
        return self.description["version"]

    @property
    def method(self) -> str:
        """Key of :data:`bids_anomaly.reconstruction.methods.METHODS`."""
        return self.description["method"]

    @property
    def modality(self) -> str:
        """BIDS suffix of the scans it is made for."""
        return self.description["modality"]

    @property
    def grid(self) -> Grid:
        """The model grid."""
        return Grid.described(self.description["grid"])

    @property
    def template(self) -> str:
        """The template that the model grid lies in."""
        return self.description["grid"]["template"]

    @property
    def weights(self) -> Path | None:
        """The file of weights, if the method has any; perhaps that of a bundle beside this one."""
        if not self.description.get("sha256"):
            return None
        return (self.folder / self.description.get("weights", WEIGHTS)).resolve()

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels of corruption at which it predicts, if its method knows any."""
        return tuple(self.description.get("levels") or ())

    @property
    def views(self) -> tuple[str, ...]:
        """Keys of :data:`bids_anomaly.reconstruction.views.AXES`: what is averaged over."""
        return tuple(self.description.get("views") or (AXIAL,))

    @property
    def identity(self) -> str:
        """Which one exactly, for records of what was made from it: name, version and digest."""
        return f"{self.name} {self.version}, sha256:{self.digest}"

    def named(self, asked: int | None) -> dict[str, str | int]:
        """Name it, and how it was used, as sidecars do, so that results can be traced back to it.

        Parameters
        ----------
        asked : int or None
            As for :meth:`steps_taken`.
        """
        content: dict[str, str | int] = {
            "Name": self.name,
            "Version": self.version,
            "Method": self.method,
            "Digest": f"sha256:{self.digest}",
        }
        steps = self.steps_taken(asked)
        return content if steps is None else {**content, "Steps": steps}

    def steps_taken(self, asked: int | None) -> int | None:
        """Return in how many steps a scan is reconstructed.

        Parameters
        ----------
        asked : int or None
            What was asked for; None is as in the calibration.

        Returns
        -------
        int or None
            None where the method knows no steps.
        """
        own = self.description.get("steps")
        return METHODS[self.method].steps_taken(asked or own, self.levels)

    @property
    def makes_image(self) -> bool:
        """Whether the method makes a pseudo-healthy image, and not a score alone."""
        return METHODS[self.method].makes_image

    @property
    def denoises(self) -> bool:
        """Whether the scan is denoised before it is scored."""
        return "denoising_mm" in self.description["score"]

    @property
    def status(self) -> str:
        """What it is for, see :class:`bids_anomaly.reconstruction.methods.Method`.

        A bundle from elsewhere is for what its maker says, and if that is nothing, released.
        """
        packaged = self.folder.parent == PACKAGED
        return self.description.get("status", METHODS[self.method].status if packaged else RELEASE)

    @property
    def calibration(self) -> Path:
        """The file of healthy statistics."""
        return self.folder / "calibration.npz"

    @property
    def calibrated_on(self) -> str:
        """Whose voxels scores are compared with, in words."""
        return str(self.description.get("calibration", {}).get("data") or "other people")

    @cached_property
    def digest(self) -> str:
        """The sha256 of weights, description and calibration together."""
        digest = hashlib.sha256()
        for path in (self.weights, self.folder / "bundle.json", self.calibration):
            if path is not None:
                digest.update(path.read_bytes())
        return digest.hexdigest()


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle and check that it is whole.

    Raises
    ------
    ModelUnavailableError
        If a file is missing or cannot be read, the description lacks something, or the weights are
        not those of the description.
    """
    bundle = _described(folder)
    try:
        weights = bundle.weights
        found = hashlib.sha256(weights.read_bytes()).hexdigest() if weights else None
        load_calibration(bundle.calibration)
    except OSError as error:
        raise _unreadable(folder, error) from error
    except (ValueError, KeyError, TypeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise _unreadable(folder, f"{bundle.calibration.name} is damaged") from error
    if found != bundle.description.get("sha256"):
        raise ModelUnavailableError(
            f"The weights of the model bundle {folder} are damaged: their checksum is not the one "
            "in bundle.json. Get the bundle again."
        )
    return bundle


def _described(folder: Path) -> Bundle:
    """Return a bundle of which only ``bundle.json`` was read."""
    try:
        bundle = Bundle(folder, json.loads((folder / "bundle.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(folder, error) from error
    missing = _missing(bundle.description)
    if missing:
        raise ModelUnavailableError(
            f"The model bundle {folder} does not say its {', '.join(missing)} in bundle.json. "
            "Get it again, or name another with --model."
        )
    description = bundle.description
    wrong = [name for name, is_right in _forms(description).items() if not is_right]
    if wrong:
        raise ModelUnavailableError(
            f"The model bundle {folder} has something in bundle.json that cannot be its "
            f"{', '.join(wrong)}. Get it again, or name another with --model."
        )
    for kind, name, known in (
        ("method", bundle.method, METHODS),
        ("rule of scores", description["score"]["rule"], RULES),
        ("template", description["grid"]["template"], (TEMPLATE,)),
        ("normalisation", description.get("normalisation", NORMALISATION), (NORMALISATION,)),
    ):
        if name not in known:
            raise ModelUnavailableError(
                f"The model bundle {folder} has the {kind} {name!r}, which this version does not "
                f"know (known: {', '.join(known)}). Install a newer one, or name another bundle "
                "with --model."
            )
    return bundle


def _forms(description: Mapping[str, Any]) -> dict[str, bool]:
    """Tell of what a description says whether it has the form that it is used in."""
    grid, score = description["grid"], description["score"]
    levels, steps = description.get("levels") or [], description.get("steps")
    views = description.get("views") or []
    forms = {
        name: isinstance(description.get(name, ""), str)
        for name in ("name", "version", "method", "modality", "weights", "normalisation", "status")
    }
    return forms | {
        "sha256": isinstance(description.get("sha256") or "", str),
        "levels": isinstance(levels, list) and all(map(_is_number, levels)),
        "views": isinstance(views, list) and all(view in AXES for view in views),
        "steps": steps is None or (isinstance(steps, int) and steps > 0),
        "calibration": isinstance(description.get("calibration", {}), dict),
        "training": isinstance(description.get("training", {}), dict),
        "grid.template": isinstance(grid["template"], str),
        "grid.shape": _are_three(grid["shape"])
        and all(isinstance(size, int) and 0 < size <= LARGEST_SIZE for size in grid["shape"]),
        "grid.origin": _are_three(grid["origin"]),
        "grid.spacing": _is_number(grid["spacing"]) and grid["spacing"] > 0,
        "score.rule": isinstance(score["rule"], str),
        "score.smoothing_mm": _is_number(score["smoothing_mm"]),
    }


def _are_three(content: Any) -> bool:
    return isinstance(content, list) and len(content) == 3 and all(map(_is_number, content))


def _is_number(content: Any) -> bool:
    is_number = isinstance(content, int | float) and not isinstance(content, bool)
    return is_number and abs(content) < float("inf")


def _missing(description: Any) -> list[str]:
    """Name what a description has to say and does not."""
    if not isinstance(description, dict):
        return ["content"]
    missing = [k for k in ("name", "version", "method", "modality") if k not in description]
    parts = {"grid": ("template", "shape", "origin", "spacing"), "score": ("rule", "smoothing_mm")}
    for part, keys in parts.items():
        content = description.get(part)
        if not isinstance(content, dict):
            missing.append(part)
        else:
            missing += [f"{part}.{key}" for key in keys if key not in content]
    if description.get("sha256") and not isinstance(description.get("network"), dict):
        missing.append("network")
    method = description.get("method")
    if isinstance(method, str) and method in METHODS:
        missing += [entry for entry in METHODS[method].needs if not description.get(entry)]
    return missing


def _unreadable(folder: Path, error: Exception | str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"The model bundle {folder} cannot be read ({error}). Get it again, or name another with "
        "--model."
    )


def packaged_bundles() -> list[Bundle]:
    """Return the bundles that come with the package, by name."""
    return [load_bundle(path.parent) for path in _packaged_descriptions()]


def _packaged() -> list[Bundle]:
    return [_described(path.parent) for path in _packaged_descriptions()]


def _packaged_descriptions() -> list[Path]:
    return sorted(PACKAGED.glob("*/bundle.json"))


def named_bundle(name: str) -> Bundle:
    """Return the packaged bundle of a name, such as ``restore-T1w``, or the one in a folder.

    Raises
    ------
    ModelUnavailableError
        If there is neither.
    """
    if (Path(name) / "bundle.json").is_file():
        return load_bundle(Path(name).resolve())
    known = {bundle.name: bundle for bundle in _packaged()}
    if name not in known:
        raise ModelUnavailableError(
            "A bundle must be a folder with a bundle.json, or one that comes with the package. "
            f"Got {name!r} instead. Known bundles: {', '.join(known)}."
        )
    return load_bundle(known[name].folder)


def choose_bundles(model: str, modalities: Sequence[str] = ()) -> dict[str, Bundle]:
    """Find the bundle for each modality.

    Parameters
    ----------
    model : str
        A family, the path of a bundle, or that of a folder of bundles.
    modalities : sequence of str
        BIDS suffixes; by default every one that there is a bundle for.

    Returns
    -------
    dict
        A bundle for each modality that has one. Modalities that a folder says nothing of get the
        packaged bundle of the same method; where there is none, the intensity threshold, which
        needs no weights.

    Raises
    ------
    ModelUnavailableError
        If `model` is neither a family nor a folder with bundles, or a chosen bundle is not whole.
    """
    # Checksums only of what is chosen: all weights together take a while.
    known = _packaged()
    families = sorted({bundle.method for bundle in known})
    if model in families:
        chosen = []
    else:
        folders = [Path(model), *sorted(Path(model).glob("*/"))]
        chosen = [_described(f.resolve()) for f in folders if (f / "bundle.json").is_file()]
    if model not in families and not chosen:
        raise ModelUnavailableError(
            "The --model parameter must be a family that comes with the package, or the folder of "
            f"a bundle. Got {model!r} instead. Known families: {', '.join(families)}. Others can "
            "be trained with bids-anomaly-train --method."
        )
    fallback = [bundle for bundle in known if bundle.method == FALLBACK_FAMILY]
    methods = {model, *(bundle.method for bundle in chosen)}
    packaged = [bundle for bundle in known if bundle.method in methods]
    by_modality = {bundle.modality: bundle for bundle in [*fallback, *packaged, *chosen]}
    return {
        name: load_bundle(by_modality[name].folder)
        for name in modalities or in_usual_order(by_modality)
        if name in by_modality
    }
