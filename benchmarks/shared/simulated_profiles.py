"""Profiles of people who do not exist: groups whose disease is in different regions."""

import numpy as np

from bids_anomaly.group.burden import REGIONS

# Of mean z: what is a person's own in all regions, in six patterns of regions, and in one alone.
LEVEL, PATTERN, ALONE = 0.4, 0.25, 0.4
# Regions of a disease, and how many of them a person has.
DISEASED, AFFECTED = 8, 0.6
GROUPS = 3


def simulate(
    people: int, *, effect: float, site: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return profiles of one control group and two diseases.

    Parameters
    ----------
    people : int
        In each group.
    effect : float
        Mean rise of z in a region that has disease.
    site : float
        Standard deviation over regions, and of all regions together, of what one of two scanners
        adds; people have either, whatever their group.
    random : numpy.random.Generator

    Returns
    -------
    values : (N, P) array
        Mean z of two modalities, less the median of the person, and the root of the marked share.
    blocks, groups : (P,) and (N,) int arrays
    """
    groups = np.repeat(np.arange(GROUPS), people)
    count, regions = len(groups), len(REGIONS)
    is_second = random.integers(2, size=(count, 1))
    places = [random.choice(regions, DISEASED, replace=False) for _ in range(GROUPS)]
    raised = np.zeros((count, regions))
    for person, group in enumerate(groups):
        if group > 0:
            own = places[group][random.random(DISEASED) < AFFECTED]
            raised[person, own] = random.gamma(2, 0.5, len(own))
    blocks = []
    for _ in range(2):
        patterns = PATTERN * random.normal(size=(6, regions))
        scanner = site * (random.normal(size=regions) + random.normal())
        z = LEVEL * random.normal(size=(count, 1)) + random.normal(size=(count, 6)) @ patterns
        z += ALONE * random.normal(size=(count, regions)) + is_second * scanner + effect * raised
        blocks.append(z)
    share = np.clip(0.05 * (blocks[1] - 0.6), 0, None) ** 1.5
    values = np.hstack([*(z - np.median(z, axis=1, keepdims=True) for z in blocks), np.sqrt(share)])
    return values, np.repeat(np.arange(3), regions), groups
