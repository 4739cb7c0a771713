"""What a run works on: the models and the sessions that it was asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bids_anomaly.exceptions import MissingInputError, UsageError
from bids_anomaly.settings import NATIVE, OTHER_TEMPLATES, Settings


def models_of_run(settings: Settings) -> Mapping:
    """Return the model of each modality; refuse options that do not fit them."""
    from bids_anomaly.reconstruction.bundle import choose_bundles

    _check_available(settings)
    bundles = choose_bundles(settings.model, settings.modalities)
    _check_modalities(settings, bundles)
    _check_spaces(settings, bundles)
    return bundles


def sessions_of_run(settings: Settings, bundles: Mapping) -> Sequence:
    """Return the sessions that were asked for; refuse a dataset that is not valid."""
    from bids_anomaly.bids.given import mask_dataset, use_mask
    from bids_anomaly.bids.prepared import use_prepared
    from bids_anomaly.bids.query import find_sessions, read_bids_filter
    from bids_anomaly.bids.segmentations import use_segmentations
    from bids_anomaly.bids.validation import validate
    from bids_anomaly.cli.names import check_names_fit

    if not settings.skip_bids_validation:
        validate(settings.bids_dir)
    sessions = find_sessions(
        settings.bids_dir,
        participants=settings.participant_labels,
        excluded=settings.excluded_participants,
        sessions=settings.session_labels,
        modalities=tuple(bundles),
        bids_filter=read_bids_filter(settings.bids_filter_file, bundles)
        if settings.bids_filter_file
        else None,
        database_dir=_database_dir(settings),
    )
    if settings.derivatives:
        sessions = use_prepared(
            sessions,
            settings.derivatives,
            template=next(iter(bundles.values())).template,
            strict=settings.strict,
        )
    given = mask_dataset(settings.bids_dir)
    if given is not None:
        sessions = use_mask(sessions, given)
    if settings.fs_subjects_dir:
        sessions = use_segmentations(sessions, settings.fs_subjects_dir, strict=settings.strict)
    written = {*settings.output_spaces} - {NATIVE}
    for space in {bundle.template for bundle in bundles.values()} | written:
        check_names_fit(sessions, space, (settings.output_dir, settings.work_dir))
    return sessions


def other_datasets(settings: Settings) -> list[tuple[str, Path]]:
    """Return the names and folders of what results are made from beside the raw dataset."""
    from bids_anomaly.bids.given import MASK, mask_dataset
    from bids_anomaly.bids.segmentations import DATASET

    others = {MASK: mask_dataset(settings.bids_dir), DATASET: settings.fs_subjects_dir}
    return [*settings.derivatives, *((name, folder) for name, folder in others.items() if folder)]


def warn_of_missing_content(sessions: Sequence, console) -> None:
    """Name scans whose content was not fetched, which a run would fail with."""
    from bids_anomaly.preprocessing.annex import require_content

    for scan in (scan for session in sessions for scan in session.scans):
        try:
            require_content(scan.path)
        except MissingInputError as error:
            console.print(f"Warning: {error}", style="yellow", markup=False)


def _check_available(settings: Settings) -> None:
    """Refuse options that mean nothing here, rather than ignore them."""
    if settings.tfce:
        raise UsageError(
            "--tfce says how groups are compared at the group level, and nothing at the "
            "participant level. Leave it out."
        )
    if settings.controls:
        raise UsageError(
            "--controls says who is compared with whom at the group level, and nothing at the "
            "participant level. Leave it out."
        )


def _check_modalities(settings: Settings, bundles: Mapping) -> None:
    wanted = [*settings.modalities, *([settings.primary] if settings.primary else [])]
    missing = [name for name in wanted if name not in bundles]
    if missing:
        from bids_anomaly.reconstruction.bundle import choose_bundles

        raise UsageError(
            f"No model bundle is made for {', '.join(missing)}. Known modalities: "
            f"{', '.join(choose_bundles(settings.model))}."
        )


def _check_spaces(settings: Settings, bundles: Mapping) -> None:
    """Refuse spaces that cannot be reached."""
    from bids_anomaly.cli.spaces import spaces_of_run

    known = {NATIVE, *(bundle.template for bundle in bundles.values()), *OTHER_TEMPLATES}
    unknown = [space for space in settings.output_spaces if space.partition(":")[0] not in known]
    if unknown:
        raise UsageError(
            f"The --output-spaces {', '.join(unknown)} are not available. Known: "
            f"{', '.join(sorted(known))}."
        )
    spaces_of_run(settings)


def _database_dir(settings: Settings) -> Path | None:
    """Return where the index of the dataset is kept; a dry run makes none."""
    from bids_anomaly.bids.index import find_database

    folder = settings.bids_database_dir
    if folder is not None and settings.dry_run and find_database(folder) is None:
        return None
    return folder
