"""What the JSON file beside each image and table says."""

from collections.abc import Mapping, Sequence
from typing import Any

from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.scoring.findings import Threshold


def sidecar(
    output: str,
    *,
    sources: Sequence[str],
    already_stripped: bool,
    model: Mapping[str, Any] | None,
    threshold: Threshold | None,
    resolution: str | None,
) -> dict[str, Any]:
    """Describe one image or table.

    Parameters
    ----------
    output : str
        A key of :data:`bids_anomaly.bids.outputs.OUTPUTS`.
    sources : sequence of str
        BIDS URIs of the scans it is from.
    already_stripped : bool
        Whether the input had no skull.
    model : mapping or None
        See :meth:`bids_anomaly.reconstruction.bundle.Bundle.named`; not said of scans and brain
        masks, in which no model had a part.
    threshold : Threshold or None
        Said of what was found by it.
    resolution : str or None
        Of images in a template space.

    Returns
    -------
    dict
        The content of the JSON file; of tables, and of images with a table of the same name, it
        describes the columns too.
    """
    row = OUTPUTS[output]
    content: dict[str, Any] = {"Description": row.description, "Sources": list(sources)}
    if row.type is not None:
        content["Type"] = row.type
    elif not row.columns:
        content["SkullStripped"] = already_stripped if row.shows_scan else True
    if row.units is not None:
        content["Units"] = row.units
    content |= {name: getattr(threshold, attribute) for name, attribute in row.found_by.items()}
    if model and row.of_model:
        content["Model"] = dict(model)
    if resolution is not None:
        content["Resolution"] = resolution
    return {**content, **row.columns}
