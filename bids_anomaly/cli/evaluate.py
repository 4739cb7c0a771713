"""The command ``bids-anomaly-evaluate``."""

import argparse
import shlex
import sys
from collections.abc import Sequence

from bids_anomaly.cli import values
from bids_anomaly.cli.main import report_errors
from bids_anomaly.exceptions import ExitCode, UsageError
from bids_anomaly.settings import TEMPLATE

PAGE = "evaluation.html"


def main(argv: Sequence[str] | None = None) -> int:
    """Compare results of bids-anomaly with masks of lesions."""
    parser = _make_parser()
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = parser.parse_args(given)
    return report_errors(parser.prog, lambda: _evaluate(arguments, [parser.prog, *given]))


def _make_parser() -> argparse.ArgumentParser:
    """Return the parser, one call an argument."""
    parser = argparse.ArgumentParser(
        prog="bids-anomaly-evaluate",
        description="Compare what bids-anomaly found with masks of lesions: tables of all metrics "
        "by scan and in summary, with intervals and paired tests between models, and a page with "
        "curves and pictures.",
    )
    parser.add_argument(
        "derivatives",
        metavar="DERIVATIVES",
        nargs="+",
        type=values.read_derivatives,
        help="output folder of bids-anomaly, or NAME=FOLDER; several are compared",
    )
    parser.add_argument(
        "--truth",
        metavar="MASKS",
        required=True,
        type=values.read_path,
        help="derivative dataset of lesion masks (sub-*/**/*_mask.nii.gz), empty where there is no "
        "lesion",
    )
    parser.add_argument(
        "--bids-dir",
        metavar="FOLDER",
        type=values.read_existing_folder,
        help="input dataset of the results, for the baseline raw intensity (default: where the "
        "results say that it was)",
    )
    parser.add_argument(
        "--truth-entities",
        metavar="KEY=VALUE",
        nargs="+",
        default=[],
        type=values.read_entity,
        help="entities of the masks to use where there are several, such as label=WMH desc=rater1",
    )
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        type=values.read_path,
        help="where tables and page go (default: group/evaluation in DERIVATIVES, if it is one)",
    )
    parser.add_argument(
        "--participant-label",
        metavar="LABEL",
        nargs="+",
        type=values.read_participant_label,
        help="whom to evaluate, with or without sub- (default: everybody)",
    )
    parser.add_argument(
        "--modalities",
        metavar="MODALITY",
        nargs="+",
        type=values.read_word,
        help="T1w, FLAIR, T2w (default: all there are)",
    )
    parser.add_argument(
        "--space",
        type=values.read_word,
        default="native",
        help=f"grid to evaluate in: native, that of each scan, or {TEMPLATE} "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--controls",
        metavar="COLUMN=VALUE",
        type=values.read_controls,
        help="who has no disease, by a column of the table of participants; they need no mask "
        "(default: those with an empty mask)",
    )
    parser.add_argument(
        "--participants-file",
        metavar="FILE",
        type=values.read_existing_file,
        help="table with participant_id and that column (default: participants.tsv of the first "
        "DERIVATIVES)",
    )
    parser.add_argument(
        "--healthy",
        metavar="DERIVATIVES",
        type=values.read_path,
        help="output of bids-anomaly for the same scans without lesions, where lesions are "
        "synthetic: is the lesion healthy afterwards",
    )
    return parser


def _evaluate(arguments: argparse.Namespace, command: Sequence[str]) -> ExitCode:
    derivatives = dict(arguments.derivatives)
    if len(derivatives) < len(arguments.derivatives):
        raise UsageError("Two DERIVATIVES have one name. Name them apart: NAME=FOLDER.")
    if arguments.truth.resolve() in [folder.resolve() for folder in derivatives.values()]:
        raise UsageError("--truth is a folder of results. Name the folder of masks made by others.")
    output = arguments.output
    if output is None:
        if len(derivatives) > 1:
            raise UsageError("Several DERIVATIVES are compared: say where to with --output FOLDER.")
        output = arguments.derivatives[0][1] / "group" / "evaluation"

    from bids_anomaly import __version__
    from bids_anomaly.evaluation.dataset import evaluate, pair_up
    from bids_anomaly.evaluation.raw import RAW_INTENSITY
    from bids_anomaly.evaluation.summary import summarise
    from bids_anomaly.evaluation.tables import write_tables
    from bids_anomaly.reports.evaluation import write_evaluation
    from bids_anomaly.running.runs import exit_code
    from bids_anomaly.running.workfolder import make_folder

    if RAW_INTENSITY in derivatives:
        raise UsageError(f"{RAW_INTENSITY!r} is the baseline. Name your results otherwise.")
    make_folder(output)
    controls = _controls(arguments)
    pairs, notes = pair_up(
        derivatives,
        arguments.truth,
        space=None if arguments.space == "native" else arguments.space,
        modalities=arguments.modalities,
        participants=arguments.participant_label,
        controls=controls,
        chosen=dict(arguments.truth_entities),
    )
    for note in notes:
        print(note, file=sys.stderr)
    evaluation = evaluate(
        pairs,
        controls=controls,
        healthy=arguments.healthy,
        bids_dir=arguments.bids_dir,
        notes=notes,
        tell=_tell,
    )
    for note in evaluation.notes[len(notes) :]:
        print(note, file=sys.stderr)
    for name, error in evaluation.failures.items():
        print(f"{name} could not be evaluated. {error}", file=sys.stderr)
    code = exit_code(
        [[error.exit_code] for error in evaluation.failures.values()],
        sum(len(found) for found in pairs.values()),
    )
    if not evaluation.rows:
        return code
    summary = summarise(evaluation)
    write_tables(output, evaluation, summary)
    provenance = {
        "Version": f"bids-anomaly {__version__}",
        "Command": shlex.join(command),
        "Grid": arguments.space,
    }
    write_evaluation(output / PAGE, evaluation, summary, provenance)
    print(f"Look at {output / PAGE}; metrics.tsv and summary.tsv lie beside it.")
    return code


def _controls(arguments: argparse.Namespace) -> set[str]:
    """Return the labels of those who have no disease by declaration, without ``sub-``."""
    if arguments.controls is None:
        return set()
    from bids_anomaly.bids.participants import declared_controls

    table = arguments.participants_file or arguments.derivatives[0][1] / "participants.tsv"
    return {person.removeprefix("sub-") for person in declared_controls(table, arguments.controls)}


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
