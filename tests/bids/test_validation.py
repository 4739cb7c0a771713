import json
import resource
import sysconfig

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.bids.validation import validate
from bids_anomaly.exceptions import InvalidBidsError, MissingInputError, TemporaryError, UsageError

pytest.importorskip("bids_validator_deno")


@pytest.fixture
def dataset(tmp_path):
    """Three participants with a T1w."""
    root = tmp_path / "dataset"
    for label in ("01", "02", "03"):
        (root / f"sub-{label}" / "anat").mkdir(parents=True)
        image = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4))
        image.header.set_xyzt_units("mm")
        image.to_filename(root / f"sub-{label}" / "anat" / f"sub-{label}_T1w.nii.gz")
    description = {"Name": "phantoms", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    return root


def test_a_valid_dataset_passes_whatever_the_warnings_and_stays_as_it_is(dataset):
    paths = [dataset, *dataset.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        validate(dataset)  # without a README, authors and sidecars
        assert sorted([dataset, *dataset.rglob("*")]) == sorted(paths)
    finally:
        for path in paths:
            path.chmod(0o755)


def test_errors_are_counted_and_the_first_three_named(dataset):
    for name in ("sub-01_T1w_old", "sub-01_foo", "sub-01_bar", "sub-01_baz"):
        (dataset / "sub-01" / "anat" / f"{name}.nii.gz").write_bytes(b"x" * 400)
    with pytest.raises(InvalidBidsError) as error:
        validate(dataset)
    message = str(error.value)
    assert f"{dataset} is not valid BIDS: 4 errors (" in message
    assert message.count(" in sub-01/anat/sub-01_") == 3
    assert "--skip-bids-validation" in message
    assert error.value.exit_code == 16


def test_a_missing_description_is_an_error(dataset):
    (dataset / "dataset_description.json").unlink()
    with pytest.raises(InvalidBidsError, match=r"has no dataset_description\.json") as error:
        validate(dataset)
    # Without it the run would not go on either.
    assert "--skip-bids-validation" not in str(error.value)


def test_a_missing_field_is_named(dataset):
    (dataset / "dataset_description.json").write_text('{"BIDSVersion": "1.10.0"}')
    with pytest.raises(InvalidBidsError, match=r"Name in dataset_description\.json"):
        validate(dataset)


def test_damaged_images_of_some_do_not_stop_the_others(dataset):
    image = dataset / "sub-01/anat/sub-01_T1w.nii.gz"
    (dataset / "sub-02/anat/sub-02_T1w.nii.gz").write_bytes(image.read_bytes()[:30])
    (dataset / "sub-02/anat/sub-02_FLAIR.nii.gz").write_bytes(b"garbage" * 100)
    (dataset / "sub-03/anat/sub-03_T1w.nii.gz").write_bytes(b"")
    (dataset / "sub-03/anat/sub-03_T2w.nii.gz").symlink_to("../../.git/annex/objects/none")
    validate(dataset)


def test_stimuli_are_not_taken_for_missing(dataset):
    (dataset / "stimuli").mkdir()
    (dataset / "stimuli" / "face.png").write_bytes(b"x")
    (dataset / "sub-01" / "func").mkdir()
    events = "onset\tduration\tstim_file\n1\t1\tface.png\n"
    (dataset / "sub-01/func/sub-01_task-faces_events.tsv").write_text(events)
    validate(dataset)


@pytest.mark.parametrize("name", ["none", "file"])
def test_what_is_no_folder_is_missing_input(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(MissingInputError, match=f"{tmp_path / name}.*--skip-bids-validation"):
        validate(tmp_path / name)


def test_without_the_validator_the_ways_out_are_named(dataset, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(dataset))
    monkeypatch.setenv("PATH", str(dataset))
    with pytest.raises(UsageError, match=r'pip install "\.\[validate\]".*--skip-bids'):
        validate(dataset)


def test_the_validator_is_found_on_the_path_too(dataset, monkeypatch):
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(dataset))
    validate(dataset)


def test_a_limit_of_the_address_space_is_said_with_the_way_out(dataset):
    """The validator reserves 64 GB of it, far more than some schedulers let a job have."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (32 * 1024**3, before[1]))
    try:
        with pytest.raises(TemporaryError, match=r"address space.* --skip-bids-validation"):
            validate(dataset)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
