"""One workflow a session, and one that holds all sessions of a run."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nipype.interfaces.utility import Merge
from nipype.pipeline.engine import Node, Workflow

from bids_anomaly.bids.dataset import source_uris
from bids_anomaly.bids.participants import read_participants
from bids_anomaly.bids.scans import Session
from bids_anomaly.interfaces.derivatives import WriteModelGrid
from bids_anomaly.interfaces.quality import WriteQuality
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.scoring.findings import Threshold
from bids_anomaly.workflows.derivatives import init_scan_derivatives_wf
from bids_anomaly.workflows.preprocessing import init_preprocess_wf
from bids_anomaly.workflows.reconstruction import IN_MODEL_GRID, OF_SCAN, init_reconstruct_wf
from bids_anomaly.workflows.registration import connect_deformation
from bids_anomaly.workflows.session import (
    LISTED_FROM_DERIVATIVES,
    LISTED_FROM_PREPROCESSING,
    LISTED_FROM_RECONSTRUCTION,
    init_session_outputs_wf,
)


def init_run_wf(
    sessions: Sequence[Session],
    *,
    bids_dir: Path,
    output_dir: Path,
    work_dir: Path,
    bundles: Mapping[str, Bundle],
    stage: str,
    brain_extraction: str,
    strict: bool,
    output_spaces: Sequence[str],
    threshold: Threshold,
    primary: str | None,
    steps: int | None,
    device: str,
    batch_size: int | None,
    seed: int,
    omp_nthreads: int,
    name: str = "bids_anomaly_wf",
) -> Workflow:
    """Build the workflow of a run: sessions side by side, none depending on another.

    Parameters
    ----------
    sessions : sequence of Session
        Scans of each session, the reference first.
    work_dir : Path
        Folder of intermediate files.
    bundles : mapping
        The model for each BIDS suffix.
    stage : {'preprocess', 'reconstruct', 'all'}
        Whether to stop before the reconstruction. ``reconstruct`` is the whole workflow: what an
        earlier run left in the work folder is not done again.

    The other parameters are those of :func:`init_session_wf`.
    """
    workflow = Workflow(name=name, base_dir=str(work_dir))
    participants = read_participants(bids_dir)
    for session in sessions:
        session_wf = init_session_wf(
            session,
            known=participants.get(f"sub-{session.participant}", {}),
            bids_dir=bids_dir,
            output_dir=output_dir,
            bundles=bundles,
            preprocess_only=stage == "preprocess",
            brain_extraction=brain_extraction,
            strict=strict,
            output_spaces=output_spaces,
            threshold=threshold,
            primary=primary,
            steps=steps,
            device=device,
            batch_size=batch_size,
            seed=seed,
            omp_nthreads=omp_nthreads,
            name=session_wf_name(session),
        )
        workflow.add_nodes([session_wf])
    return workflow


def init_session_wf(
    session: Session,
    *,
    known: Mapping[str, str],
    bids_dir: Path,
    output_dir: Path,
    bundles: Mapping[str, Bundle],
    preprocess_only: bool,
    brain_extraction: str,
    strict: bool,
    output_spaces: Sequence[str],
    threshold: Threshold,
    primary: str | None,
    steps: int | None,
    device: str,
    batch_size: int | None,
    seed: int,
    omp_nthreads: int,
    name: str = "session_wf",
) -> Workflow:
    """Take all scans of one session from BIDS to derivatives.

    Workflow Graph
    --------------
    For each scan: preprocess -> reconstruct -> derivatives. For the session: write_quality and,
    from its reference, register_deformable (or read_deformation) -> session_outputs.

    Parameters
    ----------
    session : Session
        Its scans; the first is the reference.
    known : mapping
        The row of the participant in ``participants.tsv``.
    bids_dir, output_dir : Path
        Input dataset and derivative dataset.
    bundles : mapping
        The model for each BIDS suffix.
    preprocess_only : bool
        Whether to stop before the reconstruction and write scans in the model grid.
    brain_extraction : str
        deepbet, hd-bet, template or none.
    strict : bool
        Whether scans of doubtful quality stop before the reconstruction.
    output_spaces : sequence of str
        ``native`` and template names.
    threshold : Threshold
        By which anomalies are found.
    primary : str or None
        Modality whose scan leads, where a session has one.
    steps, device, batch_size, seed, omp_nthreads
        See :func:`bids_anomaly.workflows.reconstruction.init_reconstruct_wf`.
    """
    workflow = Workflow(name=name)
    reference = session.scans[0]
    preprocessed: list[Workflow] = []
    for scan in session.scans:
        preprocess = init_preprocess_wf(
            scan=scan.path,
            prepared=scan.prepared,
            grid=bundles[scan.suffix].grid,
            modality=scan.suffix,
            is_reference=scan is reference,
            brain_extraction=brain_extraction,
            strict=strict,
            use_gpu=device != "cpu" and BRAIN_TOOLS[brain_extraction].is_network,
            seed=seed,
            omp_nthreads=omp_nthreads,
            name=f"preprocess_{identifier(scan.name)}_wf",
        )
        workflow.add_nodes([preprocess])
        if preprocessed:
            passed_on = [
                ("outputnode.corrected", "inputnode.reference"),
                ("outputnode.brain", "inputnode.reference_mask"),
                ("outputnode.transform", "inputnode.reference_affine"),
            ]
            workflow.connect([(preprocessed[0], preprocess, passed_on)])
        preprocessed.append(preprocess)

    write_quality = Node(
        WriteQuality(
            output_dir=str(output_dir),
            original=str(reference.path),
            entities={k: v for k, v in reference.entities.items() if k in ("sub", "ses")},
            modality=reference.suffix,
            sources=[uri for scan in session.scans for uri in source_uris(scan, bids_dir)],
            scans=[scan.name for scan in session.scans],
        ),
        name="write_quality",
    )
    listed = _list(workflow, preprocessed, "quality")
    workflow.connect(listed, "out", write_quality, "qualities")

    if preprocess_only:
        for scan, preprocess in zip(session.scans, preprocessed, strict=True):
            write_model_grid = Node(
                WriteModelGrid(
                    output_dir=str(output_dir),
                    original=str(scan.path),
                    entities=dict(scan.entities),
                    modality=scan.suffix,
                    sources=source_uris(scan, bids_dir),
                    space=bundles[scan.suffix].template,
                ),
                name=f"write_model_grid_{identifier(scan.name)}",
            )
            passed_on = [
                ("outputnode.scan_in_model_grid", "scan"),
                ("outputnode.brain_in_model_grid", "brain"),
                ("outputnode.transforms", "transforms"),
            ]
            workflow.connect([(preprocess, write_model_grid, passed_on)])
        return workflow

    reconstructed: list[Workflow] = []
    for scan, preprocess in zip(session.scans, preprocessed, strict=True):
        reconstruct = init_reconstruct_wf(
            bundle=bundles[scan.suffix],
            known=known,
            steps=steps,
            device=device,
            batch_size=batch_size,
            seed=seed,
            omp_nthreads=omp_nthreads,
            name=f"reconstruct_{identifier(scan.name)}_wf",
        )
        workflow.connect([(preprocess, reconstruct, _same_names(*IN_MODEL_GRID, *OF_SCAN))])
        reconstructed.append(reconstruct)

    deformation = connect_deformation(
        workflow,
        reference=reference,
        bundle=bundles[reference.suffix],
        preprocess=preprocessed[0],
        reconstruct=reconstructed[0],
        seed=seed,
    )
    written = {
        "output_dir": output_dir,
        "output_spaces": output_spaces,
        "threshold": threshold,
        "steps": steps,
    }
    derived: list[Workflow] = []
    for scan, preprocess, reconstruct in zip(
        session.scans, preprocessed, reconstructed, strict=True
    ):
        derivatives = init_scan_derivatives_wf(
            **written,
            original=scan.path,
            entities=scan.entities,
            modality=scan.suffix,
            sources=source_uris(scan, bids_dir),
            bundle=bundles[scan.suffix],
            reference_modality=None if scan is reference else reference.suffix,
            name=f"derivatives_{identifier(scan.name)}_wf",
        )
        workflow.connect(
            [
                (
                    preprocess,
                    derivatives,
                    _same_names(
                        "corrected",
                        "brain",
                        "brain_method",
                        "white_matter_level",
                        "transform",
                        "transforms",
                    ),
                ),
                (reconstruct, derivatives, _same_names("residual", "spread", "zscore")),
                (
                    deformation,
                    derivatives,
                    [
                        ("scan_from_template", "inputnode.scan_from_template"),
                        ("template_from_scan", "inputnode.template_from_scan"),
                    ],
                ),
            ]
        )

        derived.append(derivatives)

    session_outputs = init_session_outputs_wf(
        session, **written, bids_dir=bids_dir, bundles=bundles, primary=primary
    )
    workflow.connect(
        [
            (
                preprocessed[0],
                session_outputs,
                [("outputnode.transform", "inputnode.affine")],
            ),
            (
                deformation,
                session_outputs,
                [
                    ("scan_from_template", "inputnode.scan_from_template"),
                    ("template_from_scan", "inputnode.template_from_scan"),
                ],
            ),
            (write_quality, session_outputs, [("table", "inputnode.quality_table")]),
        ]
    )
    _connect_lists(workflow, preprocessed, session_outputs, LISTED_FROM_PREPROCESSING)
    _connect_lists(workflow, reconstructed, session_outputs, LISTED_FROM_RECONSTRUCTION)
    _connect_lists(workflow, derived, session_outputs, LISTED_FROM_DERIVATIVES)
    return workflow


def session_wf_name(session: Session) -> str:
    """Return the name of a session's workflow, which is also its folder in the work folder."""
    return f"{identifier(session.label)}_wf"


def _connect_lists(
    workflow: Workflow, sources: Sequence[Workflow], target: Workflow, names: Iterable[str]
) -> None:
    """Hand on outputs of several workflows as lists, in the order of the workflows."""
    for name in names:
        workflow.connect(_list(workflow, sources, name), "out", target, f"inputnode.{name}")


def _list(workflow: Workflow, sources: Sequence[Workflow], name: str) -> Node:
    """Add a node that lists an output of several workflows, in the order of the workflows."""
    listed = Node(Merge(len(sources)), name=f"list_{name}", run_without_submitting=True)
    for position, source in enumerate(sources, start=1):
        workflow.connect(source, f"outputnode.{name}", listed, f"in{position}")
    return listed


def _same_names(*names: str) -> list[tuple[str, str]]:
    return [(f"outputnode.{name}", f"inputnode.{name}") for name in names]


def identifier(label: str) -> str:
    """Turn a BIDS name into one that Nipype accepts."""
    return re.sub(r"\W", "_", label)
