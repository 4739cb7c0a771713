"""The brain atlas that comes with the package: named regions in the space of the template.

It holds the 145 regions of DLMUSE, by majority vote over healthy adults of IXI; ``docs/atlas.md``
says how it was made and how well it fits people who had no part in it.
"""

import csv
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

from bids_anomaly.preprocessing.images import load_nifti
from bids_anomaly.preprocessing.labels import resample_labels
from bids_anomaly.preprocessing.template import OUTPUT_GRID, TEMPLATE, Grid
from bids_anomaly.preprocessing.transforms import SAME_SPACE, Chain

ATLAS_FOLDER = Path(str(files("bids_anomaly.resources") / "atlas"))
ATLAS_NAME = f"tpl-{TEMPLATE}_res-1_atlas-DLMUSE_dseg"


class Region(NamedTuple):
    """A region of the atlas.

    Attributes
    ----------
    index : int
        Its label in the map, > 0.
    name : str
        As DLMUSE calls it; those in one hemisphere end in ``_L`` or ``_R``.
    hemisphere : str
        ``left``, ``right``, or ``n/a`` for regions at the midline.
    tissue : str
        ``cortex``, ``deep grey``, ``white matter``, ``ventricle``, ``cerebellum`` or
        ``brain stem``.
    """

    index: int  # type: ignore[assignment]  # a column of tables, not the method of tuples
    name: str
    hemisphere: str
    tissue: str


@cache
def atlas_image() -> nib.Nifti1Image:
    """Return the labels in the grid of the template at 1 mm; 0 is outside every region."""
    image = load_nifti(ATLAS_FOLDER / f"{ATLAS_NAME}.nii.gz")
    # In memory, for a file would be unpacked at every look.
    return nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine, image.header)


@cache
def atlas_regions() -> tuple[Region, ...]:
    """Return the regions of the atlas, by index."""
    with (ATLAS_FOLDER / f"{ATLAS_NAME}.tsv").open(newline="", encoding="utf-8") as file:
        return tuple(
            Region(int(row["index"]), row["name"], row["hemisphere"], row["tissue"])
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        )


def atlas_labels(
    onto: Grid, chain: Chain = SAME_SPACE, *, within: np.ndarray | None = None
) -> np.ndarray:
    """Return the labels of the atlas in another grid.

    Parameters
    ----------
    onto : Grid
        Any grid, in the space of the template if there is no chain.
    chain : Chain
        From the space of `onto` to the template.
    within : (X, Y, Z) bool array, optional
        Where labels are needed; all over the grid by default.

    Returns
    -------
    (X, Y, Z) int16 array
        An index of :func:`atlas_regions`, or 0, at the centre of each voxel of `onto`.
    """
    labels = resample_labels(atlas_image(), onto, chain, within=within)
    return np.asanyarray(labels.dataobj)


@cache
def output_labels() -> np.ndarray:
    """Return the labels of the atlas in the grid of outputs in the template."""
    return atlas_labels(OUTPUT_GRID)
