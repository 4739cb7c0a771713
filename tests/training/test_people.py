import pytest

from bids_anomaly.bids.participants import participants_by
from bids_anomaly.bids.reading import describe_dataset
from bids_anomaly.exceptions import BadScanError, MissingInputError, NothingFoundError
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.training.people import (
    SPLITS,
    find_people,
    load_people,
    read_splits,
    split_people,
    write_splits,
)

PEOPLE = [f"sub-{number:02d}" for number in range(20)]


@pytest.fixture
def nowhere(tmp_path):
    return tmp_path / "splits.tsv"


def test_scans_are_found_with_their_brains_and_people(preprocessed):
    people = load_people(preprocessed, modality="T1w")
    assert [scan.participant for scan in people] == [f"sub-P{number}" for number in range(8)]
    assert all(scan.scan.shape == scan.brain.shape for scan in people)
    chosen = load_people(preprocessed, modality="FLAIR", participants={"sub-P1", "sub-P7"})
    assert [scan.participant for scan in chosen] == ["sub-P1"]


def test_no_scan_at_all_is_an_error_that_says_what_to_run(preprocessed):
    with pytest.raises(NothingFoundError, match="--stage preprocess --modalities T2w"):
        load_people(preprocessed, modality="T2w")
    assert find_people(preprocessed, modality="T2w") == []


def test_a_scan_in_another_grid_is_named(tmp_path, write_person):
    write_person(tmp_path, "01")
    write_person(tmp_path, "02", grid=Grid.isotropic((32, 48, 32), (-77.5, -132.5, -70.0), 5.0))
    with pytest.raises(BadScanError, match=r"sub-02_space.* has another grid"):
        load_people(tmp_path, modality="T1w")


def test_a_scan_without_its_brain_is_named(tmp_path, write_person):
    write_person(tmp_path, "01")
    next(tmp_path.rglob("*_mask.nii.gz")).unlink()
    with pytest.raises(BadScanError, match=r"desc-affinebrainT1w_mask.*cannot be read"):
        load_people(tmp_path, modality="T1w")


def test_people_are_chosen_by_a_column(preprocessed):
    controls = participants_by(preprocessed / "participants.tsv", "group")["control"]
    assert controls == {"sub-P1", "sub-P3", "sub-P5", "sub-P7"}


@pytest.mark.parametrize("text", ["", "participant_id\tage\nsub-01\t3\n", "subject\tsplit\n1\t2\n"])
def test_a_table_without_the_column_says_what_it_needs(tmp_path, text):
    table = tmp_path / "table.tsv"
    table.write_text(text)
    with pytest.raises(MissingInputError, match="has no column"):
        read_splits(table)


def test_a_missing_table_is_named(nowhere):
    with pytest.raises(MissingInputError, match=nowhere.name):
        read_splits(nowhere)


def test_a_person_in_two_splits_is_refused(tmp_path):
    table = tmp_path / "splits.tsv"
    rows = ["sub-01\ttrain", "sub-02\ttrain", "sub-02\tcalibration"]
    table.write_text("\n".join(["participant_id\tsplit", *rows]) + "\n")
    with pytest.raises(MissingInputError, match="sub-02 in the splits calibration and train"):
        read_splits(table)


def test_drawn_splits_are_of_whole_people_and_the_same_each_time(nowhere):
    splits = split_people(PEOPLE, None, seed=3, drawn=nowhere)
    assert splits == split_people(PEOPLE[::-1], None, seed=3, drawn=nowhere)
    assert splits != split_people(PEOPLE, None, seed=4, drawn=nowhere)
    assert sorted(person for people in splits.values() for person in people) == PEOPLE
    assert [len(splits[name]) for name in SPLITS] == [14, 4, 2]


def test_a_draw_is_kept_to_when_people_are_added(nowhere):
    splits = split_people(PEOPLE, None, seed=3, drawn=nowhere)
    write_splits(nowhere, splits)
    assert split_people([*PEOPLE, "sub-99"], None, seed=3, drawn=nowhere) == splits


def test_too_few_people_are_refused(nowhere, tmp_path):
    with pytest.raises(NothingFoundError, match="too few people: 5"):
        split_people(PEOPLE[:5], None, seed=0, drawn=nowhere)
    table = tmp_path / "table.tsv"
    write_splits(table, {"train": set(PEOPLE[:5]), "calibration": set(PEOPLE[5:7])})
    with pytest.raises(NothingFoundError, match="split calibration: 2 of at least 3"):
        split_people(PEOPLE, table, seed=0, drawn=nowhere)


def test_name_and_licence_are_those_of_the_dataset(preprocessed, tmp_path):
    assert describe_dataset(preprocessed) == {"name": "ellipsoids", "licence": "CC0"}
    assert describe_dataset(tmp_path)["licence"] == "unknown"
