import pytest

from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.tables import read_table, write_table
from bids_anomaly.reports.numbers import two_digits
from bids_anomaly.reports.tables import (
    lesion_table,
    quality_table,
    quality_warnings,
    region_in_words,
    region_table,
)
from bids_anomaly.scoring.quality_limits import MEASURES


def rows_of(tmp_path, output, rows):
    write_table(tmp_path / "table.tsv", output, rows)
    return read_table(tmp_path / "table.tsv")


def lesion(index):
    return (
        *(index, f"lesion-{index}", 80.0, -26.0, 2.0, 0.4, 4.0, 3.0, 0.98),
        *("Putamen_L", "left", "other"),
    )


def region(name, anomalous, laterality):
    return (1, name, "left", "cortex", 2000.0, anomalous, 0.05, 0.1, 3.0, laterality)


def test_the_largest_findings_are_shown(tmp_path):
    rows = rows_of(tmp_path, "lesions", [lesion(index) for index in range(1, 131)])
    table = lesion_table(rows)
    place = "−26,\u00a0+2,\u00a0+0"
    assert table.rows[0] == ["1", "0.080", "Putamen, left", "other", place, "4.0", "0.98"]
    assert table.places[0] == "-26.0 2.0 0.4"
    assert len(table.rows) == len(table.places) == 100
    assert "100 largest of 130 findings" in table.note


def test_no_finding_is_said_in_words():
    assert lesion_table([]).note.startswith("No findings.")
    assert region_table([]).note.startswith("No regions with anomalies.")


def test_regions_come_by_their_anomalous_volume(tmp_path):
    rows = rows_of(
        tmp_path,
        "regions",
        [
            region("Small", 10.0, float("nan")),
            region("Large", 100.0, -1.0),
            region("None", 0.0, float("nan")),
        ],
    )
    table = region_table(rows)
    assert [row[0] for row in table.rows] == ["Large", "Small"]
    assert table.rows[0] == ["Large", "2.0", "0.10", "5.0"]


def test_what_is_outside_its_limits_stands_in_the_table_and_in_a_warning(tmp_path):
    inf = float("inf")
    rows = rows_of(
        tmp_path,
        "quality",
        [
            ("sub-01_T1w", "noise", 0.5, -inf, 0.06, True),
            ("sub-01_T1w", "brain_volume", 1434.2, 900.0, 2000.0, False),
            ("sub-01_ses-1_run-2_T1w", "ghosting", float("nan"), -inf, 0.19, False),
        ],
    )
    table = quality_table(rows)
    outside, value, limits = (table.columns.index(c) for c in ("Outside", "Value", "Good scans"))
    assert [row[0] for row in table.rows] == ["T1w", "T1w", "run-2_T1w"]
    assert [row[outside] for row in table.rows] == ["outside", "", ""]
    assert [row[value] for row in table.rows] == ["0.50", "1434", ""]
    assert [row[limits] for row in table.rows] == ["at most 0.06", "900 to 2000", "at most 0.19"]
    (warning,) = quality_warnings(rows)
    assert warning.startswith("sub-01_T1w: WM noise (WM = 1) is 0.5 (good scans have at most 0.06)")


def test_a_measure_of_another_version_stands_there_by_its_own_name(tmp_path):
    rows = rows_of(tmp_path, "quality", [("sub-01_T1w", "wobble", 0.5, 0.0, 0.1, True)])
    assert quality_table(rows).rows[0][1] == "wobble"
    (warning,) = quality_warnings(rows)
    assert warning.startswith("sub-01_T1w: wobble is 0.5 (good scans have at least 0 and at most")


def test_every_measure_of_quality_has_a_name_a_unit_and_words(tmp_path):
    measures = OUTPUTS["quality"].columns["measure"]["Levels"]
    assert set(MEASURES) == set(measures)
    rows = [("sub-01_T1w", measure, 0.5, 0.0, 1.0, False) for measure in measures]
    for row in quality_table(rows_of(tmp_path, "quality", rows)).rows:
        assert all(row[i] for i in (0, 1, 2, 3, 5))
        assert "_" not in row[1] + row[5]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (0.01234, "0.012"),
        (0.0998, "0.10"),
        (-0.2934, "−0.29"),
        (1.0, "1.0"),
        (9.96, "10"),
        (47.8, "48"),
        (99.6, "100"),
        (1434.2, "1434"),
    ],
)
def test_numbers_have_two_digits_and_are_whole_from_a_hundred_on(number, text):
    assert two_digits(number) == text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Frontal_WM_R", "Frontal white matter, right"),
        ("CerebellarVermalLobules_1to5", "Cerebellar vermal lobules 1 to 5"),
        ("3rdVentricle", "3rd ventricle"),
        ("VentralDC_L", "Ventral diencephalon, left"),
        ("Elsewhere", "Outside the atlas"),
    ],
)
def test_regions_are_called_in_words(name, words):
    assert region_in_words(name) == words
