r"""How accurate models are, beside two baselines of intensity with the same smoothing.

The first column is the raw intensity of the scan as it came, which needs no model; the second is
``threshold``, the calibrated intensity after the preprocessing of the app. A model finds something
only where it is above both. Prints one markdown table of means over people, with 95 % intervals
(2,000 bootstrap draws of people) and the paired differences to both baselines, on

- synthetic lesions in held-out healthy people of IXI, by size, on T1w and on FLAIR and T2w painted
  from it (``synthetic``),
- acute stroke on single FLAIR slices (``stroke``),
- FLAIR and T1w of elderly people, with AUTOMATIC masks, and with manual masks scans of people with
  white matter lesions, a person with multiple sclerosis, and FLAIR of gliomas (``patients``),
- people without lesions, T1w and T2w: false positives, and on T1w of IXI the quality of the
  reconstruction (``healthy``),

and a short block over all sets: the mean and the worst of AUPRC and Dice, and false positives.

Which people: a split of ``splits.tsv``; designs are chosen on ``dev``, ``report`` is for releases.
Real scans go through the real command and are evaluated in their own grid. What was run is kept in
the results folder by the digest of the bundle, so a second call only evaluates::

    python benchmarks/accuracy.py DATA --results FOLDER --split dev
    python benchmarks/accuracy.py DATA --results FOLDER --model --bundle candidates/FLAIR-a \
        --parts stroke patients
"""

import argparse
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from shared.all_sets import HIGHEST, LOWEST, overview
from shared.data_folder import add_data_folder
from shared.models import BASELINES, RAW_INTENSITY, Model, models, of_modality
from shared.people import Split
from shared.table import Row, markdown

from bids_anomaly.evaluation.raw import SMOOTHING_MM
from bids_anomaly.evaluation.statistics import DRAWS
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.reconstruction.bundle import DEFAULT_FAMILY, Bundle
from bids_anomaly.settings import Settings

PARTS = ("synthetic", "stroke", "patients", "healthy")


def main() -> None:
    """Run what was not run yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_folder(parser)
    parser.add_argument("--results", type=Path, required=True, help="folder for the runs, kept")
    parser.add_argument("--split", default="dev", choices=("dev", "report"))
    parser.add_argument(
        "--model", nargs="*", default=[DEFAULT_FAMILY], help="packaged families, a column each"
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        action="append",
        default=[],
        help="a bundle that is not packaged, or a folder of bundles; a column each; repeatable",
    )
    parser.add_argument("--modalities", nargs="+", default=MODALITIES, choices=MODALITIES)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument(
        "--at-most", type=int, help="only so many people of each dataset, for a quick look"
    )
    parser.add_argument("--output", type=Path, help="file that the table is written to as well")
    arguments = parser.parse_args()

    columns = models(arguments.model, arguments.bundle)
    rows = {
        modality: list(rows_of(arguments, modality, of_modality(columns, modality)))
        for modality in arguments.modalities
    }
    names = [RAW_INTENSITY, *(column.name for column in columns)]
    everything = [row for own in rows.values() for row in own]
    text = "\n".join(
        [
            heading(arguments, columns),
            markdown(everything, names, BASELINES),
            f"All sets of the split `{arguments.split}` at once. Rates are *within* from {LOWEST} "
            f"to {HIGHEST} %.\n",
            overview(rows, names),
        ]
    )
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


def rows_of(
    arguments: argparse.Namespace, modality: str, bundles: Mapping[str, Bundle]
) -> Iterable[Row]:
    """Yield all rows of a modality that were asked for, if there is a model besides `threshold`."""
    data, results = arguments.data, arguments.results
    split = Split(arguments.split, arguments.at_most)
    if not bundles:
        print(f"{modality}: no model but the baseline.", file=sys.stderr)
        return
    if "synthetic" in arguments.parts:
        from shared.synthetic_lesions import synthetic_rows

        yield from synthetic_rows(data, results, split, modality, bundles)
    if "stroke" in arguments.parts and modality == "FLAIR":
        from shared.stroke_slices import stroke_rows

        yield from stroke_rows(data, split, bundles, results / "reconstructed")
    if "patients" in arguments.parts:
        from shared.real_scans import patient_rows

        yield from patient_rows(data, results, split, modality, bundles)
    if "healthy" in arguments.parts:
        from shared.real_scans import healthy_rows

        yield from healthy_rows(data, results, split, modality, bundles)


def heading(arguments: argparse.Namespace, columns: Sequence[Model]) -> str:
    """Say what every figure of the table rests on."""
    lines = [
        f"Split `{arguments.split}` of `benchmarks/splits.tsv`"
        + (f", at most {arguments.at_most} people" if arguments.at_most else "")
        + ". Figures are means over people "
        f"(those for whom a figure is defined), with 95 % intervals from {DRAWS:,} bootstrap draws "
        "of people, and paired differences with the p-value of Wilcoxon's test. Masks are those "
        f"of the app: threshold preset by calibration for a rate of {Settings.healthy_fpr:.1%} "
        "of the voxels of people or tissue without disease, components below "
        f"{Settings.min_lesion_volume:g} mm3 left out. Lesions and marked components count as "
        "found and as right when a tenth of them overlaps.",
        "",
        f"- `{RAW_INTENSITY}`: the scan as it came (synthetic lesions, slices: as it is given to "
        f"models), smoothed by {SMOOTHING_MM:g} mm within the brain; no threshold",
    ]
    for column in columns:
        for modality, bundle in column.bundles.items():
            if not (modality in arguments.modalities and of_modality(columns, modality)):
                continue
            calibrated = bundle.description.get("calibration", {}).get("data", "unknown")
            lines.append(
                f"- `{column.name}`, {modality}: {bundle.name} {bundle.version} "
                f"({bundle.digest[:8]}), calibrated on {calibrated}"
            )
    lines.append(f"- Seconds on {os.cpu_count()} cores of {platform.machine()}.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
