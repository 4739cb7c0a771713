import itertools
import json
import os
import pickle
import shutil
import string
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bids.layout import BIDSLayout, BIDSLayoutIndexer
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bids_anomaly.bids.contrast import after_contrast_agent
from bids_anomaly.bids.naming import output_path
from bids_anomaly.bids.query import find_sessions, read_bids_filter
from bids_anomaly.exceptions import (
    CannotWriteError,
    InvalidBidsError,
    MissingInputError,
    NothingFoundError,
    UsageError,
)

pytestmark = pytest.mark.filterwarnings("error")

IMAGE = nib.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4)).to_bytes()


def make_dataset(root: Path, *names: str, description: dict | None = None) -> Path:
    """Make a dataset with an image for each name, in the folder that its entities ask for."""
    root.mkdir(parents=True, exist_ok=True)
    description = description or {"Name": "phantoms", "BIDSVersion": "1.10.0"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    for name in names:
        folders = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
        add(root / Path(*folders) / "anat" / f"{name}.nii")
    return root


def add(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(IMAGE)


def names(sessions) -> list[str]:
    return [scan.name for session in sessions for scan in session.scans]


def labels(sessions) -> list[str]:
    return [session.label for session in sessions]


@pytest.fixture
def dataset(tmp_path):
    """sub-01 has two sessions, sub-02 none, sub-03 a FLAIR only."""
    return make_dataset(
        tmp_path / "dataset",
        "sub-01_ses-1_T1w",
        "sub-01_ses-1_FLAIR",
        "sub-01_ses-2_T1w",
        "sub-02_T1w",
        "sub-02_T2w",
        "sub-03_FLAIR",
    )


# What is found


def test_participants_with_and_without_sessions_are_found_together(dataset):
    sessions = find_sessions(dataset)
    assert labels(sessions) == ["sub-01_ses-1", "sub-01_ses-2", "sub-02", "sub-03"]
    assert [(each.participant, each.session) for each in sessions] == [
        ("01", "1"),
        ("01", "2"),
        ("02", None),
        ("03", None),
    ]
    scan = sessions[0].scans[0]
    assert scan.path == dataset / "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii"
    assert scan.suffix == "T1w"


def test_t1w_comes_first_then_the_requested_order_then_the_name(tmp_path):
    dataset = make_dataset(
        tmp_path,
        "sub-01_run-02_T1w",
        "sub-01_run-01_T1w",
        "sub-01_acq-x_T2w",
        "sub-01_T2w",
        "sub-01_FLAIR",
        "sub-01_PDw",
    )
    [session] = find_sessions(dataset, modalities=("FLAIR", "T2w", "T1w", "T2w"))
    assert names([session]) == [
        "sub-01_run-01_T1w",
        "sub-01_run-02_T1w",
        "sub-01_FLAIR",
        "sub-01_T2w",
        "sub-01_acq-x_T2w",
    ]


def test_without_a_t1w_the_first_requested_modality_is_the_reference(tmp_path):
    dataset = make_dataset(tmp_path, "sub-01_T2w", "sub-01_FLAIR")
    assert names(find_sessions(dataset, modalities=("FLAIR", "T2w")))[0] == "sub-01_FLAIR"


LABELS = st.text(string.ascii_letters + string.digits, min_size=1, max_size=4)
INDICES = st.from_regex(r"0{0,2}[1-9][0-9]?", fullmatch=True)


@st.composite
def entities(draw):
    """Entities in the order of BIDS, some of them absent."""
    found = {"sub": draw(LABELS)}
    for key, values in {
        "ses": LABELS,
        "acq": LABELS,
        "ce": st.just("none"),
        "rec": LABELS,
        "run": INDICES,
        "echo": INDICES,
    }.items():
        if (value := draw(st.none() | values)) is not None:
            found[key] = value
    return found


@settings(max_examples=10)
@given(st.lists(st.tuples(entities(), st.sampled_from(["T1w", "T2w", "FLAIR"])), min_size=3))
def test_a_name_made_from_entities_gives_the_same_entities(scans):
    wanted = {
        "_".join([*(f"{key}-{value}" for key, value in entities.items()), suffix]): entities
        for entities, suffix in scans
        if after_contrast_agent(entities) is None
    }
    assume(wanted)
    with tempfile.TemporaryDirectory() as folder:
        found = find_sessions(make_dataset(Path(folder), *wanted))
    assert {scan.name: scan.entities for session in found for scan in session.scans} == wanted
    for session in found:
        for scan in session.scans:
            assert list(scan.entities) == list(wanted[scan.name])
            assert scan.entities["sub"] == session.participant
            assert scan.entities.get("ses") == session.session
            assert scan.name.startswith(session.label + "_")


def test_derivatives_and_other_folders_of_the_dataset_are_ignored(dataset):
    for folder in ("derivatives/x", "sourcedata", "code", ".git", "sub-01/ses-1/extra"):
        add(dataset / folder / "sub-02" / "anat" / "sub-02_T1w.nii")
    add(dataset / "sub-02/func/sub-02_T1w.nii")
    add(dataset / "sub-02/anat/old/sub-02_T1w.nii")
    add(dataset / "sub-02/anat/._sub-02_T1w.nii")
    (dataset / "sub-02/anat/sub-02_T1w.json").write_text("{}")
    assert len(names(find_sessions(dataset))) == 6


def test_processed_images_and_images_that_are_no_magnitude_are_ignored(tmp_path):
    dataset = make_dataset(
        tmp_path,
        "sub-01_T1w",
        "sub-01_part-mag_T2w",
        "sub-01_part-phase_T2w",
        "sub-01_part-real_T2w",
        "sub-01_part-imag_T2w",
        "sub-01_space-MNI152NLin2009aSym_T1w",
        "sub-01_desc-preproc_T1w",
        "sub-01_space-T1w_label-lesion_FLAIR",
    )
    assert names(find_sessions(dataset)) == ["sub-01_T1w", "sub-01_part-mag_T2w"]


def test_a_file_whose_name_contradicts_its_folder_is_left_out_with_a_warning(dataset, caplog):
    for name in ("sub-01_T1w", "sub-02_ses-1_T1w", "sub-02_acq_T1w", "acq-x_T1w"):
        add(dataset / "sub-02" / "anat" / f"{name}.nii")
    assert len(names(find_sessions(dataset))) == 6
    assert "sub-02/anat/sub-01_T1w.nii" in caplog.text
    assert "sub-02/anat/sub-02_acq_T1w.nii" in caplog.text
    assert len(caplog.records) == 4


def test_a_scan_that_is_there_compressed_and_not_is_used_once(dataset, caplog):
    add(dataset / "sub-02/anat/sub-02_T1w.nii.gz")
    [session] = find_sessions(dataset, participants=["02"])
    assert [scan.path.name for scan in session.scans] == ["sub-02_T1w.nii.gz", "sub-02_T2w.nii"]
    assert "sub-02_T1w.nii is left out" in caplog.text


def test_an_entity_of_anatomical_scans_is_kept_and_one_that_is_not_bids_is_named(tmp_path, caplog):
    names = ("sub-01_task-rest_T1w", "sub-01_foo-1_bar-2_T1w")
    [session] = find_sessions(make_dataset(tmp_path / "raw", *names))
    [scan] = session.scans
    assert scan.entities == {"sub": "01", "task": "rest"}
    path = output_path(tmp_path, "zscore", scan.entities, modality="T1w")
    assert path.name == "sub-01_task-rest_desc-zscore_T1w.nii.gz"
    assert (
        "sub-01_foo-1_bar-2_T1w.nii is left out, because anatomical scans have no bar-, foo-"
        in (caplog.text)
    )


def test_folders_above_the_dataset_that_look_like_entities_do_not_matter(tmp_path):
    root = tmp_path / "sub-99" / "ses-7" / "run-3" / "anat" / "acq-y b#1"
    [session] = find_sessions(make_dataset(root, "sub-01_T1w"), participants=["01"])
    assert session.scans[0].entities == {"sub": "01"}
    assert session.scans[0].sources == ("bids:raw:sub-01/anat/sub-01_T1w.nii",)
    assert session.session is None


def test_a_session_knows_what_the_table_says_of_its_participant(tmp_path):
    folder = make_dataset(tmp_path / "raw", "sub-01_T1w", "sub-02_ses-1_T1w")
    (folder / "participants.tsv").write_text("participant_id\tage\nsub-02\t61\n")
    nobody, somebody = find_sessions(folder)
    assert nobody.known == {}
    assert somebody.known == {"participant_id": "sub-02", "age": "61"}


def test_a_link_to_a_scan_that_was_not_fetched_is_kept_for_the_reader(dataset, tmp_path):
    (dataset / "sub-02/anat/sub-02_FLAIR.nii.gz").symlink_to("../../.git/annex/objects/none")
    for database_dir in (None, tmp_path / "database", tmp_path / "database"):
        sessions = find_sessions(dataset, participants=["02"], database_dir=database_dir)
        assert names(sessions) == ["sub-02_T1w", "sub-02_FLAIR", "sub-02_T2w"]


def test_a_dataset_that_calls_itself_a_derivative_is_read_quietly(tmp_path):
    description = {"Name": "stripped", "BIDSVersion": "1.4.0", "DatasetType": "derivative"}
    dataset = make_dataset(tmp_path, "sub-01_T1w", description=description)
    assert names(find_sessions(dataset)) == ["sub-01_T1w"]


def test_the_input_is_not_written_to(dataset):
    def content():
        return sorted((str(path), path.stat().st_mtime_ns) for path in dataset.rglob("*"))

    before = content()
    paths = [dataset, *dataset.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert len(find_sessions(dataset)) == 4
        assert content() == before
    finally:
        for path in paths:
            path.chmod(0o755)


def test_sessions_travel_between_processes(dataset):
    sessions = find_sessions(dataset)
    assert pickle.loads(pickle.dumps(sessions)) == sessions
    assert len({*sessions, *sessions}) == len(sessions)


def test_a_relative_path_gives_absolute_scans(dataset, monkeypatch):
    monkeypatch.chdir(dataset.parent)
    assert find_sessions(Path("dataset"))[0].scans[0].path.is_absolute()


# Participants and sessions


@pytest.mark.parametrize("label", ["01", "sub-01"])
def test_participants_go_by_label_with_or_without_prefix(dataset, label):
    assert labels(find_sessions(dataset, participants=[label, label])) == [
        "sub-01_ses-1",
        "sub-01_ses-2",
    ]


@pytest.mark.parametrize("label", ["01", "sub-01"])
def test_excluded_participants_are_left_out(dataset, label, tmp_path, caplog):
    for database in (None, tmp_path / "index"):
        found = find_sessions(dataset, excluded=[label], database_dir=database)
        assert labels(found) == ["sub-02", "sub-03"]
    assert labels(find_sessions(dataset, participants=["02", "01"], excluded=[label])) == ["sub-02"]
    assert not caplog.text


def test_an_excluded_participant_who_is_not_there_or_the_last_one_is_an_error(dataset):
    with pytest.raises(NothingFoundError, match=r"no sub-1\. It has sub-01"):
        find_sessions(dataset, excluded=["1"])
    with pytest.raises(NothingFoundError, match="leaves out everybody"):
        find_sessions(dataset, participants=["01"], excluded=["01"])


def test_a_label_that_begins_like_another_is_not_taken_for_it(tmp_path):
    dataset = make_dataset(tmp_path, "sub-1_T1w", "sub-10_T1w", "sub-01_T1w", "sub-1a_T1w")
    assert names(find_sessions(dataset, participants=["1"])) == ["sub-1_T1w"]
    assert names(find_sessions(dataset, participants=["10", "1a"])) == ["sub-10_T1w", "sub-1a_T1w"]


@pytest.mark.parametrize("label", ["2", "ses-2"])
def test_sessions_go_by_label_and_leave_out_who_has_none(dataset, label):
    assert names(find_sessions(dataset, sessions=[label])) == ["sub-01_ses-2_T1w"]


def test_an_unknown_participant_is_named_with_those_that_exist(dataset):
    with pytest.raises(NothingFoundError, match=r"no sub-7\. It has sub-01, sub-02, sub-03\."):
        find_sessions(dataset, participants=["sub-7", "02"])


def test_only_the_first_few_of_many_participants_are_named(tmp_path):
    dataset = make_dataset(tmp_path, *(f"sub-{index:02}_T1w" for index in range(12)))
    with pytest.raises(NothingFoundError, match=r"sub-03, sub-04 and 7 more\."):
        find_sessions(dataset, participants=["x"])


def test_an_unknown_session_is_named_with_those_that_exist(dataset):
    with pytest.raises(NothingFoundError, match=r"no ses-9\. It has ses-1, ses-2\."):
        find_sessions(dataset, sessions=["9", "1"])
    with pytest.raises(NothingFoundError, match=r"no ses-1\. It has no ses-"):
        find_sessions(dataset, sessions=["1"], participants=["02"])


def test_a_requested_participant_without_scans_does_not_stop_the_others(dataset, caplog):
    sessions = find_sessions(dataset, participants=["02", "03"], modalities=["T1w", "T2w"])
    assert labels(sessions) == ["sub-02"]
    assert "sub-03 is left out, because it has no T1w or T2w scan" in caplog.text


def test_nothing_at_all_says_what_was_searched(dataset):
    with pytest.raises(NothingFoundError, match="no T1w scan of sub-03") as error:
        find_sessions(dataset, participants=["03"], modalities=["T1w"])
    assert error.value.exit_code == 18
    with pytest.raises(NothingFoundError, match=r'no FLAIR scan in ses-2 that passes .*"acq"'):
        find_sessions(
            dataset,
            sessions=["2"],
            modalities=["FLAIR"],
            bids_filter={"FLAIR": {"acq": "x"}},
        )


# Folders that are no dataset


def test_a_missing_folder_and_a_file_are_missing_input(tmp_path):
    with pytest.raises(MissingInputError, match="does not exist"):
        find_sessions(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(MissingInputError, match="is a file"):
        find_sessions(tmp_path / "file")


def test_a_folder_that_may_not_be_read_is_missing_input(dataset, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(MissingInputError, match=r"may not read .*dataset"):
        find_sessions(dataset)


def test_a_participant_whose_folder_may_not_be_read_does_not_stop_the_others(
    dataset, monkeypatch, caplog
):
    shutil.rmtree(dataset / "sub-02/anat")  # what pybids sees of a folder that it may not read
    (dataset / "sub-02/anat").mkdir()
    access = os.access
    monkeypatch.setattr(
        os,
        "access",
        lambda path, mode: access(path, mode) and ("sub-02" not in str(path) or mode == os.F_OK),
    )
    assert labels(find_sessions(dataset, participants=["02", "03"])) == ["sub-03"]
    assert f"{dataset}/sub-02 is left out, because this user may not read it" in caplog.text
    with pytest.raises(MissingInputError, match="sub-02"):
        find_sessions(dataset, participants=["02"])


@pytest.mark.parametrize("content", [None, "{", "[]", "\xff"])
def test_a_folder_without_a_readable_description_is_not_bids(dataset, content):
    (dataset / "dataset_description.json").unlink()
    if content is not None:
        (dataset / "dataset_description.json").write_text(content, encoding="latin-1")
    with pytest.raises(InvalidBidsError, match=r"dataset_description\.json"):
        find_sessions(dataset)


def test_a_dataset_without_participants_has_nothing(tmp_path):
    with pytest.raises(NothingFoundError, match="no participants"):
        find_sessions(make_dataset(tmp_path))


# Filters


@pytest.fixture
def repeated(tmp_path):
    return make_dataset(
        tmp_path / "repeated",
        "sub-01_T1w",
        "sub-01_acq-a_run-1_T1w",
        "sub-01_acq-a_run-02_T1w",
        "sub-01_acq-b_run-10_T1w",
        "sub-01_acq-b_FLAIR",
    )


def filtered(dataset, entities, folder):
    path = folder / "filter.json"
    path.write_text(json.dumps({"T1w": entities}))
    return names(find_sessions(dataset, modalities=["T1w"], bids_filter=read_bids_filter(path)))


@pytest.mark.parametrize(
    ("entities", "expected"),
    [
        ({"acquisition": None}, ["sub-01_T1w"]),
        ({"acq": "*"}, ["acq-a_run-02", "acq-a_run-1", "acq-b_run-10"]),
        ({"acquisition": "b"}, ["acq-b_run-10"]),
        ({"acquisition": "acq-b"}, ["acq-b_run-10"]),
        ({"acquisition": ["b", None]}, ["sub-01_T1w", "acq-b_run-10"]),
        ({"acquisition": "a", "run": 2}, ["acq-a_run-02"]),
        ({"run": "01"}, ["acq-a_run-1"]),
        ({"run": [1, "run-10"]}, ["acq-a_run-1", "acq-b_run-10"]),
        ({"datatype": "anat", "suffix": "T1w", "extension": "nii", "run": "*", "acq": "b"},
         ["acq-b_run-10"]),
        ({"session": None, "subject": "sub-01", "run": None}, ["sub-01_T1w"]),
        ({}, ["sub-01_T1w", "acq-a_run-02", "acq-a_run-1", "acq-b_run-10"]),
    ],
)  # fmt: skip
def test_a_filter_narrows_the_scans_down(repeated, tmp_path, entities, expected):
    full = [name if "_T1w" in name else f"sub-01_{name}_T1w" for name in expected]
    assert filtered(repeated, entities, tmp_path) == full


@pytest.mark.parametrize("entities", [{"acq": "null"}, {"acq": "A"}, {"ses": "*"}, {"run": 3}])
def test_a_filter_that_nothing_passes_finds_nothing(repeated, tmp_path, entities):
    with pytest.raises(NothingFoundError, match="passes the filter"):
        filtered(repeated, entities, tmp_path)


def test_a_filter_says_what_it_leaves_out(tmp_path, caplog):
    dataset = make_dataset(tmp_path, "sub-01_T1w", "sub-01_FLAIR", "sub-02_T1w")
    sessions = find_sessions(dataset, bids_filter={"T1w": {"acq": "x"}})
    assert names(sessions) == ["sub-01_FLAIR"]
    assert "No T1w scan passes the filter, so none is used." in caplog.text
    assert "sub-02 is left out, because it has no T1w" in caplog.text
    assert "sub-01 is left out" not in caplog.text
    caplog.clear()
    find_sessions(dataset, bids_filter={"T1w": {"acq": None}})
    assert caplog.text == ""


def test_a_filter_leaves_other_modalities_alone(repeated):
    sessions = find_sessions(repeated, bids_filter={"T1w": {"acq": None}})
    assert names(sessions) == ["sub-01_T1w", "sub-01_acq-b_FLAIR"]


@pytest.fixture(scope="module")
def combined(tmp_path_factory):
    """Scans with and without each of three entities, in all combinations."""
    combinations = itertools.product(["", "_acq-a", "_acq-b"], ["", "_rec-a"], ["", "_run-01"])
    dataset = make_dataset(
        tmp_path_factory.mktemp("combined"),
        *(f"sub-01{''.join(combination)}_T1w" for combination in combinations),
    )
    [session] = find_sessions(dataset)
    assert len(session.scans) == 12
    return dataset, session


OPTIONS = st.sampled_from(["a", "b", "*", None, 1])


@settings(max_examples=12)
@given(
    st.dictionaries(
        st.sampled_from(["acq", "rec", "run"]), OPTIONS | st.lists(OPTIONS, min_size=1), max_size=3
    )
)
def test_a_filter_gives_the_scans_whose_labels_are_among_the_wanted(combined, wanted):
    def passes(scan):
        for entity, options in wanted.items():
            label = scan.entities.get(entity)
            alike = {None} if label is None else {label, "*"} | ({1} if label == "01" else set())
            if alike.isdisjoint(options if isinstance(options, list) else [options]):
                return False
        return True

    dataset, everything = combined
    expected = [scan for scan in everything.scans if passes(scan)]
    if expected:
        [session] = find_sessions(dataset, bids_filter={"T1w": wanted})
        assert list(session.scans) == expected
    else:
        with pytest.raises(NothingFoundError):
            find_sessions(dataset, bids_filter={"T1w": wanted})


def test_a_filter_file_goes_by_suffix_in_any_case(tmp_path):
    path = tmp_path / "filter.json"
    path.write_text('{"t1w": {"session": null}, "flair": {"run": 1}, "T2w": {}, "bold": {"x": 1}}')
    assert read_bids_filter(path) == {"T1w": {"session": None}, "FLAIR": {"run": 1}, "T2w": {}}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not JSON"),
        ("\xff", "not JSON"),
        ("[]", "object by query name"),
        ('{"T3w": {}}', "'T3w', which does not exist. Known: T1w, FLAIR, T2w"),
        ('{"T1w": {}, "t1w": {}}', "twice"),
        ('{"T1w": "x"}', "object by entity"),
        ('{"T1w": {"aquisition": "x"}}', "'aquisition'"),
        ('{"T1w": {"run": 1.5}}', "run 1.5"),
        ('{"T1w": {"run": true}}', "run True"),
        ('{"T1w": {"run": [{}]}}', "must be a label"),
        ('{"T1w": {"suffix": "UNIT1"}}', "its own suffix"),
    ],
)
def test_a_wrong_filter_file_is_named_with_what_is_wrong(tmp_path, content, complaint):
    path = tmp_path / "filter.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(UsageError, match=complaint) as error:
        read_bids_filter(path)
    assert str(path) in str(error.value)


def test_a_missing_filter_file_is_missing_input(tmp_path):
    with pytest.raises(MissingInputError, match=r"none\.json"):
        read_bids_filter(tmp_path / "none.json")


# Databases


def test_a_database_serves_other_participants_than_those_it_was_made_for(dataset, tmp_path):
    database = tmp_path / "databases" / "database"
    for wanted in (["01"], ["02"], ["03", "01"], [], ["02"]):
        assert find_sessions(dataset, participants=wanted, database_dir=database) == find_sessions(
            dataset, participants=wanted
        )
    assert [path.name for path in database.iterdir()] == ["bids-anomaly"]


def test_a_database_made_by_pybids_for_one_participant_serves_all(dataset, tmp_path):
    indexer = BIDSLayoutIndexer(ignore=["sub-02", "sub-03"])
    BIDSLayout(dataset, indexer=indexer, database_path=tmp_path / "database").session.close()
    assert find_sessions(dataset, database_dir=tmp_path / "database") == find_sessions(dataset)
    assert [path.name for path in (tmp_path / "database").iterdir()] == ["layout_index.sqlite"]


def test_a_database_is_used_and_not_made_again(dataset, tmp_path):
    before = find_sessions(dataset, database_dir=tmp_path / "database")
    add(dataset / "sub-02/anat/sub-02_FLAIR.nii")  # in a folder that the database knows
    assert find_sessions(dataset, database_dir=tmp_path / "database") == before


def test_a_database_misses_no_session_that_was_added_since(dataset, tmp_path):
    find_sessions(dataset, database_dir=tmp_path / "database")
    make_dataset(dataset, "sub-01_ses-3_T1w", "sub-04_T1w", "sub-05_ses-1_FLAIR")
    shutil.rmtree(dataset / "sub-03")
    (dataset / "sub-02/anat/sub-02_T2w.nii").unlink()
    found = find_sessions(dataset, database_dir=tmp_path / "database")
    assert found == find_sessions(dataset)
    assert "sub-01_ses-3" in labels(found)


def test_jobs_side_by_side_can_share_a_new_database(dataset, tmp_path):
    def find(label):
        return labels(
            find_sessions(dataset, participants=[label], database_dir=tmp_path / "database")
        )

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(find, ["01", "02", "03", "02"]))
    assert found == [["sub-01_ses-1", "sub-01_ses-2"], ["sub-02"], ["sub-03"], ["sub-02"]]
    assert [path.name for path in (tmp_path / "database").iterdir()] == ["bids-anomaly"]


def test_a_database_of_another_dataset_is_refused(dataset, tmp_path):
    other = make_dataset(tmp_path / "other", "sub-01_T1w")
    find_sessions(other, database_dir=tmp_path / "database")
    with pytest.raises(UsageError, match="another dataset"):
        find_sessions(dataset, database_dir=tmp_path / "database")
    other.rename(tmp_path / "moved")
    with pytest.raises(UsageError, match="before it was moved"):
        find_sessions(tmp_path / "moved", database_dir=tmp_path / "database")


def test_a_database_found_through_a_link_to_the_dataset_is_the_same(dataset, tmp_path):
    find_sessions(dataset, database_dir=tmp_path / "database")
    (tmp_path / "link").symlink_to(dataset)
    [session] = find_sessions(
        tmp_path / "link", participants=["03"], database_dir=tmp_path / "database"
    )
    assert session.scans[0].path == tmp_path / "link/sub-03/anat/sub-03_FLAIR.nii"


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
def test_a_damaged_database_is_named_and_made_again_once_deleted(dataset, tmp_path, content):
    database = tmp_path / "bids-anomaly" / "layout_index.sqlite"
    database.parent.mkdir()
    database.write_bytes(content)
    with pytest.raises(MissingInputError, match=str(database)):
        find_sessions(dataset, database_dir=tmp_path)
    database.unlink()
    assert len(find_sessions(dataset, database_dir=tmp_path)) == 4
    assert database.exists()


def test_a_database_that_cannot_be_written_is_named(dataset, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotWriteError, match="--bids-database-dir"):
        find_sessions(dataset, database_dir=tmp_path / "file")


@pytest.mark.parametrize(
    "entities",
    ["ce-gadolinium", "ce-gd", "acq-postGd", "acq-MPRAGEGd", "acq-T1GD", "acq-contrast", "acq-ce",
     "rec-postcontrast", "rec-gado", "acq-gadovist3d", "acq-mprage_ce-x", "acq-t1ce"],
)  # fmt: skip
def test_scans_after_a_contrast_agent_are_left_out_and_how_to_take_them_is_said(
    entities, tmp_path, caplog
):
    dataset = make_dataset(tmp_path / "bids", "sub-01_run-1_T1w", f"sub-01_{entities}_T1w")
    assert names(find_sessions(dataset)) == ["sub-01_run-1_T1w"]
    (line,) = caplog.messages
    assert f"sub-01_{entities}_T1w.nii is left out" in line
    wanted = json.loads(line[line.index("{") :])
    (tmp_path / "filter.json").write_text(json.dumps(wanted))
    asked_for = read_bids_filter(tmp_path / "filter.json")
    assert names(find_sessions(dataset, bids_filter=asked_for)) == [f"sub-01_{entities}_T1w"]


@pytest.mark.parametrize(
    "entities",
    ["acq-mprage", "acq-highres", "acq-preGd", "acq-noncontrast", "acq-nogad", "rec-norm",
     "acq-precontrast", "acq-space", "acq-ge3d", "acq-GDC"],
)  # fmt: skip
def test_other_scans_are_not_taken_for_such(entities, tmp_path, caplog):
    dataset = make_dataset(tmp_path, f"sub-01_{entities}_T1w")
    assert names(find_sessions(dataset)) == [f"sub-01_{entities}_T1w"]
    assert caplog.text == ""


def test_everybody_without_a_usable_scan_is_named_with_what_is_there(tmp_path, caplog):
    dataset = make_dataset(tmp_path, "sub-01_T1w", "sub-02_T1W", "sub-03_desc-defaced_T1w")
    add(dataset / "sub-04" / "sub-04_T1w.nii")
    add(dataset / "sub-05" / "func" / "sub-05_task-rest_bold.nii")
    assert names(find_sessions(dataset)) == ["sub-01_T1w"]
    for number, seen in (
        ("02", "sub-02_T1W.nii"),
        ("03", "sub-03_desc-defaced_T1w.nii"),
        ("04", "sub-04_T1w.nii"),
        ("05", ""),
    ):
        (line,) = [line for line in caplog.messages if line.startswith(f"sub-{number} is left out")]
        assert seen in line


def test_a_linked_anat_folder_is_followed_and_files_of_the_system_are_no_scans(tmp_path, caplog):
    real = make_dataset(tmp_path / "real", "sub-01_T1w", "sub-02_ses-1_T1w")
    dataset = make_dataset(tmp_path / "bids", "sub-03_T1w")
    (dataset / "sub-01").mkdir()
    (dataset / "sub-01" / "anat").symlink_to(real / "sub-01" / "anat")
    (dataset / "sub-02").mkdir()
    (dataset / "sub-02" / "ses-1").symlink_to(real / "sub-02" / "ses-1")
    for path in [*dataset.rglob("*")]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    found = names(find_sessions(dataset))
    assert found == ["sub-01_T1w", "sub-02_ses-1_T1w", "sub-03_T1w"]
    assert caplog.text == ""
