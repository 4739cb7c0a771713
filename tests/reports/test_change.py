"""What the report of a session says of the session before, from derivatives of a phantom."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bids_anomaly.bids.comparisons import Comparison, plan_comparisons
from bids_anomaly.bids.naming import sidecar_path
from bids_anomaly.bids.records import ScanRecord, SessionRecord
from bids_anomaly.bids.tables import write_table
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.reports.change import ChangeReport, read_change
from bids_anomaly.reports.session_page import SessionPage, write_session_page
from bids_anomaly.scoring.findings import Threshold

GRID = Grid.isotropic((30, 32, 28), (-15.0, -16.0, -14.0), 1.0)
BRAIN = (slice(3, 27), slice(3, 29), slice(3, 25))
NEW, OLD = (slice(6, 10), slice(8, 12), slice(10, 14)), (slice(18, 22),) * 3
ABOUT = {"Sessions": ["1", "2"], "Noise": 0.3, "Shift": 0.2, "Limit": 4.2, "Compared": 0.93}


def record_of(
    session, *, digest="0" * 64, steps=2, evaluations=4, healthy_fpr=0.002, spaces=("native",)
) -> SessionRecord:
    scan = ScanRecord(
        name=f"sub-01_ses-{session}_FLAIR",
        modality="FLAIR",
        entities={"sub": "01", "ses": session},
        model="restore-FLAIR 0.3.0",
        digest=digest,
        calibration="healthy people",
        makes_image=True,
        brain_extraction="deepbet",
        white_matter_level=1.0,
        evaluations=evaluations,
        steps=steps,
    )
    return SessionRecord(
        label=f"sub-01_ses-{session}",
        version="0.1.0",
        scans=(scan,),
        primary=scan.name,
        asked_for=None,
        spaces=spaces,
        threshold=Threshold(healthy_fpr),
        methods=(),
        warnings=(),
    )


def write_session(folder, record):
    """Write the record of a session, and the maps by which it can be compared."""
    record.write(folder)
    comparison = Comparison((record, record), record.scans * 2)
    for output in ("preproc", "brain", "zscore", "lesions"):
        path = comparison.of_scan(folder, output, 0, None)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def row(index, verdict, first, second, *, region="Putamen_L"):
    percent = 100 * (second - first) / first if first else float("nan")
    numbers = (first, second, second - first, percent, max(second - first, 0.0), 0.0)
    parts = int(first > 0), int(second > 0)
    place = (-12.0, 4.0, 8.0, region, "left", "other")
    return (index, f"lesion-{index}", verdict, *numbers, *parts, 1.5, 0.3, *place)


@pytest.fixture
def compared(tmp_path):
    """Two sessions that were compared: one new lesion and one that stayed."""
    records = record_of("1"), record_of("2")
    for record in records:
        write_session(tmp_path, record)
    (comparison,) = plan_comparisons(tmp_path, "01").comparisons
    brain, labels = np.zeros((2, *GRID.shape), np.uint8)
    brain[BRAIN], labels[OLD], labels[NEW] = 1, 1, 2
    maps = {"brain": brain, "changes": labels, "change": np.float32(9) * (labels == 2)}
    for output, values in maps.items():
        path = comparison.result(tmp_path, output)
        path.parent.mkdir(parents=True, exist_ok=True)
        GRID.image(values.astype(np.float32)).to_filename(path)
    for which in (0, 1):
        there = labels > 0 if which else labels == 1
        for output, values in (("preproc", brain * np.float32(0.9)), ("anomaly", there)):
            path = comparison.of_scan(tmp_path, output, which, comparison.space)
            GRID.image(values.astype(np.float32)).to_filename(path)
    table = comparison.result(tmp_path, "changes", ".tsv")
    write_table(table, "changes", [row(1, "unchanged", 64.0, 66.0), row(2, "new", 0.0, 64.0)])
    sidecar_path(table).write_text(json.dumps(ABOUT))
    return tmp_path


def test_the_later_session_says_what_changed(compared):
    change = read_change(compared, record_of("2"), in_viewer=True)
    (section,) = change.sections
    assert section.title == "FLAIR since ses-1"
    # One statement for each change, and no volumes of what did not change.
    assert section.headline == (
        "FLAIR since ses-1: new in putamen, left, 0.064 ml. In 1 finding no change can be detected."
    )
    assert "93 %" in section.note
    assert change.of_scan("sub-01_ses-2_FLAIR") == section.headline
    assert change.of_scan("sub-01_ses-2_T1w") == ""
    # What changed comes first.
    assert [cells[:2] for cells in section.table.rows] == [["2", "new"], ["1", "below detection"]]
    assert section.table.places[0] == "-12.0 4.0 8.0"
    (strip,) = section.strips
    assert strip.note == "new: 2"
    assert [tile.caption for tile in strip.tiles] == ["ses-1", "ses-2", "Change"]
    assert all(tile.picture.alt for tile in strip.tiles)
    assert change.later == []


def test_the_earlier_session_links_to_the_later(compared):
    change = read_change(compared, record_of("1"), in_viewer=True)
    assert change.sections == []
    assert [later.page for later in change.later] == ["sub-01_ses-2.html"]


def test_without_a_viewer_rows_lead_nowhere(compared):
    (section,) = read_change(compared, record_of("2"), in_viewer=False).sections
    assert not section.table.places


def test_without_change_slices_of_the_brain_are_shown(compared):
    (comparison,) = plan_comparisons(compared, "01").comparisons
    table = comparison.result(compared, "changes", ".tsv")
    write_table(table, "changes", [row(1, "unchanged", 64.0, 66.0)])
    (section,) = read_change(compared, record_of("2"), in_viewer=True).sections
    assert section.headline == "FLAIR since ses-1: no change that can be detected."
    assert {strip.note for strip in section.strips} == {"no change that can be detected"}
    write_table(table, "changes", [])
    (section,) = read_change(compared, record_of("2"), in_viewer=True).sections
    assert section.headline == "FLAIR since ses-1: no findings in either session."


@pytest.mark.parametrize(
    ("verdict", "first", "second", "said"),
    [
        ("new", 0.0, 2400.0, "new in putamen, left, 2.4 ml."),
        ("grown", 110.0, 2400.0, "larger in putamen, left, 0.11 ml before, 2.4 ml now."),
        ("shrunk", 2400.0, 110.0, "smaller in putamen, left, 2.4 ml before, 0.11 ml now."),
        ("gone", 2400.0, 0.0, "gone from putamen, left, 2.4 ml before."),
    ],
)
def test_each_change_is_one_statement(verdict, first, second, said, compared):
    (comparison,) = plan_comparisons(compared, "01").comparisons
    table = comparison.result(compared, "changes", ".tsv")
    # A volume that seems to change beside it is no change, and is not added to it.
    others = [row(1, "unchanged", 0.0, 6670.0)]
    write_table(table, "changes", [*others, row(2, verdict, first, second)])
    (section,) = read_change(compared, record_of("2"), in_viewer=True).sections
    assert section.headline.startswith(f"FLAIR since ses-1: {said}")
    assert "6.7" not in section.headline
    assert "9.1" not in " ".join([section.headline, section.table.note])


def test_of_many_changes_the_largest_are_named_and_the_others_counted(compared):
    (comparison,) = plan_comparisons(compared, "01").comparisons
    table = comparison.result(compared, "changes", ".tsv")
    rows = [row(1, "unchanged", 64.0, 66.0), row(2, "new", 0.0, 64.0)]
    rows += [row(2, "new", 0.0, 100.0 * i) for i in range(1, 5)]
    write_table(table, "changes", rows)
    (section,) = read_change(compared, record_of("2"), in_viewer=True).sections
    assert section.headline.count("new in") == 3
    assert "0.40 ml; new in" in section.headline
    assert "; and 2 more changes." in section.headline


def test_a_session_that_comes_between_takes_the_place_of_the_first(compared):
    write_session(compared, record_of("1b"))
    plan = plan_comparisons(compared, "01")
    assert [c.space for c in plan.comparisons] == ["midpoint1to1b", "midpoint1bto2"]
    # The comparison of 1 and 2 is there, but not that of neighbours.
    change = read_change(compared, record_of("2"), in_viewer=True)
    assert change.sections == change.later == []


def test_a_comparison_that_failed_or_is_still_to_come_is_said(compared):
    (comparison,) = plan_comparisons(compared, "01").comparisons
    comparison.result(compared, "changes", ".tsv").unlink()
    change = read_change(compared, record_of("2"), in_viewer=True)
    assert change.sections == []
    (warning,) = change.warnings
    assert "sub-01_ses-2_FLAIR had not been compared with sub-01_ses-1_FLAIR" in warning
    assert "log" in warning
    assert read_change(compared, record_of("1"), in_viewer=True) == ChangeReport([], [], [])


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"digest": "1" * 64}, "different models"),
        ({"steps": 8, "evaluations": 16}, "different numbers of steps (2 and 8). Run both"),
        ({"steps": None, "evaluations": 16}, "different numbers of steps (4 and 16 evaluations)"),
        ({"healthy_fpr": 0.01}, "different thresholds"),
        ({"spaces": ("MNI152NLin2009aSym",)}, "--output-spaces"),
    ],
)
def test_what_cannot_be_compared_is_said(other, reason, compared):
    write_session(compared, record_of("2", **other))
    plan = plan_comparisons(compared, "01")
    assert plan.comparisons == []
    (warning,) = read_change(compared, record_of("2"), in_viewer=True).warnings
    assert warning.startswith("sub-01_ses-1_FLAIR and sub-01_ses-2_FLAIR are not compared")
    assert reason in warning
    assert read_change(compared, record_of("1"), in_viewer=True).warnings == []


def test_a_record_that_does_not_say_its_steps_is_compared_by_its_evaluations(compared):
    write_session(compared, record_of("2", steps=None))
    assert plan_comparisons(compared, "01").refusals == []


def test_a_lost_map_is_named(compared):
    lost = plan_comparisons(compared, "01").comparisons[0].of_scan(compared, "zscore", 0, None)
    lost.unlink()
    (refusal,) = plan_comparisons(compared, "01").refusals
    assert (refusal.reason, refusal.told["path"]) == ("lost_map", str(lost))


def test_a_participant_without_sessions_has_no_change(tmp_path):
    record = record_of("1")
    scan = replace(record.scans[0], entities={"sub": "01"})
    change = read_change(tmp_path, replace(record, scans=(scan,)), in_viewer=True)
    assert change == ChangeReport([], [], [])


def test_text_from_the_data_is_shown_and_not_run(compared, healthy, tmp_path):
    change = read_change(compared, record_of("2"), in_viewer=True)
    (section,) = change.sections
    bad = "<script>alert(1)</script>"
    table = section.table._replace(rows=[[bad] * 6])
    section = section._replace(title=bad, headline=bad, note=bad, table=table)
    path = tmp_path / "page.html"
    write_session_page(
        path,
        SessionPage(title="sub-01", scans=[healthy], change=change._replace(sections=[section])),
    )
    page = path.read_text()
    assert bad not in page
    assert "&lt;script&gt;alert(1)" in page
    assert 'href="#change"' in page
