"""Write what was found in a scan, in the spaces that were asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline.engine import Node, Workflow

from bids_anomaly.bids.scans import Scan
from bids_anomaly.interfaces.derivatives import WriteRigid, WriteScanMaps
from bids_anomaly.interfaces.findings import FindAnomalies, WriteFindings
from bids_anomaly.preprocessing.template import TemplateSpace
from bids_anomaly.scoring.findings import Threshold
from bids_anomaly.settings import NATIVE
from bids_anomaly.workflows.memory import PROCESS_GB, memory_gb
from bids_anomaly.workflows.wiring import add_list, identifier, same

# What the workflow takes, by the names that others give it.
OF_PREPROCESSING = (
    "corrected",
    "brain",
    "brain_method",
    "white_matter_level",
    "transform",
    "transforms",
    "brain_in_model_grid",
)
OF_RECONSTRUCTION = ("pseudo_healthy", "residual", "spread", "anomaly", "zscore")
OF_DEFORMATION = ("scan_from_template", "template_from_scan")
# What it hands from the nodes that find anomalies to those that write them.
FOUND = ("brain", "zscore", "probability", "mask")


def about(scan: Scan, output_dir: Path) -> dict[str, Any]:
    """Return what every node is told that writes derivatives of a scan."""
    return {
        "output_dir": str(output_dir),
        "original": str(scan.path),
        "entities": dict(scan.entities),
        "modality": scan.suffix,
        "sources": list(scan.sources),
    }


def init_scan_derivatives_wf(
    scan: Scan,
    *,
    output_dir: Path,
    model: Mapping[str, Any],
    atlas_model: Mapping[str, Any] | None,
    reference_modality: str | None,
    output_spaces: Mapping[str, TemplateSpace | None],
    threshold: Threshold,
    name: str = "scan_derivatives_wf",
) -> Workflow:
    """Write the maps, lesions and regions of one scan.

    Workflow Graph
    --------------
    find_native -> write_findings, write_native; find_template -> write_template; write_rigid

    Parameters
    ----------
    scan : Scan
        Of the input dataset.
    output_dir : Path
        Derivative dataset.
    model : mapping
        Which was used, see :meth:`bids_anomaly.reconstruction.bundle.Bundle.named`.
    atlas_model : mapping or None
        Whose pseudo-healthy image brings the atlas to the scan, if there is one.
    reference_modality : str or None
        Suffix of the reference scan; None if this scan is the reference.
    output_spaces : mapping
        By name, None for ``native``.
    threshold : Threshold
        By which anomalies are found.

    Inputs
    ------
    corrected, brain, brain_method, white_matter_level, transform, transforms, brain_in_model_grid
        Of the scan, from :func:`bids_anomaly.workflows.preprocessing.init_preprocess_wf`.
    pseudo_healthy, residual, spread, anomaly, zscore
        In the model grid, and z-scores in the grid of the scan; from
        :func:`bids_anomaly.workflows.reconstruction.init_reconstruct_wf`.
    scan_from_template, template_from_scan
        Displacement fields that pull the model grid onto the template, and back.

    Outputs
    -------
    written
        All files.
    """
    workflow = Workflow(name=name)
    inputnode = Node(
        IdentityInterface([*OF_PREPROCESSING, *OF_RECONSTRUCTION, *OF_DEFORMATION]),
        name="inputnode",
    )
    outputnode = Node(IdentityInterface(["written"]), name="outputnode")
    # Lesions are told apart where the person was scanned, whatever spaces were asked for.
    found = {
        space: _find(workflow, inputnode, space, onto, threshold, scan)
        for space, onto in {NATIVE: None, **output_spaces}.items()
    }
    told = {**about(scan, output_dir), "threshold": threshold}
    write_findings = Node(
        WriteFindings(**told, model=model, atlas_model=atlas_model or {}),
        name="write_findings",
        mem_gb=memory_gb("write_findings", scan.path),
    )
    workflow.connect(
        [
            (found[NATIVE], write_findings, same(*FOUND)),
            (inputnode, write_findings, same("transforms", "template_from_scan")),
        ]
    )
    writers = [write_findings]
    for space, onto in output_spaces.items():
        write = Node(
            WriteScanMaps(**told, model=model),
            name=f"write_{identifier(space)}",
            mem_gb=memory_gb("write", scan.path, onto=onto),
        )
        passed_on = ["brain_method", "white_matter_level", "transforms", "brain_in_model_grid"]
        passed_on += ["pseudo_healthy", "residual", "spread"]
        if onto is not None:
            write.inputs.space, write.inputs.onto = space, onto
            passed_on.append("scan_from_template")
        workflow.connect(
            [
                (found[space], write, same(*FOUND)),
                (
                    inputnode,
                    write,
                    [("corrected", "scan"), ("anomaly", "network"), *same(*passed_on)],
                ),
            ]
        )
        writers.append(write)
    if reference_modality is not None:
        write_rigid = Node(
            WriteRigid(**about(scan, output_dir), reference_modality=reference_modality),
            name="write_rigid",
            mem_gb=PROCESS_GB,
        )
        workflow.connect(inputnode, "transform", write_rigid, "rigid")
        writers.append(write_rigid)
    written = add_list(workflow, [(writer, "written") for writer in writers], name="list_written")
    workflow.connect(written, "out", outputnode, "written")
    return workflow


def _find(
    workflow: Workflow,
    inputnode: Node,
    space: str,
    onto: TemplateSpace | None,
    threshold: Threshold,
    scan: Scan,
) -> Node:
    """Add the node that finds anomalies in a space."""
    find = Node(
        FindAnomalies(threshold=threshold),
        name=f"find_{identifier(space)}",
        mem_gb=memory_gb("find", scan.path, onto=onto),
    )
    passed_on = ["brain", "zscore"]
    if onto is not None:
        find.inputs.onto = onto
        passed_on += ["transforms", "scan_from_template"]
    workflow.connect([(inputnode, find, same(*passed_on))])
    return find
