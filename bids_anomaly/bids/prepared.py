"""What other pipelines have prepared: T1w scans with brain masks, from fMRIPrep, sMRIPrep or here.

They write one ``desc-preproc_T1w`` for a participant or session, and its name keeps the entities
that the scans behind it share. So it stands for every raw scan that has all of its entities.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bids_anomaly.bids.filters import matches
from bids_anomaly.bids.folders import list_participants
from bids_anomaly.bids.index import list_images
from bids_anomaly.bids.naming import entities_of, suffix_of, transform_path
from bids_anomaly.bids.reading import read_json
from bids_anomaly.bids.scans import Prepared, Scan, Session
from bids_anomaly.exceptions import MissingInputError, NothingFoundError, some_of

logger = logging.getLogger("bids_anomaly")

PREPARED_MODALITY = "T1w"
# As fMRIPrep and sMRIPrep name a brain mask, and as this app does.
BRAIN_DESCRIPTIONS = ("brain", f"brain{PREPARED_MODALITY}")


@dataclass(frozen=True)
class Candidate:
    """A prepared image with its brain mask.

    Attributes
    ----------
    image : Path
        Absolute.
    entities : mapping
        Those of its name, without ``desc``.
    prepared : Prepared
        What goes with it.
    """

    image: Path
    entities: Mapping[str, str]
    prepared: Prepared


def use_prepared(
    sessions: Sequence[Session],
    datasets: Iterable[tuple[str, Path]],
    *,
    template: str,
    strict: bool,
) -> list[Session]:
    """Put prepared T1w images in the place of the raw T1w scans that they were made of.

    Scans of other modalities stay as they are. A prepared image comes before raw scans, so that it
    is the reference of its session.

    Parameters
    ----------
    sessions : sequence of Session
        Raw scans.
    datasets : iterable of (str, Path)
        Names and folders of derivative datasets; the first that has an image of a scan is taken.
    template : str
        Name of the template whose transforms are of use.
    strict : bool
        Whether a T1w scan of which nothing is prepared is an error; else it stays, with a warning.

    Returns
    -------
    list of Session

    Raises
    ------
    MissingInputError, InvalidBidsError
        If a folder is not a dataset that can be read; if the run is strict, for a scan of which
        nothing is prepared.
    NothingFoundError
        If a dataset has no prepared T1w image of anybody.
    """
    datasets = list(datasets)
    candidates = [
        candidate
        for name, folder in datasets
        for candidate in find_candidates(
            name, folder, {session.participant for session in sessions}, template=template
        )
    ]
    places = ", ".join(f"{name} ({folder})" for name, folder in datasets)
    chosen = [_use_in(session, candidates) for session in sessions]
    missing = [
        scan.name
        for session in chosen
        for scan in session.scans
        if scan.suffix == PREPARED_MODALITY and scan.prepared is None
    ]
    if missing:
        wanted = f"desc-preproc_{PREPARED_MODALITY} with a brain mask"
        lack = f"No {wanted} of {some_of(missing)} is in {places}"
        if strict:
            raise MissingInputError(
                f"{lack}. Prepare what is missing, leave it out with --participant-label, or go on "
                "without --strict, and it is preprocessed here."
            )
        logger.warning("%s: preprocessed here instead.", lack)
    _warn_of_shared_images(chosen)
    return chosen


def find_candidates(
    name: str, folder: Path, participants: Iterable[str], *, template: str
) -> list[Candidate]:
    """Find the prepared T1w images of some participants in a derivative dataset.

    Parameters
    ----------
    name : str
        Of the dataset.
    folder : Path
        Absolute path of the dataset.
    participants : iterable of str
        Labels without ``sub-``; those who are not in the dataset are passed over.
    template : str
        Name of the template whose transforms are of use.

    Returns
    -------
    list of Candidate
        By file name; images without a brain mask are left out.

    Raises
    ------
    MissingInputError, InvalidBidsError
        If the folder is not a dataset that can be read.
    NothingFoundError
        If it has no prepared T1w image of anybody: it is another folder than was meant.
    """
    everybody = list_participants(folder)
    found = _candidates(name, folder, sorted(set(participants) & set(everybody)), template)
    if not found and not _candidates(name, folder, everybody, template):
        raise NothingFoundError(
            f"--derivatives {name}={folder} has no desc-preproc_{PREPARED_MODALITY} with a brain "
            "mask of anybody in T1w space. Name the folder that holds the sub-* folders of "
            "fMRIPrep, sMRIPrep or this app."
        )
    return found


def stands_for(candidate: Mapping[str, str], scan: Mapping[str, str]) -> bool:
    """Tell by their entities whether a prepared image was made of a raw scan.

    Parameters
    ----------
    candidate, scan : mapping
        Entities by short key. Indices match as numbers: ``run-1`` stands for ``run-01``.
    """
    return matches(scan, candidate)


def _candidates(
    name: str, folder: Path, participants: Sequence[str], template: str
) -> list[Candidate]:
    if not participants:
        return []
    images, brains = {}, {}
    suffixes = (PREPARED_MODALITY, "mask")
    for path in sorted(list_images(folder, participants=participants, suffixes=suffixes)):
        entities = entities_of(path)
        if "space" in entities:
            continue
        description = entities.pop("desc", None)
        key = tuple(entities.items())
        if suffix_of(path) == PREPARED_MODALITY and description == "preproc":
            images[key] = folder / path
        elif suffix_of(path) == "mask" and description in BRAIN_DESCRIPTIONS:
            brains[key] = folder / path
    pipeline = _pipeline(folder) or name
    return [
        Candidate(
            image,
            dict(key),
            Prepared(
                name, folder, pipeline, brains[key], **_transforms(folder, dict(key), template)
            ),
        )
        for key, image in images.items()
        if key in brains
    ]


def _transforms(folder: Path, entities: Mapping[str, str], template: str) -> dict[str, Path]:
    """Give the transforms to the template and back, if there are both."""
    there, back = (
        transform_path(folder, entities, origin=origin, target=target, extension=".h5")
        for origin, target in ((PREPARED_MODALITY, template), (template, PREPARED_MODALITY))
    )
    if there.is_file() and back.is_file():
        return {"to_template": there, "from_template": back}
    return {}


def _pipeline(folder: Path) -> str:
    """Say what made a dataset, as far as it says so itself."""
    description = read_json(folder / "dataset_description.json")
    try:
        maker = description["GeneratedBy"][0]
        return f"{maker['Name']} {maker.get('Version', '')}".strip()
    except (KeyError, IndexError, TypeError, AttributeError):
        return ""


def _use_in(session: Session, candidates: Sequence[Candidate]) -> Session:
    """Replace the raw T1w scans of one session, each by the image that says most about it."""
    replaced: dict[Path, Scan] = {}
    kept = []
    for scan in session.scans:
        standing = [
            candidate
            for candidate in candidates
            if scan.suffix == PREPARED_MODALITY and stands_for(candidate.entities, scan.entities)
        ]
        if not standing:
            kept.append(scan)
            continue
        # The first dataset wins; within it, the image with the most entities.
        dataset = standing[0].prepared.dataset
        best = max(
            (candidate for candidate in standing if candidate.prepared.dataset == dataset),
            key=lambda candidate: len(candidate.entities),
        )
        # An image of several sessions is named without any; what is found belongs to this one.
        entities = {
            key: label
            for key, label in scan.entities.items()
            if key == "ses" or key in best.entities
        }
        if best.image not in replaced:
            replaced[best.image] = Scan(
                best.image, entities, scan.suffix, best.prepared, _sources(best)
            )
    return replace(session, scans=(*replaced.values(), *kept))


def _sources(candidate: Candidate) -> tuple[str, ...]:
    """Return the BIDS URIs of what is read of a prepared image."""
    prepared = candidate.prepared
    files = (candidate.image, prepared.brain, prepared.to_template, prepared.from_template)
    return tuple(
        f"bids:{prepared.dataset}:{file.relative_to(prepared.folder).as_posix()}"
        for file in files
        if file is not None
    )


def _warn_of_shared_images(sessions: Sequence[Session]) -> None:
    """Say where one image stands for several sessions, so that no session is seen by itself."""
    users = defaultdict(list)
    for session in sessions:
        for scan in session.scans:
            if scan.prepared is not None:
                users[scan.path].append(session.label)
    for image, labels in users.items():
        if len(labels) > 1:
            logger.warning(
                "%s stands for the T1w scans of %s, so that their T1w findings are the same. For "
                "findings by session, let fMRIPrep run with --subject-anatomical-reference "
                "sessionwise, or leave --derivatives out.",
                image.name,
                ", ".join(labels),
            )
