"""Where lesions lie in the people of each group, as a table of the page of the group level."""

from collections.abc import Sequence

import numpy as np

from bids_anomaly.group.burden import Burden
from bids_anomaly.group.cohorts import Cohorts
from bids_anomaly.reports.group_tables import EVERYBODY, group_of, volumes_by_group
from bids_anomaly.reports.numbers import millilitres
from bids_anomaly.reports.tables import Table
from bids_anomaly.scoring.locations import LOCATIONS


def locations_tables(burdens: Sequence[Burden], cohorts: Cohorts | None) -> list[Table]:
    """Show how many lesions people have in each place, and how large; each person counts once.

    Parameters
    ----------
    burdens : sequence of Burden
    cohorts : Cohorts or None

    Returns
    -------
    list of Table
        None if nobody's results say where lesions are, or nobody has one.
    """
    first = [one for one in burdens if one.member.is_first]
    told = [one for one in first if one.locations]
    if not any(one.lesion_count for one in told):
        return []
    names = [group_of(one, cohorts) or ("No group" if cohorts else EVERYBODY) for one in told]
    # (P, L): number and volume in mm3 of the lesions of each person.
    counts, volumes = (
        np.array([[one.locations[place][part] for place in LOCATIONS] for one in told])
        for part in (0, 1)
    )
    rows = []
    for at, place in enumerate(LOCATIONS):
        for name in volumes_by_group(told, cohorts):
            own = [group == name for group in names]
            rows.append(
                [
                    place.capitalize(),
                    name,
                    str(sum(own)),
                    f"{100 * (counts[own, at] > 0).mean():.0f}",
                    f"{counts[own, at].mean():.1f}",
                    millilitres(volumes[own, at].mean()),
                ]
            )
    lacking = len(first) - len(told)
    left_out = "1 person" if lacking == 1 else f"{lacking} people"
    return [
        Table(
            "Where lesions are",
            "Lesions of primary scans, by the places that the criteria for multiple sclerosis "
            "(Thompson et al. 2018) name, and deep white matter: means over people, those without "
            "any included. Each person is in group/desc-people_stats.tsv."
            + (f" Left out: {left_out} whose results do not say it." if lacking else ""),
            ["Where", "Group", "People", "With any (%)", "Lesions (mean)", "Volume (mean, ml)"],
            rows,
            numeric=(2, 3, 4, 5),
        )
    ]
