"""What a session has once, whatever its number of scans: one finding, transforms and a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nipype.interfaces.utility import IdentityInterface, Merge
from nipype.pipeline.engine import Node, Workflow

from bids_anomaly.bids.dataset import source_uris
from bids_anomaly.bids.scans import Session
from bids_anomaly.interfaces.derivatives import WriteCombined, WriteTransforms
from bids_anomaly.interfaces.findings import WriteFindings
from bids_anomaly.interfaces.reports import WriteReport
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.workflows.derivatives import NATIVE, WRITE_MEM_GB

# Of three scans, with room to spare; logs tell the peak of each step.
REPORT_MEM_GB = 1.2
# Inputs that are lists with an item for each scan, by the workflow of a scan that they come from.
LISTED_FROM_PREPROCESSING = ("brain_method", "white_matter_level", "brain_in_model_grid")
LISTED_FROM_RECONSTRUCTION = ("zscore", "evaluations")
LISTED_FROM_DERIVATIVES = ("written",)
LISTED = (*LISTED_FROM_PREPROCESSING, *LISTED_FROM_RECONSTRUCTION, *LISTED_FROM_DERIVATIVES)


def init_session_outputs_wf(
    session: Session,
    *,
    bids_dir: Path,
    output_dir: Path,
    bundles: Mapping[str, Bundle],
    output_spaces: Sequence[str],
    healthy_fpr: float,
    min_lesion_volume: float,
    primary: str | None,
    name: str = "session_outputs_wf",
) -> Workflow:
    """Write the combined finding of all scans of a session, its transforms and its report.

    Workflow Graph
    --------------
    write_combined_native, write_combined_template, write_transforms, write_findings
    -> write_report

    Parameters
    ----------
    session : Session
        Its scans; the first is the reference.
    bids_dir, output_dir : Path
        Input dataset and derivative dataset.
    bundles : mapping
        The model for each BIDS suffix.
    output_spaces : sequence of str
        ``native`` and template names.
    healthy_fpr, min_lesion_volume : float
        Nominal false positive rate, and mm3.
    primary : str or None
        Modality whose scan leads, where there is one.

    Inputs
    ------
    brain_method, white_matter_level, brain_in_model_grid
        Lists with an item for each scan, from
        :func:`bids_anomaly.workflows.preprocessing.init_preprocess_wf`.
    zscore, evaluations
        Lists, from :func:`bids_anomaly.workflows.reconstruction.init_reconstruct_wf`.
    written
        Files that :func:`bids_anomaly.workflows.derivatives.init_scan_derivatives_wf` wrote of
        all scans.
    reference_brain, affine
        Of the reference scan.
    scan_from_template, template_from_scan
        Displacement fields between model grid and template.
    quality_table
        Of all scans.
    """
    workflow = Workflow(name=name)
    inputnode = Node(
        IdentityInterface(
            [
                *LISTED,
                "reference_brain",
                "affine",
                "scan_from_template",
                "template_from_scan",
                "quality_table",
            ]
        ),
        name="inputnode",
    )
    reference = session.scans[0]
    described = {
        "output_dir": str(output_dir),
        "original": str(reference.path),
        "entities": dict(reference.entities),
        "modality": reference.suffix,
        "sources": [uri for scan in session.scans for uri in source_uris(scan, bids_dir)],
    }
    threshold = {"healthy_fpr": healthy_fpr, "min_lesion_volume": min_lesion_volume}
    modalities = [scan.suffix for scan in session.scans]
    writers = []
    for space in output_spaces:
        write_combined = Node(
            WriteCombined(
                **described, **threshold, invert=[space == NATIVE], modalities=modalities
            ),
            name=f"write_combined_{space}",
            mem_gb=WRITE_MEM_GB,
        )
        passed_on = [
            ("reference_brain", "brain"),
            ("zscore", "zscores"),
            ("brain_in_model_grid", "brains"),
        ]
        if space == NATIVE:
            passed_on.append(("affine", "transforms"))
        else:
            write_combined.inputs.space = space
            passed_on.append(("scan_from_template", "transforms"))
            chain = Node(Merge(2), name=f"chain_{space}", run_without_submitting=True)
            write_transforms = Node(
                WriteTransforms(**described, space=space), name=f"write_transforms_{space}"
            )
            writers.append(write_transforms)
            workflow.connect(
                [
                    (inputnode, chain, [("scan_from_template", "in1"), ("affine", "in2")]),
                    (chain, write_combined, [("out", "scan_transforms")]),
                    (
                        inputnode,
                        write_transforms,
                        [
                            ("affine", "affine"),
                            ("scan_from_template", "scan_from_template"),
                            ("template_from_scan", "template_from_scan"),
                        ],
                    ),
                ]
            )
        workflow.connect([(inputnode, write_combined, passed_on)])
        writers.append(write_combined)

    names = [scan.name for scan in session.scans]
    write_findings = Node(
        WriteFindings(**described, **threshold, invert=[True], scans=names, modalities=modalities),
        name="write_findings",
        mem_gb=WRITE_MEM_GB,
    )
    passed_on = [
        ("reference_brain", "brain"),
        ("zscore", "zscores"),
        ("brain_in_model_grid", "brains"),
        ("affine", "transforms"),
        ("template_from_scan", "template_from_scan"),
    ]
    workflow.connect([(inputnode, write_findings, passed_on)])

    session_bundles = [bundles[scan.suffix] for scan in session.scans]
    # Made from files of the output folder alone, so that it can be made again from them.
    write_report = Node(
        WriteReport(
            output_dir=str(output_dir),
            label=session.label,
            scans=names,
            primary=session.primary(primary).name,
            asked_for=primary,
            entities=[dict(scan.entities) for scan in session.scans],
            bundles=[str(bundle.folder) for bundle in session_bundles],
            bundle_digests=[bundle.digest for bundle in session_bundles],
            spaces=list(output_spaces),
            **threshold,
        ),
        name="write_report",
        mem_gb=REPORT_MEM_GB,
    )
    writers.append(write_findings)
    derivatives = Node(
        Merge(len(writers) + 2), name="list_derivatives", run_without_submitting=True
    )
    for position, writer in enumerate(writers, start=3):
        workflow.connect(writer, "written", derivatives, f"in{position}")
    workflow.connect(
        [
            (inputnode, derivatives, [("written", "in1"), ("quality_table", "in2")]),
            (derivatives, write_report, [("out", "derivatives")]),
            (
                inputnode,
                write_report,
                [
                    (listed, f"{listed}_list")
                    for listed in ("brain_method", "white_matter_level", "evaluations")
                ],
            ),
        ]
    )
    return workflow
