"""What the viewer of the group's page shows: how often, and how unusual, over the template."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bids_anomaly.preprocessing.atlas import atlas_regions, output_labels
from bids_anomaly.preprocessing.template import OUTPUT_GRID, template_brain
from bids_anomaly.reports.figures import GREY, SIGNED, UNUSUAL, Scale
from bids_anomaly.reports.group_maps import TEMPLATE_EDGE, highest_colour
from bids_anomaly.reports.tables import region_in_words
from bids_anomaly.reports.viewer import Layer, Subject, Volume, viewer_content

# About 0.4 MB a map: the page of six groups with three modalities stays below 10 MB.
MOST_GROUPS = 6
# Values from this part of the highest colour on hide the template.
OPAQUE = 0.25


class GroupMaps(NamedTuple):
    """Maps of some people in the grid of outputs.

    Attributes
    ----------
    name : str
        Who they are.
    frequency : (X, Y, Z) array
        Share of people with an anomaly, 0 to 1.
    mean_z : mapping of str to (X, Y, Z) array
        By modality.
    """

    name: str
    frequency: np.ndarray
    mean_z: Mapping[str, np.ndarray]


def group_viewer(groups: Sequence[GroupMaps]) -> dict[str, Any]:
    """Return the content of the viewer.

    Parameters
    ----------
    groups : sequence of GroupMaps
        At least one, the first with all modalities; only the first few are shown.
    """
    groups = groups[:MOST_GROUPS]
    template = template_brain(2).get_fdata(dtype=np.float32)
    frequency_top = 100 * highest_colour((g.frequency for g in groups), least=0.05, most=1.0)
    z_tops = {
        modality: highest_colour(
            (g.mean_z[modality] for g in groups if modality in g.mean_z), least=1.0
        )
        for modality in groups[0].mean_z
    }
    subjects = []
    for group in groups:
        volumes = {
            "template": Volume("Template", template, Scale(GREY, 0, 1.1), (0, 1.1), decimals=None),
            "frequency": Volume(
                "How often (%)",
                100 * group.frequency,
                Scale(UNUSUAL, 0, frequency_top),
                (0, 100),
                opaque=OPAQUE * frequency_top,
                decimals=0,
            ),
        }
        layers = [Layer("How often", "template", over="frequency")]
        for modality, mean_z in group.mean_z.items():
            top = z_tops[modality]
            step = max(top, float(np.abs(mean_z).max())) / 127
            volumes[f"z{modality}"] = Volume(
                f"Mean z, {modality}",
                mean_z,
                Scale(SIGNED, -top, top),
                (-127 * step, 128 * step),  # so that 0 is one of the steps
                opaque=OPAQUE * top,
                signed=True,
            )
            layers.append(Layer(f"Mean z, {modality}", "template", over=f"z{modality}"))
        subjects.append(
            Subject(
                group.name,
                OUTPUT_GRID.affine,
                template > TEMPLATE_EDGE,
                volumes,
                layers,
                outline=None,
                labels=output_labels(),
            )
        )
    regions = {region.index: region_in_words(region.name) for region in atlas_regions()}
    return viewer_content(subjects, regions=regions, kind="People")


def most_frequent_place(frequency: np.ndarray, where: np.ndarray | None = None) -> str:
    """Return where most people have an anomaly, for the viewer to go to; empty if nobody has.

    Parameters
    ----------
    frequency : (X, Y, Z) array
        In the grid of outputs.
    where : (X, Y, Z) bool array, optional
        Only there.

    Returns
    -------
    str
        x, y and z in mm.
    """
    inside = frequency if where is None else frequency * where
    if not inside.any():
        return ""
    voxel = np.unravel_index(np.argmax(inside), inside.shape)
    return " ".join(f"{value:g}" for value in OUTPUT_GRID.affine[:3] @ [*voxel, 1])
