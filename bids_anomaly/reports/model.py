"""Say what a model bundle is: in words for a terminal, and as a page that needs nothing but itself.

Both show the card that lies in the bundle and what ``bundle.json`` and the calibration say.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

from bids_anomaly.bids.writing import write_text
from bids_anomaly.exceptions import ModelUnavailableError
from bids_anomaly.reconstruction.bundle import NORMALISATION, PACKAGED, Bundle
from bids_anomaly.reconstruction.methods import COMPARISON, COMPARISON_IN_WORDS, METHODS
from bids_anomaly.reports.card import picture_beside, read_card, render_card
from bids_anomaly.reports.charts import COLOURS, INK, Chart, as_chart, new_axes
from bids_anomaly.reports.figures import Picture
from bids_anomaly.reports.numbers import with_minus
from bids_anomaly.reports.page import render
from bids_anomaly.reports.tables import Table
from bids_anomaly.scoring.calibration import Calibration, load_calibration
from bids_anomaly.settings import Settings

RATES = (0.0005, 0.001, 0.002, 0.005, 0.01)
DEFAULT_RATE = Settings.healthy_fpr
# What is said of a picture that lies beside the card and that the card does not show.
KNOWN_PICTURES = {
    "rates.png": "Nominal against observed rate of false positives, each person judged by the "
    "calibration of the others",
    "failures.png": "Cases in which the model fails most",
}


class ModelFacts(NamedTuple):
    """What a bundle is.

    Attributes
    ----------
    summary, details : mapping of str to str
        What to know first, and all the rest.
    calibration : Calibration
    rates : Table
        Which score and z are the threshold for which rate.
    """

    summary: Mapping[str, str]
    details: Mapping[str, str]
    calibration: Calibration
    rates: Table


def describe_model(bundle: Bundle) -> ModelFacts:
    """Describe a bundle from its files.

    Raises
    ------
    ModelUnavailableError
        If they do not say what they should.
    """
    try:
        calibration = load_calibration(bundle.calibration)
        return ModelFacts(_summary(bundle), _details(bundle), calibration, _rates(calibration))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelUnavailableError(
            f"The model bundle {bundle.folder} cannot be shown, because its bundle.json or "
            f"calibration.npz is not as it should be ({type(error).__name__}: {error}). Get the "
            "bundle again."
        ) from error


def size_in_words(bundle: Bundle) -> str:
    """Return how large the files of a bundle are, weights included."""
    files = {path.resolve() for path in bundle.folder.iterdir() if path.is_file()}
    if bundle.weights is not None:
        files.add(bundle.weights)
    size = sum(path.stat().st_size for path in files)
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def choice_of(bundle: Bundle) -> str:
    """Return what ``--model`` has to be: a family of the package, or the name of a folder."""
    return bundle.method if bundle.folder.parent == PACKAGED else bundle.folder.name


def write_model_page(path: Path, bundle: Bundle) -> None:
    """Write the page of a bundle; the same bundle gives the same bytes.

    Parameters
    ----------
    path : Path
        The HTML file.
    bundle : Bundle

    Raises
    ------
    ModelUnavailableError
        If its files do not say what they should, or its card shows what is no picture beside it.
    """
    facts = describe_model(bundle)
    card = render_card(read_card(bundle.folder), bundle.folder)
    page = render(
        "model.html.jinja",
        scripts=["tables.js"],
        title=bundle.name,
        summary=facts.summary,
        card=card.sections,
        pictures=_other_pictures(bundle.folder, card.pictures),
        chart=calibration_chart(facts.calibration),
        rates=facts.rates,
        model=choice_of(bundle),
        modality=bundle.modality,
        details=facts.details,
    )
    write_text(path, page)


def calibration_chart(calibration: Calibration) -> Chart:
    """Draw how often healthy voxels score higher than each score."""
    figure, axes = new_axes("Score", "Voxels that score higher (%)", inches=(5.6, 3.2))
    axes.plot(calibration.score, 100 * calibration.exceedance, color=COLOURS[1], linewidth=1.8)
    threshold = _score_at(calibration, DEFAULT_RATE)
    axes.plot(
        threshold,
        100 * DEFAULT_RATE,
        "o",
        color=COLOURS[4],
        label=f"threshold at {100 * DEFAULT_RATE:g} %",
    )
    axes.axhline(100 * DEFAULT_RATE, color=INK, linewidth=0.8, linestyle=":")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    return as_chart(
        "Scores of the calibration people",
        figure,
        axes,
        "Share of the voxels of a person above each score, mean over the people of the "
        "calibration. Voxels above the threshold are called anomalous.",
    )


def _score_at(calibration: Calibration, rate: float) -> float:
    """Return the score that a share `rate` of the voxels exceeds."""
    return float(np.interp(norm.isf(rate), norm.isf(calibration.exceedance), calibration.score))


def _rates(calibration: Calibration) -> Table:
    return Table(
        "Thresholds",
        "--healthy-fpr chooses the rate, which holds in the people of the calibration; other "
        "scanners and ages can have other rates.",
        ["Nominal rate (%)", "z", "Score"],
        [
            [
                f"{100 * rate:g}" + (" (default)" if rate == DEFAULT_RATE else ""),
                f"{norm.isf(rate):.2f}",
                with_minus(f"{_score_at(calibration, rate):.4f}"),
            ]
            for rate in RATES
        ],
        numeric=(1, 2),
    )


def _summary(bundle: Bundle) -> dict[str, str]:
    return {
        "For": f"{bundle.modality} scans",
        "Version": bundle.version,
        "Method": bundle.method,
        "Size": size_in_words(bundle),
        "Licence": str(bundle.description.get("licence", "not said")),
        "Calibrated on": f"{bundle.description['calibration']['people']} people",
    }


def _details(bundle: Bundle) -> dict[str, str]:
    description = dict(bundle.description)
    grid = description.pop("grid")
    shape, origin = (
        separator.join(f"{value:g}" for value in grid[key])
        for key, separator in (("shape", " × "), ("origin", ", "))
    )
    calibration = dict(description.pop("calibration"))
    training = dict(description.pop("training", {}))
    network = description.pop("network", None)
    method, levels = METHODS[bundle.method], description.pop("levels", None)
    known = {
        "Name": f"{bundle.name} {bundle.version}",
        "Made for": f"{bundle.modality} scans",
        "Method": f"{method.name}: {method.words}",
        "References": " ".join(method.references),
        **({"Weights are": COMPARISON_IN_WORDS} if bundle.status == COMPARISON else {}),
        "Licence": str(description.get("licence", "not said")),
        "Model grid": with_minus(
            f"{shape} voxels of {grid['spacing']:g} mm, the first at {origin} mm in "
        )
        + str(grid["template"]),
        "Intensities": str(description.get("normalisation", NORMALISATION)),
        "Score": _in_words(description.pop("score")),
        **({"Levels": f"{_in_words(levels)} ({method.levels})"} if method.levels else {}),
        "Network": "none" if network is None else _in_words(network),
        "Trained on": str(training.pop("data", "nobody" if network is None else "not said")),
        **({"Training": _in_words(training)} if training else {}),
        "Calibrated on": str(calibration.pop("data", "not said")),
        **({"Calibration": _in_words(calibration)} if calibration else {}),
        "Weights": f"sha256 {description['sha256']}" if bundle.weights else "none",
        "Bundle": f"sha256 {bundle.digest} (weights, description and calibration)",
    }
    said = {"name", "version", "method", "modality", "licence", "normalisation"}
    said |= {"sha256", "weights", "status"}
    others = {
        _heading(key): _in_words(value) for key, value in description.items() if key not in said
    }
    return known | others


def _heading(key: str) -> str:
    words = str(key).replace("_", " ")
    return words[:1].upper() + words[1:]


def _in_words(value: Any) -> str:
    """Return an entry of ``bundle.json`` as text."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key.replace('_', ' ')}: {_in_words(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_in_words, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value)


def _other_pictures(folder: Path, shown: frozenset[Path]) -> list[Picture]:
    """Return the pictures of a bundle that its card does not show."""
    pictures = []
    for file in sorted(folder.glob("*.png")):
        path, picture = picture_beside(folder, file.name)
        if path not in shown:
            pictures.append(picture._replace(alt=KNOWN_PICTURES.get(file.name, file.stem)))
    return pictures
