import numpy as np
import pytest
from PIL import Image

from bids_anomaly.training.rates import NOMINAL_RATES, draw_rates, rates_table, realised_rates


def test_realised_rates_are_nominal_where_people_are_alike():
    random = np.random.default_rng(0)
    scores = [random.normal(size=100_000) for _ in range(12)]
    realised = realised_rates(scores).mean(axis=0)
    np.testing.assert_allclose(realised, NOMINAL_RATES, rtol=0.15)


def test_a_person_unlike_the_others_shows_in_the_table():
    random = np.random.default_rng(0)
    scores = [random.normal(size=20_000) for _ in range(6)] + [random.normal(2, 1, 20_000)]
    realised = realised_rates(scores)
    assert (realised.max(axis=0) > 10 * np.array(NOMINAL_RATES)).all()
    lines = rates_table(realised).splitlines()
    assert len(lines) == 2 + len(NOMINAL_RATES)
    assert "7 people" in lines[0]


@pytest.mark.parametrize("people", [2, 40])
def test_rates_are_drawn_also_where_nobody_has_a_voxel(tmp_path, people):
    realised = np.zeros((people, len(NOMINAL_RATES)))
    realised[0] = NOMINAL_RATES
    draw_rates(realised, tmp_path / "rates.png", title="restore-T1w 1.0")
    with Image.open(tmp_path / "rates.png") as picture:
        colours = {tuple(pixel) for pixel in np.asarray(picture.convert("RGB")).reshape(-1, 3)}
    assert len(colours) > 10
