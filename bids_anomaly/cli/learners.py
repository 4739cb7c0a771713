"""Whose scans ``bids-anomaly-train`` learns from, and whose calibrate what was learned."""

import argparse
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bids_anomaly.exceptions import MissingInputError, NothingFoundError
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.training.lesions import near_lesions, people_with_lesions
from bids_anomaly.training.loading import controls_of, people_from_labels
from bids_anomaly.training.marked import Marked, divide, find_marked
from bids_anomaly.training.people import (
    FEWEST,
    Preprocessed,
    find_people,
    load_people,
    read_splits,
    split_people,
)
from bids_anomaly.training.real import RealVolumes, real_volumes


class WithLesions(NamedTuple):
    """Marked scans of each modality to learn from, those held out, and all who have lesions.

    Somebody can have lesions without a marked scan of a modality that is learned.
    """

    learning: Mapping[str, Sequence[Marked]]
    held_out: Mapping[str, Sequence[Marked]]
    everybody: Collection[str]


def find_lesions(arguments: argparse.Namespace, modalities: Sequence[str]) -> WithLesions:
    """Return whose lesions are learned from, who is held out, and everybody with lesions."""
    if not arguments.labels:
        return WithLesions({}, {}, ())
    found = find_marked(arguments.derivatives, arguments.labels, modalities)
    divided = divide(found, arguments.people, seed=arguments.seed)
    return WithLesions(*divided, people_with_lesions(arguments.labels))


def people_of(*scans: Mapping[str, Sequence[Marked]]) -> set[str]:
    """Return whose scans these are."""
    return {one.participant for some in scans for own in some.values() for one in own}


def people_of_splits(
    arguments: argparse.Namespace, dataset: str, *, with_lesions: Collection[str]
) -> tuple[Mapping[str, set[str]], dict[str, list[Preprocessed]], str]:
    """Return who is in each split, their T1w scans, and in words who is trained on.

    Those of the split ``train`` include what is drawn from label maps. People with lesions are in
    none.
    """
    listed = read_splits(arguments.splits) if arguments.splits else {}
    for name, people in listed.items():
        if ill := sorted(people & set(with_lesions)):
            raise MissingInputError(
                f"The table {arguments.splits} has {ill[0]} in the split {name}, and --labels has "
                "lesions of this person. Splits are of healthy people: take the row out."
            )
    everybody = [
        scan
        for scan in load_people(arguments.derivatives, modality="T1w")
        if scan.participant not in with_lesions
    ]
    splits = split_people(
        {scan.participant for scan in everybody},
        arguments.splits,
        seed=arguments.seed,
        drawn=arguments.output / "splits.tsv",
    )
    t1w = {
        name: [scan for scan in everybody if scan.participant in people]
        for name, people in splits.items()
    }
    trained_on = f"{len(splits['train'])} people of {dataset}"
    if arguments.label_maps:
        # Nobody may be trained on as a label map and calibrate as a scan.
        known = {scan.participant for scan in everybody}.union(*(listed or splits).values())
        drawn = people_from_labels(
            arguments.label_maps,
            grid=Grid.of(everybody[0].scan),
            seed=arguments.seed,
            held_out=known - splits["train"],
        )
        t1w["train"] += drawn
        trained_on += f" and {len({scan.path for scan in drawn})} label maps"
    return splits, t1w, trained_on


def real_scans_of(
    arguments: argparse.Namespace, modalities: Sequence[str], t1w: Sequence[Preprocessed]
) -> list[RealVolumes]:
    """Return the real scans of people who are trained on, for each modality that is painted."""
    people = {scan.participant for scan in t1w}
    scans = {
        modality: find_people(arguments.derivatives, modality=modality, participants=people)
        for modality in modalities
        if modality != "T1w"
    }
    found = [real_volumes(own, t1w) for own in scans.values() if own]
    if not found:
        raise NothingFoundError(
            f"Nobody who is trained on has a preprocessed {' or '.join(scans) or 'FLAIR or T2w'} "
            f"scan in {arguments.derivatives} that --modalities names. Add its modality, or leave "
            "out --real-scans."
        )
    return found


def controls_of_modalities(
    arguments: argparse.Namespace,
    modalities: Sequence[str],
    participants: set[str],
    t1w: Sequence[Preprocessed],
    held_out: Mapping[str, Sequence[Marked]],
    dataset: str,
) -> tuple[dict[str, list[Preprocessed]], dict[str, str], dict[Path, np.ndarray]]:
    """Return by modality the scans that calibrate, and in words whose they are; and known lesions.

    If enough people with lesions do not learn from them, their lesion-free voxels calibrate.
    """
    controls, whom, left_out = {}, {}, {}
    for modality in modalities:
        marked = held_out.get(modality, ())
        count = len(people_of({modality: marked}))
        if count >= FEWEST["calibration"]:
            controls[modality] = [one.scan for one in marked]
            left_out |= {one.scan.path: near_lesions(one.lesions) for one in marked}
            whom[modality] = f"{count} people with lesions of {dataset}, lesion-free voxels"
            continue
        controls[modality], painted = controls_of(
            find_people(arguments.derivatives, modality=modality, participants=participants),
            t1w,
            modality=modality,
            seed=arguments.seed,
        )
        count = len({scan.participant for scan in controls[modality]})
        whom[modality] = f"{count} people of {dataset} (split calibration)"
        whom[modality] += f", {modality} synthesised from T1w" * painted
    return controls, whom, left_out
