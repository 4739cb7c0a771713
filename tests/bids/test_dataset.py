import json
from pathlib import Path

import pytest

import bids_anomaly
from bids_anomaly.bids.dataset import (
    BIDSIGNORE,
    RAW,
    copy_participants,
    derivative_description,
    write_dataset_files,
)
from bids_anomaly.bids.participants import read_participants
from bids_anomaly.exceptions import InvalidBidsError, MissingInputError


@pytest.fixture
def raw(tmp_path):
    """A dataset with a description and participants."""
    folder = tmp_path / "raw data"
    folder.mkdir()
    description = {
        "Name": "Zürich",
        "BIDSVersion": "1.6.0",
        "License": "CC0",
        "DatasetDOI": "doi:10.0/1",
    }
    (folder / "dataset_description.json").write_text(json.dumps(description), encoding="utf-8")
    (folder / "participants.tsv").write_text("participant_id\tage\nsub-01\t61\n")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_results_say_what_made_them(raw, monkeypatch):
    monkeypatch.delenv("BIDS_ANOMALY_CONTAINER", raising=False)
    description = derivative_description(raw)
    assert description["DatasetType"] == "derivative"
    (generator,) = description["GeneratedBy"]
    assert generator["Name"] == "bids-anomaly"
    assert generator["Version"] == bids_anomaly.__version__
    assert generator["CodeURL"].startswith("https://")
    assert "Container" not in generator


def test_in_a_container_the_results_say_which(raw, monkeypatch):
    monkeypatch.setenv("BIDS_ANOMALY_CONTAINER", "bids-anomaly:0.1.0")
    (generator,) = derivative_description(raw)["GeneratedBy"]
    assert generator["Container"] == {"Type": "docker", "Tag": "bids-anomaly:0.1.0"}


def test_the_results_say_where_they_are_from_and_keep_the_licence(raw):
    description = derivative_description(raw)
    (source,) = description["SourceDatasets"]
    assert source["URL"] == raw.as_uri()
    assert source["DOI"] == "doi:10.0/1"
    assert description["License"] == "CC0"
    assert "Zürich" in description["Name"]
    assert "SourceDOI" not in description


def test_jobs_side_by_side_write_the_same_bytes(raw, tmp_path):
    for name in ("first", "second", "first"):
        write_dataset_files(raw, tmp_path / name)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_the_table_of_participants_is_that_of_the_input(raw, tmp_path):
    write_dataset_files(raw, tmp_path / "out")
    written = contents(tmp_path / "out")
    assert written["participants.tsv"] == (raw / "participants.tsv").read_bytes()
    assert "participants.json" not in written
    assert set(written) == {"dataset_description.json", ".bidsignore", "participants.tsv"}


TABLE = "participant_id\tage\tsite\nsub-01\t95\tZürich\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_old_people_are_hidden_whatever_else_the_table_says(encoding, raw, tmp_path):
    (raw / "participants.tsv").write_text(TABLE, encoding=encoding)
    write_dataset_files(raw, tmp_path / "out")
    written = (tmp_path / "out" / "participants.tsv").read_text(encoding="utf-8")
    assert written == TABLE.replace("95", "89+")
    assert read_participants(raw)["sub-01"] == {
        "participant_id": "sub-01",
        "age": "95",
        "site": "Zürich",
    }


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("read", [read_participants, copy_participants], ids=["read", "copy"])
def test_a_table_of_participants_in_another_encoding_is_named(read, encoding, raw, tmp_path):
    (raw / "participants.tsv").write_text(TABLE, encoding=encoding)
    arguments = [raw] if read is read_participants else [raw, tmp_path / "out"]
    with pytest.raises(InvalidBidsError, match=r"participants\.tsv is not in UTF-8.*iconv"):
        read(*arguments)
    assert not (tmp_path / "out" / "participants.tsv").exists()


@pytest.mark.parametrize("name", ["participants.tsv", "participants.json"])
def test_a_file_about_participants_that_may_not_be_read_is_named(name, raw, tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    (raw / name).touch()
    monkeypatch.setattr(Path, "read_bytes" if name.endswith("json") else "read_text", refuse)
    with pytest.raises(MissingInputError, match=rf"{name} cannot be read \(Permission denied"):
        copy_participants(raw, tmp_path / "out")


def test_a_table_of_participants_that_was_not_fetched_is_not_passed_over(raw):
    (raw / "participants.tsv").unlink()
    (raw / "participants.tsv").symlink_to(".git/annex/objects/no/MD5E-s9--0.tsv")
    with pytest.raises(MissingInputError, match=r"datalad get .*participants\.tsv"):
        read_participants(raw)


def test_a_dataset_need_not_know_its_participants(raw, tmp_path):
    (raw / "participants.tsv").unlink()
    assert read_participants(raw) == read_participants(tmp_path / "nowhere") == {}
    copy_participants(raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_the_validator_does_not_know_is_ignored(raw, tmp_path):
    write_dataset_files(raw, tmp_path / "out")
    lines = (tmp_path / "out" / ".bidsignore").read_text().splitlines()
    assert lines == list(BIDSIGNORE)
    assert {"*.html", "figures", "logs", "*_xfm.*"} <= set(lines)


def test_every_source_of_a_scan_is_in_a_dataset_that_the_description_names(raw, tmp_path):
    folder = tmp_path / "fmriprep"
    description = derivative_description(raw, [("fmriprep", folder)])
    assert description["DatasetLinks"] == {RAW: raw.as_uri(), "fmriprep": folder.as_uri()}
    assert [source["URL"] for source in description["SourceDatasets"]] == [
        raw.as_uri(),
        folder.as_uri(),
    ]


def test_the_input_is_left_alone(raw, tmp_path):
    before = contents(raw)
    write_dataset_files(raw, tmp_path / "out")
    assert contents(raw) == before


def test_the_datasets_of_other_runs_into_the_folder_keep_their_names(raw, tmp_path):
    first, second, out = tmp_path / "fmriprep", tmp_path / "other", tmp_path / "out"
    write_dataset_files(raw, out, [("fmriprep", first)])
    write_dataset_files(raw, out, [("other", second)])
    write_dataset_files(raw, out)
    description = json.loads((out / "dataset_description.json").read_text(encoding="utf-8"))
    links = {RAW: raw.as_uri(), "other": second.as_uri(), "fmriprep": first.as_uri()}
    assert description["DatasetLinks"] == links
    assert {one["URL"] for one in description["SourceDatasets"]} == set(links.values())
