"""The participant level: from settings to an exit code."""

import itertools
import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from bids_anomaly import __version__
from bids_anomaly.bids.naming import report_path
from bids_anomaly.bids.writing import remove_lost, remove_lost_shared, write_json, write_text
from bids_anomaly.citation import cite, works_behind
from bids_anomaly.cli.changes import print_comparisons, run_changes
from bids_anomaly.exceptions import ExitCode, MissingInputError, UsageError, some_of
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
from bids_anomaly.running.workfolder import WORKFLOW_NAME, check_writable, work_folder
from bids_anomaly.settings import Machine, Settings


def run_participants(settings: Settings, given: Sequence[str]) -> ExitCode:
    """Run the participant level.

    Parameters
    ----------
    settings : Settings
        Of the run.
    given : sequence of str
        The arguments that they were read from, for the record.

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
    bundles = _choose_bundles(settings)
    if not settings.dry_run:
        check_writable(settings.output_dir)
        check_writable(settings.work_dir)
    sessions = _find_sessions(settings, bundles)
    if settings.dry_run:
        return _say_what_would_be_done(settings, sessions, bundles)
    run_id = new_run_id()
    participants = {session.participant for session in sessions}
    with work_folder(settings.work_dir, participants, clean=settings.clean_workdir):
        log_folder = make_log_folder(settings.output_dir, run_id)
        return _run(settings, given, sessions, bundles, run_id, log_folder)


def _choose_bundles(settings: Settings) -> Mapping:
    """Return the model of each modality; refuse options that do not fit them."""
    from bids_anomaly.reconstruction.bundle import choose_bundles

    _check_available(settings)
    bundles = choose_bundles(settings.model, settings.modalities)
    _check_modalities(settings, bundles)
    _check_spaces(settings, bundles)
    return bundles


def _find_sessions(settings: Settings, bundles: Mapping) -> Sequence:
    """Return the sessions that were asked for; refuse a dataset that is not valid."""
    from bids_anomaly.bids.prepared import use_prepared
    from bids_anomaly.bids.query import find_sessions, read_bids_filter
    from bids_anomaly.bids.validation import validate
    from bids_anomaly.cli.names import check_names_fit

    if not settings.skip_bids_validation:
        validate(settings.bids_dir)
    sessions = find_sessions(
        settings.bids_dir,
        participants=settings.participant_labels,
        sessions=settings.session_labels,
        modalities=tuple(bundles),
        bids_filter=read_bids_filter(settings.bids_filter_file, bundles)
        if settings.bids_filter_file
        else None,
        database_dir=_database_dir(settings),
    )
    if settings.derivatives:
        sessions = use_prepared(
            sessions,
            settings.derivatives,
            template=next(iter(bundles.values())).template,
            strict=settings.strict,
        )
    for space in {bundle.template for bundle in bundles.values()}:
        check_names_fit(sessions, space, (settings.output_dir, settings.work_dir))
    return sessions


def _say_what_would_be_done(settings: Settings, sessions: Sequence, bundles: Mapping) -> ExitCode:
    """Print the plan of a run, and with ``-v`` its steps."""
    from bids_anomaly.cli.plan import print_plan
    from bids_anomaly.running.console import make_console

    print_plan(settings, sessions, bundles)
    if settings.stage != "preprocess":
        print_comparisons(settings.bids_dir, sessions)
    _warn_of_missing_content(sessions, make_console())
    if settings.verbosity:
        with tempfile.TemporaryDirectory() as folder:
            configure_nipype(Path(folder), stop_on_first_crash=False, verbosity=0)
            _print_graph(settings, sessions, bundles)
    return ExitCode.OK


def _run(
    settings: Settings,
    given: Sequence[str],
    sessions: Sequence,
    bundles: Mapping,
    run_id: str,
    log_folder: Path,
) -> ExitCode:
    configure_nipype(
        log_folder,
        stop_on_first_crash=settings.stop_on_first_crash,
        verbosity=settings.verbosity,
    )
    if settings.use_plugin is None:
        prepare_workers()
    from bids_anomaly.bids.dataset import write_dataset_files
    from bids_anomaly.running.console import make_console
    from bids_anomaly.running.progress import RunProgress, is_plumbing, session_of
    from bids_anomaly.running.workfolder import forget_lost_outputs
    from bids_anomaly.workflows.participant import session_wf_name

    workflow = build_workflow(settings, sessions, bundles)
    graph = workflow._create_flat_graph()
    steps = Counter(session_of(node) for node in graph.nodes() if not is_plumbing(node))
    labels = {session_wf_name(session): session.label for session in sessions}
    console = make_console()
    used = {scan.suffix for session in sessions for scan in session.scans}
    used_bundles = {name: bundles[name] for name in sorted(used)}
    _announce(settings, sessions, used_bundles, console)
    write_dataset_files(settings.bids_dir, settings.output_dir, settings.derivatives)
    write_text(log_folder / "CITATION.md", _citation(settings, sessions, used_bundles) + "\n")
    record = run_record(settings, run_id, used_bundles, given)
    write_json(log_folder / "run.json", record)
    remove_lost_shared(settings.output_dir)
    for session in sessions:
        remove_lost(settings.output_dir / f"sub-{session.participant}")
        forget_lost_outputs(settings.work_dir / workflow.name / session_wf_name(session))

    started = time.monotonic()
    with RunProgress(labels, steps, log_folder, console, _names_of(sessions)) as progress:
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


def build_workflow(settings: Settings, sessions: Sequence, bundles: Mapping):
    """Build the workflow of a run, as far as its stage goes.

    The stage ``reconstruct`` is the whole workflow: what an earlier run left in the work folder is
    not done again.

    Parameters
    ----------
    settings : Settings
        Of the run.
    sessions : sequence of Session
        Scans of each session, the reference first.
    bundles : mapping
        The model for each BIDS suffix.

    Returns
    -------
    nipype.pipeline.engine.Workflow
    """
    from bids_anomaly.scoring.findings import Threshold
    from bids_anomaly.workflows.participant import (
        init_run_wf,
        init_session_preprocess_wf,
        init_session_wf,
        session_wf_name,
    )

    machine = Machine(
        device="cpu" if settings.device == "cpu" else "cuda:0",  # the only GPU that steps see
        batch_size=settings.batch_size,
        omp_nthreads=settings.omp_nthreads,
    )
    init_wf = partial(
        init_session_preprocess_wf if settings.stage == "preprocess" else init_session_wf,
        output_dir=settings.output_dir,
        bundles=bundles,
        brain_extraction=settings.brain_extraction,
        strict=settings.strict,
        machine=machine,
        seed=settings.seed,
    )
    if settings.stage != "preprocess":
        init_wf = partial(
            init_wf,
            output_spaces=settings.output_spaces,
            threshold=Threshold(settings.healthy_fpr, settings.min_lesion_volume),
            primary=settings.primary,
            steps=settings.steps,
        )
    return init_run_wf(
        [init_wf(session, name=session_wf_name(session)) for session in sessions],
        work_dir=settings.work_dir,
        name=WORKFLOW_NAME,
    )


def _citation(settings: Settings, sessions: Sequence, bundles: Mapping) -> str:
    """Say how to cite a run, by what it was asked to do; reports know what was done."""
    reconstructs = settings.stage != "preprocess"
    methods = {bundle.method for bundle in bundles.values()} if reconstructs else set()
    raw = any(scan.prepared is None for session in sessions for scan in session.scans)
    first = [session.scans[0] for session in sessions]
    works = works_behind(
        [METHODS[name] for name in sorted(methods)],
        [BRAIN_TOOLS[settings.brain_extraction]] if raw else [],
        bias=raw,
        deformation=reconstructs and not all(one.comes_deformed for one in first),
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


def _names_of(sessions: Sequence) -> dict[str, str]:
    """Return the names of scans by how they stand in names of nodes."""
    from bids_anomaly.workflows.wiring import identifier

    return {identifier(scan.name): scan.name for session in sessions for scan in session.scans}


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


def _database_dir(settings: Settings) -> Path | None:
    """Return where the index of the dataset is kept; a dry run makes none."""
    from bids_anomaly.bids.index import find_database

    folder = settings.bids_database_dir
    if folder is not None and settings.dry_run and find_database(folder) is None:
        return None
    return folder


def _check_available(settings: Settings) -> None:
    """Refuse options that mean nothing here, rather than ignore them."""
    if settings.controls:
        raise UsageError(
            "--controls says who is compared with whom at the group level, and nothing at the "
            "participant level. Leave it out."
        )


def _check_modalities(settings: Settings, bundles: Mapping) -> None:
    wanted = [*settings.modalities, *([settings.primary] if settings.primary else [])]
    missing = [name for name in wanted if name not in bundles]
    if missing:
        from bids_anomaly.reconstruction.bundle import choose_bundles

        raise UsageError(
            f"No model bundle is made for {', '.join(missing)}. Known modalities: "
            f"{', '.join(choose_bundles(settings.model))}."
        )


def _check_spaces(settings: Settings, bundles: Mapping) -> None:
    known = {"native", *(bundle.template for bundle in bundles.values())}
    unknown = [space for space in settings.output_spaces if space not in known]
    if unknown:
        raise UsageError(
            f"The --output-spaces {', '.join(unknown)} are not available. Known: "
            f"{', '.join(sorted(known))}."
        )


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


def _warn_of_missing_content(sessions: Sequence, console) -> None:
    """Name scans whose content was not fetched, which a run would fail with."""
    from bids_anomaly.preprocessing.annex import require_content

    for scan in (scan for session in sessions for scan in session.scans):
        try:
            require_content(scan.path)
        except MissingInputError as error:
            console.print(f"Warning: {error}", style="yellow", markup=False)


def _print_graph(settings: Settings, sessions: Sequence, bundles: Mapping) -> None:
    """Print the steps of each session and which steps each waits for."""
    import networkx

    from bids_anomaly.running.progress import in_words, is_plumbing, session_of
    from bids_anomaly.workflows.participant import session_wf_name

    graph = build_workflow(settings, sessions, bundles)._create_flat_graph()
    labels = {session_wf_name(session): session.label for session in sessions}
    names = _names_of(sessions)
    steps = graph.__class__(graph.edges)
    steps.add_nodes_from(graph.nodes)
    for node in graph.nodes:
        if is_plumbing(node):
            steps.add_edges_from(
                itertools.product(steps.predecessors(node), steps.successors(node))
            )
            steps.remove_node(node)
    direct = networkx.transitive_reduction(steps)
    for session, label in labels.items():
        print(f"Steps of {label}")
        for node in networkx.topological_sort(direct):
            if session_of(node) == session:
                before = sorted(in_words(one, names) for one in direct.predecessors(node))
                print(f"  {in_words(node, names)}" + f"  <- {', '.join(before)}" * bool(before))
