"""The columns of a table: two baselines, then models, each with its bundles.

A model finds something only where it is above both baselines: the scan as it came, smoothed, which
is no model and has no threshold, and ``threshold``, the calibrated intensity after preprocessing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_anomaly.evaluation.raw import RAW_INTENSITY
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.reconstruction.bundle import (
    FALLBACK_FAMILY,
    Bundle,
    choose_bundles,
    load_bundle,
)

BASELINE = FALLBACK_FAMILY
BASELINES = (RAW_INTENSITY, BASELINE)


@dataclass(frozen=True)
class Model:
    """One column.

    Attributes
    ----------
    name : str
        Head of the column.
    bundles : mapping of str to Bundle
        By BIDS suffix; a modality without a bundle has no figures.
    """

    name: str
    bundles: Mapping[str, Bundle]


def models(families: Sequence[str], folders: Sequence[Path]) -> list[Model]:
    """Return the baseline ``threshold``, then packaged families and candidates from folders.

    Parameters
    ----------
    families : sequence of str
        Packaged families, such as ``restore``.
    folders : sequence of Path
        Each a bundle, or a folder that holds bundles of several modalities.
    """
    columns = [_family(BASELINE)]
    columns += [_family(name) for name in families if name != BASELINE]
    columns += [_candidate(folder) for folder in folders]
    names = [column.name for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SystemExit(
            f"Two columns would be named {', '.join(twice)}. Give the folders of --bundle names "
            "of their own."
        )
    return columns


def of_modality(columns: Sequence[Model], modality: str) -> dict[str, Bundle]:
    """Return the bundle of every model that is made for a modality.

    Without any but that of the baseline there is nothing to compare, and the result is empty.
    """
    found = {model.name: model.bundles[modality] for model in columns if modality in model.bundles}
    return found if set(found) - {BASELINE} else {}


def _family(name: str) -> Model:
    bundles = choose_bundles(name, MODALITIES)
    # Where a family has no bundle of its own the baseline stands in, which is another column.
    return Model(name, {key: bundle for key, bundle in bundles.items() if bundle.method == name})


def _candidate(folder: Path) -> Model:
    paths = sorted(folder.glob("*/bundle.json")) or [folder / "bundle.json"]
    bundles = [load_bundle(path.parent.resolve()) for path in paths]
    return Model(folder.resolve().name, {bundle.modality: bundle for bundle in bundles})
