import json
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.exceptions import UsageError
from bids_anomaly.settings import Settings

WORDS = st.text(min_size=1, max_size=8)
PATHS = WORDS.map(Path)
BY_TYPE = {
    Path: PATHS,
    Path | None: st.none() | PATHS,
    str: WORDS,
    str | None: st.none() | WORDS,
    int: st.integers(),
    int | None: st.none() | st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    tuple[str, ...]: st.lists(WORDS, max_size=3).map(tuple),
    tuple[tuple[str, Path], ...]: st.dictionaries(WORDS, PATHS, max_size=3).map(
        lambda folders: tuple(folders.items())
    ),
}


def any_settings():
    return st.builds(Settings, **{field.name: BY_TYPE[field.type] for field in fields(Settings)})


@given(settings=any_settings())
def test_settings_survive_json(settings):
    assert Settings.from_json_dict(json.loads(json.dumps(settings.to_json_dict()))) == settings


def test_settings_can_be_hashed_but_not_changed():
    settings = Settings(bids_dir=Path("/a"), output_dir=Path("/b"), analysis_level="group")

    assert hash(settings) == hash(Settings.from_json_dict(settings.to_json_dict()))
    with pytest.raises(FrozenInstanceError):
        settings.seed = 1


def test_a_record_may_leave_out_what_has_a_default():
    record = {"bids_dir": "/a", "output_dir": "/b", "analysis_level": "group"}

    settings = Settings.from_json_dict(record)

    assert settings == Settings(bids_dir=Path("/a"), output_dir=Path("/b"), analysis_level="group")


@pytest.mark.parametrize(
    "record",
    [
        {"bids_dir": "/a", "output_dir": "/b"},
        {"bids_dir": "/a", "output_dir": "/b", "analysis_level": "group", "colour": "red"},
    ],
)
def test_a_record_of_another_version_is_refused_by_name(record):
    with pytest.raises(UsageError, match=r"analysis_level|colour"):
        Settings.from_json_dict(record)
