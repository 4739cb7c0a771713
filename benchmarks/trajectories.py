"""Measure forecasts of simulated people, by cross-validation by person.

Prints a table in markdown: mean absolute errors after one, two, and three or more known sessions,
the share of later values inside the 95 % interval, and differences to what has to be beaten, with
95 % bootstrap intervals over people::

    python benchmarks/trajectories.py --people 80 --seeds 3
"""

import argparse
from collections.abc import Sequence
from itertools import product

from shared.simulated_courses import COURSES, simulate
from shared.table import ABSENT, line

from bids_anomaly.evaluation.statistics import Interval
from bids_anomaly.trajectories.accuracy import (
    ALL,
    LAST,
    METHODS,
    MIXED,
    POPULATION,
    SEEN,
    SHRINKAGE,
    Figure,
    Trial,
    cross_validate,
    figures,
)

NOISE = (0.05, 0.2)
# Settings of the models were chosen on earlier ones.
FIRST_SEED = 10
LEVEL = 0.95
# What the shrinkage is compared with, and whose intervals are shown.
BEATEN, COVERED = (POPULATION, LAST, MIXED), (SHRINKAGE, MIXED)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=80, help="in each simulation")
    parser.add_argument("--seeds", type=int, default=3, help="simulations of each kind")
    parser.add_argument("--kinds", nargs="+", choices=list(COURSES), default=list(COURSES))
    arguments = parser.parse_args()
    heads = ["courses", "noise", "known sessions", "people", *METHODS]
    heads += [f"shrinkage − {method}" for method in BEATEN]
    heads += [f"inside 95 %: {method}" for method in COVERED]
    print(line(heads))
    print(line(["---"] * len(heads)), flush=True)
    for kind, noise in product(arguments.kinds, NOISE):
        trials = [
            trial._replace(participant=f"{seed} {trial.participant}")
            for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds)
            for trial in _trials(kind, arguments.people, noise, seed)
        ]
        found = figures(trials)
        for seen in (*SEEN, ALL):
            of_these = {one.method: one for one in found if one.seen == seen}
            print(line(_cells(kind, noise, seen, of_these)), flush=True)


def _trials(kind: str, people: int, noise: float, seed: int) -> list[Trial]:
    simulated = simulate(kind, people, noise=noise, seed=seed)
    return cross_validate([one.course for one in simulated], seed=seed)


def _cells(kind: str, noise: float, seen: str, found: dict[str, Figure]) -> Sequence[str]:
    return [
        kind,
        f"{noise:g}",
        seen,
        str(found[SHRINKAGE].people),
        *(f"{found[m].error.estimate:.3f}" if m in found else ABSENT for m in METHODS),
        *(_interval(found[m].gain, "+.3f") if m in found else ABSENT for m in BEATEN),
        *(_interval(found[m].coverage[LEVEL], ".2f") for m in COVERED if m in found),
    ]


def _interval(interval: Interval | None, form: str) -> str:
    if interval is None:
        return ABSENT
    if interval == Interval(0, 0, 0):
        return "the same"
    return f"{interval.estimate:{form}} ({interval.low:{form}} to {interval.high:{form}})"


if __name__ == "__main__":
    main()
