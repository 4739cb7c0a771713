"""Measure how well groups of simulated people are told apart by their profiles of regions.

Prints a table in markdown: balanced accuracy of people who are left out, with 95 % bootstrap
intervals over simulations, and how often it is called above chance::

    python benchmarks/likeness.py --simulations 20
"""

import argparse
import warnings

import numpy as np
from shared.simulated_profiles import simulate
from shared.table import interval, line
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bids_anomaly.group.prototypes import (
    balanced,
    distances,
    make_prototypes,
    probabilities,
    profiles_of,
    recognise,
)

EFFECTS, PEOPLE, SITE = (0.0, 1.5), (5, 10, 20), 0.3
NEIGHBOURS, SMOOTHING = 3, 0.25
SHRUNKEN = "prototypes, shrunken"
# Settings were chosen on earlier ones.
FIRST_SEED = 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=20, help="of each kind")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    heads = ["effect (z)", "people a group", SHRUNKEN, "not shrunken", "smoothed by neighbours"]
    heads += ["nearest neighbour", "logistic regression", "chance", "called above chance (%)"]
    print(line(heads))
    print(line(["---:"] * len(heads)), flush=True)
    for effect in EFFECTS:
        for people in PEOPLE:
            found = [
                _measure(effect, people, FIRST_SEED + seed) for seed in range(arguments.simulations)
            ]
            cells = [interval([one[at] for one in found]) for at in range(6)]
            above = f"{100 * np.mean([one[6] for one in found]):.0f}"
            print(line([f"{effect:g}", str(people), *cells, above]), flush=True)


def _measure(effect: float, people: int, seed: int) -> list[float]:
    """Return the balanced accuracy of each method, that of chance, and whether it was called so."""
    random = np.random.default_rng(seed)
    values, blocks, groups = simulate(people, effect=effect, site=SITE, random=random)
    profiles = profiles_of(values, blocks, groups)
    # Half as many as at the group level, to save time.
    found = recognise(profiles, groups, seed=seed, permutations=100)
    plain = distances(profiles, make_prototypes(profiles, groups, threshold=0)).argmin(axis=1)
    far = distances(profiles, make_prototypes(profiles, groups))
    likely = (1 - SMOOTHING) * probabilities(far, groups)
    neighbours = np.zeros_like(likely)
    nearest, regression = np.empty_like(groups), np.empty_like(groups)
    for part in profiles.parts:
        others = np.setdiff1d(np.arange(len(groups)), part)
        data, answers = values[others], groups[others]
        several = make_pipeline(StandardScaler(), KNeighborsClassifier(NEIGHBOURS))
        neighbours[part] = several.fit(data, answers).predict_proba(values[part])
        one = make_pipeline(StandardScaler(), KNeighborsClassifier(1))
        nearest[part] = one.fit(data, answers).predict(values[part])
        linear = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=50)
        )
        regression[part] = linear.fit(data, answers).predict(values[part])
    smoothed = (likely + SMOOTHING * neighbours).argmax(axis=1)
    everybody = np.ones((1, len(groups)))
    rest = [
        float(balanced(which == groups, groups)(everybody)[0])
        for which in (plain, smoothed, nearest, regression)
    ]
    return [found.accuracy.estimate, *rest, found.chance, float(found.p < 0.05)]


if __name__ == "__main__":
    main()
