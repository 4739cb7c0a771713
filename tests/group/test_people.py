import json

import numpy as np
import pytest

from bids_anomaly.exceptions import BadScanError, NothingFoundError
from bids_anomaly.group.collect import collect
from bids_anomaly.group.people import SESSION, find_members, warn_of_primaries
from bids_anomaly.preprocessing.template import TEMPLATE

MASK = f"space-{TEMPLATE}_label-lesion_desc-anomalyT1w_mask.nii.gz"
Z = f"space-{TEMPLATE}_desc-zscore"


def touch(folder, *names):
    for name in names:
        levels = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
        path = folder.joinpath(*levels, "anat", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_files_are_told_by_their_entities(tmp_path):
    touch(
        tmp_path,
        f"sub-01_acq-x_{MASK}",
        f"sub-01_acq-x_run-1_{Z}_T1w.nii.gz",
        f"sub-01_acq-x_run-2_{Z}_T1w.nii.gz",
        f"sub-01_{Z}_FLAIR.nii.gz",
        "sub-01_acq-x_label-lesion_desc-anomalyT1w_mask.nii.gz",  # native
        "sub-01_acq-x_desc-zscore_T2w.nii.gz",
        "sub-01_acq-x_desc-lesionsT1w_dseg.tsv",
        "sub-01_acq-x_desc-lesionsT1w_dseg.json",
        "sub-01_acq-x_atlas-DLMUSE_desc-regionsT1w_dseg.tsv",
        "sub-01_acq-x_atlas-DLMUSE_desc-regionsT1w_stats.tsv",
        "sub-01_desc-quality_stats.tsv",
    )
    (member,) = find_members(tmp_path)
    assert member.label == "sub-01"
    assert member.modalities == ["T1w", "FLAIR"]
    assert member.primary == "T1w"  # FLAIR has no mask
    assert {key: path.name for key, path in member.files.items()} == {
        ("anomaly", "T1w"): f"sub-01_acq-x_{MASK}",
        ("zscore", "T1w"): f"sub-01_acq-x_run-1_{Z}_T1w.nii.gz",
        ("zscore", "FLAIR"): f"sub-01_{Z}_FLAIR.nii.gz",
        ("lesions", "T1w"): "sub-01_acq-x_desc-lesionsT1w_dseg.tsv",
        ("regions", "T1w"): "sub-01_acq-x_atlas-DLMUSE_desc-regionsT1w_stats.tsv",
        ("quality", SESSION): "sub-01_desc-quality_stats.tsv",
    }


def test_of_several_scans_all_files_are_of_the_first_by_name(tmp_path):
    for name in ("sub-01", "sub-01_ce-gad", "sub-01_run-2"):
        touch(
            tmp_path,
            f"{name}_{MASK}",
            f"{name}_{Z}_T1w.nii.gz",
            f"{name}_desc-lesionsT1w_dseg.tsv",
            f"{name}_atlas-DLMUSE_desc-regionsT1w_stats.tsv",
        )
    (member,) = find_members(tmp_path)
    names = {path.name for path in member.files.values()}
    assert len(names) == 4
    assert not [name for name in names if "ce-gad" in name or "run-2" in name]


def test_the_first_session_with_results_stands_for_the_person(tmp_path):
    touch(
        tmp_path,
        "sub-01_ses-1_desc-quality_stats.tsv",
        f"sub-01_ses-2_{MASK}",
        f"sub-01_ses-3_{MASK}",
        f"sub-02_{MASK}",
    )
    members = find_members(tmp_path)
    assert [(one.label, one.is_first) for one in members] == [
        ("sub-01_ses-1", False),
        ("sub-01_ses-2", True),
        ("sub-01_ses-3", False),
        ("sub-02", True),
    ]
    (chosen,) = find_members(tmp_path, participants=["sub-01"], sessions=["3"])
    assert (chosen.label, chosen.is_first) == ("sub-01_ses-3", True)


def test_excluded_people_are_left_out_also_those_who_have_no_results(tmp_path):
    touch(tmp_path, f"sub-01_{MASK}", f"sub-02_{MASK}")
    (tmp_path / "participants.tsv").write_text("participant_id\nsub-01\nsub-02\nsub-03\n")
    assert [one.label for one in find_members(tmp_path, excluded=["sub-02", "03"])] == ["sub-01"]
    with pytest.raises(NothingFoundError, match="no sub-04"):
        find_members(tmp_path, excluded=["04"])


def test_the_first_session_is_the_first_in_time(tmp_path):
    touch(tmp_path, f"sub-01_ses-10_{MASK}", f"sub-01_ses-2_{MASK}")
    assert [one.label for one in find_members(tmp_path)] == ["sub-01_ses-2", "sub-01_ses-10"]
    (tmp_path / "sub-01" / "sub-01_sessions.tsv").write_text(
        "session_id\tacq_time\nses-10\t2020-01-01T10:00:00\nses-2\t2021-01-01T10:00:00\n"
    )
    members = find_members(tmp_path)
    assert [(one.label, one.is_first) for one in members] == [
        ("sub-01_ses-10", True),
        ("sub-01_ses-2", False),
    ]


def test_modalities_can_be_chosen(tmp_path):
    touch(tmp_path, f"sub-01_{MASK}", f"sub-01_{Z}_T1w.nii.gz", f"sub-01_{Z}_FLAIR.nii.gz")
    (member,) = find_members(tmp_path, modalities=["T1w"])
    assert member.modalities == ["T1w"]
    assert member.primary == "T1w"


MASKS = {m: MASK.replace("T1w", m) for m in ("T1w", "FLAIR", "T2w")}


def record(folder, label, *modalities, primary):
    """Write of a session what says which of its scans leads."""
    scans = [
        {"name": f"{label}_{m}", "modality": m, "entities": {"sub": label.removeprefix("sub-")}}
        for m in modalities
    ]
    same = {"model": "", "digest": "", "calibration": "", "makes_image": True,
            "brain_extraction": "", "white_matter_level": 1.0, "evaluations": 4}  # fmt: skip
    content = {
        "label": label, "version": "", "scans": [scan | same for scan in scans],
        "primary": f"{label}_{primary}", "asked_for": None, "spaces": [], "healthy_fpr": 0.002,
        "min_lesion_volume": 24.0, "methods": [], "warnings": [],
    }  # fmt: skip
    path = folder / label / "figures" / f"{label}_report.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("recorded", "asked_for", "leads"),
    [
        ("FLAIR", None, "FLAIR"),
        ("T1w", None, "T1w"),
        ("T1w", "FLAIR", "FLAIR"),
        ("T1w", "T2w", "T1w"),  # there is none
        (None, None, "FLAIR"),
    ],
)
def test_the_scan_that_led_stands_for_a_person_unless_another_is_named(
    tmp_path, recorded, asked_for, leads
):
    touch(tmp_path, *(f"sub-01_{MASKS[modality]}" for modality in ("T1w", "FLAIR")))
    if recorded:
        record(tmp_path, "sub-01", "T1w", "FLAIR", primary=recorded)
    (member,) = find_members(tmp_path, primary=asked_for)
    assert member.primary == leads
    assert bool(warn_of_primaries([member], asked_for)) == (asked_for not in (None, leads))


def test_people_of_different_primary_scans_are_warned_of(tmp_path):
    touch(tmp_path, *(f"sub-0{n}_{MASKS['T1w']}" for n in range(4)))
    touch(tmp_path, *(f"sub-0{n}_{MASKS['FLAIR']}" for n in range(3)))
    members = find_members(tmp_path)
    (warning,) = warn_of_primaries(members, None)
    assert "3 FLAIR, 1 T1w" in warning
    assert "--primary" in warning
    assert warn_of_primaries(find_members(tmp_path, primary="T1w"), "T1w") == []
    lacking, _ = warn_of_primaries(find_members(tmp_path, primary="FLAIR"), "FLAIR")
    assert "Another scan than FLAIR stands for sub-03" in lacking


def test_what_somebody_lacks_is_said(tmp_path):
    touch(tmp_path, f"sub-01_{MASK}", "sub-02_desc-quality_stats.tsv")
    _, without = find_members(tmp_path)
    with pytest.raises(BadScanError, match=f"sub-02 has no mask of anomalies in {TEMPLATE}"):
        without.file("anomaly", without.primary)


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ([], {}, "no folder is named sub-<label>. Run the participant level first"),
        (["sub-01_desc-quality_stats.tsv"], {}, "with MNI152NLin2009aSym among its --output-spac"),
        ([f"sub-01_{MASK}"], {"participants": ["01", "xx"]}, "has no sub-xx"),
        ([f"sub-01_ses-1_{MASK}"], {"sessions": ["9"]}, "has no ses-9"),
    ],
)
def test_nobody_to_group_is_said_in_a_sentence(tmp_path, names, options, message):
    touch(tmp_path, *names)
    with pytest.raises(NothingFoundError, match=message):
        find_members(tmp_path, **options)


def test_a_later_session_stands_for_a_person_whose_first_is_broken(tmp_path, synthetic):
    synthetic.write_result(tmp_path, "01", session="1")
    second = synthetic.write_result(
        tmp_path,
        "01",
        session="2",
        balls=[((-28.0, -24.0, 30.0), 8.0)],
        modalities=("T1w", "FLAIR"),
    )
    synthetic.write_result(tmp_path, "02")
    next((tmp_path / "sub-01" / "ses-1").rglob("*_desc-zscore_T1w.nii.gz")).write_bytes(b"")
    work = tmp_path / "work"
    work.mkdir()
    found = collect(
        find_members(tmp_path),
        {},
        cohort_of={"01": "patient", "02": "control"},
        compared=["patient", "control"],
        work_dir=work,
        tell=lambda line: None,
    )
    assert list(found.failures) == ["sub-01_ses-1"]
    first = {one.member.label: one.member.is_first for one in found.burdens}
    assert first == {"sub-01_ses-2": True, "sub-02": True}
    assert found.rows == {"FLAIR": [0], "T1w": [0, 1]}
    np.testing.assert_array_equal(found.everybody.frequency() > 0, second)


def test_scans_beside_the_folder_of_a_session_come_in_and_files_of_the_system_do_not(tmp_path):
    touch(tmp_path, f"sub-01_{MASK}", f"sub-01_ses-2_{MASK}")
    for path in [*tmp_path.rglob("*.nii.gz")]:
        path.with_name(f"._{path.name}").touch()
    members = find_members(tmp_path)
    assert [(one.label, one.is_first) for one in members] == [
        ("sub-01", True),
        ("sub-01_ses-2", False),
    ]


def test_changes_between_sessions_are_no_session(tmp_path):
    touch(tmp_path, f"sub-01_ses-1_{MASK}", f"sub-01_ses-2_{MASK}")
    changes = tmp_path / "sub-01" / "anat"
    changes.mkdir()
    for name in ("desc-change_FLAIR.nii.gz", "desc-changesFLAIR_dseg.tsv"):
        (changes / f"sub-01_space-midpoint1to2_{name}").touch()
    assert [one.label for one in find_members(tmp_path)] == ["sub-01_ses-1", "sub-01_ses-2"]


def test_it_is_said_where_the_first_session_is_a_guess(tmp_path, caplog):
    touch(tmp_path, f"sub-01_ses-post_{MASK}", f"sub-01_ses-pre_{MASK}")
    find_members(tmp_path)
    assert "sub-01: it is not known which session came first" in caplog.text


def test_results_of_a_run_before_one_that_failed_are_told(tmp_path, caplog, session_record):
    touch(tmp_path, f"sub-01_{MASK}", f"sub-02_{MASK}")
    session_record("T1w").write(tmp_path)
    find_members(tmp_path)
    assert "failed" not in caplog.text
    session_record("T1w", failed_steps=("reorient (sub-01)",)).write(tmp_path)
    find_members(tmp_path)
    assert "sub-01: its last run failed" in caplog.text
    assert "sub-02: its last run failed" not in caplog.text
