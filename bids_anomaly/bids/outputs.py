"""What the app writes of scans and sessions: a row for each map and table."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bids_anomaly.bids.columns import ATLAS, CHANGES, LESIONS, QUALITY, REGIONS, Columns

SCAN = "{modality}"
WHITE_MATTER = "white matter intensity = 1"
STANDARD_DEVIATIONS = "standard deviations"
# What a sidecar says of the threshold, by the attribute of :class:`Threshold` that it is.
RATE = {"NominalFalsePositiveRate": "healthy_fpr"}
RATE_AND_VOLUME = {**RATE, "MinimumLesionVolume": "min_lesion_volume"}


@dataclass(frozen=True, kw_only=True)
class Output:
    """How a map or table is named, and what the JSON file beside it says.

    Attributes
    ----------
    entities : mapping
        What its name has beside the entities of the scan; ``{modality}`` stands for the suffix of
        the scan.
    suffix : str
        Likewise; that of the scan by default.
    description : str
        What it shows.
    units : str or None
        Of its values, if they have any.
    type : str or None
        Of a mask, as BIDS names it.
    columns : mapping
        Of the table, or of the table of the same name beside an image of labels: what is said of
        each column, in their order.
    shows_scan : bool
        Whether it shows the scan itself, with the skull if there is one.
    of_model : bool
        Whether a model had a part in it, which is named then.
    found_by : mapping
        What is said of the threshold.
    """

    entities: Mapping[str, str]
    suffix: str = SCAN
    description: str
    units: str | None = None
    type: str | None = None
    columns: Columns = field(default_factory=dict)
    shows_scan: bool = False
    of_model: bool = False
    found_by: Mapping[str, str] = field(default_factory=dict)

    def named(self, modality: str) -> tuple[dict[str, str], str]:
        """Return the entities beside those of a scan, and the suffix, for a modality."""
        entities = {key: label.format(modality=modality) for key, label in self.entities.items()}
        return entities, self.suffix.format(modality=modality)

    def modality_in(self, entities: Mapping[str, str], suffix: str) -> str | None:
        """Return the modality that a file of this output is about.

        Parameters
        ----------
        entities : mapping
            Of the name of the file, also those that are not of this output.
        suffix : str

        Returns
        -------
        str or None
            Empty for what is about a whole session; None if it is a file of another output.

        Examples
        --------
        >>> OUTPUTS["anomaly"].modality_in({"label": "lesion", "desc": "anomalyFLAIR"}, "mask")
        'FLAIR'
        """
        name = "_".join([*(entities.get(key, "") for key in self.entities), suffix])
        known = self._pattern.fullmatch(name)
        return known and "".join(known.groups()[:1])

    @cached_property
    def _pattern(self) -> re.Pattern:
        """What the labels and the suffix of a file of this output are, for any modality."""
        labels = re.escape("_".join([*self.entities.values(), self.suffix]))
        return re.compile(labels.replace(re.escape(SCAN), "([A-Za-z0-9]+)"))


OUTPUTS: dict[str, Output] = {
    "preproc": Output(
        entities={"desc": "preproc"},
        description="Scan, bias-corrected, divided by its white matter level.",
        units=WHITE_MATTER,
        shows_scan=True,
    ),
    "pseudohealthy": Output(
        entities={"desc": "pseudohealthy"},
        description="The scan as it would be without anomalies: desc-preproc minus desc-residual.",
        units=WHITE_MATTER,
        shows_scan=True,
        of_model=True,
    ),
    "residual": Output(
        entities={"desc": "residual"},
        description="Scan minus pseudo-healthy image, signed; 0 outside the brain.",
        units=WHITE_MATTER,
        of_model=True,
    ),
    "zscore": Output(
        entities={"desc": "zscore"},
        description="How unusual the anomaly score is among the people who calibrate the model, in "
        "standard deviations.",
        units=STANDARD_DEVIATIONS,
        of_model=True,
    ),
    "spread": Output(
        entities={"desc": "spread"},
        description="Standard deviation of what the model predicts over levels and mirrorings.",
        units=WHITE_MATTER,
        of_model=True,
    ),
    "network": Output(
        entities={"desc": "network"},
        description="What the method itself calls anomalous, before it is scored: of `restore` the "
        "mean probability, over levels and mirrorings, that a voxel was made anomalous, from 0 to "
        "1; of other methods their own map.",
        of_model=True,
    ),
    "brain": Output(
        entities={"desc": "brain{modality}"},
        suffix="mask",
        description="Brain mask.",
        type="Brain",
    ),
    "probability": Output(
        entities={"label": "lesion", "desc": "anomaly{modality}"},
        suffix="probseg",
        description="f / (f + q), where q is the rate at which healthy voxels score as high and f "
        "the nominal false positive rate.",
        of_model=True,
        found_by=RATE,
    ),
    "anomaly": Output(
        entities={"label": "lesion", "desc": "anomaly{modality}"},
        suffix="mask",
        description="Where the probability is above one half, without small components.",
        type="Lesion",
        of_model=True,
        found_by=RATE_AND_VOLUME,
    ),
    "lesions": Output(
        entities={"desc": "lesions{modality}"},
        suffix="dseg",
        description="Connected components of the anomalies, the largest first.",
        columns=LESIONS,
        of_model=True,
        found_by=RATE_AND_VOLUME,
    ),
    "atlas": Output(
        entities={"atlas": "DLMUSE", "desc": "regions{modality}"},
        suffix="dseg",
        description="Regions of the atlas DLMUSE, brought from the template by affine and SyN.",
        columns=ATLAS,
        of_model=True,
    ),
    "regions": Output(
        entities={"atlas": "DLMUSE", "desc": "regions{modality}"},
        suffix="stats",
        description="What was found in each region of the atlas, in the grid of the scan.",
        columns=REGIONS,
        of_model=True,
        found_by=RATE_AND_VOLUME,
    ),
    "quality": Output(
        entities={"desc": "quality"},
        suffix="stats",
        description="What tells whether scans and their preprocessing can be trusted.",
        columns=QUALITY,
    ),
    "change": Output(
        entities={"desc": "change"},
        description="Change of the z-score between two sessions, later minus earlier, in standard "
        "deviations of the noise floor; 0 outside the brain that both scans saw.",
        units=STANDARD_DEVIATIONS,
        of_model=True,
        found_by=RATE_AND_VOLUME,
    ),
    "changes": Output(
        entities={"desc": "changes{modality}"},
        suffix="dseg",
        description="Connected components of the lesions of either session, the largest first.",
        columns=CHANGES,
        of_model=True,
        found_by=RATE_AND_VOLUME,
    ),
    "model_scan": Output(
        entities={"desc": "affine"},
        description="Scan after an affine registration to the template, in the grid of the model, "
        "divided by its white matter level, 0 outside the brain.",
        units=WHITE_MATTER,
    ),
    "model_brain": Output(
        entities={"desc": "affinebrain{modality}"},
        suffix="mask",
        description="Brain mask in the grid of the model.",
        type="Brain",
    ),
}
