"""Write what was found in a scan, in the spaces that were asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nipype.interfaces.utility import IdentityInterface, Merge
from nipype.pipeline.engine import Node, Workflow

from bids_anomaly.interfaces.derivatives import WriteRigid, WriteScanMaps
from bids_anomaly.interfaces.findings import FindAnomalies, WriteFindings
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.scoring.findings import Threshold

# Dense maps of a 1 mm scan; measured by benchmarks/participant.py, with room to spare.
WRITE_MEM_GB = 1.5
NATIVE = "native"


def init_scan_derivatives_wf(
    *,
    output_dir: Path,
    original: Path,
    entities: Mapping[str, str],
    modality: str,
    sources: Sequence[str],
    bundle: Bundle,
    steps: int | None,
    reference_modality: str | None,
    output_spaces: Sequence[str],
    threshold: Threshold,
    name: str = "scan_derivatives_wf",
) -> Workflow:
    """Write the maps, lesions and regions of one scan.

    Workflow Graph
    --------------
    find_native -> write_findings, write_native; find_template -> write_template; write_rigid

    Parameters
    ----------
    output_dir : Path
        Derivative dataset.
    original : Path
        The scan of the input dataset.
    entities : mapping
        Its BIDS entities.
    modality : str
        Its BIDS suffix.
    sources : sequence of str
        BIDS URIs of what it was read from.
    bundle : Bundle
        The model that was used.
    steps : int or None
        As for :func:`bids_anomaly.workflows.reconstruction.init_reconstruct_wf`.
    reference_modality : str or None
        Suffix of the reference scan; None if this scan is the reference.
    output_spaces : sequence of str
        ``native`` and template names.
    threshold : Threshold
        By which anomalies are found.

    Inputs
    ------
    corrected, brain, brain_method, white_matter_level, transform, transforms
        Of the scan, from :func:`bids_anomaly.workflows.preprocessing.init_preprocess_wf`.
    residual, spread, zscore
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
        IdentityInterface(
            [
                "corrected",
                "brain",
                "brain_method",
                "white_matter_level",
                "transform",
                "transforms",
                "residual",
                "spread",
                "zscore",
                "scan_from_template",
                "template_from_scan",
            ]
        ),
        name="inputnode",
    )
    described = {
        "output_dir": str(output_dir),
        "original": str(original),
        "entities": dict(entities),
        "modality": modality,
        "sources": list(sources),
    }
    outputnode = Node(IdentityInterface(["written"]), name="outputnode")
    writers = 1 + len(output_spaces) + (reference_modality is not None)
    written = Node(Merge(writers), name="list_written", run_without_submitting=True)
    workflow.connect(written, "out", outputnode, "written")
    # Lesions are told apart where the person was scanned, whatever spaces were asked for.
    found = {
        space: Node(FindAnomalies(threshold=threshold), name=f"find_{space}", mem_gb=WRITE_MEM_GB)
        for space in dict.fromkeys((NATIVE, *output_spaces))
    }
    to_template = ("transforms", "scan_from_template")
    for space, find in found.items():
        workflow.connect([(inputnode, find, [("brain", "brain"), ("zscore", "zscore")])])
        if space != NATIVE:
            workflow.connect([(inputnode, find, [(t, t) for t in to_template])])
    findings = [(name, name) for name in ("brain", "zscore", "probability", "mask")]
    write_findings = Node(
        WriteFindings(**described, threshold=threshold),
        name="write_findings",
        mem_gb=WRITE_MEM_GB,
    )
    passed_on = [(name, name) for name in ("transforms", "template_from_scan")]
    workflow.connect(
        [
            (found[NATIVE], write_findings, findings),
            (inputnode, write_findings, passed_on),
            (write_findings, written, [("written", "in1")]),
        ]
    )
    for position, space in enumerate(output_spaces, start=2):
        write = Node(
            WriteScanMaps(
                **described,
                bundle=str(bundle.folder),
                bundle_digest=bundle.digest,
                steps=bundle.steps_taken(steps),
                threshold=threshold,
            ),
            name=f"write_{space}",
            mem_gb=WRITE_MEM_GB,
        )
        passed_on = [
            ("corrected", "scan"),
            ("brain_method", "brain_method"),
            ("white_matter_level", "white_matter_level"),
            ("transforms", "transforms"),
            ("residual", "residual"),
            ("spread", "spread"),
        ]
        if space != NATIVE:
            write.inputs.space = space
            passed_on.append(("scan_from_template", "scan_from_template"))
        workflow.connect(
            [
                (found[space], write, findings),
                (inputnode, write, passed_on),
                (write, written, [("written", f"in{position}")]),
            ]
        )
    if reference_modality is not None:
        write_rigid = Node(
            WriteRigid(**described, reference_modality=reference_modality), name="write_rigid"
        )
        workflow.connect(
            [
                (inputnode, write_rigid, [("transform", "rigid")]),
                (write_rigid, written, [("written", f"in{writers}")]),
            ]
        )
    return workflow
