"""One workflow a session, and one that holds all sessions of a run."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nipype.interfaces.utility import Merge
from nipype.pipeline.engine import Node, Workflow

from bids_anomaly.bids.dataset import raw_uri
from bids_anomaly.bids.query import Session
from bids_anomaly.interfaces.derivatives import WriteModelGrid
from bids_anomaly.interfaces.preprocessing import RegisterDeformable
from bids_anomaly.interfaces.reports import WriteReport
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.workflows.derivatives import (
    init_scan_derivatives_wf,
    init_session_derivatives_wf,
)
from bids_anomaly.workflows.preprocessing import REGISTRATION_MEM_GB, init_preprocess_wf
from bids_anomaly.workflows.reconstruction import init_reconstruct_wf


def init_run_wf(
    sessions: Sequence[Session],
    *,
    bids_dir: Path,
    output_dir: Path,
    work_dir: Path,
    bundles: Mapping[str, Bundle],
    stage: str,
    brain_extraction: str,
    output_spaces: Sequence[str],
    healthy_fpr: float,
    min_lesion_volume: float,
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
    for session in sessions:
        session_wf = init_session_wf(
            session,
            bids_dir=bids_dir,
            output_dir=output_dir,
            bundles=bundles,
            preprocess_only=stage == "preprocess",
            brain_extraction=brain_extraction,
            output_spaces=output_spaces,
            healthy_fpr=healthy_fpr,
            min_lesion_volume=min_lesion_volume,
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
    bids_dir: Path,
    output_dir: Path,
    bundles: Mapping[str, Bundle],
    preprocess_only: bool,
    brain_extraction: str,
    output_spaces: Sequence[str],
    healthy_fpr: float,
    min_lesion_volume: float,
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
    For each scan: preprocess -> reconstruct -> scan_derivatives. For the session:
    register_deformable -> session_derivatives, report.

    Parameters
    ----------
    session : Session
        Its scans; the first is the reference.
    bids_dir, output_dir : Path
        Input dataset and derivative dataset.
    bundles : mapping
        The model for each BIDS suffix.
    preprocess_only : bool
        Whether to stop before the reconstruction and write scans in the model grid.
    brain_extraction : str
        deepbet, hd-bet, template or none.
    output_spaces : sequence of str
        ``native`` and template names.
    healthy_fpr, min_lesion_volume : float
        Nominal false positive rate, and mm3.
    steps, device, batch_size, seed, omp_nthreads
        See :func:`bids_anomaly.workflows.reconstruction.init_reconstruct_wf`.
    """
    workflow = Workflow(name=name)
    reference = session.scans[0]
    preprocessed: list[Workflow] = []
    reconstructed: list[Workflow] = []
    for scan in session.scans:
        scan_name = _identifier(scan.name)
        bundle = bundles[scan.suffix]
        preprocess = init_preprocess_wf(
            scan=scan.path,
            bundle=bundle.folder,
            is_reference=scan is reference,
            brain_extraction=brain_extraction,
            use_gpu=device != "cpu",
            seed=seed,
            omp_nthreads=omp_nthreads,
            name=f"preprocess_{scan_name}_wf",
        )
        workflow.add_nodes([preprocess])
        preprocessed.append(preprocess)
        if scan is not reference:
            workflow.connect(
                [
                    (
                        preprocessed[0],
                        preprocess,
                        [
                            ("outputnode.corrected", "inputnode.reference"),
                            ("outputnode.brain", "inputnode.reference_mask"),
                            ("outputnode.transform", "inputnode.reference_affine"),
                        ],
                    )
                ]
            )
        if preprocess_only:
            write = Node(
                WriteModelGrid(
                    output_dir=str(output_dir),
                    original=str(scan.path),
                    entities=dict(scan.entities),
                    modality=scan.suffix,
                    sources=[raw_uri(scan.path, bids_dir)],
                    space=bundle.description["grid"]["template"],
                ),
                name=f"write_model_grid_{scan_name}",
            )
            workflow.connect(
                [
                    (
                        preprocess,
                        write,
                        [
                            ("outputnode.scan_in_model_grid", "scan"),
                            ("outputnode.brain_in_model_grid", "brain"),
                        ],
                    )
                ]
            )
            continue
        reconstruct = init_reconstruct_wf(
            bundle=bundle,
            steps=steps,
            device=device,
            batch_size=batch_size,
            seed=seed,
            omp_nthreads=omp_nthreads,
            name=f"reconstruct_{scan_name}_wf",
        )
        reconstructed.append(reconstruct)
        workflow.connect(
            [
                (
                    preprocess,
                    reconstruct,
                    [
                        ("outputnode.scan_in_model_grid", "inputnode.scan"),
                        ("outputnode.brain_in_model_grid", "inputnode.brain"),
                    ],
                )
            ]
        )
    if preprocess_only:
        return workflow

    # The warp comes from the pseudo-healthy image where there is one, so that lesions do not
    # pull it.
    has_image = bundles[reference.suffix].weights is not None
    register_deformable = Node(
        RegisterDeformable(bundle=str(bundles[reference.suffix].folder), seed=seed),
        name="register_deformable",
        mem_gb=REGISTRATION_MEM_GB,
    )
    workflow.connect(
        [
            (
                reconstructed[0] if has_image else preprocessed[0],
                register_deformable,
                [
                    (
                        "outputnode.pseudo_healthy"
                        if has_image
                        else "outputnode.scan_in_model_grid",
                        "in_file",
                    )
                ],
            )
        ]
    )
    written = {
        "output_dir": output_dir,
        "output_spaces": output_spaces,
        "healthy_fpr": healthy_fpr,
        "min_lesion_volume": min_lesion_volume,
    }
    for scan, preprocess, reconstruct in zip(
        session.scans, preprocessed, reconstructed, strict=True
    ):
        derivatives = init_scan_derivatives_wf(
            **written,
            original=scan.path,
            entities=scan.entities,
            modality=scan.suffix,
            source=raw_uri(scan.path, bids_dir),
            bundle=bundles[scan.suffix],
            reference_modality=None if scan is reference else reference.suffix,
            name=f"derivatives_{_identifier(scan.name)}_wf",
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
                        "transforms_back",
                    ),
                ),
                (reconstruct, derivatives, _same_names("residual", "spread", "zscore")),
                (
                    register_deformable,
                    derivatives,
                    [("scan_from_template", "inputnode.scan_from_template")],
                ),
            ]
        )
    _add_session_outputs(
        workflow,
        session,
        bids_dir=bids_dir,
        bundles=bundles,
        preprocessed=preprocessed,
        reconstructed=reconstructed,
        register_deformable=register_deformable,
        written=written,
    )
    return workflow


def session_wf_name(session: Session) -> str:
    """Return the name of a session's workflow, which is also its folder in the work folder."""
    return f"{_identifier(session.label)}_wf"


def _add_session_outputs(
    workflow: Workflow,
    session: Session,
    *,
    bids_dir: Path,
    bundles: Mapping[str, Bundle],
    preprocessed: Sequence[Workflow],
    reconstructed: Sequence[Workflow],
    register_deformable: Node,
    written: Mapping,
) -> None:
    """Add the combined finding, the transforms and the report of a session."""
    reference = session.scans[0]
    session_bundles = [bundles[scan.suffix] for scan in session.scans]
    derivatives = init_session_derivatives_wf(
        **written,
        original=reference.path,
        entities=reference.entities,
        modality=reference.suffix,
        sources=[raw_uri(scan.path, bids_dir) for scan in session.scans],
    )
    report = Node(
        WriteReport(
            output_dir=str(written["output_dir"]),
            label=session.label,
            scans=[scan.name for scan in session.scans],
            modalities=[scan.suffix for scan in session.scans],
            bundles=[str(bundle.folder) for bundle in session_bundles],
            bundle_digests=[bundle.digest() for bundle in session_bundles],
            healthy_fpr=written["healthy_fpr"],
            min_lesion_volume=written["min_lesion_volume"],
        ),
        name="write_report",
        mem_gb=1.0,
    )
    workflow.connect(
        [
            (
                register_deformable,
                derivatives,
                _same_names("scan_from_template", "template_from_scan", source_prefix=""),
            ),
            (register_deformable, report, [("scan_from_template", "scan_from_template")]),
            (
                preprocessed[0],
                derivatives,
                [
                    ("outputnode.brain", "inputnode.brain"),
                    ("outputnode.transform", "inputnode.affine"),
                ],
            ),
        ]
    )
    # Every scan gives one item to each list, in the order of the scans.
    for name, source, target in (
        ("corrected", preprocessed, None),
        ("brain", preprocessed, None),
        ("brain_method", preprocessed, None),
        ("white_matter_level", preprocessed, None),
        ("scan_in_model_grid", preprocessed, None),
        ("brain_in_model_grid", preprocessed, "brains"),
        ("zscore", reconstructed, "zscores"),
        ("pseudo_healthy", reconstructed, None),
        ("evaluations", reconstructed, None),
    ):
        listed = Node(Merge(len(source)), name=f"list_{name}", run_without_submitting=True)
        for position, scan_wf in enumerate(source, start=1):
            workflow.connect([(scan_wf, listed, [(f"outputnode.{name}", f"in{position}")])])
        workflow.connect([(listed, report, [("out", f"{name}_list")])])
        if target:
            workflow.connect([(listed, derivatives, [("out", f"inputnode.{target}")])])


def _same_names(*names: str, source_prefix: str = "outputnode.") -> list[tuple[str, str]]:
    return [(f"{source_prefix}{name}", f"inputnode.{name}") for name in names]


def _identifier(label: str) -> str:
    """Turn a BIDS name into one that Nipype accepts."""
    return re.sub(r"\W", "_", label)
