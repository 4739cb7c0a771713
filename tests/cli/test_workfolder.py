from concurrent.futures import ThreadPoolExecutor

import pytest

from bids_anomaly.cli.workfolder import check_writable
from bids_anomaly.exceptions import CannotWriteError


def check_often(folder):
    for _ in range(300):
        check_writable(folder)


def test_runs_side_by_side_do_not_disturb_each_other(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(check_often, [tmp_path / "shared"] * 4))
    assert not list((tmp_path / "shared").iterdir())


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWriteError, match="file/folder"):
        check_writable(tmp_path / "file" / "folder")
