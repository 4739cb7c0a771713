import json
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
def test_json_keeps_what_settings_say(settings):
    record = json.loads(json.dumps(settings.to_json_dict()))

    assert set(record) == {field.name for field in fields(Settings)}
    derivatives = {name: str(folder) for name, folder in settings.derivatives}
    assert record.pop("derivatives") == derivatives
    for name, value in record.items():
        said = getattr(settings, name)
        if isinstance(said, Path):
            assert value == str(said)
        else:
            assert value == (list(said) if isinstance(said, tuple) else said)


def test_settings_can_be_hashed_but_not_changed():
    given_twice = [
        Settings(bids_dir=Path("/a"), output_dir=Path("/b"), analysis_level="group")
        for _ in range(2)
    ]

    assert len(set(given_twice)) == 1
    with pytest.raises(FrozenInstanceError):
        given_twice[0].seed = 1
