"""Which sentences a report says of how it was done, and of what to know of the models."""

from collections.abc import Iterable, Sequence

from bids_anomaly import __version__
from bids_anomaly.bids.naming import space_entities
from bids_anomaly.bids.scans import TRANSFORMS_TOO
from bids_anomaly.citation import works_behind
from bids_anomaly.preprocessing.brain import ALREADY_STRIPPED, MASK_FROM, PREPARED_BY, is_exact
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.preprocessing.template import TEMPLATE
from bids_anomaly.reconstruction.bundle import DEFAULT_FAMILY, FALLBACK_FAMILY, Bundle
from bids_anomaly.reconstruction.methods import COMPARISON, METHODS
from bids_anomaly.reports.numbers import counted
from bids_anomaly.reports.sentences import say
from bids_anomaly.scoring.findings import Threshold
from bids_anomaly.settings import OTHER_TEMPLATES


def methods_text(
    bundles: Sequence[Bundle],
    brain_methods: Sequence[str],
    *,
    steps: int | None,
    threshold: Threshold,
    spaces: Sequence[str],
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
    spaces : sequence of str
        In which maps were written, as ``--output-spaces`` names them.

    Returns
    -------
    list of str
        Paragraphs.
    """
    first, deformed = bundles[0], _deformed_here(brain_methods)
    others = other_templates(spaces)
    preprocessing = [
        say("processed", version=__version__),
        *dict.fromkeys(map(_brain_sentence, brain_methods, (b.modality for b in bundles))),
        say("to_template" if deformed else "to_template_prepared", **_registered(first)),
        say("to_others", spaces=" and ".join(others)) if others else "",
        say("to_first", first=first.modality) if len(bundles) > 1 else "",
        say("trimmed", first=first.modality) if not all(map(is_exact, brain_methods[1:])) else "",
        say("bias") if _corrected_here(brain_methods) else "",
        say("intensities"),
    ]
    used = {bundle.name: bundle for bundle in bundles}.values()
    denoised = dict.fromkeys(bundle.modality for bundle in used if bundle.denoises)
    models = [
        *(_model_sentence(bundle, steps) for bundle in used),
        say("denoised", modality=" and ".join(denoised)) if denoised else "",
    ]
    scoring = [
        say(
            "scores",
            reference=_calibration(bundles),
            rate=f"{100 * threshold.healthy_fpr:g}",
            volume=f"{threshold.min_lesion_volume:g}",
        ),
        say("each_by_itself") if len(bundles) > 1 else "",
    ]
    return [" ".join(filter(None, part)) for part in (preprocessing, models, scoring)]


def other_templates(spaces: Iterable[str]) -> list[str]:
    """Return the templates among output spaces that are not the app's own, each once."""
    named = (space_entities(space).get("space") for space in spaces)
    return [name for name in dict.fromkeys(named) if name in OTHER_TEMPLATES]


def references(
    methods: Iterable[str], brain_methods: Sequence[str], text: Sequence[str]
) -> list[str]:
    """Return what to cite of the work that the results of a session stand on.

    Parameters
    ----------
    methods : iterable of str
        By which each scan was reconstructed; what this version does not know is left out.
    brain_methods : sequence of str
        How the brain of each scan was found.
    text : sequence of str
        What :func:`methods_text` said of the session.
    """
    works = works_behind(
        [METHODS[name] for name in dict.fromkeys(methods) if name in METHODS],
        [BRAIN_TOOLS[name] for name in dict.fromkeys(brain_methods) if name in BRAIN_TOOLS],
        bias=_corrected_here(brain_methods),
        deformation=_deformed_here(brain_methods),
        denoising=any("Chambolle" in paragraph for paragraph in text),
        templates=any("TemplateFlow" in paragraph for paragraph in text),
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
        warnings.append(say("no_model", modalities=" and ".join(modalities)))
    compared = [bundle.name for bundle in bundles if bundle.status == COMPARISON]
    if compared:
        warnings.append(say("short_training", models=" and ".join(compared), family=DEFAULT_FAMILY))
    for bundle in bundles:
        taken, calibrated = bundle.steps_taken(steps), bundle.steps_taken(None)
        if taken != calibrated:
            warnings.append(
                say("other_steps", model=bundle.name, calibrated=calibrated, steps=steps)
            )
    return warnings


def _brain_sentence(method: str, modality: str) -> str:
    """Say how the brain of a scan was found, from the method of its mask."""
    _, prepared, pipeline = method.partition(PREPARED_BY)
    if prepared:
        return say("brain_prepared", pipeline=pipeline.removesuffix(TRANSFORMS_TOO))
    _, given, pipeline = method.partition(MASK_FROM)
    if given:
        return say("brain_given", modality=modality, pipeline=pipeline)
    tool = "none" if method == ALREADY_STRIPPED else method
    return say(f"brain_{tool}") if tool in BRAIN_TOOLS else ""


def _registered(bundle: Bundle) -> dict[str, str]:
    """Say what was registered to the template, and by what image."""
    image = "its pseudo-healthy image" if bundle.makes_image else "the scan itself"
    return {"first": bundle.modality, "template": TEMPLATE, "image": image}


def _deformed_here(brain_methods: Sequence[str]) -> bool:
    """Return whether scans were registered to the template by a deformation of this app."""
    return not any(method.endswith(TRANSFORMS_TOO) for method in brain_methods)


def _corrected_here(brain_methods: Sequence[str]) -> bool:
    """Return whether the bias field of any scan was estimated here."""
    return not all(PREPARED_BY in method for method in brain_methods)


def _calibration(bundles: Sequence[Bundle]) -> str:
    """Say whose scores the scans were compared with."""
    people = {bundle.modality: bundle.calibrated_on for bundle in bundles}
    return "; ".join(f"on {modality}, {data}" for modality, data in people.items())


def _model_sentence(bundle: Bundle, steps: int | None) -> str:
    if bundle.method == FALLBACK_FAMILY:
        return say("by_intensity", modality=bundle.modality)
    method, taken = METHODS[bundle.method], bundle.steps_taken(steps)
    said = [
        say(
            "by_model",
            modality=bundle.modality,
            made="pseudo-healthy image" if bundle.makes_image else "score",
            steps="" if taken is None else f" in {counted(taken, 'step')}",
            model=f"{bundle.name} {bundle.version}",
            method=method.words,
        ),
        say(
            "trained_briefly" if bundle.status == COMPARISON else "trained",
            people=bundle.description.get("training", {}).get("data", "healthy people"),
        ),
    ]
    # Whatever is trained here learns from T1w scans and label maps.
    if bundle.modality != "T1w":
        said.append(say("synthesised", modality=bundle.modality))
    if method.anomalies:
        said.append(say("removes", anomalies=method.anomalies))
    return " ".join(said)
