"""What a run would do: scans, models, what is left out and why, and what would be written."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from bids_anomaly.modalities import MODALITIES
from bids_anomaly.settings import Settings

# Written with --stage preprocess, and by that alone; then what has two sessions.
OF_MODEL_GRID = ("model_scan", "model_brain", "quality")
OF_TWO_SESSIONS = ("change", "changes")


def print_plan(settings: Settings, sessions: Sequence, bundles: Mapping) -> None:
    """Print what a run would do with each session.

    Parameters
    ----------
    settings : Settings
        Of the run.
    sessions : sequence of Session
        What it would work on.
    bundles : mapping
        The model of each modality.
    """
    from bids_anomaly.bids.filters import read_bids_filter

    filter_file = settings.bids_filter_file
    bids_filter = read_bids_filter(filter_file, bundles) if filter_file else {}
    people = len({session.participant for session in sessions})
    scans = sum(len(session.scans) for session in sessions)
    print(
        f"Sessions: {len(sessions)}, of {people} people, with {scans} scans, on {settings.device} "
        f"with {settings.nprocs} processes."
    )
    for session in sessions:
        print(session.label)
        leads = session.primary(settings.primary)
        for scan in session.scans:
            print(f"  {scan.path}: {_treatment(settings, scan, bundles, leads=scan is leads)}")
        unused = left_out(
            settings.bids_dir, session, bids_filter=bids_filter, modalities=tuple(bundles)
        )
        for name, why in unused.items():
            print(f"  left out: {name}: {why}")
        print(f"  writes: {', '.join(map(str, _written(settings, session)))}")
    spaces = "" if settings.stage == "preprocess" else f" ({' and '.join(settings.output_spaces)})"
    print(f"Of each scan{spaces}: {', '.join(_outputs(settings))}.")


def left_out(
    bids_dir: Path, session, *, bids_filter: Mapping[str, Mapping], modalities: Sequence[str]
) -> dict[str, str]:
    """Say why images that lie beside the scans of a session are not among them.

    Parameters
    ----------
    bids_dir : Path
        The dataset.
    session : Session
        With the scans that are used.
    bids_filter : mapping
        What the scans of a modality must have.
    modalities : sequence of str
        That are looked for.

    Returns
    -------
    dict
        A reason for each name of a file, sorted.
    """
    from bids_anomaly.bids.folders import is_hidden
    from bids_anomaly.bids.naming import anat_folder, session_entities

    ids = session_entities(session.participant, session.session)
    folder = anat_folder(bids_dir, ids)
    used = {scan.path.name for scan in session.scans if scan.prepared is None}
    prepared = {scan.suffix: scan.prepared for scan in session.scans if scan.prepared}
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    images = [
        folder / name
        for name in names
        if name.endswith((".nii", ".nii.gz")) and not is_hidden(name)
    ]
    return {
        image.name: _why(
            bids_dir, image, images, prepared, bids_filter=bids_filter, modalities=modalities
        )
        for image in images
        if image.name not in used
    }


def _why(
    bids_dir: Path,
    image: Path,
    images: Sequence[Path],
    prepared: Mapping,
    *,
    bids_filter: Mapping[str, Mapping],
    modalities: Sequence[str],
) -> str:
    from bids_anomaly.bids.exclusion import (
        Reason,
        not_asked_for,
        raw_scan,
        unlike_what_models_know,
    )
    from bids_anomaly.bids.naming import suffix_of

    suffix = suffix_of(image)
    if suffix not in {*MODALITIES, *modalities}:
        return f"{suffix} scans are not read"
    below = [path.relative_to(bids_dir) for path in images]
    found = raw_scan(bids_dir, image.relative_to(bids_dir), below)
    if isinstance(found, Reason):
        return found.words
    if suffix not in modalities:
        return "it is not among --modalities"
    if suffix in prepared:
        return f"what {prepared[suffix].pipeline} made of the {suffix} scans is used"
    reason = not_asked_for(found, bids_filter) or unlike_what_models_know(found, bids_filter)
    return reason.words if reason else "see the warnings"


def _treatment(settings: Settings, scan, bundles: Mapping, *, leads: bool) -> str:
    """Say what would be done with a scan."""
    bundle = bundles[scan.suffix]
    said = f"prepared by {scan.prepared.origin}, " if scan.prepared else ""
    if scan.brain:
        said = f"brain mask from {scan.brain.pipeline}, "
    if settings.stage == "preprocess":
        return f"{said}preprocessed for {bundle.name} {bundle.version}"
    return f"{said}{bundle.name} {bundle.version}" + ", the primary scan" * leads


def _written(settings: Settings, session) -> list[Path]:
    from bids_anomaly.bids.naming import anat_folder, report_path

    images = anat_folder(settings.output_dir, session.scans[0].entities)
    if settings.stage == "preprocess":
        return [images]
    written = [report_path(settings.output_dir, session.label), images]
    if settings.lesion_roi is not None:
        from bids_anomaly.bids.lesion_roi import roi_path

        written.append(roi_path(settings.lesion_roi, session))
    return written


def _outputs(settings: Settings) -> list[str]:
    """Return what is written of each scan, by the part of the names that says what it is."""
    from bids_anomaly.bids.outputs import OUTPUTS

    keys = OF_MODEL_GRID
    if settings.stage != "preprocess":
        others = {"model_scan", "model_brain", *OF_TWO_SESSIONS}
        keys = [key for key in OUTPUTS if key not in others]
    names = []
    for key in keys:
        entities, suffix = OUTPUTS[key].named("<modality>")
        names.append("_".join([*(f"{k}-{v}" for k, v in entities.items()), suffix]))
    return names
