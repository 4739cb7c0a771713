import pytest

from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.tables import read_table, write_table
from bids_anomaly.reports.tables import (
    lesion_table,
    quality_table,
    quality_warnings,
    region_in_words,
    region_table,
)


def rows_of(tmp_path, output, rows):
    write_table(tmp_path / "table.tsv", output, rows)
    return read_table(tmp_path / "table.tsv")


def lesion(index):
    return (index, f"lesion-{index}", 80.0, -26.0, 2.0, 0.4, 4.0, 3.0, 0.98, "Putamen_L", "left")


def region(name, anomalous, laterality):
    return (1, name, "left", "cortex", 2000.0, anomalous, 0.05, 0.1, 3.0, laterality)


def test_the_largest_findings_are_shown(tmp_path):
    rows = rows_of(tmp_path, "lesions", [lesion(index) for index in range(1, 131)])
    table = lesion_table(rows)
    place = "−26,\u00a0+2,\u00a0+0"
    assert table.rows[0] == ["1", "80", "Putamen, left", "left", place, "4.0", "0.980"]
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
    assert table.rows[0] == ["Large", "2.0", "100", "5.0", "−1.00"]
    assert table.rows[1][-1] == ""


def test_what_is_outside_its_limits_stands_in_the_table_and_in_a_warning(tmp_path):
    inf = float("inf")
    rows = rows_of(
        tmp_path,
        "quality",
        [
            ("sub-01_T1w", "noise", 0.5, -inf, 0.06, True),
            ("sub-01_T1w", "brain_volume", 1400.0, 900.0, 2000.0, False),
        ],
    )
    assert [row[-1] for row in quality_table(rows).rows] == ["outside", ""]
    (warning,) = quality_warnings(rows)
    assert warning.startswith("sub-01_T1w: noise is 0.5 (good scans have at most 0.06)")
    assert len(quality_table(rows).columns) == len(OUTPUTS["quality"].columns)


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
