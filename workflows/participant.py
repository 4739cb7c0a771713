"""One workflow a session, and one that holds all sessions of a run."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nipype.pipeline.engine import Node, Workflow

from bids_anomaly.bids.scans import Session
from bids_anomaly.interfaces.derivatives import WriteModelGrid
from bids_anomaly.interfaces.quality import WriteQuality
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.preprocessing.template import TemplateSpace
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.scoring.findings import Threshold
from bids_anomaly.settings import Machine
from bids_anomaly.workflows.derivatives import (
    OF_DEFORMATION,
    OF_PREPROCESSING,
    OF_RECONSTRUCTION,
    about,
    init_scan_derivatives_wf,
)
from bids_anomaly.workflows.memory import PROCESS_GB
from bids_anomaly.workflows.preprocessing import init_preprocess_wf
from bids_anomaly.workflows.reconstruction import IN_MODEL_GRID, OF_SCAN, init_reconstruct_wf
from bids_anomaly.workflows.registration import connect_deformation, registered_model
from bids_anomaly.workflows.session import (
    LISTED_FROM_DERIVATIVES,
    LISTED_FROM_PREPROCESSING,
    LISTED_FROM_RECONSTRUCTION,
    init_session_outputs_wf,
)
from bids_anomaly.workflows.wiring import add_list, identifier, inward, outward


def init_run_wf(
    sessions: Iterable[Workflow], *, work_dir: Path, name: str = "bids_anomaly_wf"
) -> Workflow:
    """Put the workflows of sessions side by side, none depending on another.

    Parameters
    ----------
    sessions : iterable of Workflow
        Each by the name of :func:`session_wf_name`.
    work_dir : Path
        Folder of intermediate files.
    """
    workflow = Workflow(name=name, base_dir=str(work_dir))
    workflow.add_nodes(list(sessions))
    return workflow


def init_session_preprocess_wf(
    session: Session,
    *,
    output_dir: Path,
    bundles: Mapping[str, Bundle],
    brain_extraction: str,
    strict: bool,
    machine: Machine,
    seed: int,
    name: str = "session_wf",
) -> Workflow:
    """Take all scans of one session from BIDS to the grid of the models, and write them there.

    Workflow Graph
    --------------
    For each scan: preprocess -> write_model_grid. For the session: write_quality.

    Parameters are those of :func:`init_session_wf`.
    """
    workflow = Workflow(name=name)
    preprocessed, _ = _add_preprocessing(
        workflow,
        session,
        output_dir=output_dir,
        bundles=bundles,
        brain_extraction=brain_extraction,
        strict=strict,
        machine=machine,
        seed=seed,
    )
    for scan, preprocess in zip(session.scans, preprocessed, strict=True):
        write_model_grid = Node(
            WriteModelGrid(**about(scan, output_dir), space=bundles[scan.suffix].template),
            name=f"write_model_grid_{identifier(scan.name)}",
            mem_gb=PROCESS_GB,
        )
        passed_on = [
            ("outputnode.scan_in_model_grid", "scan"),
            ("outputnode.brain_in_model_grid", "brain"),
            ("outputnode.transforms", "transforms"),
        ]
        workflow.connect([(preprocess, write_model_grid, passed_on)])
    return workflow


def init_session_wf(
    session: Session,
    *,
    output_dir: Path,
    bundles: Mapping[str, Bundle],
    brain_extraction: str,
    strict: bool,
    output_spaces: Mapping[str, TemplateSpace | None],
    threshold: Threshold,
    primary: str | None,
    steps: int | None,
    machine: Machine,
    seed: int,
    name: str = "session_wf",
) -> Workflow:
    """Take all scans of one session from BIDS to derivatives.

    Long, because it is the graph: what each node takes of which other is seen in one place.

    Workflow Graph
    --------------
    For each scan: preprocess -> reconstruct -> derivatives. For the session: write_quality and,
    from its reference, register_deformable (or read_deformation) -> session_outputs.

    Parameters
    ----------
    session : Session
        Its scans; the first is the reference.
    output_dir : Path
        Derivative dataset.
    bundles : mapping
        The model for each BIDS suffix.
    brain_extraction : str
        deepbet, hd-bet, template or none.
    strict : bool
        Whether scans of doubtful quality stop before the reconstruction.
    output_spaces : mapping
        By name, None for ``native``.
    threshold : Threshold
        By which anomalies are found.
    primary : str or None
        Modality whose scan leads, where a session has one.
    steps : int or None
        In how many steps, for methods that know steps; None is as in the bundle's calibration.
    machine : Machine
        What a step may use.
    seed : int
        For everything that draws random numbers.
    """
    workflow = Workflow(name=name)
    preprocessed, write_quality = _add_preprocessing(
        workflow,
        session,
        output_dir=output_dir,
        bundles=bundles,
        brain_extraction=brain_extraction,
        strict=strict,
        machine=machine,
        seed=seed,
    )
    reconstructed = []
    for scan, preprocess in zip(session.scans, preprocessed, strict=True):
        reconstruct = init_reconstruct_wf(
            bundle=bundles[scan.suffix],
            known=session.known,
            steps=steps,
            machine=machine,
            seed=seed,
            scan=scan.path,
            name=f"reconstruct_{identifier(scan.name)}_wf",
        )
        workflow.connect([(preprocess, reconstruct, outward(*IN_MODEL_GRID, *OF_SCAN))])
        reconstructed.append(reconstruct)
    reference = session.scans[0]
    deformation = connect_deformation(
        workflow,
        reference=reference,
        bundle=bundles[reference.suffix],
        preprocess=preprocessed[0],
        reconstruct=reconstructed[0],
        seed=seed,
    )
    registered = registered_model(reference, bundles[reference.suffix])
    written = {
        "output_dir": output_dir,
        "output_spaces": output_spaces,
        "threshold": threshold,
    }
    derived = []
    for scan, preprocess, reconstruct in zip(
        session.scans, preprocessed, reconstructed, strict=True
    ):
        derivatives = init_scan_derivatives_wf(
            scan,
            **written,
            model=bundles[scan.suffix].named(steps),
            atlas_model=registered and registered.named(steps),
            reference_modality=None if scan is reference else reference.suffix,
            name=f"derivatives_{identifier(scan.name)}_wf",
        )
        workflow.connect(
            [
                (preprocess, derivatives, outward(*OF_PREPROCESSING)),
                (reconstruct, derivatives, outward(*OF_RECONSTRUCTION)),
                (deformation, derivatives, inward(*OF_DEFORMATION)),
            ]
        )
        derived.append(derivatives)
    outputs = init_session_outputs_wf(
        session, **written, bundles=bundles, primary=primary, steps=steps
    )
    workflow.connect(
        [
            (preprocessed[0], outputs, [("outputnode.transform", "inputnode.affine")]),
            (deformation, outputs, inward(*OF_DEFORMATION)),
            (write_quality, outputs, [("table", "inputnode.quality_table")]),
        ]
    )
    for sources, names in (
        (preprocessed, LISTED_FROM_PREPROCESSING),
        (reconstructed, LISTED_FROM_RECONSTRUCTION),
        (derived, LISTED_FROM_DERIVATIVES),
    ):
        for listed in names:
            node = _list_of(workflow, sources, listed)
            workflow.connect(node, "out", outputs, f"inputnode.{listed}")
    return workflow


def _add_preprocessing(
    workflow: Workflow,
    session: Session,
    *,
    output_dir: Path,
    bundles: Mapping[str, Bundle],
    brain_extraction: str,
    strict: bool,
    machine: Machine,
    seed: int,
) -> tuple[list[Workflow], Node]:
    """Add what preprocesses each scan of a session, and the node that writes their quality."""
    reference = session.scans[0]
    preprocessed: list[Workflow] = []
    for scan in session.scans:
        preprocess = init_preprocess_wf(
            scan=scan.path,
            prepared=scan.prepared,
            given=scan.brain,
            grid=bundles[scan.suffix].grid,
            modality=scan.suffix,
            reference=None if scan is reference else reference.path,
            brain_extraction=brain_extraction,
            strict=strict,
            use_gpu=machine.has_gpu and BRAIN_TOOLS[brain_extraction].is_network,
            seed=seed,
            omp_nthreads=machine.omp_nthreads,
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

    told = {
        **about(reference, output_dir),
        "entities": {k: v for k, v in reference.entities.items() if k in ("sub", "ses")},
        "sources": list(session.sources),
    }
    write_quality = Node(
        WriteQuality(**told, scans=[scan.name for scan in session.scans]),
        name="write_quality",
        mem_gb=PROCESS_GB,
    )
    listed = _list_of(workflow, preprocessed, "quality")
    workflow.connect(listed, "out", write_quality, "qualities")
    return preprocessed, write_quality


def session_wf_name(session: Session) -> str:
    """Return the name of a session's workflow, which is also its folder in the work folder."""
    return f"{identifier(session.label)}_wf"


def _list_of(workflow: Workflow, sources: Sequence[Workflow], name: str) -> Node:
    """Add a node that lists an output of several workflows, in the order of the workflows."""
    outputs = [(source, f"outputnode.{name}") for source in sources]
    return add_list(workflow, outputs, name=f"list_{name}")
