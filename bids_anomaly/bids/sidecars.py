"""What the JSON file beside each image says."""

from collections.abc import Mapping, Sequence
from typing import Any

from bids_anomaly.reconstruction.bundle import Bundle

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
    "combined_probability": "Probability of an anomaly from all modalities together: q is the "
    "smallest of their rates times their number.",
    "combined_anomaly": "Where the combined probability is above one half, without small "
    "components.",
    "model_scan": "Scan after an affine registration to the template, in the grid of the model, "
    "divided by its white matter level, 0 outside the brain.",
    "model_brain": "Brain mask in the grid of the model.",
}
# Images of the scan itself; all others are maps of the brain.
SCANS = ("preproc", "pseudohealthy")


def sidecar(
    output: str,
    *,
    sources: Sequence[str],
    already_stripped: bool,
    bundle: Bundle | None,
    healthy_fpr: float,
    min_lesion_volume: float,
    resolution: str | None,
) -> dict[str, Any]:
    """Describe one image.

    Parameters
    ----------
    output : str
        A key of :data:`bids_anomaly.bids.naming.OUTPUTS`.
    sources : sequence of str
        BIDS URIs of the scans it is from.
    already_stripped : bool
        Whether the input had no skull.
    bundle : Bundle or None
        The model; None for files that no model had a part in.
    healthy_fpr : float
        Nominal false positive rate.
    min_lesion_volume : float
        In mm3.
    resolution : str or None
        Of images in a template space.

    Returns
    -------
    dict
        The content of the JSON file.
    """
    content: dict[str, Any] = {"Description": DESCRIPTIONS[output], "Sources": list(sources)}
    if output in ("brain", "model_brain"):
        content["Type"] = "Brain"
    elif output in ("anomaly", "combined_anomaly"):
        content["Type"] = "Lesion"
    if output not in ("brain", "model_brain", "anomaly", "combined_anomaly"):
        content["SkullStripped"] = already_stripped if output in SCANS else True
    if output in ("preproc", "pseudohealthy", "residual", "spread", "model_scan"):
        content["Units"] = WHITE_MATTER_UNITS
    if output in ("probability", "combined_probability", "anomaly", "combined_anomaly"):
        content["NominalFalsePositiveRate"] = healthy_fpr
    if output in ("anomaly", "combined_anomaly"):
        content["MinimumLesionVolume"] = min_lesion_volume
    if bundle is not None:
        content["Model"] = model_of(bundle)
    if resolution is not None:
        content["Resolution"] = resolution
    return content


def model_of(bundle: Bundle) -> Mapping[str, str]:
    """Name a model so that a result can be traced back to its weights."""
    return {
        "Name": bundle.name,
        "Version": bundle.version,
        "Method": bundle.method,
        "Digest": f"sha256:{bundle.digest()}",
    }
