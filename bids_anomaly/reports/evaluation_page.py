"""The page of an evaluation: one HTML file that needs nothing but itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

from bids_anomaly.bids.writing import write_text
from bids_anomaly.reports import views
from bids_anomaly.reports.charts import Chart
from bids_anomaly.reports.figures import (
    GREY,
    ORANGE,
    SKY,
    Contour,
    Scale,
    Strip,
    brightest,
    draw,
    strip,
)
from bids_anomaly.reports.page import render
from bids_anomaly.reports.tables import Table

TILE_WIDTH = 520


class Section(NamedTuple):
    """What is shown of one modality."""

    name: str
    tables: Sequence[Table]
    charts: Sequence[Chart]
    cases: Sequence[Strip]


@dataclass(frozen=True, kw_only=True)
class EvaluationPage:
    """What stands on the page.

    Attributes
    ----------
    title : str
        What was evaluated.
    summary : mapping of str to str
        What to know first.
    notes : sequence of str
        Who was left out, and why.
    failures : mapping of str to str
        By the name of a scan.
    sections : sequence of Section
        One a modality.
    scans : Table
        All scans.
    methods : sequence of str
        Paragraphs.
    provenance : mapping of str to str
        How this was made.
    """

    title: str
    summary: Mapping[str, str]
    notes: Sequence[str]
    failures: Mapping[str, str]
    sections: Sequence[Section]
    scans: Table
    methods: Sequence[str]
    provenance: Mapping[str, str]


def write_evaluation_page(path: Path, page: EvaluationPage) -> None:
    """Write or replace the page.

    Parameters
    ----------
    path : Path
        The HTML file.
    page : EvaluationPage
        What stands on it.
    """
    write_text(path, render("evaluation.html.jinja", scripts=("tables.js",), **vars(page)))


def case_strip(
    title: str,
    note: str,
    *,
    scan: np.ndarray,
    brain: np.ndarray,
    mask: np.ndarray,
    truth: np.ndarray,
    affine: np.ndarray,
) -> Strip:
    """Draw the slices of a scan that tell most: truth in blue, the app's mask in orange.

    Parameters
    ----------
    title, note : str
        Words beside the pictures.
    scan : (X, Y, Z) array
    brain, mask, truth : (X, Y, Z) bool arrays
        In the grid of `scan`.
    affine : (4, 4) array
        From voxels to mm; any orientation.
    """
    orientation = nib.io_orientation(affine)
    scan, brain, mask, truth = (
        nib.apply_orientation(array, orientation) for array in (scan, brain, mask, truth)
    )
    spacing = np.empty(3)
    spacing[orientation[:, 0].astype(int)] = nib.affines.voxel_sizes(affine)
    slices: dict[int, str] = {}
    for what, part in (
        ("most lesion", truth),
        ("most missed", truth & ~mask),
        ("most falsely marked", mask & ~truth),
    ):
        index = views.slice_of_largest_area(part, views.AXIAL)
        if index is not None:
            slices[index] = f"{slices[index]}, {what}" if index in slices else what
    if not slices:
        slices[views.centre_of(brain)[views.AXIAL]] = "middle of the brain"
    window = views.window_around(brain, margin=2)
    planes = [views.tight_view(views.AXIAL, index, window, spacing) for index in slices]
    captions = [f"slice {index + 1}: {what}" for index, what in slices.items()]
    pictures = draw(
        planes,
        scan,
        Scale(GREY, 0, brightest(scan, brain)),
        width=TILE_WIDTH,
        alts=[f"{title}, {note}, {caption}" for caption in captions],
        lines=[Contour(truth, [0.5], SKY), Contour(mask, [0.5], ORANGE)],
    )
    return strip(title, note, pictures, captions)
