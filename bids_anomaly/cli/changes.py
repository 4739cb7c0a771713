"""Compare the sessions of participants at the end of a run, as far as they are done."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from pathlib import Path

from bids_anomaly.exceptions import some_of
from bids_anomaly.running.execution import run_workflow
from bids_anomaly.running.workfolder import WORKFLOW_NAME, forget_lost_outputs
from bids_anomaly.settings import Settings


def run_changes(
    settings: Settings,
    participants: Iterable[str],
    *,
    log_folder: Path,
    console,
) -> list:
    """Compare all finished sessions of some participants, also those of earlier runs.

    Reports of sessions that failed say so, and stay.

    Parameters
    ----------
    settings : Settings
        Of the run.
    participants : iterable of str
        Labels without ``sub-``.
    log_folder : Path
        Gets a log and a table of steps of each participant who is compared.
    console : rich.console.Console
        Where progress is shown.

    Returns
    -------
    list of RunProgress
        What was done and what failed; empty if nobody has two finished sessions.
    """
    from bids_anomaly.bids.comparisons import plan_comparisons
    from bids_anomaly.bids.folders import list_sessions
    from bids_anomaly.bids.timepoints import copy_order
    from bids_anomaly.reports.sentences import say
    from bids_anomaly.running.progress import RunProgress, is_plumbing, session_of
    from bids_anomaly.workflows.change import changes_wf_name, init_changes_wf
    from bids_anomaly.workflows.wiring import identifier

    comparisons = {}
    for participant in sorted(set(participants)):
        copy_order(
            settings.bids_dir,
            settings.output_dir,
            participant,
            list_sessions(settings.bids_dir, participant),
        )
        plan = plan_comparisons(settings.output_dir, participant)
        for refusal in plan.refusals:
            warning = f"sub-{participant}: warning: {say(refusal.reason, **refusal.told)}"
            console.print(warning, style="yellow", markup=False)
        if plan.comparisons:
            comparisons[participant] = plan.comparisons
    if not comparisons:
        return []
    reports = {
        record.label
        for plans in comparisons.values()
        for comparison in plans
        for record in comparison.records
    }
    workflow = init_changes_wf(
        comparisons,
        output_dir=settings.output_dir,
        work_dir=settings.work_dir,
        reports=sorted(reports),
        seed=settings.seed,
        name=WORKFLOW_NAME,
    )
    labels = {changes_wf_name(label): f"sub-{label}" for label in comparisons}
    for name in labels:
        forget_lost_outputs(settings.work_dir / workflow.name / name)
    nodes = workflow._create_flat_graph().nodes()
    steps = Counter(session_of(node) for node in nodes if not is_plumbing(node))
    console.print(f"Comparing sessions of {some_of(labels.values())}.", markup=False)
    names = {
        identifier(name): name
        for plans in comparisons.values()
        for comparison in plans
        for name in (*(scan.name for scan in comparison.scans), *reports)
    }
    with RunProgress(labels, steps, log_folder, console, names) as progress:
        run_workflow(
            workflow,
            plugin_file=settings.use_plugin,
            nprocs=settings.nprocs,
            mem_gb=settings.mem_gb,
            gpu=False,
            on_status=progress,
        )
    return [progress]


def print_comparisons(bids_dir: Path, sessions: Sequence) -> None:
    """Print what would be compared if all of some sessions were done.

    Parameters
    ----------
    bids_dir : Path
        The input dataset.
    sessions : sequence of Session
        Those of a participant one after another.
    """
    from bids_anomaly.bids.timepoints import in_order, matching_scans
    from bids_anomaly.reports.sentences import say

    for participant, own in groupby(sessions, key=lambda session: session.participant):
        by_label = {session.session: session for session in own if session.session is not None}
        lines = []
        order = in_order(bids_dir, participant, by_label)
        if not order.is_known:
            print(say("no_order", scans=f"The sessions of sub-{participant}"))
            continue
        for first, second in pairwise(order.labels):
            scans = [by_label[label].scans for label in (first, second)]
            for modality in dict.fromkeys(scan.suffix for scan in scans[0]):
                pairs = matching_scans(
                    *([scan for scan in both if scan.suffix == modality] for both in scans)
                )
                lines += [f"  compare {one.name} and {other.name}" for one, other in pairs]
        if lines:
            print(f"sub-{participant}", *lines, sep="\n")
