"""``bids-anomaly-evaluate`` by its command, from results and masks to tables and a page."""

import json
import pickle
import re
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from bids_anomaly.cli.evaluate import main
from bids_anomaly.evaluation.dataset import evaluate, pair_up
from bids_anomaly.evaluation.loading import load_maps
from bids_anomaly.evaluation.statistics import agreement_of
from bids_anomaly.preprocessing.template import Grid

PATIENTS, CONTROLS = [f"P{n}" for n in range(5)], [f"C{n}" for n in range(5)]


def read(folder: Path, table: str) -> pd.DataFrame:
    return pd.read_csv(folder / table, sep="\t", na_values="n/a")


def of_models(folder: Path) -> pd.DataFrame:
    """Read what was measured of each scan, without the baseline."""
    table = read(folder, "metrics.tsv")
    return table[table["model"] != "raw intensity"]


@pytest.fixture(scope="module")
def study(tmp_path_factory, write_result, write_truth, lesion):
    """Two models, five patients (one with two sessions), five controls; a good and a bad model."""
    folder = tmp_path_factory.mktemp("study")
    for model, strength in (("good", 5.0), ("bad", 1.5)):
        for number, label in enumerate([*PATIENTS, *CONTROLS]):
            is_patient = label in PATIENTS
            for session in ("1", "2") if label == "P0" else ("1",):
                write_result(
                    folder / model,
                    {"sub": label, "ses": session, "run": "1"},
                    lesion=lesion(number) if is_patient else None,
                    strength=strength,
                    seed=100 * number + int(session),
                    bids_dir=folder / "bids",
                )
        rows = [f"sub-{label}\tpatient" for label in PATIENTS]
        rows += [f"sub-{label}\tcontrol" for label in CONTROLS]
        (folder / model / "participants.tsv").write_text(
            "\n".join(["participant_id\tgroup", *rows]) + "\n"
        )
    for number, label in enumerate(PATIENTS):
        # Neither run nor session: one mask for all scans of a person.
        write_truth(folder / "truth", {"sub": label, "label": "lesion"}, lesion(number))
    return folder


@pytest.fixture(scope="module")
def compared(study, tmp_path_factory):
    output = tmp_path_factory.mktemp("output")
    command = [str(study / "good"), f"worse={study / 'bad'}", "--truth", str(study / "truth")]
    assert main([*command, "--controls", "group=control", "--output", str(output)]) == 0
    return output


def test_there_is_a_row_for_each_scan_and_model(compared):
    table = read(compared, "metrics.tsv")
    # Raw intensity, which is the same for both models, comes first.
    assert len(table) == 3 * (len(PATIENTS) + 1 + len(CONTROLS))
    assert list(table["model"].unique()) == ["raw intensity", "good", "worse"]
    assert dict(table["group"].value_counts()) == {"patient": 18, "control": 15}
    (first,) = table[
        (table["scan"] == "sub-P0_ses-2_run-1_FLAIR") & (table["model"] == "good")
    ].iloc
    assert first["session_id"] == "ses-2"
    assert not first["primary"]
    assert first["truth"] == "sub-P0_label-lesion_mask.nii.gz"


def test_the_figures_are_those_of_scikit_learn(compared, study):
    pairs, _ = pair_up(
        {"good": study / "good"},
        study / "truth",
        space=None,
        modalities=None,
        participants=["P1"],
        controls=(),
        chosen={},
    )
    (pair,) = pairs["good"]
    maps = load_maps(pair)
    truth, z, mask = maps.truth[maps.brain], maps.z[maps.brain], maps.mask[maps.brain]
    table = read(compared, "metrics.tsv")
    (row,) = table[(table["participant_id"] == "sub-P1") & (table["model"] == "good")].iloc
    assert row["dice"] == pytest.approx(f1_score(truth, mask), rel=1e-5)
    assert row["auprc"] == pytest.approx(average_precision_score(truth, z), rel=1e-5)
    assert row["auroc"] == pytest.approx(roc_auc_score(truth, z), rel=1e-5)
    assert row["dice_best"] > 0.5
    assert row["lesions_all"] == 2
    assert row["lesion_ml"] == pytest.approx(truth.sum() * 0.064, rel=1e-5)
    assert 0 < row["caci"] < 1
    # Only the lesion is changed, but structural similarity looks three voxels around.
    assert 0.9 < row["rqi"] < 1


def test_raw_intensity_is_judged_by_its_ranking_alone(compared):
    table = read(compared, "metrics.tsv")
    raw = table[table["model"] == "raw intensity"]
    patients = raw[raw["group"] == "patient"]
    assert (patients[["auprc", "auroc", "dice_best"]] > 0.3).all(axis=None)
    ranking = ["lesion_ml", "prevalence", "dice_best", "auprc", "auroc"]
    judged = table.loc[:, "dice":].columns
    assert list(patients[judged].dropna(axis="columns", how="all").columns) == [
        name for name in judged if name in ranking
    ]
    summary = read(compared, "summary.tsv")
    gain = summary[(summary["measure"] == "auprc") & (summary["versus"] == "raw intensity")]
    assert list(gain["model"]) == ["good", "worse"]
    page = (compared / "evaluation.html").read_text()
    head = re.search(r"<th[^>]*>Measure</th>\s*<th[^>]*>([^<]*)</th>", page)
    assert head.group(1) == "raw intensity"
    assert "good − raw intensity" in page


def test_people_without_lesions_have_no_dice_unless_something_is_marked(compared):
    table = of_models(compared)
    controls = table[table["group"] == "control"]
    quiet = controls[controls["burden_ml"] == 0]
    assert len(quiet)
    assert quiet["dice"].isna().all()
    assert (controls[controls["burden_ml"] > 0]["dice"] == 0).all()
    assert controls["auprc"].isna().all()
    np.testing.assert_allclose(controls["observed_at_5"], 0.05, atol=0.02)
    summary = read(compared, "summary.tsv")
    of_controls = summary[summary["group"] == "control"]["measure"]
    assert not of_controls.str.contains("dice|lesion|sensitivity").any()


def test_the_summary_has_intervals_and_corrected_tests(compared):
    summary = read(compared, "summary.tsv").set_index(["measure", "group", "model"])
    own = summary[summary["versus"].isna()]
    dice = own.loc[("dice", "patient", "good")]
    assert dice["people"] == 5
    assert dice["low"] <= dice["estimate"] <= dice["high"]
    assert own.loc[("patients_vs_controls_auroc", "all", "good")]["estimate"] == 1
    table = read(compared, "metrics.tsv")
    worse = table[table["model"] == "worse"].groupby("participant_id")
    is_patient = worse["group"].first() == "patient"
    expected = roc_auc_score(is_patient, worse["burden_ml"].mean())
    bad = own.loc[("patients_vs_controls_auroc", "all", "worse")]
    assert bad["estimate"] == pytest.approx(expected, rel=1e-5)
    assert own.loc[("froc_sensitivity_at_5", "all", "good")]["estimate"] > 0.9
    assert own.loc[("observed_at_0.2", "control", "good")]["estimate"] < 0.006
    assert own.loc[("group_ahi", "all", "good")]["people"] == 10
    difference = summary[summary["versus"] == "worse"].loc[("dice", "patient", "good")]
    assert difference["low"] > 0
    assert difference["p_value"] == difference["p_holm"] == pytest.approx(2 / 2**5)


def test_the_limits_of_agreement_are_those_of_the_people(compared):
    table = read(compared, "metrics.tsv")
    patients = table[(table["model"] == "good") & (table["group"] == "patient")]
    errors = patients.groupby("participant_id")["volume_error_ml"].mean()
    summary = read(compared, "summary.tsv").set_index(["measure", "model"])
    for name, sign in (("low", -1), ("high", 1)):
        limit = summary.loc[(f"volume_agreement_{name}_ml", "good")]["estimate"]
        assert limit == pytest.approx(errors.mean() + sign * 1.96 * errors.std(ddof=1), rel=1e-4)
    assert np.isfinite(patients[["surface_distance_mm", "hd95_mm"]]).all(axis=None)
    difference = patients["components_all"] - patients["lesions_all"]
    assert (patients["lesion_count_error"] == difference).all()


def test_the_volumes_of_patients_have_an_intraclass_correlation(compared):
    table = read(compared, "metrics.tsv")
    patients = table[(table["model"] == "good") & (table["group"] == "patient")]
    volumes = patients.groupby("participant_id")[["burden_ml", "lesion_ml"]].mean().to_numpy()
    row = read(compared, "summary.tsv").set_index(["measure", "model"]).loc[("volume_icc", "good")]
    expected = agreement_of(volumes)(np.ones((1, 5)))[0]
    assert row["estimate"] == pytest.approx(expected, rel=1e-4)
    assert row["low"] <= row["estimate"] <= row["high"]
    assert row["people"] == 5
    assert "agreement with the truth (ICC)" in (compared / "evaluation.html").read_text()


def test_fewer_than_five_patients_have_no_intraclass_correlation(study, tmp_path):
    arguments = [str(study / "good"), "--truth", str(study / "truth"), "--output", str(tmp_path)]
    assert main([*arguments, "--participant-label", "P0", "P1", "P2", "P3"]) == 0
    measures = set(read(tmp_path, "summary.tsv")["measure"])
    assert "volume_icc" not in measures
    assert "volume_agreement_low_ml" in measures


def test_people_are_averaged_rather_than_scans(compared):
    table = read(compared, "metrics.tsv")
    good = table[(table["model"] == "good") & (table["group"] == "patient")]
    expected = good.groupby("participant_id")["dice"].mean().mean()
    summary = read(compared, "summary.tsv")
    (row,) = summary[
        (summary["measure"] == "dice")
        & (summary["model"] == "good")
        & (summary["group"] == "patient")
        & summary["versus"].isna()
    ].iloc
    assert row["estimate"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("table", ["metrics", "summary"])
def test_every_column_is_described(compared, table):
    described = json.loads((compared / f"{table}.json").read_text())
    assert list(described) == list(read(compared, f"{table}.tsv").columns)
    assert all(column["Description"] for column in described.values())
    measures = json.loads((compared / "summary.json").read_text())["measure"]["Levels"]
    assert set(read(compared, "summary.tsv")["measure"]) <= set(measures)


def test_the_page_needs_nothing_but_itself(compared):
    page = (compared / "evaluation.html").read_text()
    assert page.count("<svg") == 5
    assert "Best, good" in page
    assert "Worst, worse" in page
    assert "+0." in page
    assert not re.search(
        r"<script(?!>)|@import|src=\"(?!data:)|href=\"(?!#|data:)|url\((?!#)", page
    )


def test_the_same_input_gives_the_same_tables_and_page(study, tmp_path):
    command = [str(study / "good"), "--truth", str(study / "truth"), "--participant-label", "P1"]
    found = []
    for name in ("one", "other"):
        assert main([*command, "--output", str(tmp_path / name)]) == 0
        files = sorted((tmp_path / name).iterdir())
        found.append([file.read_text().replace(str(tmp_path / name), "") for file in files])
    assert len(found[0]) == 5
    assert found[0] == found[1]


def test_what_is_kept_of_a_scan_is_small(study):
    pairs, _ = pair_up(
        {"good": study / "good"},
        study / "truth",
        space=None,
        modalities=None,
        participants=["P1"],
        controls=(),
        chosen={},
    )
    _, row = evaluate(pairs, controls=(), tell=lambda _: None).rows
    assert len(pickle.dumps(row)) < 40_000


def test_people_without_truth_are_named_and_left_out(study, tmp_path, capsys):
    command = [str(study / "good"), "--truth", str(study / "truth"), "--output", str(tmp_path)]
    assert main([*command, "--participant-label", "P1", "sub-C1"]) == 0
    assert "has no mask of them: sub-C1_ses-1_run-1_FLAIR." in capsys.readouterr().err
    assert list(of_models(tmp_path)["participant_id"]) == ["sub-P1"]
    page = (tmp_path / "evaluation.html").read_text()
    assert "sub-C1_ses-1_run-1_FLAIR" in page


def test_scans_with_an_empty_mask_are_controls_where_none_are_declared(
    study, write_truth, grid, tmp_path
):
    truth = tmp_path / "truth"
    for label in CONTROLS:
        write_truth(truth, {"sub": label}, np.zeros(grid.shape))
    command = [str(study / "good"), "--truth", str(truth), "--output", str(tmp_path / "out")]
    assert main(command) == 0
    table = of_models(tmp_path / "out")
    assert set(table["group"]) == {"control"}
    assert table["auprc"].isna().all()
    assert (tmp_path / "out" / "evaluation.html").read_text().count("<svg") == 1


def test_a_patient_whose_lesion_is_too_small_for_the_grid_is_no_control(
    study, write_truth, grid, tmp_path
):
    # One voxel of 1 mm is a sixty-fourth of a voxel of the results.
    fine = Grid.isotropic((104, 104, 104), (-51.5, -51.5, -51.5), 1.0)
    speck = np.zeros(fine.shape)
    speck[50, 50, 50] = 1
    truth = tmp_path / "truth"
    write_truth(truth, {"sub": "P1"}, speck, fine)
    write_truth(truth, {"sub": "C1"}, np.zeros(grid.shape))
    command = [str(study / "good"), "--truth", str(truth), "--output", str(tmp_path / "out")]
    assert main(command) == 0
    table = of_models(tmp_path / "out").set_index("participant_id")
    assert table["group"].to_dict() == {"sub-C1": "control", "sub-P1": "patient"}
    assert table.loc["sub-P1", "lesion_ml"] == 0


def test_a_lesion_that_brain_extraction_lost_is_missed(write_result, write_truth, ball, tmp_path):
    # Half of the one lesion lies outside the brain, and all of what is inside is marked.
    entities, lesion = {"sub": "01"}, ball((44, 0, 0), 16)
    inside = lesion & ball((0, 0, 0), 44)
    write_result(tmp_path / "out", entities, lesion=inside, strength=50)
    write_truth(tmp_path / "truth", entities, lesion | ball((0, 0, 48), 7) & ~ball((0, 0, 0), 44))
    assert main([str(tmp_path / "out"), "--truth", str(tmp_path / "truth")]) == 0
    row = of_models(tmp_path / "out" / "group" / "evaluation").iloc[0]
    assert row["auprc"] == 1
    truth = row["lesion_ml"] / 0.064
    assert row["lesion_outside_ml"] / 0.064 == pytest.approx(truth - inside.sum())
    assert row["dice"] == pytest.approx(2 * inside.sum() / (inside.sum() + truth), abs=1e-3)
    assert (row["lesions_all"], row["lesions_found_all"]) == (2, 1)


def test_the_rim_of_a_lesion_that_was_found_is_no_false_component(
    write_result, write_truth, ball, tmp_path
):
    # Marked 8 mm further than the lesion reaches, and in one other place.
    entities = {"sub": "01"}
    marked = ball((0, 0, 0), 20) | ball((30, 0, 0), 7)
    write_result(tmp_path / "out", entities, lesion=marked, strength=50)
    write_truth(tmp_path / "truth", entities, ball((0, 0, 0), 12))
    assert main([str(tmp_path / "out"), "--truth", str(tmp_path / "truth")]) == 0
    row = of_models(tmp_path / "out" / "group" / "evaluation").iloc[0]
    assert (row["components_all"], row["false_components"]) == (2, 1)


def test_with_the_healthy_scans_the_way_back_to_health_is_measured(
    write_result, write_truth, lesion, tmp_path
):
    entities = {"sub": "01"}
    write_result(tmp_path / "lesioned", entities, lesion=lesion(1))
    write_result(tmp_path / "healthy", entities)
    write_truth(tmp_path / "truth", entities, lesion(1))
    command = [str(tmp_path / "lesioned"), "--truth", str(tmp_path / "truth")]
    assert main([*command, "--healthy", str(tmp_path / "healthy")]) == 0
    # The default place, which the output folder's .bidsignore knows.
    table = of_models(tmp_path / "lesioned" / "group" / "evaluation")
    assert table["ahi"].tolist() == pytest.approx([0.75], rel=1e-3)


def test_one_unreadable_mask_does_not_stop_the_others(study, lesion, write_truth, tmp_path, capsys):
    truth = tmp_path / "truth"
    for label in ("P1", "P2"):
        path = write_truth(truth, {"sub": label}, lesion(1))
    path.write_bytes(b"no image")
    command = [str(study / "good"), "--truth", str(truth), "--output", str(tmp_path / "out")]
    assert main([*command, "--participant-label", "P1", "P2"]) == 1
    assert "sub-P2_ses-1_run-1_FLAIR could not be evaluated" in capsys.readouterr().err
    assert list(of_models(tmp_path / "out")["participant_id"]) == ["sub-P1"]
    assert "cannot be read" in (tmp_path / "out" / "evaluation.html").read_text()
    assert main([*command, "--participant-label", "P2"]) == 65


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["{good}", "--truth", "nowhere"], 66, "There is no folder of masks"),
        (["{good}", "--truth", "{good}"], 2, "is a folder of results"),
        (["{study}", "--truth", "{truth}"], 18, "has no results of bids-anomaly"),
        (["{good}", "--truth", "{truth}", "--modalities", "T1w"], 18, "(T1w in native space"),
        (["{good}", "--truth", "{truth}", "--space", "MNI"], 18, "in MNI space"),
        (["{good}", "--truth", "{truth}", "--participant-label", "X"], 18, "of X (any modality"),
        (["{good}", "--truth", "{truth}", "--truth-entities", "label=WMH"], 18, "has a mask in"),
        (["{good}", "--truth", "{truth}", "--controls", "group=alien"], 18, "Nobody in"),
        (["{good}", "--truth", "{truth}", "--controls", "sex=F"], 66, "has no column sex"),
        (["{good}", "{bad}", "--truth", "{truth}"], 2, "say where to with --output"),
        (["a={good}", "a={bad}", "--truth", "{truth}"], 2, "Name them apart"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error_of_one_sentence(
    study, capsys, tmp_path, options, code, said
):
    places = {"study": study} | {name: study / name for name in ("good", "bad", "truth")}
    arguments = [option.format(**places) for option in options]
    several = sum("=" in option or "{" in option for option in options[:2]) > 1
    if not several or "nowhere" in options:
        arguments += ["--output", str(tmp_path / "out")]
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "options", [["--truth", "x"], ["."], [".", "--truth", "x", "--truth-entities", "WMH"]]
)
def test_wrong_use_exits_with_2(options, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    assert "usage: bids-anomaly-evaluate" in capsys.readouterr().err


def test_the_installed_command_says_what_it_takes():
    command = Path(sysconfig.get_path("scripts")) / "bids-anomaly-evaluate"
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=True)
    assert "--truth" in done.stdout
