"""What is cited is what a run stands on."""

import pytest

from bids_anomaly.citation import cite, works_behind
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.reconstruction.methods import METHODS


def references(methods=(), tools=(), *, bias=True, deformation=True, **others: bool) -> str:
    works = works_behind(
        [METHODS[name] for name in methods],
        [BRAIN_TOOLS[name] for name in tools],
        bias=bias,
        deformation=deformation,
        **{"denoising": False, "templates": False, **others},
    )
    assert len({work.reference for work in works}) == len(works)
    return cite("0.1.0", works)


def test_a_run_cites_its_method_and_its_brain_extraction_and_no_others():
    text = references(["anoddpm"], ["hd-bet"])
    for name in ("Wyatt", "Isensee", "bids-anomaly 0.1.0", "2510.14462", "ANTs", "SyN", "Nipype"):
        assert name in text
    for other in ("Fisch", "DISYRE", "Baur"):
        assert other not in text


def test_work_that_two_methods_follow_is_cited_once():
    text = references(["ae", "vae", "restore", "dae"])
    assert text.count("Baur") == text.count("Kascenas") == 1


@pytest.mark.parametrize("tool", ["template", "none"])
def test_what_is_no_tool_of_others_cites_none(tool):
    assert references(["ae"], [tool]) == references(["ae"])


def test_what_was_prepared_elsewhere_is_not_cited():
    text = references(["restore"], [], bias=False, deformation=False)
    for other in ("Ashburner", "Van Leemput", "Avants BB, Epstein", "Fisch"):
        assert other not in text


def test_what_a_run_did_besides_is_cited():
    assert "Chambolle" in references(["restore"], denoising=True)
    assert "Ciric" in references(["restore"], templates=True)
    assert not {"Chambolle", "Ciric"} & set(references(["restore"]).split())
