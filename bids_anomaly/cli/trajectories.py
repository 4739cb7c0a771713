"""The command ``bids-anomaly-trajectories``."""

import argparse
import importlib.util
import math
import shlex
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path

from bids_anomaly.cli import values
from bids_anomaly.cli.main import report_errors
from bids_anomaly.exceptions import ExitCode, PackageUnavailableError, UsageError, some_of

PAGE, FIGURES = "trajectories.html", "figures"
AHEAD_YEARS = (1.0, 2.0, 3.0)
MOST_AHEAD = 50.0
# Of a drawn course, from the last session on.
POINTS = 13


def main(argv: Sequence[str] | None = None) -> int:
    """Forecast how values of people go on."""
    parser = _make_parser()
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = parser.parse_args(given)
    return report_errors(parser.prog, lambda: _forecast(arguments, [parser.prog, *given]))


def _make_parser() -> argparse.ArgumentParser:
    """Return the parser, one call an argument."""
    parser = argparse.ArgumentParser(
        prog="bids-anomaly-trajectories",
        description="Forecast how values of people go on over time: between what the population "
        "lets expect and what the person's own sessions say. Writes tables with intervals, a plot "
        "for each person, and a page that says how far such forecasts miss.",
    )
    parser.add_argument(
        "table",
        metavar="TABLE",
        type=values.read_path,
        help="table (.tsv) with participant_id, session_id or time (years since the first "
        "session), age, values, and optionally sex; or the output folder of bids-anomaly after its "
        "group level",
    )
    parser.add_argument(
        "output", metavar="OUTPUT_DIR", type=values.read_path, help="where tables and page go"
    )
    parser.add_argument(
        "--values",
        metavar="COLUMN",
        nargs="+",
        default=[],
        help="columns to forecast (default: all other columns of numbers; of an output folder "
        "anomalous_volume and mean_z, and it also has volume_<Region> and z_<Region>)",
    )
    parser.add_argument(
        "--ahead",
        metavar="YEARS",
        nargs="+",
        type=_read_years,
        default=list(AHEAD_YEARS),
        help="when to forecast, in years after the last session of each (default: 1 2 3)",
    )
    parser.add_argument(
        "--participant-label",
        metavar="LABEL",
        nargs="+",
        type=values.read_participant_label,
        help="whom to forecast, with or without sub- (default: everybody); all are learned from",
    )
    parser.add_argument(
        "--seed",
        type=values.read_whole_number,
        default=0,
        help="of the models and of who is held out together (default: %(default)s)",
    )
    return parser


def _read_years(text: str) -> float:
    """Read a number of years ahead."""
    try:
        years = float(text)
    except ValueError:
        years = math.nan
    if not 0 < years <= MOST_AHEAD:
        raise ArgumentTypeError(
            f"a number of years above 0 and up to {MOST_AHEAD:g} is needed, not {text!r}"
        )
    return years


def _forecast(arguments: argparse.Namespace, command: Sequence[str]) -> ExitCode:
    _require_gpytorch()
    import numpy as np

    from bids_anomaly import __version__
    from bids_anomaly.reports.trajectories import Measure, write_plots, write_trajectories
    from bids_anomaly.running.workfolder import make_folder
    from bids_anomaly.trajectories.accuracy import cross_validate, figures
    from bids_anomaly.trajectories.courses import courses_of, read_visits
    from bids_anomaly.trajectories.forecast import learn
    from bids_anomaly.trajectories.results import read_results
    from bids_anomaly.trajectories.tables import forecast_people, rows_of_people, write_tables

    table: Path = arguments.table
    columns = list(dict.fromkeys(arguments.values))
    visits = read_results(table, columns) if table.is_dir() else read_visits(table, columns)
    notes = list(visits.notes)
    for note in notes:
        print(note, file=sys.stderr)
    # All are checked before the first is learned, which takes a while.
    courses = {column: courses_of(visits, column) for column in visits.columns}
    chosen = _chosen(arguments.participant_label, {one.participant for one in visits.sessions})
    make_folder(arguments.output)
    ahead = np.unique(arguments.ahead)
    measures, rows, accuracy = [], [], []
    for column, people in courses.items():
        started = time.monotonic()
        tests = cross_validate(people, seed=arguments.seed, tell=notes.append)
        model = learn(people, seed=arguments.seed)
        theirs = [course for course in people if chosen is None or course.participant in chosen]
        drawn = forecast_people(model, theirs, np.linspace(0, ahead.max(), POINTS))
        own_rows = rows_of_people(column, forecast_people(model, theirs, ahead))
        own_figures = figures(tests)
        measures.append(Measure(column, drawn, own_rows, own_figures, model.shrinkage))
        rows += own_rows
        accuracy += [(column, figure) for figure in own_figures]
        print(
            f"{column}: learned from {sum(len(one.years) > 1 for one in people)} people, "
            f"{len(theirs)} forecast: {time.monotonic() - started:.0f} s",
            flush=True,
        )
    for note in notes[len(visits.notes) :]:
        print(note, file=sys.stderr)
    provenance = {
        "Version": f"bids-anomaly {__version__}",
        "Command": shlex.join(command),
        "Seed": str(arguments.seed),
    }
    write_tables(arguments.output, rows, accuracy, GeneratedBy=provenance)
    write_plots(arguments.output / FIGURES, measures)
    write_trajectories(arguments.output / PAGE, measures, notes, provenance)
    print(
        f"Look at {arguments.output / PAGE}; trajectories.tsv, accuracy.tsv and {FIGURES} lie "
        "beside it."
    )
    return ExitCode.OK


def _require_gpytorch() -> None:
    if importlib.util.find_spec("gpytorch") is None:
        raise PackageUnavailableError(
            "Forecasts need GPyTorch, which is not installed. Install it, from a clone, "
            'with: pip install ".[trajectories]".'
        )


def _chosen(labels: Sequence[str] | None, there: set[str]) -> set[str] | None:
    """Return whom to forecast, as the table names them; None is everybody."""
    if labels is None:
        return None
    by_label = {participant.removeprefix("sub-"): participant for participant in there}
    unknown = [label for label in labels if label not in by_label]
    if unknown:
        raise UsageError(
            f"The table has nobody called {some_of(unknown)}. Check --participant-label."
        )
    return {by_label[label] for label in labels}


if __name__ == "__main__":
    sys.exit(main())
