"""How a session reaches the template: deformation of its reference, found here or elsewhere."""

from pathlib import Path

from nipype.pipeline.engine import Node, Workflow

from bids_anomaly.bids.scans import Scan
from bids_anomaly.interfaces.prepared import ReadDeformation
from bids_anomaly.interfaces.preprocessing import RegisterDeformable
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.workflows.memory import PROCESS_GB


def connect_deformation(
    workflow: Workflow,
    *,
    reference: Scan,
    bundle: Bundle,
    preprocess: Workflow,
    reconstruct: Workflow,
    seed: int,
) -> Node:
    """Add the step that gives the deformation between the model grid and the template.

    It is registered from the pseudo-healthy image where there is one, so that lesions do not pull
    the warp. A prepared scan that came with transforms to this template keeps those: its results
    then lie where the other results of that pipeline do.

    Parameters
    ----------
    workflow : Workflow
        Of the session; gets the node.
    reference : Scan
        Its reference scan.
    bundle : Bundle
        The model of that scan.
    preprocess, reconstruct : Workflow
        Of that scan, in `workflow`.
    seed : int
        For the registration.

    Returns
    -------
    Node
        With the outputs ``scan_from_template`` and ``template_from_scan``.
    """
    grid = bundle.grid.description
    if reference.comes_deformed:
        both = (reference.prepared.to_template, reference.prepared.from_template)
        node = Node(
            ReadDeformation(
                to_template=str(both[0]),
                from_template=str(both[1]),
                fingerprint="; ".join(map(fingerprint, both)),
                grid=grid,
            ),
            name="read_deformation",
            mem_gb=PROCESS_GB,
        )
        workflow.connect([(preprocess, node, [("outputnode.transform", "affine")])])
        return node
    node = Node(
        RegisterDeformable(grid=grid, seed=seed),
        name="register_deformable",
        mem_gb=PROCESS_GB,
    )
    if registered_model(reference, bundle):
        source, image = reconstruct, "pseudo_healthy"
    else:
        source, image = preprocess, "scan_in_model_grid"
    workflow.connect([(source, node, [(f"outputnode.{image}", "in_file")])])
    return node


def registered_model(reference: Scan, bundle: Bundle) -> Bundle | None:
    """Return the model whose pseudo-healthy image is registered to the template, if there is one.

    Parameters
    ----------
    reference : Scan
        Of a session.
    bundle : Bundle
        The model of that scan.
    """
    return bundle if bundle.makes_image and not reference.comes_deformed else None


def fingerprint(file: Path) -> str:
    """Say which version of a file this is, without reading it.

    Reading is left to the node that needs it, where a file that cannot be read fails alone.
    """
    try:
        status = file.stat()
    except OSError:
        return "missing"
    return f"{status.st_size} bytes, modified {status.st_mtime_ns}"
