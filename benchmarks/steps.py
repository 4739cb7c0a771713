r"""What accuracy the speed costs: methods that go down in steps, with few of them and with many.

Prints a markdown table for the white matter hyperintensities of elderly people (SBIA 2017,
AUTOMATIC masks), in the model grid: AUPRC by the method's own score and by the same plus intensity,
how far the pseudo-healthy image is from the scan where there is no lesion (l1, white matter = 1),
and what a reconstruction costs. Reconstructions are kept in the results folder, and may be those of
``methods.py``::

    bids-anomaly DATA/elderly-wmh PREPROCESSED/elderly-wmh participant --stage preprocess
    python benchmarks/steps.py DATA --preprocessed PREPROCESSED --results FOLDER \
        --modality FLAIR --bundle trained/anoddpm --steps 1 10 50 250
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from methods import OWN, WITH_INTENSITY, judged
from shared.data_folder import add_data_folder
from shared.models import RAW_INTENSITY, models, of_modality
from shared.patients_in_grid import Patient, patients_in_grid
from shared.people import Split
from shared.real_scans import PATIENTS
from shared.scored import reconstructed, zscore
from shared.table import ABSENT, figure_of, interval, line, rows_by_measure

from bids_anomaly.evaluation.metrics import auprc, l1
from bids_anomaly.reconstruction.bundle import Bundle

ELDERLY = PATIENTS[0]
FORMS = {"seconds a volume": ".1f", "evaluations": ".0f"}


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument("--preprocessed", type=Path, required=True, help="outputs of the app")
    parser.add_argument("--results", type=Path, required=True, help="folder for what is kept")
    parser.add_argument("--split", default="dev", choices=("dev", "report"))
    parser.add_argument("--modality", default="FLAIR", choices=ELDERLY.modalities)
    parser.add_argument("--model", nargs="*", default=[], help="packaged families")
    parser.add_argument("--bundle", type=Path, action="append", default=[], help="repeatable")
    parser.add_argument("--steps", type=int, nargs="+", required=True)
    parser.add_argument("--at-most", type=int, help="only so many people")
    arguments = parser.parse_args()

    preprocessed = arguments.preprocessed / ELDERLY.dataset
    who = Split(arguments.split, arguments.at_most).people(ELDERLY.dataset)
    found = list(patients_in_grid(arguments.data, preprocessed, ELDERLY, arguments.modality, who))
    bundles = of_modality(models(arguments.model, arguments.bundle), arguments.modality)
    kept = arguments.results / "reconstructed"
    columns = None
    for name, by_steps in _measured(bundles, found, arguments.steps, kept):
        rows = rows_by_measure(name, by_steps, FORMS)
        if columns is None:
            columns = [row.measure for row in rows]
            print(
                f"{ELDERLY.title}, {arguments.modality}, split `{arguments.split}`, "
                f"{len(found)} people: means with 95 % bootstrap intervals.\n"
            )
            print(line(["method", "`--steps`", *columns]))
            print(line(["---"] * (2 + len(columns))))
            raw = interval([person.raw_auprc for person in found], ".3f")
            print(line([RAW_INTENSITY, "", raw, raw, *[ABSENT] * (len(columns) - 2)]))
        for steps in by_steps:
            print(line([f"`{name}`", steps, *(figure_of(row, steps) for row in rows)]), flush=True)


def _measured(
    bundles: Mapping[str, Bundle], found: Sequence[Patient], steps: Sequence[int], kept: Path
) -> Iterator[tuple[str, dict[str, list[dict[str, float]]]]]:
    """Yield the name of a method, and for each number of steps the figures of all people."""
    for name, bundle in bundles.items():
        if bundle.weights is not None:
            yield (
                name,
                {str(n): [_figures(bundle, person, n, kept) for person in found] for n in steps},
            )


def _figures(bundle: Bundle, person: Patient, steps: int, kept: Path) -> dict[str, float]:
    scan, brain = person.scan, person.brain
    timed = reconstructed(bundle, scan, brain, kept, person.known, steps=steps)
    scores = judged({bundle.name: bundle}, bundle.modality)
    figures = {}
    for score in (OWN, WITH_INTENSITY):
        z = zscore(scores[score][bundle.name], scan, brain, timed.result)
        figures[f"AUPRC, {score}"] = auprc(z[brain], person.truth[brain])
    figures["l1 without lesions"] = l1(scan, timed.result.pseudo_healthy, person.lesion_free)
    figures["evaluations"] = float(timed.result.evaluations)
    figures["seconds a volume"] = timed.seconds
    return figures


if __name__ == "__main__":
    main()
