"""The report of a session, from derivatives of a phantom."""

import base64
import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ants
import numpy as np
import pytest

from bids_anomaly.bids.naming import output_path, transform_path
from bids_anomaly.bids.records import SessionRecord, read_record, record_path
from bids_anomaly.bids.tables import write_table
from bids_anomaly.cli.main import main
from bids_anomaly.exceptions import BadScanError, MissingInputError
from bids_anomaly.preprocessing.composite import write_composite
from bids_anomaly.preprocessing.template import OUTPUT_GRID, TEMPLATE, Grid
from bids_anomaly.preprocessing.transforms import Chain, write_matrix
from bids_anomaly.reports.runs import read_runs
from bids_anomaly.reports.session import write_failure_report, write_session_report
from bids_anomaly.reports.session_page import Failure
from bids_anomaly.scoring.findings import Threshold

# The brain of the person has another size than that in the template: 3 mm for 2 mm.
NATIVE = Grid.isotropic(OUTPUT_GRID.shape, (-140.0, -160.0, -140.0), 3.0)
ENTITIES = {"sub": "01"}
BRAIN = (slice(25, 75),) * 3
LESION = (slice(30, 40),) * 3
LOCATION = "periventricular"
FOUND = "1 finding, in frontal white matter, left (periventricular); peak z 5.0."

RUN = {
    "run": "20260101-000000_abcdef",
    "command": "bids-anomaly in out participant",
    "version": "0.1.0",
    "seed": 0,
    "device": "cpu",
    "models": {"restore-T1w": {"version": "0.3.0", "weights_sha256": "abc", "digest": "d"}},
    "packages": {"numpy": "2.3.5"},
    "python": "3.11.7",
    "platform": "Linux",
    "container": None,
}


@pytest.fixture
def record_of(session_record) -> Callable[..., SessionRecord]:
    """Give a function that makes the record of a T1w scan, by spaces."""
    threshold = Threshold(min_lesion_volume=100.0)
    return lambda spaces: session_record("T1w", spaces=spaces, threshold=threshold)


@pytest.fixture
def derivatives(tmp_path):
    """Write the derivatives of a T1w scan with one lesion and return where they are."""
    write_scan(tmp_path, "T1w", LESION)
    rows = [("sub-01_T1w", "noise", 0.01, float("-inf"), 0.06, False)]
    path = output_path(tmp_path, "quality", ENTITIES, modality="T1w", extension=".tsv")
    write_table(path, "quality", rows)
    return tmp_path


def write_scan(folder, modality, place):
    """Write what the app does of a brain with one cubic lesion."""
    brain, lesion = np.zeros((2, *OUTPUT_GRID.shape), np.uint8)
    brain[BRAIN], lesion[place] = 1, 1
    scan = brain * np.float32(0.8) + np.float32(0.4) * lesion
    maps = {
        "preproc": scan,
        "pseudohealthy": brain * np.float32(0.8),
        "residual": np.float32(0.4) * lesion,
        "zscore": np.float32(5) * lesion,
        "brain": brain,
        "anomaly": lesion,
    }
    for output, values in maps.items():
        for space, grid in ((None, NATIVE), (TEMPLATE, OUTPUT_GRID)):
            path = output_path(folder, output, ENTITIES, modality=modality, space=space)
            path.parent.mkdir(parents=True, exist_ok=True)
            grid.image(values).to_filename(path)
    centre = OUTPUT_GRID.affine[:3] @ [*np.argwhere(lesion).mean(axis=0), 1]
    volume, whole = 27.0 * lesion.sum(), 27.0 * brain.sum()
    tables = {
        "lesions": [
            (1, "lesion-1", volume, *centre, 5.0, 5.0, 0.99, "Frontal_WM_L", "left", LOCATION)
        ],
        "regions": [(1, "Frontal_WM_L", "left", "white matter", whole, volume, 0.1, 0.1, 5.0, 1.0)],
    }
    for output, rows in tables.items():
        path = output_path(folder, output, ENTITIES, modality=modality, extension=".tsv")
        write_table(path, output, rows)


def viewer_of(page):
    (data,) = re.findall(r'id="viewer-data">(.*?)</script>', page, re.DOTALL)
    return json.loads(data)


def unpacked(viewer, volume, subject):
    values = gzip.decompress(base64.b64decode(viewer["packed"][volume["data"]]))
    shape = [length // volume["every"] for length in subject["shape"]]
    return np.frombuffer(values, np.uint8).reshape(shape, order="F")


def test_volumes_are_those_of_the_person(derivatives, record_of):
    page = write_session_report(derivatives, record_of(("native", TEMPLATE))).read_text()
    assert f"T1w: {FOUND}" in page
    assert "1 finding, 27 ml marked" in page
    assert "3375 ml" in page


def test_the_threshold_is_told_with_its_reference_and_a_volume_with_what_it_is_not(
    derivatives, record_of
):
    page = write_session_report(derivatives, record_of((TEMPLATE,))).read_text()
    assert "27 ml are marked: that is what passes the threshold, and not the volume of" in page
    said = "from a z-score of 2.9 on, which fewer than 0.20 % of the voxels of the reference reach"
    assert f"{said}: 28 healthy adults." in page
    assert "Here 0.80 % of the brain is marked." in page
    (headline,) = re.findall(r'class="headline">(.*?)</p>', page)
    assert "%" not in headline
    assert "times" not in page[page.index("<dt>Threshold") : page.index("<dt>Where")]


@pytest.mark.parametrize(("healthy_fpr", "warned"), [(0.002, False), (0.0002, True)])
def test_a_scan_that_marks_many_times_the_nominal_rate_is_warned_of(
    derivatives, healthy_fpr, warned, record_of
):
    record = replace(record_of(("native", TEMPLATE)), threshold=Threshold(healthy_fpr, 100.0))
    page = write_session_report(derivatives, record).read_text()
    said = "T1w: 0.80 % of the brain is marked; of the reference (28 healthy adults) 0.020 % is"
    assert (said in page) is warned


@pytest.mark.parametrize(("leads", "follows"), [("FLAIR", "T1w"), ("T1w", "FLAIR")])
def test_the_report_begins_with_the_primary_scan(derivatives, leads, follows, record_of):
    write_scan(derivatives, "FLAIR", (slice(50, 70),) * 3)
    record = record_of(("native", TEMPLATE))
    (scan,) = record.scans
    flair = replace(scan, name="sub-01_FLAIR", modality="FLAIR", calibration="six patients")
    record = replace(record, scans=(scan, flair), primary=f"sub-01_{leads}")
    page = write_session_report(derivatives, record).read_text()
    headlines = re.findall(r'class="headline">(.*?)</p>', page)
    assert headlines == [f"{m}: {FOUND}" for m in (leads, follows)]
    # Whose scores each scan was compared with is said with it.
    references = re.findall(r"voxels of the reference reach: (.*?)\.", page)
    assert references == [
        {"T1w": "28 healthy adults", "FLAIR": "six patients"}[m] for m in (leads, follows)
    ]
    subjects = viewer_of(page)["subjects"]
    assert [subject["name"] for subject in subjects] == [leads, follows]
    # Each scan is outlined, and filled, with what was found in it.
    sizes = [unpacked(viewer_of(page), one["outline"], one).sum() for one in subjects]
    assert sizes == [{"T1w": 1000, "FLAIR": 8000}[m] for m in (leads, follows)]
    assert page.index(f"Findings on {leads}") < page.index(f"Findings on {follows}")
    # The viewer begins in the finding of each scan.
    for subject, modality in zip(subjects, (leads, follows), strict=True):
        place = LESION if modality == "T1w" else (slice(50, 70),) * 3
        voxel = np.linalg.inv(OUTPUT_GRID.affine)[:3] @ [*subject["peak"], 1]
        assert all(s.start <= v < s.stop for s, v in zip(place, np.rint(voxel), strict=True))
    # Nothing is added up over scans.
    assert "243" not in re.sub(
        r"<script.*?</script>|<svg.*?</svg>|data:[^\"]*", "", page, flags=re.S
    )


def test_two_scans_of_one_modality_are_both_in_the_summary(derivatives, record_of):
    record = record_of(("native",))
    again = replace(record.primary_scan, name="sub-01_run-2_T1w")
    record = replace(record, scans=(*record.scans, again))
    page = write_session_report(derivatives, record).read_text()
    section = page[page.index('<section id="summary">') :]
    summary = section[: section.index("</section>")]
    assert "<dt>sub-01_T1w (primary)</dt>" in summary
    assert "<dt>sub-01_run-2_T1w</dt>" in summary


def test_the_viewer_holds_the_maps_where_they_are(derivatives, record_of):
    page = write_session_report(derivatives, record_of(("native", TEMPLATE))).read_text()
    viewer = viewer_of(page)
    (subject,) = viewer["subjects"]
    finding = unpacked(viewer, subject["outline"], subject)
    assert finding.sum() == 1000
    corner = np.argwhere(finding).min(axis=0) * subject["spacing"] + subject["origin"]
    np.testing.assert_allclose(corner, OUTPUT_GRID.affine[:3, 3] + 2.0 * 30)
    # The browser subtracts the residual.
    assert subject["volumes"]["healthy"]["difference"] == ["scan", "residual"]
    for name, expected in (("scan", 1.2), ("residual", 0.4), ("zscore", 5.0)):
        volume = subject["volumes"][name]
        low, high = volume["stored"]
        steps = unpacked(viewer, volume, subject)[finding > 0]
        values = low + (high - low) * steps / 255
        np.testing.assert_allclose(values, expected, atol=(high - low) / 255)


@pytest.mark.slow
def test_a_fine_scan_is_shown_at_1_mm_where_it_lies(derivatives, record_of, tmp_path):
    grid = Grid.isotropic((130, 130, 130), (-60.0, -100.0, -40.0), 1.0)
    block, lies_at = (slice(50, 53), slice(60, 65), slice(70, 77)), (-9.0, -38.0, 33.0)
    brain = np.zeros(grid.shape, np.uint8)
    brain[10:120, 10:120, 10:120] = 1
    scan = 0.8 * brain.astype(np.float32)
    scan[block] = 1.5
    # From points of the template to those of the T1w scan, and on to those of the FLAIR scan.
    shifts = {"T1w": (6, 0, 0), "FLAIR": (0, 4, 0)}
    matrices = {}
    for modality, shift in shifts.items():
        matrices[modality] = tmp_path / f"{modality}.mat"
        matrix = np.eye(4)
        matrix[:3, 3] = shift
        write_matrix(matrices[modality], matrix)
    write_scan(derivatives, "FLAIR", LESION)
    to_template, to_t1w = (
        transform_path(derivatives, ENTITIES, origin=origin, target=target, extension=extension)
        for origin, target, extension in (("T1w", TEMPLATE, ".h5"), ("FLAIR", "T1w", ".txt"))
    )
    write_composite(to_template, Chain.of(matrices["T1w"]))
    ants.write_transform(ants.read_transform(str(matrices["FLAIR"])), str(to_t1w))
    record = record_of(("native", TEMPLATE))
    (t1w,) = record.scans
    record = replace(record, scans=(t1w, replace(t1w, name="sub-01_FLAIR", modality="FLAIR")))

    def shown() -> list[tuple[float, np.ndarray | None]]:
        viewer = viewer_of(write_session_report(derivatives, record).read_text())
        found = []
        for subject in viewer["subjects"]:
            volume = subject["volumes"]["scan"]
            bright = np.argwhere(unpacked(viewer, volume, subject) > 230)
            place = bright.mean(axis=0) * subject["spacing"] + subject["origin"]
            found.append((subject["spacing"][0], place if volume["every"] == 1 else None))
        return found

    for modality in shifts:
        for output, values in (("preproc", scan), ("brain", brain)):
            path = output_path(derivatives, output, ENTITIES, modality=modality)
            grid.image(values).to_filename(path)
    (first, t1w_place), (second, flair_place) = shown()
    assert (first, second) == (1, 1)
    np.testing.assert_allclose(t1w_place, np.subtract(lies_at, shifts["T1w"]), atol=0.3)
    there = np.subtract(lies_at, np.sum(list(shifts.values()), axis=0))
    np.testing.assert_allclose(flair_place, there, atol=0.3)
    # Without the way to the template, it is shown as the maps are.
    to_t1w.unlink()
    assert [spacing for spacing, _ in shown()] == [1, 2]


@pytest.mark.parametrize(
    ("spaces", "checks"),
    [
        (("native", TEMPLATE), ["Template on scan", "Brain mask"]),
        ((TEMPLATE,), ["Template on scan"]),
        (("native",), ["Brain mask"]),
    ],
)
def test_every_choice_of_spaces_has_a_viewer_and_the_checks_that_it_allows(
    spaces, checks, derivatives, record_of
):
    page = write_session_report(derivatives, record_of(spaces)).read_text()
    (subject,) = viewer_of(page)["subjects"]
    assert subject["spacing"] == [2, 2, 2]
    for check in ("Template on scan", "Brain mask"):
        assert (f"<b>{check}</b>" in page) == (check in checks)
    # Findings have places in the template only.
    assert ("data-mm=" in page) == (TEMPLATE in spaces)


def test_a_record_gives_the_same_report_again(derivatives, record_of):
    record = record_of(("native", TEMPLATE))
    first = write_session_report(derivatives, record).read_bytes()
    path = record.write(derivatives)
    assert path == record_path(derivatives, "sub-01", ENTITIES)
    assert read_record(path) == record
    assert write_session_report(derivatives, read_record(path)).read_bytes() == first


def test_a_record_that_does_not_say_its_method_has_it_from_the_model(derivatives, record_of):
    path = record_of((TEMPLATE,)).write(derivatives)
    content = json.loads(path.read_text())
    del content["scans"][0]["method"]
    path.write_text(json.dumps(content))
    assert read_record(path).scans[0].method == "restore"


def test_the_references_are_of_what_was_done_to_the_scans(derivatives, record_of):
    record = record_of((TEMPLATE,))
    other = replace(record.primary_scan, method="anoddpm", brain_extraction="hd-bet")
    for scan, cited in ((record.primary_scan, True), (other, False)):
        page = write_session_report(derivatives, replace(record, scans=(scan,))).read_text()
        assert ("DISYRE" in page) is ("Fisch" in page) is cited
        assert ("Wyatt" in page) is ("Isensee" in page) is not cited


def test_a_lost_map_is_named(derivatives, record_of):
    lost = output_path(derivatives, "zscore", ENTITIES, modality="T1w", space=TEMPLATE)
    lost.unlink()
    with pytest.raises(MissingInputError, match=lost.name):
        write_session_report(derivatives, record_of((TEMPLATE,)))


@pytest.mark.parametrize("output", ["zscore", "anomaly"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut"])
def test_a_broken_map_is_named(damage, output, derivatives, record_of):
    broken = output_path(derivatives, output, ENTITIES, modality="T1w", space=TEMPLATE)
    content = broken.read_bytes()
    broken.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    if damage == "gone":
        broken.unlink()
    error = MissingInputError if damage == "gone" else BadScanError
    with pytest.raises(error, match=broken.name):
        write_session_report(derivatives, record_of((TEMPLATE,)))


def test_a_broken_table_is_named(derivatives, record_of):
    table = output_path(derivatives, "lesions", ENTITIES, modality="T1w", extension=".tsv")
    table.write_text(table.read_text()[:-20])
    with pytest.raises(BadScanError, match=table.name):
        write_session_report(derivatives, record_of((TEMPLATE,)))


@pytest.mark.parametrize("content", ["", "{}", '{"scans": 1}', "null"])
def test_a_record_that_cannot_be_read_is_named(content, tmp_path):
    path = tmp_path / "sub-01_report.json"
    path.write_text(content)
    with pytest.raises(MissingInputError, match=path.name):
        read_record(path)


def test_the_report_says_how_the_last_run_was_made_and_what_each_step_took(derivatives, record_of):
    for name, line in (("1", "reorient\t1.0\t300\t512"), ("2", "score\t0.5\tn/a")):
        folder = derivatives / "logs" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(RUN | {"run": name}))
        (folder / "sub-01_steps.tsv").write_text(f"step\tseconds\tpeak_memory_mb\n{line}\n")
    page = write_session_report(derivatives, record_of((TEMPLATE,))).read_text()
    assert "bids-anomaly in out participant" in page
    assert "sha256 abc" in page
    assert re.search(r"Run</th><td>2</td>", page)
    for cell in ("reorient", "300", "score"):
        assert f">{cell}</td>" in page
    failed = write_failure_report(derivatives, "sub-01", []).read_text()
    assert "bids-anomaly in out participant" in failed


@pytest.mark.parametrize("rest", ["", "sco", "score\t0.", "score\t0.5", "score\t\xff\t\xff\n"])
def test_half_a_line_in_a_log_hides_no_other(rest, derivatives):
    folder = derivatives / "logs" / "1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(RUN))
    lines = f"step\tseconds\tpeak_memory_mb\nreorient\t1.0\t300\n{rest}"
    (folder / "sub-01_steps.tsv").write_text(lines, encoding="latin-1")
    provenance, steps = read_runs(derivatives, "sub-01")
    assert provenance["Run"] == "20260101-000000_abcdef"
    assert steps.rows == [["reorient", "1.0", "300"]]


@pytest.fixture
def two_people(derivatives, record_of):
    """Results of two people with their records, and no input that they are from."""
    for path in list((derivatives / "sub-01" / "anat").iterdir()):
        other = Path(str(path).replace("sub-01", "sub-02"))
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(path.read_bytes())
    first = record_of((TEMPLATE,))
    scan = replace(first.primary_scan, name="sub-02_T1w", entities={"sub": "02"})
    for record in (first, replace(first, label="sub-02", scans=(scan,), primary=scan.name)):
        record.write(derivatives)
    return derivatives


def reports_only(out, *options) -> int:
    folders = [str(out / "nowhere"), str(out)]
    return main([*folders, "participant", "--reports-only", "--device=cpu", *options])


def test_reports_need_the_outputs_alone(two_people):
    assert reports_only(two_people) == 0
    assert {path.name for path in two_people.glob("*.html")} == {"sub-01.html", "sub-02.html"}


@pytest.mark.slow
def test_what_leads_can_be_chosen_again_and_what_is_not_there_is_said(two_people):
    assert reports_only(two_people, "--primary", "FLAIR") == 0
    record = read_record(record_path(two_people, "sub-01", ENTITIES))
    assert (record.primary, record.asked_for) == ("sub-01_T1w", "FLAIR")
    said = "There is no FLAIR scan to lead this report; sub-01_T1w does."
    assert said in (two_people / "sub-01.html").read_text()
    assert reports_only(two_people, "--primary", "T1w") == 0
    assert said not in (two_people / "sub-01.html").read_text()


def test_one_broken_map_stops_no_other_report(two_people, capsys):
    broken = output_path(two_people, "zscore", {"sub": "01"}, modality="T1w", space=TEMPLATE)
    broken.write_bytes(broken.read_bytes()[:100])
    assert reports_only(two_people) == 1
    assert {path.name for path in two_people.glob("*.html")} == {"sub-02.html"}
    told = capsys.readouterr().err
    assert broken.name in told
    assert "Traceback" not in told


FAILURE = Failure("reorient (sub-01)", "Broken.", "")


def test_a_report_that_tells_of_a_failure_stays(two_people, capsys):
    path = write_failure_report(two_people, "sub-01", [FAILURE])
    before = path.read_bytes()
    assert reports_only(two_people) == 0
    assert path.read_bytes() == before
    assert (two_people / "sub-02.html").is_file()
    assert "sub-01: left as it is" in capsys.readouterr().err


def test_a_failure_stands_in_the_record_of_an_earlier_success_alone(two_people):
    path = record_path(two_people, "sub-01", ENTITIES)
    before = read_record(path)
    write_failure_report(two_people, "sub-01", [FAILURE])
    assert read_record(path) == replace(before, failed_steps=("reorient (sub-01)",))
    assert read_record(record_path(two_people, "sub-02", {"sub": "02"})).failed_steps == ()
    # Who never came to the end has results of nothing.
    write_failure_report(two_people, "sub-03", [FAILURE])
    assert not (two_people / "sub-03").exists()


@pytest.mark.parametrize(
    ("runs", "stays"),
    [
        ({}, False),
        ({"1": ["sub-01"]}, True),
        ({"1": ["sub-01"], "2": []}, False),
        ({"1": [], "2": ["sub-01", "sub-02"]}, True),
        ({"1": ["sub-01"], "2": None}, False),  # it was killed, and wrote no report
    ],
)
def test_where_a_record_does_not_say_whether_steps_failed_the_logs_do(two_people, runs, stays):
    path = record_path(two_people, "sub-01", ENTITIES)
    content = json.loads(path.read_text())
    del content["failed_steps"]
    path.write_text(json.dumps(content))
    for name, failed in runs.items():
        folder = two_people / "logs" / name
        folder.mkdir(parents=True)
        result = {} if failed is None else {"result": {"failed_sessions": failed}}
        (folder / "run.json").write_text(json.dumps(RUN | result))
        (folder / "sub-01.log").write_text("reorient\n")
    assert reports_only(two_people) == 0
    assert (two_people / "sub-01.html").exists() is not stays
    assert (two_people / "sub-02.html").is_file()
