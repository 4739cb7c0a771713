"""The rows of the methods, and whether documentation and modules say the same."""

import re
from pathlib import Path

import pytest

from bids_anomaly import reconstruction
from bids_anomaly.reconstruction.methods import METHODS, NOISES

ROOT = Path(__file__).parents[2]


def authors_and_years(references):
    """Return the family name of the first author of each reference, and its year."""
    return [re.match(r"([^,]+?) [A-Z]+,.*?\((\d{4})\)", text).groups() for text in references]


@pytest.mark.parametrize("method", METHODS)
def test_module_and_documentation_name_the_work_that_is_cited(method):
    module = Path(reconstruction.__file__).with_name(f"{method}.py").read_text()
    (row,) = re.findall(
        rf"^\| `{method}` \| (.* \| .* \| .* \| .*)$", (ROOT / "docs/methods.md").read_text(), re.M
    )
    cited = authors_and_years(METHODS[method].references)
    assert cited
    for author, year in cited:
        for text in (module, row):
            assert author in text
            assert year in text


def test_what_a_method_learns_from_is_a_kind_of_noise():
    assert {row.noise for row in METHODS.values()} <= {None, *NOISES}


@pytest.mark.parametrize("row", METHODS.values(), ids=METHODS)
def test_a_row_says_what_the_method_is(row):
    assert row.words
    assert not row.words.endswith(".")
    assert row.steps is None or row.takes_steps
    assert row.takes_steps <= bool(row.levels)
