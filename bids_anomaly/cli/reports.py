"""Write the reports of participants again, from the derivatives of an earlier run."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, set_forkserver_preload
from pathlib import Path

from bids_anomaly.bids.naming import entities_of, report_path
from bids_anomaly.exceptions import (
    BidsAnomalyError,
    ExitCode,
    MissingInputError,
    NothingFoundError,
    some_of,
)
from bids_anomaly.running.console import make_console
from bids_anomaly.running.execution import (
    START_METHOD,
    require_address_space,
    require_semaphores,
)
from bids_anomaly.running.runs import exit_code
from bids_anomaly.settings import Settings


def rebuild_reports(settings: Settings) -> ExitCode:
    """Write the reports of all sessions that came through to the end in an earlier run.

    Nothing else is written but, with ``--primary``, which scan leads; neither the input nor a model
    is read. Reports of sessions of which steps failed stay as they are, even where results of a run
    before are there.

    Returns
    -------
    ExitCode
        OK if every report was written; the common code of all failures if none was; SOME_FAILED
        else.

    Raises
    ------
    NothingFoundError
        If there is no session to report on.
    """
    records = find_records(
        settings.output_dir,
        participants=settings.participant_labels,
        excluded=settings.excluded_participants,
        sessions=settings.session_labels,
    )
    failed = [path for path in records if _has_failed(settings.output_dir, path)]
    records = [path for path in records if path not in failed]
    if settings.dry_run:
        print(*map(_label, records), sep="\n")
        return ExitCode.OK
    console = make_console()
    for path in failed:
        console.print(
            f"{_label(path)}: left as it is, because steps failed in the last run of this session",
            markup=False,
        )
    if not records:
        return ExitCode.OK
    failures, written = [], []
    # As in a run, no process inherits the threads of another, and one imports for all.
    set_forkserver_preload(["bids_anomaly.reports.session"])
    require_semaphores()
    require_address_space()
    workers = ProcessPoolExecutor(min(settings.nprocs, len(records)), get_context(START_METHOD))
    with workers:
        results = workers.map(
            _rebuild,
            [settings.output_dir] * len(records),
            records,
            [settings.primary] * len(records),
        )
        for label, error in zip(map(_label, records), results, strict=True):
            if error is None:
                console.print(f"{label}: report written", markup=False)
                written.append(str(report_path(settings.output_dir, label)))
            else:
                code, message = error
                failures.append([code])
                console.print(f"{label}: {message}", style="red", markup=False)
    if written:
        console.print(
            f"{len(written)} of {len(records)} reports written; look at {some_of(written)}",
            markup=False,
        )
    return exit_code(failures, len(records))


def find_records(
    output_dir: Path,
    *,
    participants: Sequence[str],
    sessions: Sequence[str],
    excluded: Sequence[str] = (),
) -> list[Path]:
    """Find the records from which reports can be made, sorted.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset.
    participants, sessions : sequence of str
        Labels without ``sub-`` and ``ses-``; empty for all.
    excluded : sequence of str
        Labels without ``sub-`` of participants whose reports stay as they are.

    Raises
    ------
    NothingFoundError
        If there are none, or none of a participant who was asked for.
    """
    found = [
        path
        for pattern in ("sub-*/figures", "sub-*/ses-*/figures")
        for path in output_dir.glob(f"{pattern}/sub-*_report.json")
        if not participants or entities_of(path)["sub"] in participants
        if entities_of(path)["sub"] not in excluded
        if not sessions or entities_of(path).get("ses") in sessions
    ]
    known = {entities_of(path)["sub"] for path in found}
    missing = [f"sub-{label}" for label in participants if label not in known]
    if missing or not found:
        raise NothingFoundError(
            f"{output_dir} has no finished session of {', '.join(missing) or 'anybody'}, so there "
            "is nothing to report on. Run the participant level without --reports-only first."
        )
    return sorted(found)


def _label(record: Path) -> str:
    """Return the label of a session, given its record."""
    return record.name.removesuffix("_report.json")


def _has_failed(output_dir: Path, path: Path) -> bool:
    """Tell whether steps of a session failed in its last run, given its record."""
    from bids_anomaly.bids.records import read_record
    from bids_anomaly.reports.runs import failed_in_last_run

    try:
        failed_steps = read_record(path).failed_steps
    except MissingInputError:  # Said when the report is to be written.
        return False
    if failed_steps is None:
        return failed_in_last_run(output_dir, _label(path))
    return bool(failed_steps)


def _rebuild(output_dir: Path, path: Path, primary: str | None) -> tuple[ExitCode, str] | None:
    """Write one report; return what went wrong."""
    from bids_anomaly.bids.records import read_record
    from bids_anomaly.reports.session import write_session_report

    try:
        record = read_record(path)
        if primary:
            record = record.led_by(primary)
            record.write(output_dir)
        write_session_report(output_dir, record)
    except BidsAnomalyError as error:
        return error.exit_code, str(error)
    except Exception as error:  # As in a run: it fails this session, and no other.
        return ExitCode.INTERNAL, f"{type(error).__name__}: {error}"
    return None
