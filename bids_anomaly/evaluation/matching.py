"""Which mask of the truth belongs to which result, and how to bring it there."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from bids_anomaly.bids.folders import files_of_people
from bids_anomaly.bids.naming import (
    MIDPOINT,
    anat_folder,
    entities_of,
    file_name,
    of_the_scan,
    output_path,
    sidecar_path,
    suffix_of,
)
from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.reading import read_json
from bids_anomaly.bids.records import record_of
from bids_anomaly.exceptions import BadScanError, MissingInputError, UsageError
from bids_anomaly.preprocessing.transforms import SAME_SPACE, Chain
from bids_anomaly.scoring.findings import Threshold

# Masks of the brain lie beside those of lesions.
NO_LESION = "brain"
# Names of the space of the scan itself that datasets use.
OWN_SPACE = (None, "orig", "native", "individual")


@dataclass(frozen=True)
class Prediction:
    """What the app found in one scan.

    Attributes
    ----------
    derivatives : Path
        Output folder of ``bids-anomaly``.
    entities : mapping
        Those of the scan.
    modality : str
        BIDS suffix of the scan.
    space : str or None
        Template; None is the grid of the scan.
    """

    derivatives: Path
    entities: Mapping[str, str]
    modality: str
    space: str | None

    @property
    def name(self) -> str:
        """Such as ``sub-01_run-1_FLAIR``."""
        return file_name(self.entities, self.modality, "")

    @property
    def key(self) -> tuple:
        """What is the same for one scan in the results of several models."""
        return (*sorted(self.entities.items()), ("modality", self.modality))

    def path(self, output: str) -> Path:
        """Return the file of an output of :data:`bids_anomaly.bids.outputs.OUTPUTS`."""
        return output_path(
            self.derivatives, output, self.entities, modality=self.modality, space=self.space
        )

    @property
    def is_primary(self) -> bool:
        """Whether the scan leads its session, by what the app recorded."""
        record = record_of(self.derivatives, self.entities)
        if record is None:
            return False
        primary = record.primary_scan
        return (primary.entities, primary.modality) == (self.entities, self.modality)


class Truth(NamedTuple):
    """A mask of lesions: its file, its own entities, and the space it is in (None: the scan's)."""

    path: Path
    entities: Mapping[str, str]
    space: str | None


class Pair(NamedTuple):
    """A prediction and its truth; None where nothing is to be found."""

    prediction: Prediction
    truth: Truth | None


def find_predictions(
    derivatives: Path, *, space: str | None = None, modalities: Collection[str] | None = None
) -> list[Prediction]:
    """List what the app found, scan by scan.

    Parameters
    ----------
    derivatives : Path
        Output folder of ``bids-anomaly``.
    space : str, optional
        Template name; by default the grids of the scans.
    modalities : collection of str, optional
        BIDS suffixes; all by default.

    Returns
    -------
    list of Prediction
        In the order of participants and scans.
    """
    predictions = []
    desc = OUTPUTS["zscore"].entities["desc"]
    for path in files_of_people(derivatives):
        if path.parent.name != "anat" or not fnmatch(path.name, f"*_desc-{desc}_*.nii.gz"):
            continue
        entities, modality = entities_of(path), suffix_of(path)
        # Other templates have a resolution in their names; theirs are not evaluated.
        here = "res" not in entities and entities.get("space") == space
        if here and (modalities is None or modality in modalities):
            predictions.append(Prediction(derivatives, of_the_scan(entities), modality, space))
    return sorted(predictions, key=lambda one: (one.entities["sub"], one.name))


def find_truth(
    masks: Path, chosen: Mapping[str, str] | None = None, *, participant: str = "*"
) -> dict[str, list[Truth]]:
    """List the lesion masks of a derivative dataset by participant.

    Parameters
    ----------
    masks : Path
        Dataset with ``sub-*/**/*_mask.nii[.gz]``; masks of the brain are left out.
    chosen : mapping, optional
        Entities that a mask must have, such as ``{"label": "WMH"}``.
    participant : str, optional
        Label without ``sub-``; everybody by default.

    Raises
    ------
    MissingInputError
        If the folder does not exist.
    """
    if not masks.is_dir():
        raise MissingInputError(f"There is no folder of masks {masks}. Check the path.")
    truth: dict[str, list[Truth]] = {}
    for path in files_of_people(masks, participant):
        if not path.name.endswith(("_mask.nii.gz", "_mask.nii")):
            continue
        entities = entities_of(path)
        if any(entities.get(key, "").startswith(NO_LESION) for key in ("desc", "label")):
            continue
        if (chosen or {}).items() <= entities.items():
            space = entities.get("space")
            own = Truth(path, entities, None if space in OWN_SPACE else space)
            truth.setdefault(entities["sub"], []).append(own)
    return truth


def match(prediction: Prediction, masks: Iterable[Truth]) -> Truth | None:
    """Return the mask of a scan, or None.

    Entities that a mask leaves out fit every scan. Among several masks the one with more entities
    of the scan is taken; then the one drawn on this very scan before one without a space, before
    one of another scan or a template.

    Raises
    ------
    UsageError
        If several masks fit equally well.
    """
    fitting: dict[tuple, list[Truth]] = {}
    for mask in masks:
        own = of_the_scan(mask.entities)
        if own.items() <= prediction.entities.items():
            rank = (len(own), mask.space == prediction.modality, mask.space is None)
            fitting.setdefault(rank, []).append(mask)
    if not fitting:
        return None
    best = fitting[max(fitting)]
    if len(best) > 1:
        first, second = best[0].entities, best[1].entities
        differing = [key for key in second if first.get(key) != second[key]] or ["label"]
        example = f"{differing[0]}={second.get(differing[0], 'lesion')}"
        raise UsageError(
            f"{prediction.name} has several masks: "
            f"{', '.join(mask.path.name for mask in best)}. Choose with --truth-entities, such as "
            f"--truth-entities {example}."
        )
    return best[0]


def chain_between(prediction: Prediction, truth: Truth) -> Chain:
    """Return what brings a mask to the grid of a prediction.

    Masks without a space are taken to be drawn on the scan, or on one that is registered to it.

    Returns
    -------
    Chain
        From the grid of the prediction to the space of the mask; rigid transforms, which may be
        inverted, are text files.

    Raises
    ------
    MissingInputError
        If the app did not write a transform that is needed.
    """
    origin = prediction.modality if truth.space is None else truth.space
    target = prediction.space or prediction.modality
    if origin == target:
        return SAME_SPACE
    to_reference = _rigid(prediction)
    reference = prediction.modality if to_reference is None else entities_of(to_reference)["to"]
    links: list[tuple[Path, bool]] = []
    # The first one leads away from the grid of the result.
    if prediction.space:
        links.append((_transform(prediction, reference, prediction.space, truth), False))
    elif to_reference is not None:
        links.append((to_reference, True))
    if origin == prediction.modality and to_reference is not None:
        links.append((to_reference, False))
    elif origin != reference:
        links.append((_transform(prediction, origin, reference, truth), False))
    return Chain(tuple(links))


def _rigid(prediction: Prediction) -> Path | None:
    """Return the transform of a scan to the reference scan; None if it is the reference itself."""
    folder = anat_folder(prediction.derivatives, prediction.entities)
    for path in sorted(folder.glob(f"sub-*_from-{prediction.modality}_to-*_mode-image_xfm.txt")):
        named = entities_of(path)
        # The space between two sessions is no scan's.
        to_scan = not named["to"].startswith(MIDPOINT)
        # Another scan of the modality has all these entities and one more.
        scan = {key: named[key] for key in named if key not in ("from", "to", "mode")}
        if to_scan and scan == dict(prediction.entities):
            return path
    return None


def _transform(prediction: Prediction, origin: str, target: str, truth: Truth) -> Path:
    folder = anat_folder(prediction.derivatives, prediction.entities)
    found = [
        path
        for path in sorted(folder.glob(f"sub-*_from-{origin}_to-{target}_mode-image_xfm.*"))
        if "desc" not in entities_of(path)
    ]
    if len(found) != 1:
        reason = "several transforms" if found else "no transform"
        raise MissingInputError(
            f"The mask {truth.path.name} is in the space {truth.space or prediction.modality}, and "
            f"{folder} has {reason} from {origin} to {target}. Run bids-anomaly on all scans of "
            "the session together, or give masks in the space of the scan."
        )
    return found[0]


def _sidecar(path: Path) -> dict:
    try:
        return read_json(sidecar_path(path))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise BadScanError(f"The file {sidecar_path(path)} is not JSON ({error}).") from error


def threshold_of(prediction: Prediction) -> Threshold:
    """Return by which threshold the mask of a prediction was found."""
    content = _sidecar(prediction.path("anomaly"))
    try:
        return Threshold(
            float(content["NominalFalsePositiveRate"]), float(content["MinimumLesionVolume"])
        )
    except KeyError as error:
        raise MissingInputError(
            f"The file {sidecar_path(prediction.path('anomaly'))} does not say {error}. Run "
            "bids-anomaly again."
        ) from error
