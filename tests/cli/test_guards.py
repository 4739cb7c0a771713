"""Paths that steps cannot take are refused before anything runs."""

import os
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.cli.guards import check_settings
from bids_anomaly.exceptions import CannotWriteError, UsageError
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


def test_a_machine_without_a_folder_for_temporary_files_is_told_so(tmp_path, monkeypatch):
    def find_none():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", find_none)
    with pytest.raises(CannotWriteError, match="Set TMPDIR") as error:
        check_settings(settings_in(tmp_path))
    assert error.value.exit_code == 73


@pytest.mark.parametrize("length", [60, 71, 72, 200])
def test_a_folder_for_temporary_files_is_refused_just_where_no_socket_fits(
    length, tmp_path, monkeypatch
):
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        scratch = Path(short, *["x" * 20] * 12)
        scratch = Path(str(scratch)[:length].rstrip("/").ljust(length, "y"))
        scratch.mkdir(parents=True)
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        # As Python names the socket between a run and its processes.
        place = scratch / "pymp-12345678" / "listener-12345678"
        place.parent.mkdir()
        if length <= 71:
            check_settings(settings_in(tmp_path))
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(place))
        else:
            with pytest.raises(UsageError, match=f"TMPDIR.* {length} bytes"):
                check_settings(settings_in(tmp_path))


@pytest.mark.parametrize("which", ["bids_dir", "output_dir", "work_dir"])
def test_a_name_that_is_not_utf8_is_told_in_letters_that_can_be_printed(which, tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with pytest.raises(UsageError, match=r"caf\\xe9 has a name that is not UTF-8") as error:
        check_settings(settings_in(tmp_path, **{which: odd}))
    str(error.value).encode()
