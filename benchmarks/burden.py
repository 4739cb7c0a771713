"""Marked FLAIR volume against the automatic volume of white matter hyperintensities.

Prints a table of the elderly people (SBIA 2017) and the correlation of the two volumes with a 95 %
bootstrap interval over people, and draws them::

    bids-anomaly DATA/elderly-wmh OUTPUTS participant
    python benchmarks/burden.py DATA --outputs OUTPUTS --figure burden.png

People of the split ``dev`` helped to choose scores and to calibrate FLAIR; those of ``report`` did
not.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from scipy.stats import bootstrap, pearsonr, spearmanr
from shared.data_folder import add_data_folder
from shared.people import people
from shared.real_scans import PATIENTS

from bids_anomaly.bids.naming import output_path
from bids_anomaly.preprocessing.template import Grid

ELDERLY = PATIENTS[0]
SPLITS = ("dev", "report")
DRAWS, SEED = 2000, 0
TICKS = (1, 2, 5, 10, 20, 50, 100)


class Volumes(NamedTuple):
    """Of one person, in ml."""

    person: str
    split: str
    automatic: float
    marked: float


def main() -> None:
    """Print the table, and draw the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument("--outputs", type=Path, required=True, help="what the app wrote")
    parser.add_argument("--figure", type=Path, help="PNG to draw")
    arguments = parser.parse_args()
    found = [
        volumes(arguments.data, arguments.outputs, person, split)
        for split in SPLITS
        for person in people(ELDERLY.dataset, split)
    ]
    print("| person | split | automatic mask (ml) | marked (ml) |\n| --- | --- | ---: | ---: |")
    for one in sorted(found, key=lambda one: one.automatic):
        print(f"| {one.person} | {one.split} | {one.automatic:.2f} | {one.marked:.2f} |")
    print()
    for title, chosen in (
        ("all", found),
        *((split, [one for one in found if one.split == split]) for split in SPLITS),
    ):
        print(f"- {title}, {len(chosen)} people: {correlations(chosen)}")
    if arguments.figure:
        draw(found, arguments.figure)


def volumes(data: Path, outputs: Path, person: str, split: str) -> Volumes:
    """Measure the volume of both masks, each in the grid of the FLAIR scan."""
    automatic = nib.load(data / ELDERLY.dataset / ELDERLY.truth.format(person))
    marked = nib.load(output_path(outputs, "anomaly", {"sub": person}, modality="FLAIR"))
    return Volumes(person, split, millilitres(automatic), millilitres(marked))


def millilitres(mask: nib.Nifti1Image) -> float:
    """Return the volume of a mask."""
    voxels = np.count_nonzero(np.asanyarray(mask.dataobj))
    return float(voxels * Grid.of(mask).voxel_volume / 1000)


def correlations(found: list[Volumes]) -> str:
    """Return Pearson's r of the logarithms and Spearman's rho, with intervals, in words."""
    pairs = (np.array([o.automatic for o in found]), np.array([o.marked for o in found]))
    logarithms = tuple(np.log(values + 0.01) for values in pairs)

    def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
        return spearmanr(x, y).statistic

    def correlation(x: np.ndarray, y: np.ndarray) -> float:
        return pearsonr(x, y).statistic

    texts = []
    for name, statistic, values in (
        ("Pearson's r of log volumes", correlation, logarithms),
        ("Spearman's rho", rank_correlation, pairs),
    ):
        interval = bootstrap(
            values, statistic, paired=True, vectorized=False, n_resamples=DRAWS,
            method="percentile", rng=SEED,
        ).confidence_interval  # fmt: skip
        texts.append(f"{name} {statistic(*values):.2f} ({interval.low:.2f} to {interval.high:.2f})")
    ratio = np.median(pairs[1] / pairs[0])
    return f"{', '.join(texts)}; marked volume over automatic volume {ratio:.2f} (median)"


def draw(found: list[Volumes], path: Path) -> None:
    """Draw one volume against the other, with the line of equality."""
    figure = Figure((4.8, 4.4), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", aspect="equal")
    every = [volume for one in found for volume in (one.automatic, one.marked)]
    ends = (0.8 * min(every), 1.25 * max(every))
    axes.plot(ends, ends, color="0.6", linestyle=":", label="equal")
    for split, colour, marker in zip(SPLITS, ("#56B4E9", "#D55E00"), "os", strict=True):
        chosen = [one for one in found if one.split == split]
        axes.plot(
            [one.automatic for one in chosen],
            [one.marked for one in chosen],
            color=colour,
            marker=marker,
            linestyle="",
            label=f"a person, {split}",
        )
    axes.set(
        xlim=ends,
        ylim=ends,
        xlabel="Automatic white matter hyperintensity mask (ml)",
        ylabel="Marked on FLAIR by restore (ml)",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(TICKS))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
