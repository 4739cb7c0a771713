"""Whether the false positive rate of a calibration holds in people who are not part of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from bids_anomaly.bids.writing import replacing
from bids_anomaly.scoring.calibration import calibrate, healthy_exceedance

NOMINAL_RATES = (0.0005, 0.001, 0.002, 0.005, 0.01)
# In the folder of a bundle.
PICTURE = "rates.png"
# A person without a single voxel is drawn at this share of the lowest nominal rate.
LOWEST_DRAWN = 0.1


def observed_rates(
    scores: Sequence[np.ndarray], nominal: Sequence[float] = NOMINAL_RATES
) -> np.ndarray:
    """Return how many voxels of each person are called anomalous when the others calibrate.

    Parameters
    ----------
    scores : sequence of (V,) arrays
        From :func:`scores_by_person`, of at least two people.
    nominal : sequence of float
        False positive rates that are asked for.

    Returns
    -------
    (P, R) array
        For each person and nominal rate, the share of voxels that the threshold calls anomalous.
    """
    rates = []
    for person, own in enumerate(scores):
        others = [*scores[:person], *scores[person + 1 :]]
        exceedance = healthy_exceedance(calibrate(others).zscore(own))
        rates.append([float((exceedance < rate).mean()) for rate in nominal])
    return np.array(rates)


def rates_table(observed: np.ndarray) -> str:
    """Return nominal against observed rates as lines of text.

    Parameters
    ----------
    observed : (P, R) array
        From :func:`observed_rates`.
    """
    lines = [
        f"False positive rate in {len(observed)} people, each judged by the calibration of the "
        "others (% of voxels):",
        f"{'nominal':>10}{'observed':>10}{'median':>10}{'lowest':>10}{'highest':>10}",
    ]
    for nominal, rates in zip(NOMINAL_RATES, 100 * observed.T, strict=True):
        values = (100 * nominal, rates.mean(), np.median(rates), rates.min(), rates.max())
        lines.append("".join(f"{value:10.3f}" for value in values))
    return "\n".join(lines)


def draw_rates(observed: np.ndarray, path: Path, *, title: str) -> None:
    """Draw nominal against observed rates, a dot for each person, as a PNG.

    Parameters
    ----------
    observed : (P, R) array
        From :func:`observed_rates`.
    path : Path
        Written or replaced.
    title : str
        Above the picture.
    """
    figure = Figure((5.2, 4.0), layout="constrained")
    axes = figure.add_subplot(title=title, xscale="log", yscale="log")
    nominal = 100 * np.array(NOMINAL_RATES)
    lowest = LOWEST_DRAWN * nominal[0]
    # People side by side, so that dots of one height do not hide each other.
    aside = np.geomspace(0.9, 1.1, len(observed))
    axes.plot(nominal, nominal, color="0.6", linestyle=":", label="as nominal")
    axes.plot(
        np.outer(aside, nominal),
        np.maximum(100 * observed, lowest),
        linestyle="",
        marker="o",
        markersize=3.5,
        color="#56B4E9",
        alpha=0.7,
        label=["a person", *[None] * (len(nominal) - 1)],
    )
    axes.plot(nominal, 100 * observed.mean(axis=0), color="#D55E00", marker="s", label="mean")
    axes.set(xlabel="Nominal rate (% of voxels)", ylabel="Observed rate (% of voxels)")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(nominal)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
