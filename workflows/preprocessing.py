"""From a scan as acquired to the grid and intensities that models expect."""

from pathlib import Path

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline.engine import Node, Workflow

from bids_anomaly.bids.scans import GivenBrain, Prepared, Segmentation
from bids_anomaly.interfaces.prepared import ReadBrain, ReadSegmentation
from bids_anomaly.interfaces.preprocessing import (
    CorrectBias,
    ExtractBrain,
    RegisterToReference,
    RegisterToTemplate,
    Reorient,
    ToModelGrid,
)
from bids_anomaly.interfaces.quality import MeasureQuality, RequireQuality
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.workflows.memory import PROCESS_GB, memory_gb
from bids_anomaly.workflows.registration import fingerprint
from bids_anomaly.workflows.wiring import add_list, same

# What the workflow takes of the reference scan, and what it makes.
OF_REFERENCE = ("reference", "reference_mask", "reference_affine")
MADE = (
    "corrected",
    "brain",
    "brain_method",
    "transform",
    "transforms",
    "scan_in_model_grid",
    "brain_in_model_grid",
    "white_matter_level",
    "quality",
    "remarks",
)
LEVEL = same("white_matter_level")


def init_preprocess_wf(
    *,
    scan: Path,
    prepared: Prepared | None,
    given: GivenBrain | Segmentation | None,
    grid: Grid,
    modality: str,
    reference: Path | None,
    brain_extraction: str,
    strict: bool,
    use_gpu: bool,
    seed: int,
    omp_nthreads: int,
    name: str = "preprocess_wf",
) -> Workflow:
    """Preprocess one scan.

    The reference scan of a session is registered to the template; the others are registered to
    the reference and reach the template through it, in one interpolation. Long, because it is the
    graph: what each node takes of which other is seen in one place.

    Workflow Graph
    --------------
    reorient -> extract_brain -> register -> correct_bias -> to_model_grid -> measure_quality
    -> require_quality. Of a prepared scan the brain is read (read_brain), and correct_bias is left
    out. A brain that others found in a raw scan is read, too. Registration to the reference scan
    also trims the brain to that of the reference.

    Parameters
    ----------
    scan : Path
        A scan of the input dataset, or one that another pipeline has prepared.
    prepared : Prepared or None
        What that pipeline made of it; None for a raw scan.
    given : GivenBrain, Segmentation or None
        Where the brain of a raw scan is from; None where it is to be found.
    grid : Grid
        That of the model. Models that share it share this work.
    modality : str
        BIDS suffix of the scan.
    reference : Path or None
        The reference scan of its session; None if this is it.
    brain_extraction : str
        deepbet, hd-bet, template or none.
    strict : bool
        Whether a scan of doubtful quality stops here.
    use_gpu : bool
        Whether brain extraction may use the GPU.
    seed : int
        For registrations.
    omp_nthreads : int
        Threads of brain extraction; registrations take one, which keeps them reproducible.

    Inputs
    ------
    reference, reference_mask, reference_affine
        Bias-corrected reference scan, its brain and its affine; only for other scans.

    Outputs
    -------
    corrected, brain, brain_method
        In the reoriented grid of the scan.
    transform
        The affine of the reference, or the rigid transform of another scan.
    transforms
        List that pulls the scan onto the model grid.
    scan_in_model_grid, brain_in_model_grid, white_matter_level
        What models take.
    quality
        JSON file of measures.
    remarks
        What was odd about the file of the scan, a line each.
    """
    workflow = Workflow(name=name)
    inputnode = Node(IdentityInterface(list(OF_REFERENCE)), name="inputnode")
    outputnode = Node(IdentityInterface(list(MADE)), name="outputnode")
    reorient = Node(
        Reorient(in_file=str(scan), fingerprint=fingerprint(scan)),
        name="reorient",
        mem_gb=memory_gb("reorient", scan),
    )
    if prepared is not None:
        find_brain = _read_brain(prepared.brain, prepared.origin, is_prepared=True)
    elif isinstance(given, GivenBrain):
        find_brain = _read_brain(given.path, given.pipeline, is_prepared=False)
    elif given is not None:
        find_brain = _read_segmentation(given, scan)
    else:
        # A node on the GPU takes as many GPU slots as processes.
        threads = 1 if use_gpu else omp_nthreads
        find_brain = Node(
            ExtractBrain(method=brain_extraction, use_gpu=use_gpu),
            name="extract_brain",
            mem_gb=memory_gb("extract_brain", scan),
            n_procs=threads,
        )
    takes_scan = "scan" if prepared or given else "in_file"
    workflow.connect(reorient, "out_file", find_brain, takes_scan)
    if reference is None:
        register = Node(
            RegisterToTemplate(grid=grid.description, seed=seed),
            name="register_to_template",
            mem_gb=memory_gb("register_to_template", scan),
        )
        links = [(register, "transform")]
        has_brain = find_brain
    else:
        register = Node(
            RegisterToReference(seed=seed),
            name="register_to_reference",
            mem_gb=memory_gb("register_to_reference", scan, reference),
        )
        workflow.connect(
            [
                (inputnode, register, same("reference", "reference_mask")),
                (find_brain, register, [("method", "brain_method")]),
            ]
        )
        has_brain = register
        links = [(inputnode, "reference_affine"), (register, "transform")]
    chain = add_list(workflow, links, name="chain_transforms")
    corrected = reorient
    if prepared is None:
        corrected = Node(CorrectBias(), name="correct_bias", mem_gb=memory_gb("correct_bias", scan))
        workflow.connect(
            [
                (reorient, corrected, [("out_file", "in_file")]),
                (has_brain, corrected, [("out_mask", "in_mask")]),
                (chain, corrected, [("out", "transforms")]),
            ]
        )
    to_model_grid = Node(
        ToModelGrid(grid=grid.description),
        name="to_model_grid",
        mem_gb=memory_gb("to_model_grid", scan),
    )
    workflow.connect(
        [
            (reorient, register, [("out_file", "in_file")]),
            (find_brain, register, [("out_mask", "in_mask")]),
            (corrected, to_model_grid, [("out_file", "in_file")]),
            (has_brain, to_model_grid, [("out_mask", "in_mask")]),
            (chain, to_model_grid, [("out", "transforms")]),
            (corrected, outputnode, [("out_file", "corrected")]),
            (has_brain, outputnode, [("out_mask", "brain")]),
            (find_brain, outputnode, [("method", "brain_method")]),
            (register, outputnode, [("transform", "transform")]),
            (chain, outputnode, [("out", "transforms")]),
            (to_model_grid, outputnode, [("brain", "brain_in_model_grid"), *LEVEL]),
        ]
    )
    _connect_quality(
        workflow,
        scan,
        modality=modality,
        strict=strict,
        reorient=reorient,
        has_brain=has_brain,
        to_model_grid=to_model_grid,
        outputnode=outputnode,
    )
    return workflow


def _connect_quality(
    workflow: Workflow,
    scan: Path,
    *,
    modality: str,
    strict: bool,
    reorient: Node,
    has_brain: Node,
    to_model_grid: Node,
    outputnode: Node,
) -> None:
    """Measure the quality of a scan, and hold back doubtful ones."""
    described = {"name": scan.name.split(".")[0], "modality": modality}
    measure_quality = Node(
        MeasureQuality(**described),
        name="measure_quality",
        mem_gb=memory_gb("measure_quality", scan),
    )
    in_model_grid = [("scan", "scan_in_model_grid"), ("brain", "brain_in_model_grid")]
    workflow.connect(
        [
            (reorient, measure_quality, [("out_file", "scan")]),
            (has_brain, measure_quality, [("out_mask", "brain")]),
            (to_model_grid, measure_quality, [*in_model_grid, *LEVEL]),
            (measure_quality, outputnode, [("quality", "quality")]),
        ]
    )
    passed = Node(
        RequireQuality(**described, strict=strict), name="require_quality", mem_gb=PROCESS_GB
    )
    workflow.connect(
        [
            (to_model_grid, passed, [("scan", "scan")]),
            (measure_quality, passed, [("quality", "quality")]),
            (passed, outputnode, [("scan", "scan_in_model_grid")]),
            (reorient, outputnode, [("remarks", "remarks")]),
        ]
    )


def _read_brain(brain: Path, pipeline: str, *, is_prepared: bool) -> Node:
    """Return the node that reads the brain mask that others made of a scan."""
    return Node(
        ReadBrain(
            in_file=str(brain),
            fingerprint=fingerprint(brain),
            pipeline=pipeline,
            is_prepared=is_prepared,
        ),
        name="read_brain",
        mem_gb=memory_gb("read_brain", brain),
    )


def _read_segmentation(given: Segmentation, scan: Path) -> Node:
    """Return the node that reads the brain of a raw scan from a segmentation of it."""
    files = [path for path in (given.path, given.picture) if path is not None]
    return Node(
        ReadSegmentation(
            in_file=str(given.path),
            pipeline=given.pipeline,
            above=given.above,
            picture="" if given.picture is None else str(given.picture),
            fingerprint="; ".join(map(fingerprint, files)),
        ),
        name="read_segmentation",
        mem_gb=memory_gb("read_segmentation", scan, *files),
    )
