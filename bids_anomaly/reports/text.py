"""The sentences of a report: how it was done, ready to be pasted into an article."""

from collections.abc import Iterable, Sequence

from bids_anomaly import __version__
from bids_anomaly.bids.scans import TRANSFORMS_TOO
from bids_anomaly.citation import works_behind
from bids_anomaly.preprocessing.brain import ALREADY_STRIPPED, PREPARED_BY
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.preprocessing.template import TEMPLATE
from bids_anomaly.reconstruction.bundle import DEFAULT_FAMILY, FALLBACK_FAMILY, Bundle
from bids_anomaly.reconstruction.methods import COMPARISON, COMPARISON_IN_WORDS, METHODS
from bids_anomaly.scoring.findings import Threshold


def methods_text(
    bundles: Sequence[Bundle],
    brain_methods: Sequence[str],
    *,
    steps: int | None,
    threshold: Threshold,
) -> list[str]:
    """Describe what was done to the scans of a session.

    Parameters
    ----------
    bundles : sequence of Bundle
        The model of each scan.
    brain_methods : sequence of str
        How the brain of each scan was found.
    steps : int or None
        What ``--steps`` asked for.
    threshold : Threshold
        By which anomalies were found.

    Returns
    -------
    list of str
        Paragraphs.
    """
    several = len(bundles) > 1
    preprocessing = [
        f"Scans were processed with bids-anomaly {__version__}.",
        *dict.fromkeys(map(_brain_sentence, brain_methods)),
        "Scans of other contrasts were registered rigidly to the first scan." if several else "",
        f"The first scan was registered to the {TEMPLATE} template by an affine; results in "
        "template space have also gone through "
        + (
            "symmetric normalisation (SyN), estimated from the pseudo-healthy image where there is "
            "one"
            if _deformed_here(brain_methods)
            else "the deformation of that pipeline"
        )
        + ", in one interpolation.",
        "Bias fields were estimated from healthy tissue alone, as a smooth field of cosines "
        "beside three tissues and an outlier class (after Ashburner and Friston 2005 and Van "
        "Leemput et al. 2001), so that lesions were not taken for shading."
        if _corrected_here(brain_methods)
        else "",
        "Intensities were divided by the level of white matter, found by an estimator that lesions "
        "hardly move.",
    ]
    models = [_model_sentence(bundle, steps) for bundle in {b.name: b for b in bundles}.values()]
    scoring = (
        f"Scores were compared with those of {_calibration(bundles)}: a voxel is called anomalous "
        f"where fewer than {100 * threshold.healthy_fpr:g} % of their voxels score as high; "
        f"components below {threshold.min_lesion_volume:g} mm³ were left out."
    )
    if several:
        scoring += " Each scan was judged by itself."
    return [" ".join(filter(None, preprocessing)), " ".join(models), scoring]


def references(methods: Iterable[str], brain_methods: Sequence[str]) -> list[str]:
    """Return what to cite of the work that the results of a session stand on.

    Parameters
    ----------
    methods : iterable of str
        By which each scan was reconstructed; what this version does not know is left out.
    brain_methods : sequence of str
        How the brain of each scan was found.
    """
    works = works_behind(
        [METHODS[name] for name in dict.fromkeys(methods) if name in METHODS],
        [BRAIN_TOOLS[name] for name in dict.fromkeys(brain_methods) if name in BRAIN_TOOLS],
        bias=_corrected_here(brain_methods),
        deformation=_deformed_here(brain_methods),
    )
    return [work.reference for work in works]


def model_warnings(bundles: Sequence[Bundle], *, steps: int | None) -> list[str]:
    """Say what to know of the models before their findings are believed.

    Parameters
    ----------
    bundles : sequence of Bundle
        Of each scan, or each modality.
    steps : int or None
        What ``--steps`` asks for.

    Returns
    -------
    list of str
        Where intensity alone is scored, because no trained model was asked for or exists; where
        weights only serve to compare methods; and where scores are compared with those of another
        number of steps.
    """
    warnings = []
    bundles = list({bundle.name: bundle for bundle in bundles}.values())
    modalities = sorted({b.modality for b in bundles if b.method == FALLBACK_FAMILY})
    if modalities:
        warnings.append(
            f"{' and '.join(modalities)}: no trained model is used, anomalies are voxels of "
            "unusual intensity, and no pseudo-healthy image is made. Expect false findings where "
            "healthy tissue is bright (or dark on T1w)."
        )
    compared = [bundle.name for bundle in bundles if bundle.status == COMPARISON]
    if compared:
        warnings.append(
            f"{' and '.join(compared)}: the weights are {COMPARISON_IN_WORDS}. Use --model "
            f"{DEFAULT_FAMILY} to find it."
        )
    for bundle in bundles:
        taken, calibrated = bundle.steps_taken(steps), bundle.steps_taken(None)
        if taken != calibrated:
            warnings.append(
                f"{bundle.name}: z-scores and thresholds hold for the number of steps of the "
                f"calibration, {calibrated}, and --steps asks for {steps}. Calibrate it with "
                "bids-anomaly-calibrate --steps, or leave --steps out."
            )
    return warnings


def _brain_sentence(method: str) -> str:
    """Say how a brain was found, from the method of its mask."""
    _, prepared, pipeline = method.partition(PREPARED_BY)
    if prepared:
        name = pipeline.removesuffix(TRANSFORMS_TOO)
        return f"A bias-corrected T1w scan and its brain mask were taken from {name}."
    tool = BRAIN_TOOLS.get("none" if method == ALREADY_STRIPPED else method)
    return "" if tool is None else tool.words


def _deformed_here(brain_methods: Sequence[str]) -> bool:
    """Return whether scans were registered to the template by a deformation of this app."""
    return not any(method.endswith(TRANSFORMS_TOO) for method in brain_methods)


def _corrected_here(brain_methods: Sequence[str]) -> bool:
    """Return whether the bias field of any scan was estimated here."""
    return not all(PREPARED_BY in method for method in brain_methods)


def _calibration(bundles: Sequence[Bundle]) -> str:
    """Say whose scores the scans were compared with."""
    people = {bundle.modality: bundle.calibrated_on for bundle in bundles}
    return "; ".join(f"{data} ({modality})" for modality, data in people.items())


def _model_sentence(bundle: Bundle, steps: int | None) -> str:
    if bundle.method == FALLBACK_FAMILY:
        return f"On {bundle.modality}, normalised and smoothed intensity itself was the score."
    trained = bundle.description.get("training", {}).get("data", "healthy people")
    painted = (
        "" if bundle.modality == "T1w" else f", {bundle.modality} painted from their T1w scans,"
    )
    made = "pseudo-healthy image" if bundle.makes_image else "score"
    method, taken = METHODS[bundle.method], bundle.steps_taken(steps)
    anomalies = f" with {method.anomalies}" if method.anomalies else ""
    briefly = "for a short time, to compare methods, " if bundle.status == COMPARISON else ""
    in_steps = "" if taken is None else f" in {taken} step{'s' if taken > 1 else ''}"
    return (
        f"On {bundle.modality}, the {made} was made{in_steps} by {bundle.name} {bundle.version}, "
        f"{method.words}, trained {briefly}on {trained}{painted}{anomalies}."
    )
