"""Age and sex as tables state them, in numbers."""

import numpy as np
import pytest

from bids_anomaly.bids.dataset import without_identifying_ages
from bids_anomaly.bids.participants import rows_of
from bids_anomaly.reconstruction.covariates import as_numbers

HEADER = "participant_id\tage\tsex\n"


@pytest.mark.parametrize("age", ["89", "89+", " 89 + ", "90+", "93", "101.5", "95+"])
def test_the_oldest_count_as_89(age):
    assert as_numbers({"age": age, "sex": "F"}) == as_numbers({"age": "89", "sex": "F"})


@pytest.mark.parametrize(("age", "same_as"), [("61.0", "61"), ("85+", "85"), ("0", "0")])
def test_an_age_with_a_plus_counts_as_that_age(age, same_as):
    assert as_numbers({"age": age})[0] == as_numbers({"age": same_as})[0]
    assert as_numbers({"age": age})[0] < as_numbers({"age": "89"})[0]


@pytest.mark.parametrize("known", [{}, {"age": "n/a", "sex": "?"}, {"age": "+", "sex": "n/a"}])
def test_what_is_not_understood_is_unknown(known):
    assert np.isnan(as_numbers(known)).all()


@pytest.mark.parametrize("age", ["42", "89", "89+", "93", "95+", "n/a"])
def test_a_model_learns_from_results_what_it_is_told_of_raw_data(age, tmp_path):
    raw = f"{HEADER}sub-01\t{age}\tM\n"
    (before,), (after,) = (
        rows_of(table, tmp_path) for table in (raw, without_identifying_ages(raw))
    )
    np.testing.assert_array_equal(as_numbers(before), as_numbers(after))
    assert after["age"] == ("89+" if age in ("93", "95+") else age)
