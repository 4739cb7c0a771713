"""The benchmark of accuracy compares what it says it compares."""

import importlib
import shutil
from pathlib import Path

import ants
import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.bids.naming import output_path, transform_path
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.reconstruction.bundle import PACKAGED, load_bundle
from bids_anomaly.training.volumes import HealthyVolumes

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark_module(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.mark.parametrize("script", sorted(path.stem for path in BENCHMARKS.glob("*.py")))
def test_every_benchmark_finds_what_it_imports_and_says_its_command(script, benchmark_module):
    assert f"benchmarks/{script}.py" in benchmark_module(script).__doc__


@pytest.fixture
def volumes():
    """One healthy head: white matter in a shell of cortex, with sulci of CSF."""
    shape = (40, 44, 40)
    radius = np.sqrt(sum((np.indices(shape) - np.reshape(shape, (3, 1, 1, 1)) / 2) ** 2))
    t1w = np.select([radius < 14, radius < 18], [1.0, 0.72], 0.0)
    t1w[(radius < 18) & (np.random.default_rng(0).random(shape) < 0.05)] = 0.25
    stacked = torch.from_numpy(t1w)[None].half()
    inside = torch.from_numpy(radius < 14).float()
    unknown = torch.full((1, 2), torch.nan)
    return HealthyVolumes(
        scans=stacked,
        filled=stacked,
        brains=stacked > 0,
        white_matter=inside,
        deep=inside,
        regions=torch.zeros(inside.shape, dtype=torch.uint8),
        spacing=2.0,
        covariates=unknown,
    )


@pytest.mark.parametrize("modality", ["T1w", "FLAIR", "T2w"])
def test_blobs_have_the_sizes_that_the_table_names(benchmark_module, volumes, modality):
    synthetic = benchmark_module("shared.synthetic_lesions")
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
    synthetic = benchmark_module("shared.synthetic_lesions")
    if kind != "blobs":
        synthetic.SLAB_SLICES = 5
    one, other = (synthetic.INSERTIONS[kind](volumes, 0, "FLAIR") for _ in range(2))
    np.testing.assert_array_equal(one.scan, other.scan)
    np.testing.assert_array_equal(one.truth, other.truth)
    assert one.truth.any()


def test_a_perfect_score_is_perfect_for_every_size(benchmark_module, volumes):
    synthetic = benchmark_module("shared.synthetic_lesions")
    lesioned = synthetic.with_blobs(volumes, 0, "T1w")
    sizes = synthetic.by_size(10.0 * lesioned.truth, lesioned, 2.0)
    assert [size["AUPRC"] for size in sizes] == [1, 1, 1, 1, 1]
    assert sizes[-1]["lesion-free voxels marked (%)"] == 0
    # Components below the preset least volume are left out: two voxels of 2 mm.
    assert [size["Dice at preset threshold"] for size in sizes[1:4]] == [1, 1, 1]


def test_a_folder_of_candidates_is_one_column_without_borrowed_figures(benchmark_module, tmp_path):
    models = benchmark_module("shared.models")
    candidate = tmp_path / "design-a"
    shutil.copytree(PACKAGED / "restore-T1w", candidate / "T1w")
    columns = models.models([], [candidate])
    assert [column.name for column in columns] == ["threshold", "design-a"]
    assert set(models.of_modality(columns, "T1w")) == {"design-a", "threshold"}
    assert models.of_modality(columns, "T2w") == {}


def test_two_candidates_with_one_name_are_refused(benchmark_module, tmp_path):
    models = benchmark_module("shared.models")
    for parent in ("one", "two"):
        shutil.copytree(PACKAGED / "threshold-T2w", tmp_path / parent / "T2w")
    with pytest.raises(SystemExit, match="T2w"):
        models.models([], [tmp_path / "one" / "T2w", tmp_path / "two" / "T2w"])


def test_the_table_names_people_intervals_and_paired_differences(benchmark_module):
    table = benchmark_module("shared.table")
    row = table.row_of_means(
        "data",
        "AUPRC",
        {
            "raw intensity": [0.2, 0.3, 0.4, 0.3, 0.3, np.nan],
            "threshold": [0.1, 0.2, 0.3, 0.2, 0.2, np.nan],
            "restore": [0.5, 0.6, 0.7, 0.6, 0.6, np.nan],
        },
    )
    baselines = ["raw intensity", "threshold"]
    text = table.markdown([row], [*baselines, "restore"], baselines)
    head, _, figures = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()
    )
    assert head[3:6] == ["raw intensity", "threshold", "restore"]
    assert head[6:] == ["restore − raw intensity", "restore − threshold"]
    assert figures[:3] == ["data", "AUPRC", "5"]
    assert figures[5].startswith("0.600 (")
    assert figures[6].startswith("+0.300 (0.300 to 0.300), p = 0.062")
    assert figures[7].startswith("+0.400 (0.400 to 0.400), p = 0.062")


def test_what_a_model_does_not_have_is_left_open(benchmark_module):
    table = benchmark_module("shared.table")
    rows = table.rows_by_measure(
        "data", {"restore": [{"Dice": 0.5, "l1": 0.1}], "threshold": [{"Dice": 0.2}]}
    )
    l1 = table.markdown(rows, ["restore", "threshold"], ["threshold"]).splitlines()[3]
    assert l1 == "| data | l1 | 1 | 0.100 | – | – |"


def test_pooled_precision_is_that_of_all_voxels(benchmark_module):
    stroke = benchmark_module("shared.stroke_slices")
    rng = np.random.default_rng(0)
    slices, scores = [], []
    for _ in range(6):
        truth = rng.random((20, 24)) < 0.1
        brain = rng.random((20, 24)) < 0.8
        scan = truth.astype(np.float32)
        slices.append(stroke.Slice(scan, scan, brain, truth & brain))
        scores.append(rng.standard_normal((20, 24)) + truth)
    row = stroke.pooled_row("data", {"restore": scores}, slices)
    brains = [person.brain for person in slices]
    pooled = [
        np.concatenate([v[b] for v, b in zip(values, brains, strict=True)])
        for values in (scores, [person.truth for person in slices])
    ]
    estimate = row.statistics["restore"](np.ones((1, 6)))[0]
    assert estimate == pytest.approx(stroke.auprc(*pooled), abs=0.01)


def test_what_may_be_a_lesion_is_not_learned_as_healthy(benchmark_module):
    """A spot in white matter is left out with its rim; bright cortex and ventricles' rims stay."""
    stroke = benchmark_module("shared.stroke_slices")
    scan = np.ones((40, 40), np.float32)
    white_matter, deep = np.zeros_like(scan), np.zeros_like(scan)
    white_matter[8:32, 8:32], deep[14:26, 14:26] = 1, 1
    scan[18:22, 18:22] = 0.2  # a ventricle
    scan[17, 17:23] = 1.4  # its rim
    scan[10:12, 28:30] = 1.4  # a lesion
    scan[2:4, 2:10] = 1.4  # cortex
    brain = np.ones(scan.shape, bool)
    healthy = stroke.surely_healthy(
        stroke.Slice(scan, scan, brain, np.zeros_like(brain)), white_matter, deep
    )
    assert not healthy[10:12, 27:31].any()
    assert healthy[2:4, 2:10].all()
    assert healthy[17, 17:23].all()
    assert healthy.mean() > 0.95


def test_reconstructions_are_kept_for_the_same_scan_only(benchmark_module, tmp_path):
    scored = benchmark_module("shared.scored")
    bundle = load_bundle(PACKAGED / "restore-T1w")
    scan = np.zeros((16, 16, 2), np.float32)
    first = scored.reconstructed(bundle, scan, scan == 0, tmp_path)
    again = scored.reconstructed(bundle, scan, scan == 0, tmp_path)
    assert again.seconds == first.seconds
    np.testing.assert_allclose(again.result.pseudo_healthy, first.result.pseudo_healthy, atol=1e-3)
    scored.reconstructed(bundle, scan + 1, scan == 0, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


GRID = Grid.isotropic((20, 20, 20), (-20.0, -20.0, -20.0), 2.0)
MOVED_MM = 4.0


@pytest.fixture
def patient(tmp_path):
    """A person whose FLAIR lies 4 mm from the T1w, marked exactly on FLAIR and on T1w."""
    outputs, data = tmp_path / "out", tmp_path / "data"
    scans = data / "elderly-wmh" / "sub-E01" / "anat"
    scans.mkdir(parents=True)
    truth = np.zeros(GRID.shape, np.uint8)
    truth[8:12, 8:12, 8:12] = 1
    lesion = {"FLAIR": truth, "T1w": np.roll(truth, int(MOVED_MM / 2), axis=0)}
    for modality, mask in lesion.items():
        maps = {
            "preproc": np.ones(GRID.shape, np.float32),
            "pseudohealthy": np.full(GRID.shape, 0.75, np.float32),
            "brain": np.ones(GRID.shape, np.uint8),
            "zscore": mask.astype(np.float32),
            "anomaly": mask,
        }
        for name, values in maps.items():
            path = output_path(outputs, name, {"sub": "E01"}, modality=modality)
            path.parent.mkdir(parents=True, exist_ok=True)
            GRID.image(values).to_filename(path)
        # As it came, in other units: the lesion is dark on T1w and bright on FLAIR.
        contrast = -50 if modality == "T1w" else 50
        came_as = GRID.image((100 + contrast * mask.astype(float)).astype(np.int16))
        came_as.to_filename(scans / f"sub-E01_{modality}.nii.gz")
    path = data / "elderly-wmh" / "derivatives" / "dlwmls" / "sub-E01" / "anat"
    path.mkdir(parents=True)
    GRID.image(truth).to_filename(path / "sub-E01_space-FLAIR_label-WMH_mask.nii.gz")
    # A point of T1w is found 4 mm further left on FLAIR; ITK has x and y the other way round.
    to_t1w = ants.create_ants_transform(
        transform_type="Euler3DTransform", translation=(MOVED_MM, 0, 0)
    )
    path = transform_path(outputs, {"sub": "E01"}, origin="FLAIR", target="T1w", extension=".txt")
    ants.write_transform(to_t1w, str(path))
    return data, outputs


@pytest.mark.parametrize("modality", ["FLAIR", "T1w"])
def test_truth_reaches_every_scan_of_a_patient(benchmark_module, patient, modality):
    scans = benchmark_module("shared.real_scans")
    found = scans.accuracy(*patient, scans.PATIENTS[0], "E01", modality)
    perfect = ("AUPRC", "Dice at preset threshold", "best achievable Dice")
    assert [found[measure] for measure in perfect] == [1, 1, 1]
    assert found["lesions of 8 mm3 and more found"] == 1
    assert found["marked components that are lesion"] == 1
    assert found["lesion-free voxels marked (%)"] == 0
    assert found["lesion prevalence (%)"] == pytest.approx(100 * 64 / 8000)


@pytest.mark.parametrize("modality", ["FLAIR", "T1w"])
def test_raw_intensity_is_that_of_the_input_in_the_brain_of_a_run(
    benchmark_module, patient, modality
):
    scans = benchmark_module("shared.real_scans")
    found = scans.raw_accuracy(*patient, scans.PATIENTS[0], "E01", modality)
    assert found == pytest.approx({"AUPRC": 1, "AUROC": 1, "best achievable Dice": 1}, abs=0.02)


def test_scans_and_masks_may_have_a_fourth_axis_of_length_one(benchmark_module, patient):
    scans = benchmark_module("shared.real_scans")
    three = scans.raw_accuracy(*patient, scans.PATIENTS[0], "E01", "FLAIR")
    for path in (patient[0] / "elderly-wmh").rglob("*FLAIR*.nii.gz"):
        image = nib.load(path)
        nib.Nifti1Image(np.asanyarray(image.dataobj)[..., None], image.affine).to_filename(path)
    four = scans.raw_accuracy(*patient, scans.PATIENTS[0], "E01", "FLAIR")
    assert four == three


def test_what_is_marked_in_a_healthy_person_is_false(benchmark_module, patient):
    scans = benchmark_module("shared.real_scans")
    found = scans.quietness(patient[1], "E01", "T1w")
    assert found["voxels marked (%; nominal 0.2)"] == pytest.approx(100 * 64 / 8000)
    assert found["marked volume (ml)"] == pytest.approx(64 * 8 / 1000)
    assert found["false components"] == 1
    assert found["l1 of the reconstruction (x 1000)"] == pytest.approx(250)
    assert scans.marked_share(patient[1], "E01", "T1w") == {
        "voxels marked (%; nominal 0.2)": pytest.approx(100 * 64 / 8000)
    }


def test_the_block_over_all_sets_has_the_mean_the_worst_and_the_rates(benchmark_module):
    table, all_sets = benchmark_module("shared.table"), benchmark_module("shared.all_sets")
    names = ["raw intensity", "threshold", "restore"]

    def rows(data, measure, figures, **options):
        named = {name: [{measure: f}] for name, f in zip(names, figures, strict=True) if f}
        return table.rows_by_measure(data, named, **options)

    own = [
        *rows("elderly", "AUPRC", [0.2, 0.1, 0.4]),
        *rows("stroke", "AUPRC, people with stroke", [0.3, 0.1, 0.2]),
        *rows("stroke", "AUPRC, all voxels pooled", [0.9, 0.9, 0.9], whole_set=False),
        *rows("elderly", "Dice at preset threshold", [None, 0.1, 0.5]),
        *rows("elderly", "lesion-free voxels marked (%)", [None, 0.01, 0.2]),
        *rows("healthy", "voxels marked (%; nominal 0.2)", [None, 0.3, 0.7]),
    ]
    lines = all_sets.overview({"FLAIR": own}, names).splitlines()
    assert "| FLAIR | AUPRC | mean of 2 | 0.250 | 0.100 | 0.300 |" in lines
    assert "| FLAIR | AUPRC | worst | 0.200 (elderly) | 0.100 (elderly) | 0.200 (stroke) |" in lines
    assert "| FLAIR | AUPRC | above all baselines in | – | – | 1 of 2 |" in lines
    dice = "| FLAIR | Dice at preset threshold | mean of 1 | – | 0.100 | 0.500 |"
    assert dice in lines
    rate = (
        "| FLAIR | elderly | lesion-free voxels marked (%) | – | 0.010, too low | 0.200, within |"
    )
    assert rate in lines
    assert any(line.endswith("| – | 0.300, within | 0.700, too high |") for line in lines)


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9), min_size=1))
def test_people_are_spread_evenly_over_splits(counts):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        people = importlib.import_module("shared.people")
    who = [str(number) for number in range(sum(counts.values()))]
    splits = people.spread(who, counts)
    assert list(splits) == who
    given = dict.fromkeys(counts, 0)
    for place, split in enumerate(splits.values(), start=1):
        given[split] += 1
        assert all(abs(given[s] - counts[s] * place / len(who)) < len(counts) for s in counts)
    assert given == counts


def test_new_people_are_in_the_splits_as_the_rule_says(benchmark_module):
    people = benchmark_module("shared.people")
    splits = ("train", "calibration", "dev", "report")

    def of(dataset):
        return {person: split for split in splits for person in people.people(dataset, split)}

    nsk = of("nsk-t1w")
    # By the dataset's own table, depressed people have the labels up to 51.
    controls, others = (
        sorted(person for person in nsk if (int(person) > 51) == healthy)
        for healthy in (True, False)
    )
    assert nsk == (
        people.spread(controls, {"calibration": 5, "dev": 4, "report": 4})
        | people.spread(others, {"train": 34, "calibration": 5, "dev": 2, "report": 2})
    )
    ucla = of("ucla-t1w-t2w")
    assert ucla == people.spread(sorted(ucla), {"train": 4, "calibration": 3, "dev": 3})
    for dataset in ("ms", "wmh-manual", "tumour-flair"):
        assert set(of(dataset).values()) == {"dev"}


def test_nobody_is_in_two_splits(benchmark_module):
    people = benchmark_module("shared.people")
    lines = people.SPLITS.read_text().splitlines()[1:]
    named = [line.rpartition("\t")[0] for line in lines]
    assert len(set(named)) == len(named)


def test_the_reference_is_t1w_where_there_is_one(benchmark_module):
    patients = {one.dataset: one for one in benchmark_module("shared.real_scans").PATIENTS}
    assert patients["wmh-manual"].reference == "T1w"
    assert patients["tumour-flair"].reference == "FLAIR"
