"""The pictures of the page of the group level."""

import numpy as np

from bids_anomaly.group.analysis import Analysis
from bids_anomaly.group.cohorts import Cohorts
from bids_anomaly.group.collect import Collected
from bids_anomaly.group.comparison import LEVEL
from bids_anomaly.group.images import in_grid
from bids_anomaly.group.maps import Sums
from bids_anomaly.group.page_tables import EVERYBODY
from bids_anomaly.group.people import in_words
from bids_anomaly.reports.group_maps import Map, MapTable, map_table
from bids_anomaly.reports.group_viewer import GroupMaps


def group_maps(collected: Collected, cohorts: Cohorts | None, analysis: Analysis) -> list[MapTable]:
    """Draw frequencies, mean z-scores and differences."""
    sums = _by_group(collected, cohorts)
    tables = [
        map_table(
            "How often",
            "Share of people with an anomaly in their primary scan, over the template; left is "
            "left. Each person counts once.",
            [Map(n, in_words(one.primaries), one.frequency()) for n, one in sums.items()],
            signed=False,
            least=0.05,
            most=1.0,
            form=".0%",
        )
    ]
    for modality in collected.everybody.z:
        tables.append(
            map_table(
                f"Mean z-score, {modality}",
                "Warm colours are more unusual than in the people whom the model was calibrated "
                "on, cold ones less.",
                [
                    Map(name, f"{one.scans[modality]} people", one.mean_z(modality))
                    for name, one in sums.items()
                    if modality in one.z
                ],
                signed=True,
                least=1.0,
            )
        )
    compared = [one for one in analysis.comparisons if one.voxels is not None]
    if compared:
        tables.append(
            map_table(
                "Differences",
                f"t of z-scores of the group less those of {cohorts.controls}; outlined where the "
                "family-wise p is below .05.",
                [
                    Map(
                        f"{one.cases}, {one.modality}",
                        f"against {cohorts.controls}",
                        in_grid(np.where(np.isfinite(one.voxels.t), one.voxels.t, 0)),
                        in_grid(one.voxels.p < LEVEL) > 0,
                    )
                    for one in compared
                ],
                signed=True,
                least=3.0,
            )
        )
    return tables


def viewer_maps(collected: Collected, cohorts: Cohorts | None) -> list[GroupMaps]:
    """Return what the viewer shows of everybody, of controls and of the other groups."""
    return [
        GroupMaps(name, one.frequency(), {modality: one.mean_z(modality) for modality in one.z})
        for name, one in _by_group(collected, cohorts).items()
    ]


def _by_group(collected: Collected, cohorts: Cohorts | None) -> dict[str, Sums]:
    controls = cohorts.controls if cohorts else None
    groups = sorted(collected.cohorts.items(), key=lambda item: (item[0] != controls, item[0]))
    return {EVERYBODY: collected.everybody, **dict(groups)}
