"""Is ComBat better than a site that is held constant? Simulated groups from several scanners.

Regions of people who do not exist: mean z-scores that depend on age and sex, and on the site, which
moves and stretches them. In half of the studies one region of the cases is one standard deviation
higher. Groups are compared as at the group level, by the largest |t| over all regions.

    pip install neuroCombat==0.2.12    # no dependency of the app
    python benchmarks/sites.py --studies 400

How much is left to be found where a site goes with the group, without ComBat:

    python benchmarks/sites.py --uneven --studies 1000
"""

import argparse
import contextlib
import io
import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bids_anomaly.group.comparison import LEVEL, max_t_test

REGIONS, EFFECT, PERMUTATIONS = 60, 1.0, 99
# Controls and cases of each site.
STUDIES: Mapping[str, Sequence[tuple[int, int]]] = {
    "three sites, 10 and 10 each": [(10, 10)] * 3,
    "six sites, 5 and 5 each": [(5, 5)] * 6,
    "three sites, 16 and 4, 10 and 10, 4 and 16": [(16, 4), (10, 10), (4, 16)],
    "two sites, 20 and 2, 2 and 20": [(20, 2), (2, 20)],
}

# Of the first of two sites; the second has as many cases and controls. Once, and three times these.
UNEVEN, TIMES = [(11, 11), (15, 7), (17, 5), (19, 3), (20, 2)], (1, 3)


class Study(NamedTuple):
    """Values of N people in R regions (N, R), and what is known of them, (N,) each."""

    values: np.ndarray
    site: np.ndarray
    is_case: np.ndarray
    age: np.ndarray
    sex: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Age and sex, (N, 2)."""
        return np.column_stack([self.age, self.sex])

    @property
    def known_with_site(self) -> np.ndarray:
        """Age, sex and a column for each site but one."""
        return np.column_stack([self.known, self.site[:, None] == np.unique(self.site)[1:]])


def draw_study(
    random: np.random.Generator, sites: Sequence[tuple[int, int]], effect: float
) -> Study:
    """Draw people of several sites; the first region of cases is higher by `effect`."""
    site = np.repeat(np.arange(len(sites)), [sum(one) for one in sites])
    is_case = np.concatenate([np.arange(sum(one)) >= one[0] for one in sites])
    age, sex = random.normal(60, 10, site.size), random.integers(2, size=site.size)
    # Regions of a person go together, and so do those of a site.
    values = 0.4 * random.normal(size=(site.size, 1))
    values = values + 0.9 * random.normal(size=(site.size, REGIONS))
    values += 0.02 * (age - 60)[:, None] + 0.1 * sex[:, None]
    of_all, of_each = (len(sites), 1), (len(sites), REGIONS)
    moved = random.normal(0, 0.5, of_all) + random.normal(0, 0.3, of_each)
    stretched = np.exp(random.normal(0, 0.2, of_all) + random.normal(0, 0.1, of_each))
    values = values * stretched[site] + moved[site]
    values[:, 0] += effect * is_case
    return Study(values, site, is_case, age, sex)


def combat_of_everybody(study: Study) -> np.ndarray:
    """Return values that ComBat harmonised, with age, sex and group kept."""
    return _combat(study, slice(None), ["sex", "is_case"])["data"].T


def combat_of_controls(study: Study) -> np.ndarray:
    """Return values that ComBat harmonised by what it learned of controls, age and sex kept."""
    controls = ~study.is_case
    learned = _combat(study, controls, ["sex"])
    estimates, sites = learned["estimates"], np.unique(study.site)
    design = np.column_stack([study.site[:, None] == sites, study.sex, study.age]).astype(float)
    weights = np.linalg.lstsq(design[controls], study.values[controls], rcond=None)[0]
    shares = np.array([(study.site[controls] == one).mean() for one in sites])
    expected = shares @ weights[: sites.size] + design[:, sites.size :] @ weights[sites.size :]
    spread = np.sqrt(np.ravel(estimates["var.pooled"]))
    moved, stretched = (np.asarray(estimates[name]) for name in ("gamma.star", "delta.star"))
    standard = (study.values - expected) / spread
    return (standard - moved[study.site]) / np.sqrt(stretched[study.site]) * spread + expected


def _combat(study: Study, who, categorical: Sequence[str]) -> dict:
    # Here, so that who does not have it can still read what this file says of itself.
    from neuroCombat import neuroCombat

    columns = {name: getattr(study, name)[who] for name in ("site", "age", *categorical)}
    with contextlib.redirect_stdout(io.StringIO()):
        return neuroCombat(
            dat=study.values[who].T,
            covars=pd.DataFrame({name: np.asarray(c, dtype=float) for name, c in columns.items()}),
            batch_col="site",
            categorical_cols=list(categorical),
            continuous_cols=["age"],
        )


def compare(study: Study, seed: int) -> dict[str, np.ndarray]:
    """Return the family-wise p of each region by each way to handle the site."""
    of_controls = combat_of_controls(study)
    ways = {
        "site ignored": (study.values, study.known),
        "site held constant": (study.values, study.known_with_site),
        "ComBat of everybody, group kept": (combat_of_everybody(study), study.known),
        "ComBat of controls": (of_controls, study.known),
        "ComBat of controls, site held constant": (of_controls, study.known_with_site),
    }
    return {
        way: max_t_test([values], study.is_case, known, seed=seed, permutations=PERMUTATIONS).p
        for way, (values, known) in ways.items()
    }


def print_power_of_uneven_sites(studies: int) -> None:
    """Print how often the region is found with the site held constant."""
    print("| controls and cases of each site | explained by the site (%) | power |")
    print("| --- | ---: | ---: |")
    for times, (some, others) in itertools.product(TIMES, UNEVEN):
        controls, cases = times * some, times * others
        random, found = np.random.default_rng(controls), []
        for seed in range(studies):
            study = draw_study(random, [(controls, cases), (cases, controls)], EFFECT)
            known = study.known_with_site
            test = max_t_test(
                [study.values], study.is_case, known, seed=seed, permutations=PERMUTATIONS
            )
            found.append(test.p[0] <= LEVEL)
        explained = np.corrcoef(study.site, study.is_case)[0, 1] ** 2
        print(
            f"| {controls} and {cases}, {cases} and {controls} | {100 * explained:.0f} | "
            f"{np.mean(found):.2f} |",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--uneven", action="store_true", help="power by imbalance, and no ComBat")
    parser.add_argument("--studies", type=int, default=400, help="with and without a difference")
    asked = parser.parse_args()
    if asked.uneven:
        print_power_of_uneven_sites(asked.studies)
        return 0
    print("| controls and cases | site | false positive rate | power |")
    print("| --- | --- | ---: | ---: |")
    for number, (words, sites) in enumerate(STUDIES.items()):
        random = np.random.default_rng(number)
        none = [compare(draw_study(random, sites, 0), seed) for seed in range(asked.studies)]
        some = [compare(draw_study(random, sites, EFFECT), seed) for seed in range(asked.studies)]
        for way in none[0]:
            false = np.mean([p[way].min() <= LEVEL for p in none])
            power = np.mean([p[way][0] <= LEVEL for p in some])
            print(f"| {words} | {way} | {false:.3f} | {power:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
