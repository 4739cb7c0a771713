"""Simulated people, as the benchmark has them, and a table of them."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def simulate():
    pytest.importorskip("gpytorch")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        return importlib.import_module("shared.simulated_courses").simulate


@pytest.fixture(scope="session")
def straight(simulate):
    """Straight courses of 40 people to learn from, and of 40 others."""
    people = simulate("straight", 80, noise=0.05, seed=1)
    return people[:40], people[40:]


@pytest.fixture(scope="session")
def model(straight):
    from bids_anomaly.trajectories.forecast import learn

    return learn([person.course for person in straight[0]])


@pytest.fixture(scope="session")
def write_courses():
    """Write courses as a table with the columns participant_id, session_id, age, sex, size."""

    def write(path: Path, people: Sequence, change=lambda row: row) -> Path:
        lines = ["participant_id\tsession_id\tage\tsex\tsize"]
        for person in people:
            course = person.course
            sex = "F" if course.sex < 0 else "M"
            for session, years, value in zip(
                course.sessions, course.years, course.values, strict=True
            ):
                row = [course.participant, session, f"{course.age + years:.3f}", sex]
                lines.append("\t".join(change([*row, f"{value:.4f}"])))
        path.write_text("\n".join(lines) + "\n")
        return path

    return write
