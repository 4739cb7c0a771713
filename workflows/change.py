"""Compare the sessions of participants, from the derivatives that each session left."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nipype.pipeline.engine import Node, Workflow

from bids_anomaly.bids.comparisons import Comparison, template_chain
from bids_anomaly.bids.records import record_path
from bids_anomaly.interfaces.change import RegisterMidpoint, WriteChange, WriteReportAgain
from bids_anomaly.preprocessing.template import TEMPLATE
from bids_anomaly.workflows.memory import memory_gb
from bids_anomaly.workflows.wiring import add_list, identifier


def init_changes_wf(
    comparisons: Mapping[str, Sequence[Comparison]],
    *,
    output_dir: Path,
    work_dir: Path,
    reports: Sequence[str],
    seed: int,
    name: str = "bids_anomaly_wf",
) -> Workflow:
    """Build the workflow of all comparisons of a run, participants side by side.

    Parameters
    ----------
    comparisons : mapping
        By participant, without ``sub-``.
    output_dir, work_dir : Path
        Derivative dataset, and folder of intermediate files.
    reports : sequence of str
        Labels of the sessions whose reports may be written again.
    seed : int
        For the registrations.
    """
    workflow = Workflow(name=name, base_dir=str(work_dir))
    for participant, own in comparisons.items():
        participant_wf = init_participant_changes_wf(
            own,
            output_dir=output_dir,
            reports=reports,
            seed=seed,
            name=changes_wf_name(participant),
        )
        workflow.add_nodes([participant_wf])
    return workflow


def init_participant_changes_wf(
    comparisons: Sequence[Comparison],
    *,
    output_dir: Path,
    reports: Sequence[str],
    seed: int,
    name: str = "changes_wf",
) -> Workflow:
    """Compare the sessions of a participant, and write the reports of those sessions again.

    Workflow Graph
    --------------
    For each comparison: register_midpoint -> write_change. For each session in one of them:
    write_report, after all of its comparisons.

    Parameters
    ----------
    comparisons : sequence of Comparison
        All of one participant.
    output_dir : Path
        Derivative dataset.
    reports : sequence of str
        Labels of the sessions whose reports may be written again.
    seed : int
        For the registrations.
    """
    workflow = Workflow(name=name)
    waiting: dict[str, list[Workflow]] = {}
    records = {}
    shown: dict[str, set[Path]] = {}
    for comparison in comparisons:
        scan = identifier(comparison.scans[1].name)
        compare = init_compare_wf(
            comparison,
            output_dir=output_dir,
            seed=seed,
            name=f"since_{identifier(comparison.sessions[0])}_{scan}_wf",
        )
        workflow.add_nodes([compare])
        for which, record in enumerate(comparison.records):
            scan_file = Path(comparison.of_scan(output_dir, "preproc", which, None))
            shown.setdefault(record.label, set()).add(scan_file)
            records[record.label] = record
            waiting.setdefault(record.label, []).append(compare)
    for label, compared in waiting.items():
        if label not in reports:
            continue
        record = records[label]
        written = [(compare, "write_change.written") for compare in compared]
        changes = add_list(workflow, written, name=f"list_{identifier(label)}")
        write_report = Node(
            WriteReportAgain(
                output_dir=str(output_dir),
                record=str(record_path(output_dir, label, record.scans[0].entities)),
            ),
            name=f"write_report_{identifier(label)}",
            mem_gb=memory_gb("write_report", *shown[label]),
        )
        workflow.connect(changes, "out", write_report, "changes")
    return workflow


def init_compare_wf(
    comparison: Comparison, *, output_dir: Path, seed: int, name: str = "compare_wf"
) -> Workflow:
    """Register two scans of a participant half way, and write what changed between them.

    Workflow Graph
    --------------
    register_midpoint -> write_change

    Parameters
    ----------
    comparison : Comparison
    output_dir : Path
        Derivative dataset.
    seed : int
        For the registration.
    """

    def both(output: str) -> list[str]:
        return [str(comparison.of_scan(output_dir, output, which, None)) for which in (0, 1)]

    workflow = Workflow(name=name)
    scans = [Path(scan) for scan in both("preproc")]
    register_midpoint = Node(
        RegisterMidpoint(scans=both("preproc"), brains=both("brain"), seed=seed),
        name="register_midpoint",
        mem_gb=memory_gb("register_midpoint", *scans),
    )
    write_change = Node(
        WriteChange(
            output_dir=str(output_dir),
            entities=comparison.entities,
            scan_entities=[dict(scan.entities) for scan in comparison.scans],
            modality=comparison.modality,
            space=comparison.space,
            scans=both("preproc"),
            brains=both("brain"),
            zscores=both("zscore"),
            lesions=both("lesions"),
            threshold=comparison.records[0].threshold,
        ),
        name="write_change",
        mem_gb=memory_gb("write_change", *scans),
    )
    chains = [template_chain(output_dir, comparison, which, TEMPLATE) for which in (0, 1)]
    if all(chains):
        write_change.inputs.from_template = [str(chain["from_template"]) for chain in chains]
        write_change.inputs.rigids = [str(chain.get("rigid", "")) for chain in chains]
    workflow.connect(register_midpoint, "transforms", write_change, "transforms")
    return workflow


def changes_wf_name(participant: str) -> str:
    """Return the name of the workflow that compares a participant's sessions."""
    return f"{identifier(f'sub-{participant}')}_changes_wf"
