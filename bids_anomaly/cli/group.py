"""The group level: from settings to an exit code."""

import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bids_anomaly.cli.parser import config_that_repeats
from bids_anomaly.exceptions import ExitCode, UsageError
from bids_anomaly.running.runs import exit_code, make_log_folder, new_run_id, run_record, set_up_log
from bids_anomaly.running.workfolder import GROUP_PREFIX, make_folder
from bids_anomaly.settings import Settings

LOGGER = logging.getLogger("bids_anomaly")
# What only says how scans are processed; names of settings.
OF_PARTICIPANTS = (
    "model",
    "steps",
    "brain_extraction",
    "output_spaces",
    "lesion_roi",
    "healthy_fpr",
    "min_lesion_volume",
    "batch_size",
    "bids_database_dir",
    "clean_workdir",
    "stop_on_first_crash",
    "stage",
    "strict",
)


def run_group(settings: Settings, given: Sequence[str]) -> ExitCode:
    """Run the group level.

    Parameters
    ----------
    settings : Settings
        Of the run.
    given : sequence of str
        The arguments that they were read from, for the record.

    Returns
    -------
    ExitCode
        OK if everybody with a folder came in; the common code of all failures if nobody did for one
        reason; SOME_FAILED else.
    """
    set_up_log(settings)
    _check_available(settings)

    from bids_anomaly.bids.dataset import copy_participants
    from bids_anomaly.bids.participants import read_participants
    from bids_anomaly.bids.writing import remove_lost_shared, write_json, write_text
    from bids_anomaly.group.analysis import large_cohorts
    from bids_anomaly.group.cohorts import read_cohorts
    from bids_anomaly.group.collect import collect
    from bids_anomaly.group.people import find_members, warn_of_primaries

    output_dir = settings.output_dir
    members = find_members(
        output_dir,
        participants=settings.participant_labels,
        excluded=settings.excluded_participants,
        sessions=settings.session_labels,
        modalities=settings.modalities,
        primary=settings.primary,
    )
    rejected = [member for member in members if member.is_rejected]
    members = [member for member in members if not member.is_rejected]
    for member in rejected:
        LOGGER.warning("%s is left out: it is %s", member.label, member.rating.words)
    for warning in warn_of_primaries(members, settings.primary):
        LOGGER.warning(warning)
    if not settings.dry_run:
        make_folder(output_dir / "group")
        remove_lost_shared(output_dir)
        # The input may know more of its people than when they were processed.
        copy_participants(settings.bids_dir, output_dir)
    known = read_participants(output_dir)
    cohorts = read_cohorts(output_dir, settings.controls) if settings.controls else None
    people = [member.participant for member in members if member.is_first]
    large = large_cohorts(cohorts, people) if cohorts else []
    if settings.tfce and cohorts:
        _check_memory(members, cohorts, large, settings.mem_gb)
    if settings.dry_run:
        _print_plan(members, cohorts, large)
        return ExitCode.OK

    run_id = new_run_id()
    log_folder = make_log_folder(output_dir, run_id)
    started = time.monotonic()
    compared = large if cohorts and cohorts.controls in large and len(large) > 1 else []
    if compared:
        make_folder(settings.work_dir)
    # What cannot be removed is no reason to fail when all results are written.
    with tempfile.TemporaryDirectory(
        prefix=GROUP_PREFIX,
        dir=settings.work_dir if compared else None,
        ignore_cleanup_errors=True,
    ) as folder:
        collected = collect(
            members,
            known,
            cohort_of={who: cohort for who, cohort in cohorts.of.items() if cohort in large}
            if cohorts
            else {},
            compared=compared,
            work_dir=Path(folder),
            tell=LOGGER.warning,
        )
        if collected.burdens:
            _write_results(settings, members, rejected, known, cohorts, collected)
        # NFS keeps files that are still mapped, and their folder with them.
        collected.zscores.clear()
    code = exit_code([[error.exit_code] for error in collected.failures.values()], len(members))
    record = run_record(settings, run_id, {}, given)
    record["result"] = {
        "exit_code": int(code),
        "seconds": round(time.monotonic() - started, 1),
        "failed_sessions": sorted(collected.failures),
    }
    write_json(log_folder / "run.json", record)
    write_text(log_folder / "config.toml", config_that_repeats(settings))
    return code


def _write_results(
    settings: Settings,
    members: Sequence,
    rejected: Sequence,
    known: Mapping[str, Mapping[str, str]],
    cohorts,
    collected,
) -> None:
    """Compare groups, and write tables, maps and the page."""
    from bids_anomaly.bids.reading import describe_dataset, read_object
    from bids_anomaly.group.analysis import Analysis, analyse
    from bids_anomaly.group.images import write_maps
    from bids_anomaly.group.likeness import judge_likeness
    from bids_anomaly.group.tables import write_tables
    from bids_anomaly.reports.group import write_group

    output_dir = settings.output_dir
    LOGGER.info(
        "Comparing groups%s.",
        ", with TFCE: some half an hour for each group and modality" if settings.tfce else "",
    )
    analysis, likeness = Analysis(), None
    if cohorts:
        analysis = analyse(collected, cohorts, seed=settings.seed, tfce=settings.tfce)
        likeness = judge_likeness(collected.burdens, cohorts, seed=settings.seed)
    for note in (*analysis.notes, *(likeness.notes if likeness else ())):
        LOGGER.warning(note)
    written = [
        *write_tables(
            output_dir,
            collected.burdens,
            described=read_object(output_dir / "participants.json"),
            cohorts=cohorts,
            analysis=analysis,
            likeness=likeness,
        ),
        *write_maps(output_dir, collected, cohorts=cohorts, analysis=analysis),
    ]
    _remove_others(output_dir / "group", written)
    there = {member.participant for member in (*members, *rejected)}
    there |= set(settings.excluded_participants)
    page = write_group(
        output_dir,
        collected,
        title=describe_dataset(output_dir)["name"],
        cohorts=cohorts,
        analysis=analysis,
        likeness=likeness,
        absent=[]
        if settings.participant_labels
        else sorted(label for label in known if label.removeprefix("sub-") not in there),
        rejected=rejected,
        primary=settings.primary,
        seed=settings.seed,
    )
    print(
        f"{len(collected.burdens)} of {len(members)} sessions came in; look at {page}, tables and "
        f"maps are in {output_dir / 'group'}."
    )


def _remove_others(folder: Path, written: Sequence[Path]) -> None:
    """Remove results of an earlier run that this one does not have, such as those of a group."""
    for path in folder.iterdir():
        is_ours = path.name.endswith((".nii.gz", ".json", ".tsv")) and "desc-" in path.name
        if path.is_file() and is_ours and path not in written:
            path.unlink()


def _print_plan(members: Sequence, cohorts, large: Sequence[str]) -> None:
    people = sum(one.is_first for one in members)
    print(f"{len(members)} sessions of {people} people: tables, and maps of their first session.")
    for member in members:
        modalities = ", ".join(member.modalities) or "no maps in the template"
        leads = f" (primary: {member.primary})" if len(member.modalities) > 1 else ""
        print(f"  {member.label}: {modalities}{leads}")
    if cohorts is None:
        print("No groups are compared, because no --controls are named.")
        return
    from bids_anomaly.group.cohorts import FEWEST

    for name in large:
        print(
            f"{cohorts.column}={name}: maps of its own"
            + ("" if name == cohorts.controls else f", compared with {cohorts.controls}")
        )
    small = {cohorts.of.get(one.participant) for one in members} - {None, *large}
    for name in sorted(small):
        print(f"{cohorts.column}={name}: fewer than {FEWEST} people, not compared")


def _check_memory(members: Sequence, cohorts, large: Sequence[str], mem_gb: float) -> None:
    """Refuse TFCE, which takes whole images of all compared people, where they do not fit."""
    from bids_anomaly.group.analysis import cohort_sizes
    from bids_anomaly.group.collect import compared_voxels
    from bids_anomaly.group.enhancement import memory_gb

    sizes = cohort_sizes(cohorts, [one.participant for one in members if one.is_first])
    others = [sizes[name] for name in large if name != cohorts.controls]
    if not others or cohorts.controls not in large:
        return
    people = sizes[cohorts.controls] + max(others)
    needed = memory_gb(people, int(compared_voxels().sum()))
    if needed > mem_gb:
        raise UsageError(
            f"--tfce compares {people} people at once, for which it needs about {needed:.2g} GB of "
            f"memory; this run may use {mem_gb:.2g} GB. Raise --mem, choose people with "
            "--participant-label, or leave --tfce out."
        )


def _check_available(settings: Settings) -> None:
    """Refuse options that the group level cannot honour, rather than ignore them."""
    if settings.tfce and not settings.controls:
        raise UsageError(
            "--tfce compares groups, and --controls does not say who the controls are. Add "
            "--controls COLUMN=VALUE, or leave --tfce out."
        )
    options = {
        "--derivatives": settings.derivatives,
        "--fs-subjects-dir": settings.fs_subjects_dir,
        "--reports-only": settings.reports_only,
        "--bids-filter-file": settings.bids_filter_file,
        "--use-plugin": settings.use_plugin,
        **{
            "--" + name.replace("_", "-"): getattr(settings, name) != getattr(Settings, name)
            for name in OF_PARTICIPANTS
        },
    }
    given = [option for option, value in options.items() if value]
    if given:
        raise UsageError(
            f"{', '.join(given)} cannot be used at the group level, which reads the results in "
            f"{settings.output_dir} as they are. Leave it out."
        )
