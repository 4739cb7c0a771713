"""A scan with so long a name that no result could be named after it is refused beforehand."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bids_anomaly.bids.naming import anat_folder, output_path
from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.scans import Scan, Session
from bids_anomaly.bids.writing import write_text
from bids_anomaly.cli.names import check_names_fit
from bids_anomaly.exceptions import UsageError

SPACE = "MNI152NLin2009aSym"


def session_of(acquisition, session, modality, folder):
    entities = {"sub": "01", **({"ses": session} if session else {}), "acq": acquisition}
    name = "_".join(f"{key}-{label}" for key, label in entities.items())
    path = folder / f"{name}_{modality}.nii.gz"
    return Session("01", session, (Scan(path, entities, modality),))


def complaint_about(session, folder):
    try:
        check_names_fit([session], SPACE, [folder / "out", folder / "work"])
    except UsageError as error:
        return str(error)
    return None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    length=st.integers(100, 200),
    session=st.sampled_from([None, "1", "x" * 40]),
    modality=st.sampled_from(["T1w", "FLAIR"]),
)
def test_what_is_not_refused_can_be_written(length, session, modality, tmp_path):
    found = session_of("a" * length, session, modality, tmp_path)
    entities = found.scans[0].entities
    complaint = complaint_about(found, tmp_path)
    if complaint:
        assert found.scans[0].path.name in complaint
        assert str(os.pathconf(tmp_path, "PC_NAME_MAX")) in complaint
        return
    for output in OUTPUTS:
        for space in (None, SPACE):
            path = output_path(tmp_path, output, entities, modality=modality, space=space)
            write_text(anat_folder(tmp_path, {"sub": "01"}) / path.name, "")


@pytest.mark.parametrize(("length", "is_refused"), [(20, False), (200, True)])
def test_names_are_checked_before_anything_runs(length, is_refused, tmp_path):
    found = session_of("a" * length, None, "T1w", tmp_path)
    if is_refused:
        with pytest.raises(UsageError, match="Shorten its labels") as error:
            check_names_fit([found], SPACE, [tmp_path])
        assert error.value.exit_code == 2
    else:
        check_names_fit([found], SPACE, [tmp_path])
