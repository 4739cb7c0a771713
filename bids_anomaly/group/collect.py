"""Go through all people once, one at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bids_anomaly.exceptions import BidsAnomalyError, CannotWriteError
from bids_anomaly.group.burden import Burden, read_burden
from bids_anomaly.group.maps import Sums, load_maps
from bids_anomaly.group.people import Member
from bids_anomaly.preprocessing.template import template_brain_mask

ADVICE = "Free some space, or name another work folder with -w."


@dataclass
class Collected:
    """What is known after everybody was looked at.

    Attributes
    ----------
    burdens : list of Burden
        One a person and timepoint, without those who failed.
    everybody : Sums
        Of the first timepoint of everybody.
    cohorts : mapping of str to Sums
        Of each group.
    zscores : mapping of str to (N, V) array
        By modality: z-scores in the voxels of :func:`compared_voxels`, on disk. Rows are those of
        `rows`.
    rows : mapping of str to list of int
        By modality: which of `burdens` the rows are.
    failures : mapping of str to BidsAnomalyError
        By the label of a timepoint.
    """

    burdens: list[Burden] = field(default_factory=list)
    everybody: Sums = field(default_factory=Sums)
    cohorts: dict[str, Sums] = field(default_factory=dict)
    zscores: dict[str, np.ndarray] = field(default_factory=dict)
    rows: dict[str, list[int]] = field(default_factory=dict)
    failures: dict[str, BidsAnomalyError] = field(default_factory=dict)


def compared_voxels() -> np.ndarray:
    """Return the brain of the template in the grid of outputs, (X, Y, Z) bool."""
    return np.asanyarray(template_brain_mask(2).dataobj) > 0


def collect(
    members: Sequence[Member],
    known: Mapping[str, Mapping[str, str]],
    *,
    cohort_of: Mapping[str, str],
    compared: Sequence[str],
    work_dir: Path,
    tell: Callable[[str], None],
) -> Collected:
    """Read the results of everybody, and add them up.

    A timepoint whose files are broken is left out of everything, and the person's next one stands
    for the person; the others go on.

    Parameters
    ----------
    members : sequence of Member
    known : mapping
        Rows of ``participants.tsv`` by label with ``sub-``.
    cohort_of : mapping
        The group of each participant (without ``sub-``), as far as it has maps of its own.
    compared : sequence of str
        Groups whose z-scores are kept on disk for a comparison.
    work_dir : Path
        An empty folder for them: 1 MB a person and modality.
    tell : callable
        Called with a line about everybody who is left out.

    Raises
    ------
    CannotWriteError
        If they do not fit on that disk.
    """
    voxels = compared_voxels()
    result = Collected()
    for modality in dict.fromkeys(m for member in members for m in member.modalities):
        # As many as may be needed: which timepoint stands for a person is known only then.
        count = len(
            {
                member.participant
                for member in members
                if modality in member.modalities and cohort_of.get(member.participant) in compared
            }
        )
        if count:
            path = work_dir / f"zscores-{modality}.npy"
            result.zscores[modality] = _on_disk(path, count, int(voxels.sum()))
            result.rows[modality] = []
    lost = set()
    for member in members:
        if member.participant in lost:
            member = replace(member, is_first=True)
        try:
            burden = read_burden(member, known.get(f"sub-{member.participant}", {}))
            maps = load_maps(member)
        except BidsAnomalyError as error:
            result.failures[member.label] = error
            tell(f"{member.label} is left out. {error}")
            if member.is_first:
                lost.add(member.participant)
            continue
        lost.discard(member.participant)
        result.burdens.append(burden)
        if member.is_first:
            _add(result, member, *maps, cohort_of.get(member.participant), compared, voxels)
    return result


def _add(result: Collected, member: Member, mask, zscores, cohort, compared, voxels) -> None:
    result.everybody.add(mask, zscores, member.primary)
    if cohort is not None:
        result.cohorts.setdefault(cohort, Sums()).add(mask, zscores, member.primary)
    if cohort in compared:
        for modality, z in zscores.items():
            rows = result.rows[modality]
            result.zscores[modality][len(rows)] = z[voxels]
            rows.append(len(result.burdens) - 1)


def _on_disk(path: Path, people: int, voxels: int) -> np.ndarray:
    """Make a file of float32 that is filled at once, for a disk that is full says so only then."""
    try:
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f4", "fortran_order": False, "shape": (people, voxels)}
            )
            row = bytes(4 * voxels)
            for _ in range(people):
                file.write(row)
    except OSError as error:
        raise CannotWriteError(
            f"The z-scores of {people} people do not fit into {path.parent} "
            f"({4e-9 * people * voxels:.1f} GB; {error.strerror}). {ADVICE}"
        ) from error
    return np.load(path, mmap_mode="r+")
