"""The command ``bids-anomaly run``: scans of one person, given one by one."""

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bids_anomaly.cli import values
from bids_anomaly.cli.parser import Parser, add_how, read_settings
from bids_anomaly.exceptions import ExitCode, UsageError
from bids_anomaly.modalities import MODALITIES
from bids_anomaly.running.device import resolve_device
from bids_anomaly.settings import OWN_DATASETS, Settings

WORD = "run"
EPILOG = """\
example:
  bids-anomaly run --t1w a/T1.nii.gz --flair a/FLAIR.nii.gz results --participant-label A
"""


def is_meant(given: Sequence[str]) -> bool:
    """Tell whether arguments are of this command; a BIDS folder may be called run, too."""
    return given[:1] == [WORD] and given[2:3] not in (["participant"], ["group"])


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of ``bids-anomaly run``.

    Returns
    -------
    ArgumentParser
        See :func:`bids_anomaly.cli.parser.build_parser`.
    """
    parser = Parser(
        prog=f"bids-anomaly {WORD}",
        usage="%(prog)s --t1w FILE --flair FILE OUTPUT_DIR [options]",
        description="Process scans of one person that are in no BIDS dataset: one is made of them "
        "in the work folder.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument(
        "output_dir",
        metavar="OUTPUT_DIR",
        type=values.read_path,
        help="folder of the results; other people of it keep theirs",
    )
    _add_scans(parser.add_argument_group("the scans"))
    add_how(parser, cited=False)
    return parser


def run_scans(
    given: Sequence[str],
    *,
    environ: Mapping[str, str] = os.environ,
    resolve_device: Callable[..., str] = resolve_device,
) -> ExitCode:
    """Process the scans that arguments name.

    Parameters
    ----------
    given : sequence of str
        Arguments, ``run`` first.
    environ, resolve_device
        See :func:`bids_anomaly.cli.parser.parse_args`.

    Raises
    ------
    UsageError
        If an argument is wrong, or the output folder may hold results of somebody else with the
        same label.
    BadScanError
        If a file is no scan.
    """
    asked = vars(build_parser().parse_args(given[1:]))
    files, mask = asked.pop("scans", []), asked.pop("mask", None)
    from bids_anomaly.bids.given import (
        MASK,
        dataset_folder,
        digests_of,
        has_results_of_others,
        masked_modality,
        one_for_each_modality,
        write_dataset,
        write_mask,
    )
    from bids_anomaly.bids.given_files import check_mask, check_scans
    from bids_anomaly.bids.naming import session_entities
    from bids_anomaly.cli.participant import run_participants

    entities = session_entities(asked.pop("participant", "01"), asked.pop("session", None))
    scans = one_for_each_modality(files)
    digests, with_mask = digests_of(scans), {}
    if mask is not None:
        masked = scans[masked_modality(scans)]
        _refuse_other_brains(asked)
        with_mask = digests_of({MASK: mask})
    work_dir = asked.setdefault("work_dir", values.read_path(str(Settings.work_dir)))
    datasets = work_dir / OWN_DATASETS
    settings = read_settings(
        asked
        | {
            "bids_dir": dataset_folder(datasets, {**digests, **with_mask}, entities),
            "analysis_level": "participant",
            "participant_labels": (entities["sub"],),
            "session_labels": (entities["ses"],) if "ses" in entities else (),
            "modalities": tuple(scans),
            "skip_bids_validation": True,
        },
        environ=environ,
        resolve_device=resolve_device,
    )
    if not settings.reports_only:
        check_scans(scans)
        if mask is not None:
            check_mask(mask, masked)
        if has_results_of_others(settings.output_dir, datasets, digests, entities):
            raise UsageError(
                f"{settings.output_dir} has results of {'_'.join(map('-'.join, entities.items()))} "
                f"already, and {work_dir} does not say that they are of one of these scans. Give "
                "another --participant-label, or another OUTPUT_DIR."
            )
    with ExitStack() as stack:
        if settings.dry_run:  # which writes nothing that stays
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            settings = replace(settings, bids_dir=Path(folder))

        def make_input() -> None:
            write_dataset(settings.bids_dir, scans, entities, digests)
            if mask is not None:
                write_mask(settings.bids_dir, mask, entities)

        return run_participants(settings, given, make_input=make_input)


def _refuse_other_brains(asked: Mapping[str, Any]) -> None:
    """Refuse what says where the brain is beside a mask."""
    for name in ("derivatives", "fs_subjects_dir"):
        if name in asked or name in asked.get("config_file", {}):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"--mask and {option} both say where the brain is. Give one of them.")


def _add_scans(group) -> None:
    for suffix in MODALITIES:
        group.add_argument(
            f"--{suffix.lower()}",
            f"--{suffix}",
            metavar="FILE",
            dest="scans",
            action="append",
            type=partial(_read_scan_of, suffix),
            help=f"{suffix} scan, NIfTI",
        )
    group.add_argument(
        "--scan",
        metavar="SUFFIX=FILE",
        dest="scans",
        action="append",
        type=_read_scan,
        help="scan of another modality that --model has a bundle for, such as PDw=FILE",
    )
    group.add_argument(
        "--mask",
        metavar="FILE",
        type=values.read_existing_file,
        help="brain mask of your own, NIfTI, in the grid of the T1w scan or of the only one "
        "(default: the brain is found)",
    )
    group.add_argument(
        "--participant-label",
        metavar="LABEL",
        dest="participant",
        type=values.read_participant_label,
        help="how the person is called in the results (default: 01)",
    )
    group.add_argument(
        "--session-label",
        "--session-id",
        metavar="LABEL",
        dest="session",
        type=values.read_session_label,
        help="how the session is called, if the person has several (default: none)",
    )


def _read_scan_of(suffix: str, text: str) -> tuple[str, Path]:
    return suffix, values.read_existing_file(text)


def _read_scan(text: str) -> tuple[str, Path]:
    suffix, _, file = text.partition("=")
    if not values.WORD.fullmatch(suffix) or not file:
        raise argparse.ArgumentTypeError(f"SUFFIX=FILE such as PDw=FILE is needed, not {text!r}")
    return _read_scan_of(suffix, file)
