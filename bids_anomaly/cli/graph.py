"""The workflow of a run: built from its settings, and printed."""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial

from bids_anomaly.running.workfolder import WORKFLOW_NAME
from bids_anomaly.settings import Machine, Settings


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
    from bids_anomaly.cli.spaces import spaces_of_run
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
            output_spaces=spaces_of_run(settings),
            threshold=Threshold(settings.healthy_fpr, settings.min_lesion_volume),
            primary=settings.primary,
            steps=settings.steps,
        )
    return init_run_wf(
        [init_wf(session, name=session_wf_name(session)) for session in sessions],
        work_dir=settings.work_dir,
        name=WORKFLOW_NAME,
    )


def print_graph(settings: Settings, sessions: Sequence, bundles: Mapping) -> None:
    """Print the steps of each session and which steps each waits for."""
    import networkx

    from bids_anomaly.running.progress import in_words, is_plumbing, session_of
    from bids_anomaly.workflows.participant import session_wf_name

    graph = build_workflow(settings, sessions, bundles)._create_flat_graph()
    labels = {session_wf_name(session): session.label for session in sessions}
    names = names_of(sessions)
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


def names_of(sessions: Sequence) -> dict[str, str]:
    """Return the names of scans by how they stand in names of nodes."""
    from bids_anomaly.workflows.wiring import identifier

    return {identifier(scan.name): scan.name for session in sessions for scan in session.scans}
