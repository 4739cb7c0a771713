"""The group level by the real command, on results of people who do not exist."""

import json
import shutil
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from bids_anomaly.bids.tables import read_table
from bids_anomaly.cli.main import main
from bids_anomaly.cli.parser import parse_args
from bids_anomaly.group import analysis
from bids_anomaly.group.enhancement import tfce_test
from bids_anomaly.preprocessing.template import OUTPUT_GRID, TEMPLATE

MAP = f"space-{TEMPLATE}"
Z_OF_04 = f"sub-04_{MAP}_desc-zscore_T1w.nii.gz"


def read(path: Path) -> np.ndarray:
    return nib.load(path).get_fdata(dtype=np.float32)


@pytest.fixture(scope="module")
def finished(study, command, tmp_path_factory):
    """Patients against controls, where one control's map is cut off."""
    out = tmp_path_factory.mktemp("group") / "out"
    shutil.copytree(study.folder, out)
    broken = out / "sub-04" / "anat" / Z_OF_04
    broken.write_bytes(broken.read_bytes()[:5000])
    work = out.parent / "work"
    run = command("nowhere", out, "group", "--controls", "group=control", "-w", work)
    return out, run, work


def test_one_broken_map_stops_nobody_else(finished):
    out, run, work = finished
    assert run.code == 1, run.stderr
    assert "10 of 11 sessions came in" in run.stdout
    assert run.stderr.startswith(f"sub-04 is left out. The map {Z_OF_04} cannot be read")
    people = [row["participant_id"] for row in read_table(out / "group/desc-people_stats.tsv")]
    assert people == [f"sub-{number:02}" for number in range(11) if number != 4]
    assert list(work.iterdir()) == []


def test_the_frequency_is_the_share_of_people_with_an_anomaly(finished, study):
    out, *_ = finished
    masks = {label: mask for label, mask in study.masks.items() if label != "04"}
    frequency = out / "group" / f"{MAP}_label-lesion_desc-frequency_probseg.nii.gz"
    np.testing.assert_allclose(read(frequency), np.mean(list(masks.values()), axis=0), atol=1e-6)
    np.testing.assert_allclose(nib.load(frequency).affine, OUTPUT_GRID.affine)
    of_patients = read(frequency.with_name(f"cohort-patient_{frequency.name}"))
    assert set(np.unique(of_patients)) == {0.0, 1.0}


def test_a_planted_difference_is_found_where_it_is(finished, patients):
    out, *_ = finished
    stem = out / "group" / f"cohort-patient_{MAP}_desc"
    p = 10 ** -read(Path(f"{stem}-logpT1w_statmap.nii.gz"))
    found = p < 0.05
    assert found.sum() > 0
    assert patients[found].mean() > 0.9
    assert (read(Path(f"{stem}-tT1w_statmap.nii.gz"))[found & patients] > 0).all()
    rows = read_table(out / "group" / "atlas-DLMUSE_desc-comparisons_stats.tsv")
    regions = {(r["name"], r["modality"]) for r in rows if r["p"] != "n/a" and float(r["p"]) < 0.05}
    assert ("Parietal_WM_L", "primary") in regions
    (pair,) = read_table(out / "group" / "desc-differences_stats.tsv")
    assert (pair["group_1"], pair["group_2"]) == ("patient", "control")
    assert float(pair["p_holm"]) < 0.05
    assert float(pair["difference"]) > 2000


def test_patients_are_like_patients_when_they_are_left_out(finished):
    out, *_ = finished
    people = read_table(out / "group" / "desc-likeness_stats.tsv")
    assert len(people) == 10
    assert all(row["most_like"] == row["group"] for row in people)
    told = read_table(out / "group" / "desc-recognition_stats.tsv")
    assert float(told[0]["p"]) < 0.05
    decide = read_table(out / "group" / "atlas-DLMUSE_desc-deciding_stats.tsv")
    assert "Parietal_WM_L" in {row["name"] for row in decide if row["group"] == "patient"}
    page = (out / "group.html").read_text()
    assert "Regions that decide" in page
    assert "Most like" in page


@pytest.fixture(scope="module")
def finished_without_difference(study, tmp_path_factory):
    """Two wards that do not differ; and which files were mapped when their folder was removed."""
    folder = tmp_path_factory.mktemp("wards")
    remove, mapped, maps = shutil.rmtree, [], Path("/proc/self/maps")

    def look_and_remove(removed, **options):
        lines = maps.read_text().splitlines() if maps.exists() else []
        mapped.extend(line for line in lines if str(removed) in line)
        remove(removed, **options)

    out, work = shutil.copytree(study.folder, folder / "out"), folder / "work"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "rmtree", look_and_remove)
        arguments = ["nowhere", str(out), "group", "--controls", "ward=a", "-w", str(work)]
        assert main(arguments) == 0
    return out, work, mapped


@pytest.mark.slow
def test_where_nothing_differs_nothing_is_found(finished_without_difference):
    out, *_ = finished_without_difference
    logp = read(out / "group" / f"cohort-b_{MAP}_desc-logpT1w_statmap.nii.gz")
    assert (10**-logp).min() > 0.05
    page = (out / "group.html").read_text()
    assert "No voxel differs" in page
    assert "nobody is said to be like a group" in page
    assert not (out / "group" / "desc-likeness_stats.tsv").exists()


@pytest.mark.slow
def test_files_are_let_go_before_they_are_removed(finished_without_difference):
    """NFS keeps the folder of a file that is still mapped, and removing it fails."""
    _, work, mapped = finished_without_difference
    assert mapped == []
    assert list(work.iterdir()) == []


def test_the_tables_hold_everybody_and_describe_every_column(finished, study):
    out, *_ = finished
    for table in (out / "group").glob("*.tsv"):
        rows = read_table(table)
        described = json.loads(table.with_suffix(".json").read_text())
        assert set(rows[0]) == set(described) - {"Description"}, table.name
        assert all("Description" in described[column] for column in rows[0]), table.name
    people = {r["participant_id"]: r for r in read_table(out / "group/desc-people_stats.tsv")}
    volume = study.masks["07"].sum() * OUTPUT_GRID.voxel_volume
    assert float(people["sub-07"]["anomalous_volume"]) == pytest.approx(volume, rel=1e-4)
    assert people["sub-07"]["age"] == study.rows[7]["age"]
    assert people["sub-03"]["quality_flags"] == "sub-03_T1w:noise"


def test_the_page_needs_nothing_else_and_links_to_the_people(finished):
    out, *_ = finished
    page = (out / "group.html").read_text()
    assert '<a href="sub-03.html">sub-03</a>' in page
    assert "sub-04: The map" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_the_same_command_again_gives_the_same_files(study, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(study.folder, out)
    group = ["nowhere", str(out), "group", "-w", str(tmp_path / "work")]
    assert main(group) == 0
    before = {path: path.read_bytes() for path in (*out.glob("group/*"), out / "group.html")}
    of_another_run = out / "group" / f"cohort-other_{MAP}_desc-tT1w_statmap.nii.gz"
    of_another_run.touch()
    assert main(group) == 0
    after = {path: path.read_bytes() for path in (*out.glob("group/*"), out / "group.html")}
    assert after == before


def test_the_results_are_valid_bids(finished, assert_valid_bids):
    out, *_ = finished
    assert (out / "group.html").is_file()
    # What the synthetic participants lack is no concern of the group level.
    kept = out.parent / "valid"
    shutil.copytree(out, kept, ignore=shutil.ignore_patterns("sub-*"))
    (kept / "participants.tsv").unlink()
    assert_valid_bids(kept)


def test_a_dry_run_says_who_and_writes_nothing(study, capsys):
    before = sorted(study.folder.rglob("*"))
    asked = ["--participant-label", *(f"{n:02}" for n in (0, 1, 2, 3, 6, 7))]
    group = ["nowhere", str(study.folder), "group", "--controls", "group=control"]
    assert main([*group, "--dry-run", *asked]) == 0
    printed = capsys.readouterr().out
    assert "6 sessions of 6 people" in printed
    assert "group=patient: fewer than 4 people, not compared" in printed
    assert "sub-08" not in printed
    assert sorted(study.folder.rglob("*")) == before


def test_who_is_excluded_does_not_come_in_and_is_not_called_missing(study, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(study.folder, out)
    group = ["nowhere", str(out), "group", "-w", str(tmp_path / "w")]
    assert main([*group, "--exclude-participant-label", "04,05"]) == 0
    people = read_table(out / "group" / "desc-people_stats.tsv")
    assert {row["participant_id"] for row in people} == {
        f"sub-{number:02}" for number in range(11) if number not in (4, 5)
    }
    assert "sub-04" not in (out / "group.html").read_text()


def test_the_configuration_of_a_run_does_the_group_again(finished):
    out, *_ = finished
    (log,) = (out / "logs").iterdir()
    settings = parse_args(["--config-file", str(log / "config.toml")])
    assert settings.to_json_dict() == json.loads((log / "run.json").read_text())["settings"]


@pytest.mark.slow
def test_voxels_are_also_compared_with_cluster_enhancement(study, patients, monkeypatch, tmp_path):
    # A thousand take half an hour.
    monkeypatch.setattr(analysis, "tfce_test", partial(tfce_test, permutations=4))
    out = shutil.copytree(study.folder, tmp_path / "out")
    group = ["nowhere", str(out), "group", "--controls", "group=control", "--tfce"]
    assert main([*group, "-w", str(tmp_path / "work")]) == 0
    stem = out / "group" / f"cohort-patient_{MAP}_desc"
    score = read(Path(f"{stem}-tfceT1w_statmap.nii.gz"))
    # What touches the lesion is in its cluster.
    assert binary_dilation(patients, iterations=2)[np.unravel_index(score.argmax(), score.shape)]
    p = 10 ** -read(Path(f"{stem}-logptfceT1w_statmap.nii.gz"))
    assert p.min() == pytest.approx(1 / 5, rel=1e-3)
    described = json.loads(Path(f"{stem}-tfceT1w_statmap.json").read_text())
    assert "Smith and Nichols 2009" in described["Description"]
    page = (out / "group.html").read_text()
    assert "With cluster enhancement (TFCE)" in page
    assert "Smith and Nichols 2009" in page


def test_text_from_tables_is_shown_and_not_run(study, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(study.folder, out)
    group = ["nowhere", str(out), "group", "--controls", "hospital=y", "-w", str(tmp_path / "w")]
    assert main([*group, "--participant-label", "00", "01", "02"]) == 0
    page = (out / "group.html").read_text()
    assert "<i>x</i>" not in page
    assert "fewer than 4 people: y (2), &lt;i&gt;x&lt;/i&gt; (1)." in page


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--controls", "group=alien"], 18, "Nobody in"),
        (["--controls", "clinic=a"], 66, "has no column clinic"),
        (["--participant-label", "99"], 18, "has no sub-99"),
        (["--exclude-participant-label", "99"], 18, "has no sub-99"),
        (["--use-plugin", "{file}"], 2, "--use-plugin cannot be used at the group level"),
        (["--healthy-fpr", "0.01"], 2, "--healthy-fpr cannot be used at the group level"),
        (["--model", "threshold"], 2, "--model cannot be used at the group level"),
        (["--tfce"], 2, "--tfce compares groups, and --controls does not say"),
        (
            ["--tfce", "--controls", "group=control", "--mem", "0.1G"],
            2,
            "--tfce compares 11 people at once, for which it needs about 0.12 GB",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(study, capsys, arguments, code, message):
    file = study.folder / "participants.tsv"
    given = [argument.format(file=file) for argument in arguments]
    assert main(["nowhere", str(study.folder), "group", *given, "--dry-run"]) == code
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_an_empty_output_folder_has_nobody_to_group(tmp_path, capsys):
    assert main(["nowhere", str(tmp_path), "group"]) == 18
    assert "Run the participant level first" in capsys.readouterr().err
