"""A plot for each person and value, and none of an earlier run."""

import numpy as np
import pytest

pytest.importorskip("gpytorch")

from bids_anomaly.reports.trajectories import Measure, write_plots
from bids_anomaly.trajectories.tables import forecast_people


@pytest.fixture(scope="module")
def drawn(model, straight):
    return forecast_people(model, [one.course for one in straight[1][:3]], np.array([0.0, 1.0]))


def test_only_plots_of_this_run_are_left_and_files_of_others_stay(drawn, tmp_path):
    def write(people, *values):
        write_plots(tmp_path, [Measure(name, people, (), (), None) for name in values])
        return {path.name for path in tmp_path.iterdir()}

    assert len(write(drawn, "size", "mean_z")) == 6
    others = {"sub-01_desc-notes.svg", "mine_trajectory.svg", "sub-01_trajectory.svg"}
    for name in others:
        (tmp_path / name).touch()
    first = drawn[0].course.participant
    assert write(drawn[:1], "mean_z") == {f"{first}_desc-mean-z_trajectory.svg", *others}
