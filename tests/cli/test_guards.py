"""Paths that steps cannot take are refused before anything runs."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.cli.guards import check_settings
from bids_anomaly.exceptions import UsageError
from bids_anomaly.settings import Settings


def settings_in(folder, **names):
    folders = {"bids_dir": folder / "bids", "output_dir": folder / "out", "work_dir": folder / "w"}
    (folder / "bids").mkdir(parents=True, exist_ok=True)
    return Settings(**{**folders, **names}, analysis_level="participant")


@given(
    name=st.text("ab [](){},;=+@", min_size=1).map(str.strip).filter(bool),
    which=st.sampled_from(["output_dir", "work_dir"]),
)
def test_what_itk_reads_as_a_list_is_refused_and_other_names_are_not(name, which, tmp_path_factory):
    folder = tmp_path_factory.mktemp("x")
    settings = settings_in(folder, **{which: folder / "below" / name / "y"})
    if set(name) & set("[]{},"):
        with pytest.raises(UsageError, match="ITK reads as a list"):
            check_settings(settings)
    else:
        check_settings(settings)


def test_a_folder_for_temporary_files_is_looked_at_too(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a,b"))
    with pytest.raises(UsageError, match="TMPDIR"):
        check_settings(settings_in(tmp_path))


@pytest.mark.parametrize("which", ["bids_dir", "output_dir", "work_dir"])
def test_a_name_that_is_not_utf8_is_told_in_letters_that_can_be_printed(which, tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with pytest.raises(UsageError, match=r"caf\\xe9 has a name that is not UTF-8") as error:
        check_settings(settings_in(tmp_path, **{which: odd}))
    str(error.value).encode()
