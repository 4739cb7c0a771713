"""Real scans whose lesions raters have marked, learned from beside painted ones.

A network that has learned from painted lesions of healthy people goes on with a few marked scans
among them (semi-supervised): painted slabs keep what it knows of healthy brains, and marked ones
show what raters call a lesion. Nobody knows what was there before, so the image is not compared
inside of their lesions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bids_anomaly.evaluation.matching import find_truth
from bids_anomaly.evaluation.metrics import auprc
from bids_anomaly.exceptions import BadScanError, NothingFoundError
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.synthesis.contrast import T1W
from bids_anomaly.synthesis.draws import Draws
from bids_anomaly.training.controls import scores_by_person
from bids_anomaly.training.data import (
    Batch,
    draw_middles,
    mirrored_or_not,
    moves_in_plane,
    vary_contrast,
)
from bids_anomaly.training.lesions import has_lesions, lesion_share
from bids_anomaly.training.people import FEWEST, Preprocessed, find_people
from bids_anomaly.training.volumes import stack

# A little around the levels at which scans are read (docs/models.md).
LEVELS = (0.05, 0.4)
# Of the people with lesions a third does not learn, where there are enough for a calibration.
HELD_OUT_SHARE = 1 / 3


class Marked(NamedTuple):
    """A scan, and how much of each voxel is lesion: (X, Y, Z) array from 0 to 1."""

    scan: Preprocessed
    lesions: np.ndarray

    @property
    def participant(self) -> str:
        """Label with ``sub-``."""
        return self.scan.participant


@dataclass(frozen=True)
class MarkedVolumes:
    """Marked scans in the model grid: (N, Z, Y, X) tensors, and the (N,) `modality` of each."""

    scans: Tensor
    brains: Tensor
    lesions: Tensor
    modality: Tensor

    def to(self, device: torch.device) -> "MarkedVolumes":
        """Return the same volumes on another device."""
        return MarkedVolumes(*(part.to(device) for part in vars(self).values()))


def find_marked(
    derivatives: Path, masks: Path, modalities: Sequence[str]
) -> dict[str, list[Marked]]:
    """Read the scans of all people in whom a rater has marked lesions.

    Scans with an empty mask are those of people without lesions, and left out.

    Parameters
    ----------
    derivatives : Path
        Output folder of ``bids-anomaly --stage preprocess``.
    masks : Path
        Derivative dataset, see :func:`bids_anomaly.training.lesions.lesion_share`.
    modalities : sequence of str
        BIDS suffixes.

    Returns
    -------
    dict
        The scans of each modality.

    Raises
    ------
    NothingFoundError
        If a modality has none.
    BadScanError
        If a mask cannot be read, or marks nothing of the brain of its scan.
    MissingInputError
        If the folder, the content of a mask or a transform is missing.
    """
    people = {f"sub-{label}" for label in find_truth(masks)}
    found = {}
    for modality in modalities:
        scans = find_people(derivatives, modality=modality, participants=people)
        found[modality] = [
            Marked(scan, lesion_share(scan, derivatives, masks))
            for scan in scans
            if has_lesions(scan, masks)
        ]
        if not found[modality]:
            raise NothingFoundError(
                f"No preprocessed {modality} scan in {derivatives} has a lesion in {masks}. Check "
                f"--labels: masks are sub-*/**/*_mask.nii.gz in the space of the {modality} scan."
            )
        for marked in found[modality]:
            inside = np.asanyarray(marked.scan.brain.dataobj) > 0
            if not marked.lesions[inside].any():
                raise BadScanError(
                    f"The mask of {marked.scan.path.name} in {masks} marks nothing of the brain. "
                    "Check that it was drawn on this scan and that its header says where it lies."
                )
    return found


class Division(NamedTuple):
    """Scans of each modality of the people who are learned from, and of those held out."""

    learning: Mapping[str, Sequence[Marked]]
    held_out: Mapping[str, Sequence[Marked]]


def divide(found: Mapping[str, Sequence[Marked]], count: int | None, *, seed: int) -> Division:
    """Say at random whose lesions are learned from, and whose are held out.

    Parameters
    ----------
    found : mapping
        From :func:`find_marked`.
    count : int or None
        How many people learn; by default all but a third, or all where a third is too few to
        calibrate.
    seed : int
        Of the draw.

    Raises
    ------
    NothingFoundError
        If there are not so many, or those drawn lack a modality.
    """
    people = sorted({marked.participant for scans in found.values() for marked in scans})
    order = [str(name) for name in np.random.default_rng(seed).permutation(people)]
    if count is None:
        held_out = round(HELD_OUT_SHARE * len(order))
        count = len(order) - held_out * (held_out >= FEWEST["calibration"])
    if count > len(order):
        raise NothingFoundError(
            f"--people asks for {count} people with lesions, and --labels has {len(order)} with a "
            "preprocessed scan. Ask for fewer, or add masks."
        )

    def of(chosen: Sequence[str]) -> dict[str, list[Marked]]:
        return {
            name: [one for one in own if one.participant in chosen] for name, own in found.items()
        }

    divided = Division(of(order[:count]), of(order[count:]))
    for modality, scans in divided.learning.items():
        if not scans:
            raise NothingFoundError(
                f"None of the {count} people who are to learn has a marked {modality} scan. Raise "
                "--people, or leave the modality out of --modalities."
            )
    return divided


def stack_marked(marked: Mapping[str, Sequence[Marked]]) -> MarkedVolumes:
    """Stack the marked scans of some modalities."""
    scans = [(modality, scan) for modality, scans in marked.items() for scan in scans]

    return MarkedVolumes(
        scans=stack([one.scan.scan.get_fdata(dtype=np.float32) for _, one in scans]).half(),
        brains=stack([np.asanyarray(one.scan.brain.dataobj) > 0 for _, one in scans]),
        lesions=stack([one.lesions for _, one in scans]).half(),
        modality=torch.tensor([MODALITIES.index(modality) for modality, _ in scans]),
    )


def draw_marked(marked: MarkedVolumes, size: int, *, slices: int, generator: Generator) -> Batch:
    """Draw slabs of marked scans, and vary them a little.

    Every scan counts alike. Half of the slices are drawn by how much brain they hold, half by how
    much lesion.

    Parameters
    ----------
    marked : MarkedVolumes
        On the device of the generator.
    size : int
        Number of slabs.
    slices : int
        Slices a slab.
    generator : torch.Generator
    """
    device = generator.device
    person, middle = draw_middles([marked.brains, marked.lesions], slices, size, generator)
    window = (person[:, None], middle[:, None] + torch.arange(slices, device=device) - slices // 2)
    stacked = torch.cat(
        [
            marked.scans[window].float(),
            marked.brains[window].float(),
            marked.lesions[person, middle][:, None].float(),
        ],
        dim=1,
    )
    grid = moves_in_plane(size, stacked.shape[-2:], generator)
    moved = F.grid_sample(stacked, grid, mode="bilinear", align_corners=True)
    brains = (moved[:, slices : 2 * slices] > 0.5).float()
    modality = marked.modality[person]
    slab = vary_contrast(moved[:, :slices], modality != T1W, generator) * brains
    within = slice(slices // 2, slices // 2 + 1)
    lesion = moved[:, -1:].clamp(0, 1) * brains[:, within]
    # A rim, because voxels beside a lesion are partly lesion and raters differ by a voxel.
    near = F.max_pool2d((lesion > 0).float(), 3, stride=1, padding=1)
    return Batch(
        slab=slab,
        mirrored=mirrored_or_not(slab[:, within], generator),
        level=Draws(size, device, generator).uniform(*LEVELS),
        healthy=slab[:, within],
        lesion=lesion,
        brain=brains[:, within],
        brains=brains,
        known=1 - near,
        modality=modality,
    )


def auprc_by_person(bundle: Bundle, marked: Sequence[Marked], *, device: str) -> dict[str, float]:
    """Return how well a bundle finds the lesions of each person: AUPRC over brain voxels.

    In the model grid; a voxel of which half is lesion is one. Scans of one person count together.
    """
    found = {}
    for person in sorted({one.participant for one in marked}):
        own = [one for one in marked if one.participant == person]
        (scores,) = scores_by_person(bundle, [one.scan for one in own], device=device)
        inside = [np.asanyarray(one.scan.brain.dataobj) > 0 for one in own]
        truth = [one.lesions[brain] > 0.5 for one, brain in zip(own, inside, strict=True)]
        found[person] = auprc(scores, np.concatenate(truth))
    return found
