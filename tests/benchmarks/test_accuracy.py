"""The benchmark of accuracy compares what it says it compares."""

import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from bids_anomaly.reconstruction.bundle import PACKAGED, load_bundle
from bids_anomaly.training.data import HealthyVolumes

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark_module(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def volumes():
    """One healthy head: white matter in a shell of cortex, with sulci of CSF."""
    shape = (40, 44, 40)
    radius = np.sqrt(sum((np.indices(shape) - np.reshape(shape, (3, 1, 1, 1)) / 2) ** 2))
    t1w = np.select([radius < 14, radius < 18], [1.0, 0.72], 0.0)
    t1w[(radius < 18) & (np.random.default_rng(0).random(shape) < 0.05)] = 0.25
    stacked = torch.from_numpy(t1w)[None].half()
    inside = torch.from_numpy(radius < 14).float()
    return HealthyVolumes(stacked, stacked, stacked > 0, inside, inside, spacing=2.0)


@pytest.mark.parametrize("modality", ["T1w", "FLAIR", "T2w"])
def test_blobs_have_the_sizes_that_the_table_names(benchmark_module, volumes, modality):
    synthetic = benchmark_module("synthetic_lesions")
    lesioned = synthetic.with_blobs(volumes, 0, modality)
    counted = [
        counts.lesions
        for counts in synthetic.lesionwise(lesioned.truth, lesioned.truth, voxel_volume=8.0)
    ]
    assert counted == [count for _, count in reversed(synthetic.BLOBS)]
    healthy = synthetic.paint(volumes, 0, modality).scan
    change = (lesioned.scan / np.maximum(healthy, 1e-6))[lesioned.truth]
    assert (change < 1).all() if modality == "T1w" else (change > 1).all()


@pytest.mark.parametrize("kind", ["blobs", "anomalies as in training"])
def test_the_same_person_always_gets_the_same_lesions(benchmark_module, volumes, kind):
    synthetic = benchmark_module("synthetic_lesions")
    if kind != "blobs":
        synthetic.SLAB_SLICES = 5
    one, other = (synthetic.INSERTIONS[kind](volumes, 0, "FLAIR") for _ in range(2))
    np.testing.assert_array_equal(one.scan, other.scan)
    np.testing.assert_array_equal(one.truth, other.truth)
    assert one.truth.any()


def test_a_perfect_score_is_perfect_for_every_size(benchmark_module, volumes):
    synthetic = benchmark_module("synthetic_lesions")
    lesioned = synthetic.with_blobs(volumes, 0, "T1w")
    sizes = synthetic.by_size(10.0 * lesioned.truth, lesioned, 2.0)
    assert [size["AUPRC"] for size in sizes] == [1, 1, 1, 1]
    # Components below the preset least volume are left out: two voxels of 2 mm.
    assert [size["Dice at preset threshold"] for size in sizes[1:]] == [1, 1, 1]


def test_a_folder_of_candidates_is_one_column_without_borrowed_figures(benchmark_module, tmp_path):
    models = benchmark_module("models")
    candidate = tmp_path / "design-a"
    shutil.copytree(PACKAGED / "restore-T1w", candidate / "T1w")
    columns = models.models([], [candidate])
    assert [column.name for column in columns] == ["design-a", "threshold"]
    assert set(models.of_modality(columns, "T1w")) == {"design-a", "threshold"}
    assert models.of_modality(columns, "T2w") == {}


def test_two_candidates_with_one_name_are_refused(benchmark_module, tmp_path):
    models = benchmark_module("models")
    for parent in ("one", "two"):
        shutil.copytree(PACKAGED / "threshold-T2w", tmp_path / parent / "T2w")
    with pytest.raises(SystemExit, match="T2w"):
        models.models([], [tmp_path / "one" / "T2w", tmp_path / "two" / "T2w"])


def test_the_table_names_people_intervals_and_paired_differences(benchmark_module):
    table = benchmark_module("table")
    row = table.row_of_means(
        "data", "Dice", {"restore": [0.5, 0.6, 0.7, np.nan], "threshold": [0.1, 0.2, 0.3, np.nan]}
    )
    cells = table.markdown([row], ["restore", "threshold"], "threshold").splitlines()[2].split("|")
    assert [cell.strip() for cell in cells[1:4]] == ["data", "Dice", "3"]
    assert cells[4].strip().startswith("0.600 (")
    assert cells[6].strip().startswith("+0.400 (0.400 to 0.400), p = 0.25")


def test_what_a_model_does_not_have_is_left_open(benchmark_module):
    table = benchmark_module("table")
    rows = table.rows_by_measure(
        "data", {"restore": [{"Dice": 0.5, "l1": 0.1}], "threshold": [{"Dice": 0.2}]}
    )
    l1 = table.markdown(rows, ["restore", "threshold"], "threshold").splitlines()[3]
    assert l1 == "| data | l1 | 1 | 0.100 | – | – |"


def test_pooled_precision_is_that_of_all_voxels(benchmark_module):
    stroke = benchmark_module("stroke_slices")
    rng = np.random.default_rng(0)
    slices, scores = [], []
    for _ in range(6):
        truth = rng.random((20, 24)) < 0.1
        brain = rng.random((20, 24)) < 0.8
        slices.append(stroke.Slice(truth.astype(np.float32), brain, truth & brain))
        scores.append(rng.standard_normal((20, 24)) + truth)
    row = stroke.pooled_row("data", {"restore": scores}, slices)
    brains = [person.brain for person in slices]
    pooled = [
        np.concatenate([v[b] for v, b in zip(values, brains, strict=True)])
        for values in (scores, [person.truth for person in slices])
    ]
    estimate = row.statistics["restore"](np.ones((1, 6)))[0]
    assert estimate == pytest.approx(stroke.auprc(*pooled), abs=0.01)


def test_reconstructions_are_kept_for_the_same_scan_only(benchmark_module, tmp_path):
    scored = benchmark_module("scored")
    bundle = load_bundle(PACKAGED / "restore-T1w")
    scan = np.zeros((16, 16, 2), np.float32)
    first = scored.reconstructed(bundle, scan, scan == 0, tmp_path)
    again = scored.reconstructed(bundle, scan, scan == 0, tmp_path)
    assert again.seconds == first.seconds
    np.testing.assert_allclose(again.result.pseudo_healthy, first.result.pseudo_healthy, atol=1e-3)
    scored.reconstructed(bundle, scan + 1, scan == 0, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
