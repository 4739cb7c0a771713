import json

import pytest

from bids_anomaly.bids.naming import sidecar_path
from bids_anomaly.bids.records import record_path
from bids_anomaly.group.origin import count_origins, differing_origins
from bids_anomaly.group.people import find_members


@pytest.fixture
def members(tmp_path, synthetic):
    for label in "123":
        synthetic.write_result(tmp_path, label)
    return find_members(tmp_path)


def say(member, version: str, rate: float, **how) -> None:
    model = {"Name": "restore-T1w", "Version": version, "Digest": "sha256:0123456789", **how}
    sidecar_path(member.file("zscore", "T1w")).write_text(json.dumps({"Model": model}))
    finding = sidecar_path(member.file("anomaly", "T1w"))
    finding.write_text(json.dumps({"NominalFalsePositiveRate": rate}))


def test_results_that_were_made_alike_need_no_word(members):
    for member in members:
        say(member, "0.3.0", 0.002)
    counts = count_origins(members)
    assert counts["model for T1w"] == {"restore-T1w 0.3.0 (01234567)": 3}
    assert differing_origins(counts) == []


def test_results_of_different_models_are_told(members):
    for member, version in zip(members, ("0.3.0", "0.2.0", "0.3.0"), strict=True):
        say(member, version, 0.002)
    (note,) = differing_origins(count_origins(members))
    assert "restore-T1w 0.3.0 (01234567) of 2, restore-T1w 0.2.0 (01234567) of 1 sessions" in note


def test_results_of_different_versions_of_the_app_are_told(members):
    for member, version in zip(members, ("0.1.0", "0.2.0", "0.1.0"), strict=True):
        entities = {"sub": member.participant}
        path = record_path(member.report.parent, member.label, entities)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"version": version}))
    (note,) = differing_origins(count_origins(members))
    assert "the version of bids-anomaly is 0.1.0 of 2, 0.2.0 of 1 sessions" in note


def test_results_of_different_numbers_of_steps_are_told(members):
    for member, steps in zip(members, (2, 2, 8), strict=True):
        say(member, "0.3.0", 0.002, Steps=steps)
    counts = count_origins(members)
    assert len(counts["model for T1w"]) == 1
    (note,) = differing_origins(counts)
    assert "the number of steps for T1w is 2 of 2, 8 of 1 sessions" in note


def test_results_that_do_not_say_their_steps_are_taken_with_the_others(members):
    for member, how in zip(members, ({"Steps": 2}, {"Steps": 2}, {}), strict=True):
        say(member, "0.3.0", 0.002, **how)
    assert differing_origins(count_origins(members)) == []


def test_results_that_say_nothing_are_no_error(members):
    for member in members:
        sidecar_path(member.file("zscore", "T1w")).write_text("not JSON")
    assert "model for T1w" not in count_origins(members)
