import json

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.sidecars import sidecar
from bids_anomaly.bids.tables import read_table, write_rows, write_table
from bids_anomaly.scoring.findings import Threshold


def test_a_table_reads_back_as_it_was_written(tmp_path):
    path = tmp_path / "sub-01_atlas-DLMUSE_desc-regionsT1w_dseg.tsv"
    write_table(path, "atlas", [(4, "3rdVentricle", "n/a", "ventricle")])
    assert read_table(path) == [
        {"index": "4", "name": "3rdVentricle", "hemisphere": "n/a", "tissue": "ventricle"}
    ]


def test_a_table_of_nothing_has_its_header(tmp_path):
    path = tmp_path / "sub-01_desc-lesionsT1w_dseg.tsv"
    write_table(path, "lesions", [])
    assert path.read_text() == "\t".join(OUTPUTS["lesions"].columns) + "\n"
    assert read_table(path) == []


def test_numbers_that_are_none_are_not_available_and_truth_is_in_words(tmp_path):
    path = tmp_path / "sub-01_desc-quality_stats.tsv"
    write_table(
        path, "quality", [("sub-01_T1w", "noise", np.float64(0.0312345678), -np.inf, 0.06, True)]
    )
    assert path.read_text().splitlines()[1] == "sub-01_T1w\tnoise\t0.031235\tn/a\t0.06\ttrue"


def test_a_row_of_the_wrong_length_is_refused(tmp_path):
    with pytest.raises(ValueError, match="2 values for the 4 columns"):
        write_table(tmp_path / "a.tsv", "atlas", [(1, "x")])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=3))
@example(cells=["a\tb", "c\nd", "e\rf"])
@example(cells=["=a", "'=a", "''=a"])
@example(cells=["\x85", "\u2028", "\x0b\x1c"])
def test_a_cell_of_any_text_moves_no_other(cells, tmp_path):
    path = tmp_path / "a.tsv"
    write_rows(path, ["name", "value"], [(cell, number) for number, cell in enumerate(cells)])
    rows = read_table(path)
    assert [row["value"] for row in rows] == [str(number) for number in range(len(cells))]
    for row, cell in zip(rows, cells, strict=True):
        assert row["name"] == cell.replace("\t", " ").replace("\r", " ").replace("\n", " ")


FORMULAS = (
    "=cmd|' /C calc'!A0", '=HYPERLINK("http://x","y")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)",
    "-e5", "+ve", "＝1+1", "==", "-5-3", " =1",
)  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_a_spreadsheet_computes_no_text_that_somebody_wrote(text, tmp_path):
    path = tmp_path / "a.tsv"
    write_rows(path, [text, "b"], [("x", text), (text, "x")])
    cells = path.read_text().replace("\n", "\t").split("\t")
    assert not any(cell.startswith(tuple("=+-@＝＋－＠")) for cell in cells)
    assert read_table(path) == [{text: "x", "b": text}, {text: text, "b": "x"}]


@pytest.mark.parametrize(
    "text", ["-5", "+5", "-1.5e-07", "-1,5", "-5 %", "-.5", "-", "+", "'", "n/a", "a=b", "2-3"]
)
def test_numbers_and_other_text_are_written_as_they_are(text, tmp_path):
    write_rows(tmp_path / "a.tsv", ["a"], [(text,)])
    assert (tmp_path / "a.tsv").read_text() == f"a\n{text}\n"


@pytest.mark.parametrize("output", [name for name, row in OUTPUTS.items() if row.columns])
def test_every_column_is_described_beside_the_table(output):
    described = sidecar(
        output,
        sources=["bids:raw:x"],
        already_stripped=True,
        model=None,
        threshold=Threshold(),
        resolution=None,
    )
    for column in OUTPUTS[output].columns:
        assert described[column]["Description"]
    assert described["Description"]
    json.dumps(described)
