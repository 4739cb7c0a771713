r"""How many local controls a calibration needs, and whether age and sex change healthy scores.

Some people of a dataset, on whom nothing was trained, are drawn as controls and calibrate; the
others are judged, again and again. Patients can take part with their lesion-free voxels. The first
row is the calibration of the bundle as it comes. Rates of single people, each judged by all others,
are set against age and sex where the table of participants knows them::

    bids-anomaly DATA/ixi-healthy PREPROCESSED/ixi-healthy participant --stage preprocess
    python benchmarks/local_controls.py PREPROCESSED/ixi-healthy --splits calibration dev
    python benchmarks/local_controls.py PREPROCESSED/elderly-wmh --splits dev \
        --bundle restore-FLAIR --exclude DATA/elderly-wmh/derivatives/dlwmls
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu, spearmanr
from shared.people import people
from shared.table import line

from bids_anomaly.reconstruction.bundle import named_bundle
from bids_anomaly.reconstruction.covariates import AGE_SCALE, MIDDLE_AGE, SEXES, as_numbers
from bids_anomaly.scoring.calibration import (
    Calibration,
    calibrate,
    healthy_exceedance,
    load_calibration,
)
from bids_anomaly.settings import Settings
from bids_anomaly.training.controls import scores_by_person
from bids_anomaly.training.lesions import known_lesions
from bids_anomaly.training.people import Preprocessed, load_people
from bids_anomaly.training.rates import observed_rates

NUMBERS = (3, 5, 10, 20)
DRAWS, SEED = 200, 0
NOMINAL = Settings.healthy_fpr


def main() -> None:
    """Print one table, and what goes with age and sex."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preprocessed", type=Path, help="output of the app, named as its dataset")
    parser.add_argument("--splits", nargs="+", required=True, help="of benchmarks/splits.tsv")
    parser.add_argument("--bundle", default="restore-T1w", help="name or folder")
    parser.add_argument("--exclude", type=Path, metavar="MASKS", help="derivatives with lesions")
    arguments = parser.parse_args()
    bundle = named_bundle(arguments.bundle)
    preprocessed = arguments.preprocessed
    chosen = {f"sub-{label}" for label in people(preprocessed.resolve().name, *arguments.splits)}
    scans = load_people(preprocessed, modality=bundle.modality, participants=chosen)
    left_out = {}
    if arguments.exclude:
        left_out = {s.path: known_lesions(s, preprocessed, arguments.exclude) for s in scans}
    scores = scores_by_person(bundle, scans, device="cpu", left_out=left_out)
    print(
        f"{bundle.name} {bundle.version}, {len(scores)} people of {preprocessed.resolve().name}, "
        f"nominal {100 * NOMINAL:g} %, {DRAWS} draws of controls.\n"
    )
    head = ["local controls", "voxels marked in the others (%), mean", "5th to 95th percentile"]
    print(line(head))
    print(line(["---:"] * len(head)))
    as_it_comes = load_calibration(bundle.calibration)
    print(line(["none", f"{100 * mean_rate(as_it_comes, scores):.3f}", ""]))
    for number in NUMBERS:
        if number < len(scores):
            rates = 100 * rates_with(scores, number)
            low, high = np.percentile(rates, [5, 95])
            print(line([str(number), f"{rates.mean():.3f}", f"{low:.3f} to {high:.3f}"]))
    print(f"\n{by_age_and_sex(scans, observed_rates(scores, [NOMINAL])[:, 0])}")


def rates_with(scores: Sequence[np.ndarray], number: int) -> np.ndarray:
    """Return the mean rate of those who were not drawn, for each draw of controls."""
    random = np.random.default_rng(SEED)
    rates = []
    for _ in range(DRAWS):
        drawn = set(random.choice(len(scores), number, replace=False).tolist())
        calibration = calibrate([scores[person] for person in drawn])
        others = [own for person, own in enumerate(scores) if person not in drawn]
        rates.append(mean_rate(calibration, others))
    return np.array(rates)


def mean_rate(calibration: Calibration, scores: Sequence[np.ndarray]) -> float:
    """Return the share of voxels that are called anomalous, the mean over people."""
    exceeding = (healthy_exceedance(calibration.zscore(own)) < NOMINAL for own in scores)
    return float(np.mean([person.mean() for person in exceeding]))


def by_age_and_sex(scans: Sequence[Preprocessed], rates: np.ndarray) -> str:
    """Say how the rates of single people go with what the table of participants knows of them."""
    age, sexes = np.array([as_numbers(scan.known) for scan in scans]).T
    ages = MIDDLE_AGE + AGE_SCALE * age
    aged = np.isfinite(ages)
    if aged.sum() < 3:
        return "Of too few people the age is known."
    rho = spearmanr(ages[aged], rates[aged])
    men, women = (rates[sexes == SEXES[sex]] for sex in ("male", "female"))
    text = (
        f"Rate and age, {aged.sum()} people of {ages[aged].min():.0f} to {ages[aged].max():.0f} "
        f"years: Spearman's rho {rho.statistic:.2f}, p = {rho.pvalue:.2f}."
    )
    if min(len(men), len(women)) > 1:
        p_value = mannwhitneyu(men, women).pvalue
        text += (
            f" Median rate of {len(men)} men {100 * np.median(men):.3f} %, of {len(women)} women "
            f"{100 * np.median(women):.3f} %, p = {p_value:.2f}."
        )
    return text


if __name__ == "__main__":
    main()
