"""What the JSON file beside each image and table says."""

from collections.abc import Mapping, Sequence
from typing import Any

from bids_anomaly.bids.tables import COLUMNS
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.scoring.findings import Threshold

WHITE_MATTER_UNITS = "white matter intensity = 1"
DESCRIPTIONS: dict[str, str] = {
    "preproc": "Scan, bias-corrected, divided by its white matter level.",
    "pseudohealthy": "The scan as it would be without anomalies: desc-preproc minus desc-residual.",
    "residual": "Scan minus pseudo-healthy image, signed; 0 outside the brain.",
    "zscore": "How unusual the anomaly score is among the people who calibrate the model, in "
    "standard deviations.",
    "spread": "Standard deviation of the pseudo-healthy image over levels and mirrorings.",
    "brain": "Brain mask.",
    "probability": "f / (f + q), where q is the rate at which healthy voxels score as high and f "
    "the nominal false positive rate.",
    "anomaly": "Where the probability is above one half, without small components.",
    "lesions": "Connected components of the anomalies, the largest first.",
    "atlas": "Regions of the atlas DLMUSE, brought from the template by affine and SyN.",
    "regions": "What was found in each region of the atlas, in the grid of the scan.",
    "quality": "What tells whether scans and their preprocessing can be trusted.",
    "change": "Change of the z-score between two sessions, later minus earlier, in standard "
    "deviations of the noise floor; 0 outside the brain that both scans saw.",
    "changes": "Connected components of the lesions of either session, the largest first.",
    "model_scan": "Scan after an affine registration to the template, in the grid of the model, "
    "divided by its white matter level, 0 outside the brain.",
    "model_brain": "Brain mask in the grid of the model.",
}
# Images of the scan itself; of the others, masks, labels and tables have no intensities.
SCANS = ("preproc", "pseudohealthy")
MASKS = {"brain": "Brain", "model_brain": "Brain", "anomaly": "Lesion"}
OF_NO_MODEL = ("preproc", "brain", "model_scan", "model_brain")
FINDINGS = ("probability", "anomaly", "lesions", "regions", "change", "changes")


def sidecar(
    output: str,
    *,
    sources: Sequence[str],
    already_stripped: bool,
    bundle: Bundle | None,
    steps: int | None,
    threshold: Threshold | None,
    resolution: str | None,
) -> dict[str, Any]:
    """Describe one image or table.

    Parameters
    ----------
    output : str
        A key of :data:`bids_anomaly.bids.naming.OUTPUTS`.
    sources : sequence of str
        BIDS URIs of the scans it is from.
    already_stripped : bool
        Whether the input had no skull.
    bundle : Bundle or None
        The model; not said of scans and brain masks, in which no model had a part.
    steps : int or None
        In how many steps it reconstructed the scan, if its method knows steps.
    threshold : Threshold or None
        Said of what was found by it.
    resolution : str or None
        Of images in a template space.

    Returns
    -------
    dict
        The content of the JSON file; of tables, and of images with a table of the same name, it
        describes the columns too.
    """
    content: dict[str, Any] = {"Description": DESCRIPTIONS[output], "Sources": list(sources)}
    if output in MASKS:
        content["Type"] = MASKS[output]
    elif output not in COLUMNS:
        content["SkullStripped"] = already_stripped if output in SCANS else True
    if output in ("preproc", "pseudohealthy", "residual", "spread", "model_scan"):
        content["Units"] = WHITE_MATTER_UNITS
    if output in ("zscore", "change"):
        content["Units"] = "standard deviations"
    if output in FINDINGS:
        content["NominalFalsePositiveRate"] = threshold.healthy_fpr
    if output in FINDINGS and output != "probability":
        content["MinimumLesionVolume"] = threshold.min_lesion_volume
    if bundle is not None and output not in OF_NO_MODEL:
        content["Model"] = model_of(bundle, steps)
    if resolution is not None:
        content["Resolution"] = resolution
    return {**content, **COLUMNS.get(output, {})}


def model_of(bundle: Bundle, steps: int | None) -> Mapping[str, str | int]:
    """Name a model so that a result can be traced back to its weights and to how they were used."""
    content = {
        "Name": bundle.name,
        "Version": bundle.version,
        "Method": bundle.method,
        "Digest": f"sha256:{bundle.digest}",
    }
    return content if steps is None else {**content, "Steps": steps}
