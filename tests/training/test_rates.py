import numpy as np
import pytest
from PIL import Image

from bids_anomaly.training.rates import NOMINAL_RATES, draw_rates, observed_rates, rates_table


def test_observed_rates_are_nominal_where_people_are_alike():
    random = np.random.default_rng(0)
    scores = [random.normal(size=100_000) for _ in range(12)]
    observed = observed_rates(scores).mean(axis=0)
    np.testing.assert_allclose(observed, NOMINAL_RATES, rtol=0.15)


def test_a_person_unlike_the_others_shows_in_the_table():
    random = np.random.default_rng(0)
    scores = [random.normal(size=20_000) for _ in range(6)] + [random.normal(2, 1, 20_000)]
    observed = observed_rates(scores)
    assert (observed.max(axis=0) > 10 * np.array(NOMINAL_RATES)).all()
    lines = rates_table(observed).splitlines()
    assert len(lines) == 2 + len(NOMINAL_RATES)
    assert "7 people" in lines[0]


@pytest.mark.parametrize("people", [2, 40])
def test_rates_are_drawn_also_where_nobody_has_a_voxel(tmp_path, people):
    observed = np.zeros((people, len(NOMINAL_RATES)))
    observed[0] = NOMINAL_RATES
    draw_rates(observed, tmp_path / "rates.png", title="restore-T1w 1.0")
    with Image.open(tmp_path / "rates.png") as picture:
        colours = {tuple(pixel) for pixel in np.asarray(picture.convert("RGB")).reshape(-1, 3)}
    assert len(colours) > 10
