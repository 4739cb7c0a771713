"""What other pipelines have prepared takes the place of raw T1w scans; images here are empty."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.bids.prepared import stands_for, use_prepared
from bids_anomaly.bids.query import find_sessions
from bids_anomaly.exceptions import InvalidBidsError, MissingInputError, NothingFoundError

TEMPLATE = "MNI152NLin2009aSym"
# What fMRIPrep 23 writes beside what is wanted here.
OTHERS = (
    "dseg.nii.gz",
    "label-GM_probseg.nii.gz",
    "desc-ribbon_mask.nii.gz",
    "desc-aseg_dseg.nii.gz",
    "space-MNI152NLin2009cAsym_res-2_desc-preproc_T1w.nii.gz",
    "space-MNI152NLin2009cAsym_res-2_desc-brain_mask.nii.gz",
    "from-T1w_to-MNI152NLin2009cAsym_mode-image_xfm.h5",
    "from-MNI152NLin2009cAsym_to-T1w_mode-image_xfm.h5",
)
WANTED = ("desc-preproc_T1w.nii.gz", "desc-brain_mask.nii.gz")


def write_files(folder: Path, names: Iterable[str], **description) -> Path:
    """Write a dataset of empty files, each in the folder that its name says."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"Name": folder.name, "BIDSVersion": "1.10.0", **description}
    (folder / "dataset_description.json").write_text(json.dumps(content))
    for name in names:
        levels = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
        path = folder.joinpath(*levels, "anat", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.fixture
def raw(tmp_path) -> Callable[..., Path]:
    """Give a function that writes a raw dataset of scans without their extension."""
    return lambda *names: write_files(tmp_path / "raw", [f"{name}.nii.gz" for name in names])


@pytest.fixture
def fmriprep(tmp_path) -> Callable[..., Path]:
    """Give a function that writes what fMRIPrep makes of scans whose names begin with `stems`."""

    def write(*stems, files=(*WANTED, *OTHERS), name="fmriprep") -> Path:
        return write_files(
            tmp_path / name,
            [f"{stem}_{file}" for stem in stems for file in files],
            DatasetType="derivative",
            GeneratedBy=[{"Name": "fMRIPrep", "Version": "23.2.0"}],
        )

    return write


def use(raw: Path, *datasets: Path, strict=False) -> dict[str, list]:
    """Return the scans of each session after the prepared ones took their places."""
    sessions = use_prepared(
        find_sessions(raw),
        [(folder.name, folder) for folder in datasets],
        template=TEMPLATE,
        strict=strict,
    )
    return {session.label: list(session.scans) for session in sessions}


def test_the_image_of_fmriprep_is_the_reference_and_other_contrasts_stay_raw(raw, fmriprep):
    dataset = raw("sub-01_T1w", "sub-01_FLAIR", "sub-01_T2w")
    scans = use(dataset, fmriprep("sub-01"))["sub-01"]
    assert [scan.name for scan in scans] == [
        "sub-01_desc-preproc_T1w",
        "sub-01_FLAIR",
        "sub-01_T2w",
    ]
    prepared = scans[0].prepared
    assert prepared.brain.name == "sub-01_desc-brain_mask.nii.gz"
    assert prepared.pipeline == "fMRIPrep 23.2.0"
    assert scans[0].entities == {"sub": "01"}
    assert scans[0].sources == (
        "bids:fmriprep:sub-01/anat/sub-01_desc-preproc_T1w.nii.gz",
        "bids:fmriprep:sub-01/anat/sub-01_desc-brain_mask.nii.gz",
    )
    assert [scan.prepared for scan in scans[1:]] == [None, None]


def test_transforms_to_another_template_are_left_alone(raw, fmriprep):
    """The default of fMRIPrep is MNI152NLin2009cAsym, in which brains lie otherwise."""
    prepared = use(raw("sub-01_T1w"), fmriprep("sub-01"))["sub-01"][0].prepared
    assert prepared.to_template is prepared.from_template is None


def test_transforms_to_the_template_of_the_models_are_found(raw, fmriprep):
    own = (
        f"from-T1w_to-{TEMPLATE}_mode-image_xfm.h5",
        f"from-{TEMPLATE}_to-T1w_mode-image_xfm.h5",
    )
    folder = fmriprep("sub-01_run-1", files=(*WANTED, *own))
    prepared = use(raw("sub-01_run-01_T1w"), folder)["sub-01"][0].prepared
    assert prepared.to_template.name == f"sub-01_run-1_{own[0]}"
    assert prepared.from_template.name == f"sub-01_run-1_{own[1]}"
    assert "transforms too" in prepared.origin


def test_one_transform_without_the_way_back_is_not_enough(raw, fmriprep):
    folder = fmriprep("sub-01", files=(*WANTED, f"from-T1w_to-{TEMPLATE}_mode-image_xfm.h5"))
    assert use(raw("sub-01_T1w"), folder)["sub-01"][0].prepared.to_template is None


@pytest.mark.parametrize(
    ("scans", "stem", "entities"),
    [
        # Two runs are averaged, and the name says neither.
        (["sub-01_run-01", "sub-01_run-02"], "sub-01", {"sub": "01"}),
        # A single scan keeps its entities; indices lose their zeros in some versions.
        (["sub-01_acq-mprage_run-01"], "sub-01_acq-mprage_run-1", None),
        (["sub-01_ses-1_rec-norm"], "sub-01_ses-1_rec-norm", None),
        # A T1w of another acquisition was left out by a filter of fMRIPrep.
        (["sub-01_acq-a"], "sub-01_acq-a", None),
    ],
)
def test_an_image_stands_for_the_scans_that_it_was_made_of(raw, fmriprep, scans, stem, entities):
    dataset = raw(*(f"{scan}_T1w" for scan in scans))
    (found,) = next(iter(use(dataset, fmriprep(stem)).values()))
    assert found.path.name == f"{stem}_desc-preproc_T1w.nii.gz"
    expected = entities or dict(part.split("-") for part in scans[0].split("_"))
    assert found.entities == expected


def test_an_average_of_sessions_belongs_to_each_session_and_says_so(raw, fmriprep, caplog):
    dataset = raw("sub-01_ses-1_T1w", "sub-01_ses-2_T1w", "sub-01_ses-2_FLAIR")
    scans = use(dataset, fmriprep("sub-01"))
    assert scans["sub-01_ses-1"][0].path == scans["sub-01_ses-2"][0].path
    # Else the outputs of one session would overwrite those of the other.
    assert [scans[f"sub-01_ses-{n}"][0].entities["ses"] for n in "12"] == ["1", "2"]
    assert [scan.suffix for scan in scans["sub-01_ses-2"]] == ["T1w", "FLAIR"]
    assert "sub-01_ses-1, sub-01_ses-2" in caplog.text
    assert "sessionwise" in caplog.text


def test_the_image_of_a_session_goes_before_the_average(raw, fmriprep, caplog):
    dataset = raw("sub-01_ses-1_T1w", "sub-01_ses-2_T1w")
    scans = use(dataset, fmriprep("sub-01", "sub-01_ses-2"))
    assert scans["sub-01_ses-1"][0].name == "sub-01_desc-preproc_T1w"
    assert scans["sub-01_ses-2"][0].name == "sub-01_ses-2_desc-preproc_T1w"
    assert not caplog.text


def test_this_app_prepares_every_run_by_itself(raw, fmriprep):
    own = ("desc-preproc_T1w.nii.gz", "desc-brainT1w_mask.nii.gz", "desc-preproc_FLAIR.nii.gz")
    folder = fmriprep("sub-01_run-1", "sub-01_run-2", files=own, name="mine")
    scans = use(raw("sub-01_run-1_T1w", "sub-01_run-2_T1w"), folder)["sub-01"]
    assert [scan.entities["run"] for scan in scans] == ["1", "2"]
    assert scans[0].prepared.brain.name == "sub-01_run-1_desc-brainT1w_mask.nii.gz"


def test_whoever_is_not_prepared_is_preprocessed_here(raw, fmriprep, caplog):
    scans = use(raw("sub-01_T1w", "sub-02_T1w"), fmriprep("sub-01"))
    assert scans["sub-01"][0].prepared is not None
    assert scans["sub-02"][0].prepared is None
    assert "sub-02_T1w" in caplog.text
    assert "preprocessed here" in caplog.text


def test_a_scan_that_is_not_prepared_follows_those_that_are(raw, fmriprep):
    scans = use(raw("sub-01_acq-a_T1w", "sub-01_acq-b_T1w"), fmriprep("sub-01_acq-b"))["sub-01"]
    assert [scan.name for scan in scans] == ["sub-01_acq-b_desc-preproc_T1w", "sub-01_acq-a_T1w"]


def test_a_strict_run_wants_everybody_prepared(raw, fmriprep):
    with pytest.raises(MissingInputError, match=r"sub-02_T1w.*fmriprep.*--strict"):
        use(raw("sub-01_T1w", "sub-02_T1w"), fmriprep("sub-01"), strict=True)


def test_an_image_without_a_brain_mask_is_not_prepared(raw, fmriprep):
    fmriprep("sub-01")
    folder = fmriprep("sub-02", files=("desc-preproc_T1w.nii.gz",))
    scans = use(raw("sub-01_T1w", "sub-02_T1w"), folder)
    assert scans["sub-02"][0].prepared is None


def test_the_first_dataset_that_has_an_image_gives_it(raw, fmriprep):
    first, second = fmriprep("sub-01", name="first"), fmriprep("sub-01", "sub-02", name="second")
    scans = use(raw("sub-01_T1w", "sub-02_T1w"), first, second)
    assert [scans[label][0].prepared.dataset for label in ("sub-01", "sub-02")] == [
        "first",
        "second",
    ]


def test_a_folder_that_nothing_can_be_taken_from_is_refused_at_once(raw, fmriprep):
    dataset = raw("sub-01_T1w")
    with pytest.raises(NothingFoundError, match=r"desc-preproc_T1w.*sub-"):
        use(dataset, fmriprep("sub-01", files=OTHERS))
    with pytest.raises(NothingFoundError, match="raw"):
        use(dataset, dataset)


def test_one_task_of_an_array_does_as_all_would(raw, fmriprep, caplog):
    """A person who is missing from a good dataset is no sign of a wrong folder."""
    scans = use(raw("sub-02_T1w"), fmriprep("sub-01"))
    assert scans["sub-02"][0].prepared is None
    assert "preprocessed here" in caplog.text


def test_a_folder_that_is_no_dataset_is_refused(raw, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidBidsError, match=r"dataset_description\.json"):
        use(raw("sub-01_T1w"), tmp_path / "empty")


labels = st.text("abcXYZ0189", min_size=1, max_size=4)
runs = st.from_regex("0?[1-9]", fullmatch=True)
entities = st.fixed_dictionaries(
    {"sub": labels}, optional={"ses": labels, "acq": labels, "rec": labels, "run": runs}
)


@given(scan=entities, data=st.data())
def test_an_image_named_by_some_entities_of_a_scan_stands_for_it(scan, data):
    kept = data.draw(st.sets(st.sampled_from(sorted(scan))))
    assert stands_for({key: label for key, label in scan.items() if key in kept}, scan)


@given(scan=entities, candidate=entities)
def test_an_image_named_otherwise_stands_for_nothing_else(scan, candidate):
    def same(key):
        if key == "run" and key in scan:
            return int(candidate[key]) == int(scan[key])
        return candidate[key] == scan.get(key)

    assert stands_for(candidate, scan) == all(same(key) for key in candidate)
