"""The participant level: from settings to an exit code."""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from bids_anomaly import __version__
from bids_anomaly.bids.naming import report_path
from bids_anomaly.bids.writing import remove_lost, remove_lost_shared, write_json, write_text
from bids_anomaly.citation import cite, works_behind
from bids_anomaly.cli.changes import print_comparisons, run_changes
from bids_anomaly.cli.graph import build_workflow, names_of, print_graph
from bids_anomaly.cli.inputs import (
    models_of_run,
    other_datasets,
    sessions_of_run,
    warn_of_missing_content,
)
from bids_anomaly.cli.lesion_rois import write_lesion_rois
from bids_anomaly.cli.parser import config_that_repeats
from bids_anomaly.exceptions import ExitCode, some_of
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.reconstruction.methods import METHODS
from bids_anomaly.running.execution import (
    configure_nipype,
    prepare_environment,
    prepare_workers,
    run_workflow,
)
from bids_anomaly.running.runs import (
    code_of_run,
    make_log_folder,
    new_run_id,
    run_record,
    set_up_log,
)
from bids_anomaly.running.workfolder import check_writable, work_folder
from bids_anomaly.settings import Settings


def run_participants(
    settings: Settings, given: Sequence[str], *, make_input: Callable[[], None] | None = None
) -> ExitCode:
    """Run the participant level.

    Parameters
    ----------
    settings : Settings
        Of the run.
    given : sequence of str
        The arguments that they were read from, for the record.
    make_input : callable, optional
        Makes the dataset, when models and folders are found to be fine.

    Returns
    -------
    ExitCode
        See :func:`bids_anomaly.running.runs.code_of_run`.
    """
    set_up_log(settings)
    if settings.reports_only:
        from bids_anomaly.cli.reports import rebuild_reports

        check_writable(settings.output_dir)
        return rebuild_reports(settings)
    prepare_environment(threads=settings.omp_nthreads, device=settings.device)
    # Nothing is made before all is known that a run can be refused for.
    bundles = models_of_run(settings)
    if not settings.dry_run:
        for folder in (settings.output_dir, settings.work_dir, settings.lesion_roi):
            if folder is not None:
                check_writable(folder)
    if make_input is not None:
        make_input()
    sessions = sessions_of_run(settings, bundles)
    if settings.dry_run:
        return _say_what_would_be_done(settings, sessions, bundles)
    run_id = new_run_id()
    participants = {session.participant for session in sessions}
    with work_folder(settings.work_dir, participants, clean=settings.clean_workdir):
        log_folder = make_log_folder(settings.output_dir, run_id)
        return _run(settings, given, sessions, bundles, run_id, log_folder)


def _say_what_would_be_done(settings: Settings, sessions: Sequence, bundles: Mapping) -> ExitCode:
    """Print the plan of a run, and with ``-v`` its steps."""
    from bids_anomaly.cli.plan import print_plan
    from bids_anomaly.running.console import make_console

    print_plan(settings, sessions, bundles)
    if settings.stage != "preprocess":
        print_comparisons(settings.bids_dir, sessions)
    warn_of_missing_content(sessions, make_console())
    if settings.verbosity:
        with tempfile.TemporaryDirectory() as folder:
            configure_nipype(Path(folder), stop_on_first_crash=False, verbosity=0)
            print_graph(settings, sessions, bundles)
    return ExitCode.OK


def _run(
    settings: Settings,
    given: Sequence[str],
    sessions: Sequence,
    bundles: Mapping,
    run_id: str,
    log_folder: Path,
) -> ExitCode:
    """Run the steps, and write the record of the run.

    Long because its order is its content: what is written before a step starts, what after all have
    ended, and how each of their failures adds to the exit code.
    """
    configure_nipype(
        log_folder,
        stop_on_first_crash=settings.stop_on_first_crash,
        verbosity=settings.verbosity,
    )
    if settings.use_plugin is None:
        prepare_workers()
    from bids_anomaly.bids.dataset import write_dataset_files
    from bids_anomaly.cli.spaces import reach_templates
    from bids_anomaly.running.console import make_console
    from bids_anomaly.running.progress import RunProgress, is_plumbing, session_of
    from bids_anomaly.running.workfolder import forget_lost_outputs
    from bids_anomaly.workflows.participant import session_wf_name

    console = make_console()
    if settings.stage != "preprocess":
        reach_templates(settings, partial(console.print, markup=False))
    workflow = build_workflow(settings, sessions, bundles)
    graph = workflow._create_flat_graph()
    steps = Counter(session_of(node) for node in graph.nodes() if not is_plumbing(node))
    labels = {session_wf_name(session): session.label for session in sessions}
    used = {scan.suffix for session in sessions for scan in session.scans}
    used_bundles = {name: bundles[name] for name in sorted(used)}
    _announce(settings, sessions, used_bundles, console)
    write_dataset_files(settings.bids_dir, settings.output_dir, other_datasets(settings))
    write_text(log_folder / "CITATION.md", _citation(settings, sessions, used_bundles) + "\n")
    record = run_record(settings, run_id, used_bundles, given)
    write_json(log_folder / "run.json", record)
    write_text(log_folder / "config.toml", config_that_repeats(settings))
    remove_lost_shared(settings.output_dir)
    for session in sessions:
        remove_lost(settings.output_dir / f"sub-{session.participant}")
        forget_lost_outputs(settings.work_dir / workflow.name / session_wf_name(session))

    started = time.monotonic()
    with RunProgress(labels, steps, log_folder, console, names_of(sessions)) as progress:
        run_workflow(
            workflow,
            plugin_file=settings.use_plugin,
            nprocs=settings.nprocs,
            mem_gb=settings.mem_gb,
            gpu=settings.device != "cpu",
            on_status=progress,
        )
    failed_sessions = sorted(labels[name] for name in progress.failures)
    _report_failures(settings, labels, progress)
    comparisons = []
    if settings.stage != "preprocess" and not (settings.stop_on_first_crash and failed_sessions):
        participants = {session.participant for session in sessions}
        comparisons = run_changes(settings, participants, log_folder=log_folder, console=console)
    code = code_of_run(progress, comparisons)
    not_done = {*progress.failures, *progress.not_run}
    done = [session for session in sessions if session_wf_name(session) not in not_done]
    without_roi = write_lesion_rois(settings, done, console)
    if without_roi and code == ExitCode.OK:
        code = ExitCode.SOME_FAILED
    lacking = _asked_for_in_vain(settings, sessions)
    if lacking and code == ExitCode.OK:
        code = ExitCode.SOME_FAILED
    parts = [progress, *comparisons]
    record["result"] = {
        "exit_code": int(code),
        "seconds": round(time.monotonic() - started, 1),
        "steps_run": sum(part.executed for part in parts),
        "steps": sum(part.steps for part in parts),
        "failed_sessions": failed_sessions,
        "participants_without_scans": lacking,
        "sessions_without_lesion_roi": without_roi,
        "sessions_not_run": [labels[name] for name in progress.not_run],
        "failed_comparisons": sorted(
            part.labels[name] for part in comparisons for name in part.failures
        ),
    }
    write_json(log_folder / "run.json", record)
    if lacking:
        console.print(f"Asked for, but without a scan: {some_of(lacking)}.", markup=False)
    _conclude(settings, labels, progress, console)
    return code


def _citation(settings: Settings, sessions: Sequence, bundles: Mapping) -> str:
    """Say how to cite a run, by what it was asked to do; reports know what was done."""
    from bids_anomaly.reports.text import other_templates

    reconstructs = settings.stage != "preprocess"
    methods = {bundle.method for bundle in bundles.values()} if reconstructs else set()
    raw = [scan for session in sessions for scan in session.scans if scan.prepared is None]
    found_here = any(scan.brain is None for scan in raw)
    first = [session.scans[0] for session in sessions]
    works = works_behind(
        [METHODS[name] for name in sorted(methods)],
        [BRAIN_TOOLS[settings.brain_extraction]] if found_here else [],
        bias=bool(raw),
        deformation=reconstructs and not all(one.comes_deformed for one in first),
        denoising=reconstructs and any(bundle.denoises for bundle in bundles.values()),
        templates=reconstructs and bool(other_templates(settings.output_spaces)),
    )
    return cite(__version__, works)


def _report_failures(settings: Settings, labels: Mapping[str, str], progress) -> None:
    """Write the reports of the sessions that failed."""
    from bids_anomaly.reports.session import write_failure_report
    from bids_anomaly.reports.session_page import Failure

    for name, failures in progress.failures.items():
        write_failure_report(
            settings.output_dir,
            labels[name],
            [
                Failure(failed.step, failed.message, failed.details, _within(settings, failed))
                for failed in failures
            ],
        )


def _conclude(settings: Settings, labels: Mapping[str, str], progress, console) -> None:
    """Say what was done, and which file to look at."""
    not_run = [labels[name] for name in progress.not_run]
    if not_run:
        console.print(f"Not run to the end: {', '.join(not_run)}.", markup=False)
    failed = [labels[name] for name in progress.failures]
    if failed:
        reports = some_of(str(report_path(settings.output_dir, label)) for label in sorted(failed))
        console.print(f"Failed, and why: {reports}.", markup=False)
    done = [label for label in labels.values() if label not in {*not_run, *failed}]
    counted = f"{len(done)} of {len(labels)} sessions done"
    before = progress.done_before.total()
    if before:
        counted += f" ({before} of {progress.steps} steps were done before)"
    if not done or settings.stage == "preprocess":
        console.print(f"{counted}; results in {settings.output_dir}.", markup=False)
        return
    reports = some_of(str(report_path(settings.output_dir, label)) for label in done)
    console.print(f"{counted}; look at {reports}", markup=False)


def _asked_for_in_vain(settings: Settings, sessions: Sequence) -> list[str]:
    """Return the participants who were asked for by label and have no scan."""
    asked_for = {label.removeprefix("sub-") for label in settings.participant_labels}
    lacking = asked_for.difference(session.participant for session in sessions)
    return [f"sub-{label}" for label in sorted(lacking)]


def _within(settings: Settings, failed) -> str:
    """Return where the crash file of a step is in the output folder; empty if there is none."""
    if failed.crash_file is None:
        return ""
    return os.path.relpath(failed.crash_file, settings.output_dir)


def _announce(settings: Settings, sessions: Sequence, bundles: Mapping, console) -> None:
    from bids_anomaly.reports.text import model_warnings

    scans = sum(len(session.scans) for session in sessions)
    console.print(
        f"bids-anomaly {__version__}: {len(sessions)} sessions, {scans} scans, on "
        f"{settings.device} with {settings.nprocs} processes.",
        markup=False,
    )
    pipelines = Counter(
        scan.prepared.pipeline for session in sessions for scan in session.scans if scan.prepared
    )
    for pipeline, count in pipelines.items():
        console.print(f"Prepared by {pipeline}: {count} T1w scans.", markup=False)
    brains = Counter(
        scan.brain.pipeline for session in sessions for scan in session.scans if scan.brain
    )
    for pipeline, count in brains.items():
        console.print(f"Brain masks from {pipeline}: {count} scans.", markup=False)
    for modality, bundle in bundles.items():
        console.print(f"{modality}: model {bundle.name} {bundle.version}", markup=False)
    for warning in model_warnings(list(bundles.values()), steps=settings.steps):
        console.print(f"Warning: {warning}", style="yellow", markup=False)
    lacking = [
        session.label
        for session in sessions
        if settings.primary not in (None, session.primary(settings.primary).suffix)
    ]
    if lacking:
        console.print(
            f"Warning: {some_of(lacking)}: no {settings.primary} scan, so another one leads.",
            style="yellow",
            markup=False,
        )
