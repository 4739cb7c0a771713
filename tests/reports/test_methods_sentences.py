"""What a report says of how it was made, and of its models, is true of the session."""

import html
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from bids_anomaly import __version__
from bids_anomaly.bids.scans import TRANSFORMS_TOO, Prepared, Scan
from bids_anomaly.preprocessing.brain import ALREADY_STRIPPED, MASK_FROM, PREPARED_BY
from bids_anomaly.preprocessing.template import TEMPLATE
from bids_anomaly.reconstruction.bundle import Bundle, choose_bundles
from bids_anomaly.reports.session_page import SessionPage, write_session_page
from bids_anomaly.reports.text import methods_text, model_warnings
from bids_anomaly.scoring.findings import Threshold
from bids_anomaly.workflows.registration import registered_model

FMRIPREP = f"{PREPARED_BY}fMRIPrep 25.2.0"
ASEG = f"{MASK_FROM}FreeSurfer 7.4.1 (mri/aseg.mgz)"
OWN = f"{MASK_FROM}a file that was given"
DEFORMED = f"{PREPARED_BY}sMRIPrep 0.19.0{TRANSFORMS_TOO}"


OTHERS = ("native", "MNI152NLin6Asym:res-2", "MNI152NLin6Asym:res-1", "MNI152NLin2009cAsym:res-2")


class Case(NamedTuple):
    """How a session was processed.

    Attributes
    ----------
    model : str
        Family of the models.
    brains : mapping of str to str
        How the brain was found, by the modality of each scan.
    steps : int or None
        What ``--steps`` asked for.
    taken : int or None
        How many steps that is, of which `usual` would be taken where nobody asks.
    usual : int or None
    threshold : Threshold
    spaces : tuple of str
        In which maps were written.
    """

    model: str
    brains: Mapping[str, str]
    steps: int | None = None
    taken: int | None = None
    usual: int | None = None
    threshold: Threshold = Threshold()
    spaces: tuple[str, ...] = ("native", TEMPLATE)

    @property
    def first(self) -> str:
        return next(iter(self.brains))

    @property
    def bundles(self) -> Sequence[Bundle]:
        chosen = choose_bundles(self.model, tuple(self.brains))
        return [chosen[modality] for modality in self.brains]

    @property
    def is_deformed_elsewhere(self) -> bool:
        return DEFORMED in self.brains.values()

    def told(self, modality: str, key: str) -> str:
        """What the model of a modality says of its training or calibration."""
        bundle = choose_bundles(self.model, (modality,))[modality]
        return json.loads((bundle.folder / "bundle.json").read_text())[key]["data"]


CASES = (
    Case("restore", {"T1w": "deepbet"}, taken=2, usual=2, spaces=OTHERS),
    Case("restore", {"T1w": "deepbet", "FLAIR": "deepbet"}, steps=8, taken=8, usual=2),
    Case("restore", {"T1w": DEFORMED, "FLAIR": "deepbet"}, steps=1, taken=1, usual=2),
    Case("restore", dict.fromkeys(("T1w", "FLAIR", "T2w"), ALREADY_STRIPPED), taken=2, usual=2),
    Case("restore", {"FLAIR": "hd-bet"}, threshold=Threshold(0.001, 30.0), taken=2, usual=2),
    Case("threshold", {"T1w": "hd-bet", "FLAIR": "hd-bet"}, threshold=Threshold(0.01)),
    Case("threshold", {"T2w": "template"}, steps=8),
    Case("threshold", {"FLAIR": ALREADY_STRIPPED}, spaces=OTHERS[:2]),
    Case("ae", {"T1w": "template"}, steps=3, spaces=OTHERS),
    Case("features", {"T1w": DEFORMED, "FLAIR": "hd-bet"}),
    Case("anoddpm", {"T1w": FMRIPREP, "FLAIR": "template"}, steps=7, taken=7, usual=10),
    Case("guided", {"T1w": DEFORMED}, steps=1, taken=1, usual=3),
    Case("vae", {"FLAIR": ALREADY_STRIPPED}),
    Case("threshold", {"T1w": ASEG, "FLAIR": "deepbet"}),
    Case("threshold", {"FLAIR": OWN}),
    Case("threshold", {"T1w": f"{ALREADY_STRIPPED}, {OWN}"}),
)


def names_brain(tool: str) -> Callable[[Case, Mapping[str, str]], bool]:
    return lambda case, said: tool in case.brains.values()


def names_registration(case: Case, said: Mapping[str, str]) -> bool:
    """Whether the workflow registers that image, of the first scan, to that template."""
    scan = Scan(Path("scan.nii.gz"), {"sub": "01"}, case.first)
    if case.is_deformed_elsewhere:
        there = Path("transform.h5")
        scan = replace(scan, prepared=Prepared("p", Path(), "p", Path("m"), there, there))
    registered = registered_model(scan, case.bundles[0])
    images = {True: "its pseudo-healthy image", False: "the scan itself"}
    return (
        said["first"] == case.first
        and said["template"] == TEMPLATE
        and said["image"] == images[registered is not None]
    )


def names_model(case: Case, said: Mapping[str, str]) -> bool:
    """Whether a model and its steps are those of the session."""
    modality = said["modality"]
    bundle = choose_bundles(case.model, (modality,))[modality]
    steps = {None: "", 1: " in 1 step"}.get(case.taken, f" in {case.taken} steps")
    return (
        modality in case.brains
        and said["model"] == f"{case.model}-{modality} {bundle.version}"
        and said["steps"] == steps
        and said["made"] == ("score" if case.model == "features" else "pseudo-healthy image")
    )


def denoised_of(case: Case) -> str:
    """Return the modalities whose scores, by their bundles, are of denoised scans."""
    scores = {bundle.modality: bundle.description["score"] for bundle in case.bundles}
    return " and ".join(name for name in scores if scores[name].get("denoising_mm"))


def names_people(case: Case, said: Mapping[str, str]) -> bool:
    """Whether a model of the session was trained on these."""
    return said["people"] in {case.told(modality, "training") for modality in case.brains}


def several(case: Case, said: Mapping[str, str]) -> bool:
    return len(case.brains) > 1


def is_trimmed(case: Case) -> bool:
    """Whether a tool has found the brain of a scan that is not the first."""
    return not {"deepbet", "hd-bet", "template"}.isdisjoint(list(case.brains.values())[1:])


CHECKS: dict[str, Callable[[Case, Mapping[str, str]], bool]] = {
    "processed": lambda case, said: said["version"] == __version__,
    "brain_deepbet": names_brain("deepbet"),
    "brain_hd-bet": names_brain("hd-bet"),
    "brain_template": names_brain("template"),
    "brain_none": names_brain(ALREADY_STRIPPED),
    "brain_prepared": lambda case, said: (
        said["pipeline"] in {"fMRIPrep 25.2.0": FMRIPREP, "sMRIPrep 0.19.0": DEFORMED}
        and any(said["pipeline"] in brain for brain in case.brains.values())
    ),
    "brain_given": lambda case, said: case.brains[said["modality"]].endswith(
        f"{MASK_FROM}{said['pipeline']}"
    ),
    "to_first": lambda case, said: several(case, said) and said["first"] == case.first,
    "trimmed": lambda case, said: said["first"] == case.first and is_trimmed(case),
    "to_template": names_registration,
    "to_template_prepared": lambda case, said: (
        case.is_deformed_elsewhere and said["first"] == case.first
    ),
    "to_others": lambda case, said: (
        set(said["spaces"].split(" and "))
        == {space.split(":")[0] for space in case.spaces} - {"native", TEMPLATE}
    ),
    "bias": lambda case, said: any(PREPARED_BY not in brain for brain in case.brains.values()),
    "intensities": lambda case, said: True,
    "by_intensity": lambda case, said: (
        case.model == "threshold" and said["modality"] in case.brains
    ),
    "denoised": lambda case, said: said["modality"] == denoised_of(case),
    "by_model": names_model,
    "trained": lambda case, said: case.model == "restore" and names_people(case, said),
    "trained_briefly": lambda case, said: case.model != "restore" and names_people(case, said),
    "synthesised": lambda case, said: (
        said["modality"] in case.brains and said["modality"] != "T1w" and case.model != "threshold"
    ),
    "removes": lambda case, said: (
        {
            "restore": "procedural anomalies",
            "guided": "fluid-driven anomalies",
        }[case.model]
        == said["anomalies"]
    ),
    "scores": lambda case, said: (
        said["reference"]
        == "; ".join(f"on {m}, {case.told(m, 'calibration')}" for m in case.brains)
        and float(said["rate"]) == pytest.approx(100 * case.threshold.healthy_fpr)
        and float(said["volume"]) == case.threshold.min_lesion_volume
    ),
    "each_by_itself": several,
    "no_model": lambda case, said: (
        case.model == "threshold" and set(said["modalities"].split(" and ")) == set(case.brains)
    ),
    "short_training": lambda case, said: (
        case.model not in ("restore", "threshold")
        and said["family"] == "restore"
        and said["models"].split(" and ") == [f"{case.model}-{m}" for m in case.brains]
    ),
    "other_steps": lambda case, said: (
        said["model"].removeprefix(f"{case.model}-") in case.brains
        and int(said["steps"]) == case.taken != case.usual == int(said["calibrated"])
    ),
}


def texts_of(case: Case) -> list[str]:
    """What is said of a session, by paragraph and warning."""
    brains = list(case.brains.values())
    made = methods_text(
        case.bundles, brains, steps=case.steps, threshold=case.threshold, spaces=case.spaces
    )
    return [*made, *model_warnings(case.bundles, steps=case.steps)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model}-{'-'.join(case.brains)}")
def test_what_is_said_of_methods_and_models_is_true(case, recognise):
    said = [sentence for text in texts_of(case) for sentence in recognise(text)]
    assert [(name, values) for name, values in said if not CHECKS[name](case, values)] == []
    number = Counter(name for name, _ in said)
    # Nothing that a reader needs is left out.
    assert number["processed"] == number["intensities"] == number["scores"] == 1
    assert number["by_model"] + number["by_intensity"] == len(case.brains)
    assert number["by_model"] == number["trained"] + number["trained_briefly"]
    painted = sum(modality != "T1w" for modality in case.brains) * (case.model != "threshold")
    assert number["synthesised"] == painted
    assert number["to_template"] + number["to_template_prepared"] == 1
    assert number["to_others"] == any(":" in space for space in case.spaces)
    assert number["to_first"] == number["each_by_itself"] == several(case, {})
    assert number["trimmed"] == is_trimmed(case)
    assert number["no_model"] == (case.model == "threshold")
    assert number["short_training"] == (case.model not in ("restore", "threshold"))
    assert number["other_steps"] == len(case.brains) * (case.taken != case.usual)


def test_each_sentence_is_said_of_three_sessions(recognise):
    sessions = Counter(
        name
        for case in CASES
        for name in {name for text in texts_of(case) for name, _ in recognise(text)}
    )
    assert set(sessions) == set(CHECKS)
    assert {name: count for name, count in sessions.items() if count < 3} == {}


def test_a_false_one_is_noticed(recognise):
    case = CASES[1]
    for right, wrong in (
        ("8 steps", "9 steps"),
        ("deepbet", "HD-BET"),
        ("its pseudo-healthy image", "the scan itself"),
        ("97 people", "98 people"),
        ("0.2 %", "0.1 %"),
        ("its T1w scan", "its FLAIR scan"),
    ):
        said = [one for text in texts_of(case) for one in recognise(text.replace(right, wrong))]
        assert not all(CHECKS[name](case, values) for name, values in said), wrong


def test_the_page_shows_that_text(tmp_path, healthy):
    case = CASES[3]
    *methods, _ = texts_of(case)
    page = tmp_path / "page.html"
    write_session_page(page, SessionPage(title="sub-01", scans=[healthy], methods=methods))
    shown = html.unescape(page.read_text())
    assert all(paragraph in shown for paragraph in methods)
