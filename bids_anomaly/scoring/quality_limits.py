"""What good scans have, and what a scan that lies outside makes one suspect.

``benchmarks/quality.py`` prints what good scans have, and how many scans that were broken on
purpose each measure catches; ``docs/quality.md`` shows it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bids_anomaly.modalities import modality_of

# Lowest and highest values of good scans: what people of all development sets have, widened by a
# quarter of the range. Brain volumes are those of adults. FLAIR scans of gliomas and of few slices
# have less overlap than the limit, which is the lowest of whole brains: wider, it would miss
# registrations that are off by 12 mm.
# Ghosts along an axis are as bright as that in a few of these scans, which do show them.
# Slices of two-dimensional scans differ more than those scans show, and the outermost slice of a
# whole brain may hold a small cap of it. A side on which no value is bad is open. Limits that
# depend on the contrast are in bids_anomaly.modalities.
GOOD = {
    "brain_volume": (900.0, 2000.0),
    "brain_overlap": (0.89, np.inf),
    "noise": (-np.inf, 0.06),
    "ghosting": (-np.inf, 0.19),
    "axis_ghosting": (-np.inf, 0.0175),
    "weakest_slice": (0.7, np.inf),
    "brain_at_edge": (-np.inf, 15.0),
}
# A T1w scan does not fit the template where its brain overlaps less than that and tissues agree by
# less than the first, or by less than the second while grey matter is not where the contrast has
# it. The limits were chosen on turned scans and good ones of the development sets. A glioma on
# FLAIR comes as near as turned scans do, so other modalities are only warned of.
LEAST_OVERLAP = 0.915
NO_AGREEMENT, LITTLE_AGREEMENT = 0.05, 0.16
# Of any modality.
NO_OVERLAP = 0.8
# What a value outside its limits makes one suspect.
CONTRAST = (
    "the contrast is unlike that of the {modality} scans that the limits come from: check that its "
    "suffix is right and that its intensities are not inverted"
)
BRAIN = "brain extraction may have failed: look at the outline in the report"
REGISTRATION = "registration to the template may have failed: look at the contours in the report"
MOTION = "there is more noise or motion than models have seen: expect false findings"
UNKNOWN = "this version does not know what that makes one suspect"
SUSPICIONS = {
    "grey_to_white": CONTRAST,
    "fluid_to_white": CONTRAST,
    "grey_position": CONTRAST,
    "brain_volume": BRAIN,
    "brain_overlap": "brain extraction or registration may have failed: look at both in the report",
    "tissue_agreement": REGISTRATION,
    "noise": MOTION,
    "ghosting": MOTION,
    "axis_ghosting": "the head may have moved while it was scanned: look for its ghosts in the "
    "air, and expect false findings",
    "weakest_slice": "slices are missing or much darker than their neighbours",
    "brain_at_edge": "the field of view cuts the brain: nothing is known beyond it",
}


class Measure(NamedTuple):
    """How a measure is called: its name, its unit (may be empty) and what it is."""

    name: str
    unit: str
    words: str

    @property
    def heading(self) -> str:
        """The name with its unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def sentence(self) -> str:
        """All of it, as the JSON file beside a table says it."""
        return f"{self.heading}: {self.words}."


# On pages and beside tables. None of them is computed as a measure of MRIQC is, so that none has
# its name.
MEASURES = {
    "grey_to_white": Measure(
        "GM/WM intensity ratio", "", "median of grey matter over median of white matter"
    ),
    "fluid_to_white": Measure(
        "CSF/WM intensity ratio", "", "median of the ventricles over median of white matter"
    ),
    "grey_position": Measure(
        "GM position", "", "where grey matter lies between white matter (0) and CSF (1)"
    ),
    "brain_volume": Measure("Brain volume", "ml", "volume of the brain mask"),
    "brain_overlap": Measure(
        "Brain overlap", "Dice", "of the registered brain mask with that of the template"
    ),
    "tissue_agreement": Measure(
        "Tissue fit",
        "R²",
        "share of the variance in the registered brain that the tissue maps of the template "
        "explain",
    ),
    "noise": Measure(
        "WM noise", "WM = 1", "standard deviation of white matter from voxel to voxel at 2 mm"
    ),
    "ghosting": Measure(
        "Air, 99th percentile", "WM = 1", "above the median of air: ghosts of motion"
    ),
    "axis_ghosting": Measure(
        "Ghost-to-air difference",
        "WM = 1",
        "how much brighter air in line with the head is along one axis than other air",
    ),
    "weakest_slice": Measure(
        "Weakest slice", "ratio", "lowest brightness of a slice over the mean of its neighbours"
    ),
    "brain_at_edge": Measure(
        "Brain at edge", "cm²", "largest area of brain on a face of the field of view"
    ),
}


def measure_named(name: str) -> Measure:
    """Return what is known of a measure of a table, which another version may have written."""
    return MEASURES.get(name, Measure(name, "", "not a measure of this version"))


class Check(NamedTuple):
    """A measure of one scan.

    Attributes
    ----------
    measure : str
        A key of :data:`SUSPICIONS`, or the name that another version has for one.
    value, lower, upper : float
        What it is, and what good scans have at least and at most; infinite where a side is open.
    """

    measure: str
    value: float
    lower: float
    upper: float

    @property
    def flagged(self) -> bool:
        """Whether it is not what good scans have; what cannot be measured is not flagged."""
        return self.value < self.lower or self.value > self.upper

    @property
    def bounds(self) -> str:
        """The limits in words, such as ``at least 0.9``; empty without limits."""
        low, high = f"at least {self.lower:g}", f"at most {self.upper:g}"
        sides = ((self.lower, low), (self.upper, high))
        return " and ".join(words for limit, words in sides if np.isfinite(limit))


def check_quality(measures: Mapping[str, float], modality: str) -> list[Check]:
    """Compare the measures of a scan with those of good ones.

    Parameters
    ----------
    measures : mapping
        From :func:`bids_anomaly.scoring.quality.measure_quality`.
    modality : str
        BIDS suffix; of one without known limits only what does not depend on it is judged.
    """
    limits = {**GOOD, **modality_of(modality).good}
    return [
        Check(name, value, *limits.get(name, (-np.inf, np.inf))) for name, value in measures.items()
    ]


def describe_flags(checks: Sequence[Check], *, name: str, modality: str) -> list[str]:
    """Say of every flagged measure what it is, what good scans have, and what to suspect.

    Parameters
    ----------
    checks : sequence of Check
    name : str
        File name of the scan.
    modality : str
        Its BIDS suffix.
    """
    return [
        f"{name}: {measure_named(check.measure).heading} is {check.value:.3g} (good scans have "
        f"{check.bounds}); {SUSPICIONS.get(check.measure, UNKNOWN).format(modality=modality)}."
        for check in checks
        if check.flagged
    ]


def describe_misfit(checks: Sequence[Check], *, name: str, modality: str) -> str | None:
    """Say why a scan cannot lie in the template as it should; None if it may.

    Parameters
    ----------
    checks : sequence of Check
    name : str
        File name of the scan.
    modality : str
        Its BIDS suffix.
    """
    values = {check.measure: check.value for check in checks}
    overlap, agreement = values["brain_overlap"], values["tissue_agreement"]
    odd_grey = any(check.flagged for check in checks if check.measure == "grey_position")
    beyond = agreement < NO_AGREEMENT or (agreement < LITTLE_AGREEMENT and odd_grey)
    lies_wrong = modality_of(modality).is_refused and overlap < LEAST_OVERLAP and beyond
    if not lies_wrong and not overlap < NO_OVERLAP:
        return None
    return (
        f"The scan {name} does not fit the template: its brain overlaps that of the template by "
        f"{overlap:.2f}, and the template's tissues explain "
        f"{max(agreement, 0):.0%} of its brightness. Its header may be wrong "
        "about its axes (is the nose where a viewer says anterior?), or brain extraction failed. "
        "Correct it, or leave it out with --bids-filter-file."
    )
