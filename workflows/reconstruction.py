"""From a preprocessed scan to its pseudo-healthy image and anomaly scores."""

from collections.abc import Mapping

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline.engine import Node, Workflow

from bids_anomaly.interfaces.reconstruction import Reconstruct
from bids_anomaly.interfaces.scoring import Score
from bids_anomaly.reconstruction.bundle import Bundle

# Measured by benchmarks/participant.py, with room to spare.
RECONSTRUCT_MEM_GB = 1.2


def init_reconstruct_wf(
    *,
    bundle: Bundle,
    known: Mapping[str, str],
    steps: int | None,
    device: str,
    batch_size: int | None,
    seed: int,
    omp_nthreads: int,
    name: str = "reconstruct_wf",
) -> Workflow:
    """Build the pseudo-healthy image of one scan, and score the scan against it.

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
        Number of levels of corruption; None is the bundle's own.
    device : str
        ``cpu`` or ``cuda:N``.
    batch_size : int or None
        Slices at a time; None is what fits.
    seed : int
        For methods that draw random numbers.
    omp_nthreads : int
        Threads on the CPU.

    Inputs
    ------
    scan, brain
        In the model grid.

    Outputs
    -------
    pseudo_healthy, spread, residual
        In the model grid; unset where the method makes no image.
    zscore
        In the model grid.
    evaluations
        Network evaluations of a slice or volume.
    """
    workflow = Workflow(name=name)
    inputnode = Node(IdentityInterface(["scan", "brain"]), name="inputnode")
    outputnode = Node(
        IdentityInterface(["pseudo_healthy", "spread", "residual", "zscore", "evaluations"]),
        name="outputnode",
    )
    use_gpu = device != "cpu" and bundle.weights is not None
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
            device=device if use_gpu else "cpu",
            use_gpu=use_gpu,
            num_threads=omp_nthreads,
        ),
        name="reconstruct",
        mem_gb=RECONSTRUCT_MEM_GB,
        # A node on the GPU takes as many GPU slots as processes.
        n_procs=1 if use_gpu else omp_nthreads,
    )
    if steps is not None:
        reconstruct.inputs.steps = steps
    if batch_size is not None:
        reconstruct.inputs.batch_size = batch_size
    score = Node(
        Score(bundle=str(bundle.folder), bundle_digest=bundle.digest), name="score", mem_gb=0.5
    )
    workflow.connect(
        [
            (inputnode, reconstruct, [("scan", "scan"), ("brain", "brain")]),
            (inputnode, score, [("scan", "scan"), ("brain", "brain")]),
            (
                reconstruct,
                score,
                [("pseudo_healthy", "pseudo_healthy"), ("anomaly", "anomaly")],
            ),
            (
                reconstruct,
                outputnode,
                [
                    ("pseudo_healthy", "pseudo_healthy"),
                    ("spread", "spread"),
                    ("evaluations", "evaluations"),
                ],
            ),
            (score, outputnode, [("residual", "residual"), ("zscore", "zscore")]),
        ]
    )
    return workflow
