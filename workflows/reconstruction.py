"""From a preprocessed scan to its pseudo-healthy image and anomaly scores."""

from collections.abc import Mapping
from pathlib import Path

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline.engine import Node, Workflow

from bids_anomaly.interfaces.reconstruction import Reconstruct
from bids_anomaly.interfaces.scoring import Score
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.settings import Machine
from bids_anomaly.workflows.memory import memory_gb
from bids_anomaly.workflows.wiring import same

# What the workflow takes, by the names that preprocessing gives it.
IN_MODEL_GRID = ("scan_in_model_grid", "brain_in_model_grid")
OF_SCAN = ("corrected", "brain", "white_matter_level", "transforms")
# What the reconstruction gives to others.
MADE = ("pseudo_healthy", "spread", "residual", "anomaly", "evaluations")


def init_reconstruct_wf(
    *,
    bundle: Bundle,
    known: Mapping[str, str],
    steps: int | None,
    machine: Machine,
    seed: int,
    scan: Path | None = None,
    name: str = "reconstruct_wf",
) -> Workflow:
    """Build the pseudo-healthy image of one scan, and score the voxels of the scan against it.

    The network works in the model grid. What it says is brought to the scan, so that scores have
    the resolution of the scan.

    Workflow Graph
    --------------
    reconstruct -> score

    Parameters
    ----------
    bundle : Bundle
        The model.
    known : mapping
        The row of the participant in ``participants.tsv``; only what the model uses is passed on.
    steps : int or None
        In how many steps, for methods that know steps; None is as in the bundle's calibration.
    machine : Machine
        What the network may use.
    seed : int
        For methods that draw random numbers.
    scan : Path, optional
        Whose size the memory of the scores is estimated from.

    Inputs
    ------
    scan_in_model_grid, brain_in_model_grid
    corrected, brain, white_matter_level, transforms
        The scan as it was acquired, from
        :func:`bids_anomaly.workflows.preprocessing.init_preprocess_wf`, like the two above.

    Outputs
    -------
    pseudo_healthy, spread, residual, anomaly
        In the model grid; unset where the method makes no such image.
    zscore
        In the grid of the scan.
    evaluations
        Network evaluations of a slice or volume.
    """
    workflow = Workflow(name=name)
    inputnode = Node(IdentityInterface([*IN_MODEL_GRID, *OF_SCAN]), name="inputnode")
    outputnode = Node(IdentityInterface([*MADE, "zscore"]), name="outputnode")
    use_gpu = machine.has_gpu and bundle.weights is not None
    reconstruct = Node(
        Reconstruct(
            bundle=str(bundle.folder),
            bundle_digest=bundle.digest,
            covariates={
                name: known[name]
                for name in bundle.description.get("covariates", ())
                if name in known
            },
            seed=seed,
            device=machine.device if use_gpu else "cpu",
            use_gpu=use_gpu,
            num_threads=machine.omp_nthreads,
        ),
        name="reconstruct",
        mem_gb=memory_gb("reconstruct"),
        # A node on the GPU takes as many GPU slots as processes.
        n_procs=1 if use_gpu else machine.omp_nthreads,
    )
    if steps is not None:
        reconstruct.inputs.steps = steps
    if machine.batch_size is not None:
        reconstruct.inputs.batch_size = machine.batch_size
    score = Node(
        Score(bundle=str(bundle.folder), bundle_digest=bundle.digest),
        name="score",
        mem_gb=memory_gb("score", *([scan] if scan else [])),
    )
    in_model_grid = [("scan_in_model_grid", "scan"), ("brain_in_model_grid", "brain")]
    passed_on = same("brain", "white_matter_level", "transforms", "brain_in_model_grid")
    workflow.connect(
        [
            (inputnode, reconstruct, in_model_grid),
            (inputnode, score, [("corrected", "scan"), *passed_on]),
            (reconstruct, score, same("pseudo_healthy", "anomaly")),
            (reconstruct, outputnode, same(*MADE)),
            (score, outputnode, [("zscore", "zscore")]),
        ]
    )
    return workflow
