"""What a session has once, whatever its number of scans: transforms and a report."""

from collections.abc import Mapping
from pathlib import Path

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline.engine import Node, Workflow

from bids_anomaly.bids.naming import space_entities
from bids_anomaly.bids.scans import Session
from bids_anomaly.interfaces.derivatives import WriteTransforms
from bids_anomaly.interfaces.reports import WriteReport
from bids_anomaly.preprocessing.template import TemplateSpace
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.scoring.findings import Threshold
from bids_anomaly.workflows.derivatives import OF_DEFORMATION, about
from bids_anomaly.workflows.memory import PROCESS_GB, memory_gb
from bids_anomaly.workflows.wiring import add_list, same

# Inputs that are lists with an item for each scan, by the workflow of a scan that they come from.
LISTED_FROM_PREPROCESSING = ("brain_method", "white_matter_level", "remarks")
LISTED_FROM_RECONSTRUCTION = ("evaluations",)
LISTED_FROM_DERIVATIVES = ("written",)
LISTED = (*LISTED_FROM_PREPROCESSING, *LISTED_FROM_RECONSTRUCTION, *LISTED_FROM_DERIVATIVES)


def init_session_outputs_wf(
    session: Session,
    *,
    output_dir: Path,
    bundles: Mapping[str, Bundle],
    output_spaces: Mapping[str, TemplateSpace | None],
    threshold: Threshold,
    primary: str | None,
    steps: int | None,
    name: str = "session_outputs_wf",
) -> Workflow:
    """Write the transforms of a session and its report.

    Workflow Graph
    --------------
    write_transforms -> write_report

    Parameters
    ----------
    session : Session
        Its scans; the first is the reference.
    output_dir : Path
        Derivative dataset.
    bundles : mapping
        The model for each BIDS suffix.
    output_spaces : mapping
        By name, None for ``native``.
    threshold : Threshold
        By which anomalies are found.
    primary : str or None
        Modality whose scan leads, where there is one.
    steps : int or None
        As for :func:`bids_anomaly.workflows.reconstruction.init_reconstruct_wf`.

    Inputs
    ------
    brain_method, white_matter_level, remarks
        Lists with an item for each scan, from
        :func:`bids_anomaly.workflows.preprocessing.init_preprocess_wf`.
    evaluations
        List, from :func:`bids_anomaly.workflows.reconstruction.init_reconstruct_wf`.
    written
        Files that :func:`bids_anomaly.workflows.derivatives.init_scan_derivatives_wf` wrote of
        all scans.
    affine
        Of the reference scan.
    scan_from_template, template_from_scan
        Displacement fields between model grid and template.
    quality_table
        Of all scans.
    """
    workflow = Workflow(name=name)
    inputnode = Node(
        IdentityInterface([*LISTED, "affine", *OF_DEFORMATION, "quality_table"]),
        name="inputnode",
    )
    told = {**about(session.scans[0], output_dir), "sources": list(session.sources)}
    derivatives = [(inputnode, "written"), (inputnode, "quality_table")]
    # Transforms are the same for all grids of a template.
    templates = {
        space_entities(space)["space"]: onto for space, onto in output_spaces.items() if onto
    }
    for space, onto in templates.items():
        write_transforms = Node(
            WriteTransforms(**told, space=space, onto=onto),
            name=f"write_transforms_{space}",
            mem_gb=PROCESS_GB,
        )
        workflow.connect([(inputnode, write_transforms, same("affine", *OF_DEFORMATION))])
        derivatives.append((write_transforms, "written"))

    session_bundles = [bundles[scan.suffix] for scan in session.scans]
    # Made from files of the output folder alone, so that it can be made again from them.
    write_report = Node(
        WriteReport(
            output_dir=str(output_dir),
            label=session.label,
            scans=[scan.name for scan in session.scans],
            primary=session.primary(primary).name,
            asked_for=primary,
            entities=[dict(scan.entities) for scan in session.scans],
            bundles=[str(bundle.folder) for bundle in session_bundles],
            bundle_digests=[bundle.digest for bundle in session_bundles],
            steps=steps,
            spaces=list(output_spaces),
            threshold=threshold,
        ),
        name="write_report",
        mem_gb=memory_gb("write_report", *(scan.path for scan in session.scans)),
    )
    listed = add_list(workflow, derivatives, name="list_derivatives")
    of_scans = [
        (name, f"{name}_list") for name in (*LISTED_FROM_PREPROCESSING, *LISTED_FROM_RECONSTRUCTION)
    ]
    workflow.connect(
        [
            (listed, write_report, [("out", "derivatives")]),
            (inputnode, write_report, of_scans),
        ]
    )
    return workflow
