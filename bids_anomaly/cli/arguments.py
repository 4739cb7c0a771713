"""The arguments of ``bids-anomaly``, a function for each group of the help.

Their defaults stand in :class:`bids_anomaly.settings.Settings`; the help repeats them.
"""

from argparse import Action, ArgumentError, ArgumentParser, ArgumentTypeError
from argparse import _ArgumentGroup as ArgumentGroup
from collections.abc import Callable

from bids_anomaly.cli import values
from bids_anomaly.modalities import PRIMARY_ORDER
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.settings import NATIVE, OTHER_TEMPLATES, RESOLUTIONS, TEMPLATE, Settings


class Extend(Action):
    """Add the values of an option that may be given several times, each a list of values."""

    def __call__(self, parser, namespace, given, option_string=None):
        """Add them."""
        before = getattr(namespace, self.dest, [])
        setattr(namespace, self.dest, [*before, *(one for several in given for one in several)])


class StoreMemory(Action):
    """Store a size in GB; the option says the unit of a bare number."""

    def __call__(self, parser, namespace, size, option_string=None):
        """Store it."""
        read = values.read_memory_mb if option_string == "--mem-mb" else values.read_memory_gb
        try:
            setattr(namespace, self.dest, read(size))
        except ArgumentTypeError as error:
            raise ArgumentError(self, str(error)) from error


def add_positionals(parser: ArgumentParser) -> None:
    """Add the three arguments of every BIDS App."""
    parser.add_argument(
        "bids_dir",
        metavar="BIDS_DIR",
        type=values.read_input_folder,
        help="folder of the BIDS dataset",
    )
    parser.add_argument(
        "output_dir",
        metavar="OUTPUT_DIR",
        type=values.read_path,
        help="folder of the derivatives, outside BIDS_DIR or in a folder of its own in "
        "BIDS_DIR/derivatives",
    )
    parser.add_argument(
        "analysis_level",
        choices=("participant", "group"),
        help="participant: scan by scan. group: all finished participants of OUTPUT_DIR together",
    )


def add_selection(group: ArgumentGroup) -> None:
    """Add what picks and reads the scans."""
    _add_several(
        group,
        "--participant-label",
        "--participant-labels",
        metavar="LABEL",
        reader=values.read_participant_label,
        dest="participant_labels",
        help="participants, with or without sub- (default: all)",
    )
    _add_several(
        group,
        "--exclude-participant-label",
        metavar="LABEL",
        reader=values.read_participant_label,
        dest="excluded_participants",
        help="participants who are left out, with or without sub-",
    )
    _add_several(
        group,
        "--session-label",
        "--session-id",
        metavar="LABEL",
        reader=values.read_session_label,
        dest="session_labels",
        help="sessions, with or without ses- (default: all)",
    )
    _add_several(
        group,
        "-m",
        "--modalities",
        metavar="SUFFIX",
        reader=values.read_word,
        dest="modalities",
        help="modalities, such as T1w FLAIR T2w (default: every one found that there is a model "
        "for)",
    )
    group.add_argument(
        "--bids-filter-file",
        metavar="FILE",
        type=values.read_existing_file,
        help="JSON file of BIDS entities by query name; null: the entity is absent, *: any value",
    )
    group.add_argument(
        "--skip-bids-validation",
        action="store_true",
        help="do not check that the input is valid BIDS",
    )
    group.add_argument(
        "--bids-database-dir",
        metavar="FOLDER",
        type=values.read_path,
        help="keep the index of the dataset in this folder, or reuse the one that is there",
    )


def add_method(group: ArgumentGroup) -> None:
    """Add what changes the reconstruction."""
    group.add_argument(
        "--model",
        metavar="FAMILY|FOLDER",
        help="family of packaged models (bids-anomaly-models list), or folder of one bundle or "
        f"several (default: {Settings.model})",
    )
    group.add_argument(
        "--steps",
        metavar="N",
        type=values.read_count,
        help="levels at which the image is predicted, for methods that go through several "
        "(default: what the model says; with others its thresholds no longer hold, see "
        "bids-anomaly-calibrate --steps)",
    )
    _add_several(
        group,
        "-d",
        "--derivatives",
        metavar="NAME=PATH",
        reader=values.read_derivatives,
        separator=None,  # paths may have commas
        dest="derivatives",
        help="outputs of fMRIPrep, sMRIPrep or this app, of which bias-corrected T1w scans, brain "
        "masks and transforms are reused; NAME stands for the folder in what is written",
    )
    group.add_argument(
        "--fs-subjects-dir",
        metavar="FOLDER",
        type=values.read_existing_folder,
        help="subjects of FreeSurfer or FastSurfer (sub-01 or sub-01_ses-1), whose segmentations "
        "give the brains of T1w scans",
    )
    group.add_argument(
        "--brain-extraction",
        choices=tuple(BRAIN_TOOLS),
        help="how the brain is found; none: the input is skull-stripped "
        f"(default: {Settings.brain_extraction})",
    )
    group.add_argument(
        "--seed",
        "--random-seed",
        metavar="N",
        type=values.read_whole_number,
        help=f"seed of every random number (default: {Settings.seed})",
    )


def add_findings(group: ArgumentGroup) -> None:
    """Add what changes the maps, tables and comparisons."""
    _add_several(
        group,
        "--output-spaces",
        metavar="SPACE",
        reader=values.read_space,
        dest="output_spaces",
        help=f"{NATIVE} (the grid of each scan), {TEMPLATE} (the template of the group level), "
        f"{' and '.join(OTHER_TEMPLATES)} (from TemplateFlow's folder, with "
        f"{' or '.join(f':res-{number}' for number in RESOLUTIONS)}) "
        f"(default: {' '.join(Settings.output_spaces)})",
    )
    group.add_argument(
        "--lesion-roi",
        metavar="FOLDER",
        type=values.read_path,
        help="write what is found, in the grid of the T1w scan, where fMRIPrep and QSIPrep look "
        "for lesions (sub-01/anat/sub-01_label-lesion_roi.nii.gz): into this folder, such as a "
        "copy of BIDS_DIR",
    )
    group.add_argument(
        "--healthy-fpr",
        metavar="FRACTION",
        type=values.read_false_positive_rate,
        help="fraction of healthy voxels that may be called anomalous before small findings are "
        "removed, between 0 and 0.5 "
        f"(default: {Settings.healthy_fpr})",
    )
    group.add_argument(
        "--min-lesion-volume",
        metavar="MM3",
        type=values.read_volume,
        help="smallest lesion that is kept, in cubic millimetres "
        f"(default: {Settings.min_lesion_volume:g})",
    )
    group.add_argument(
        "--primary",
        metavar="SUFFIX",
        type=values.read_word,
        help="modality whose scan leads the report of a session, and stands for a person at group "
        f"level (default: {', else '.join(PRIMARY_ORDER)})",
    )


def add_comparison(group: ArgumentGroup) -> None:
    """Add what the group level compares."""
    group.add_argument(
        "--controls",
        metavar="COLUMN=VALUE",
        type=values.read_controls,
        help="who the controls are, by a column of participants.tsv; people with other values in "
        "it are compared with them",
    )
    group.add_argument(
        "--tfce",
        action="store_true",
        help="compare voxels also with threshold-free cluster enhancement, which finds what is "
        "weak and extended, and takes some half an hour a group and modality",
    )


def add_resources(group: ArgumentGroup) -> None:
    """Add what the run may use of the machine."""
    group.add_argument(
        "--device",
        metavar="{auto,cpu,cuda,cuda:N}",
        type=values.read_device,
        help="where brain extraction and model run; auto: the first visible GPU, or the CPU "
        "without one (default: auto)",
    )
    group.add_argument(
        "--batch-size",
        metavar="N",
        type=values.read_count,
        help="samples that pass the network together (default: what fits the device)",
    )
    group.add_argument(
        "--nprocs",
        "--nthreads",
        "--n-cpus",
        "--n-procs",
        metavar="N",
        type=values.read_count,
        help="CPUs for the whole run (default: what the system, the container and SLURM allow)",
    )
    group.add_argument(
        "--omp-nthreads",
        "--ants-nthreads",
        metavar="N",
        type=values.read_count,
        help="threads for one step (default: --nprocs, at most 8)",
    )
    group.add_argument(
        "--mem",
        "--mem-gb",
        "--mem-mb",
        metavar="SIZE",
        dest="mem_gb",
        action=StoreMemory,
        help="memory for the whole run, such as 8 (GB), 8G or 8000M; after --mem-mb, 8000 is in MB "
        "(default: 90 %% of what the system, the container and SLURM allow)",
    )
    group.add_argument(
        "--use-plugin",
        "--nipype-plugin-file",
        metavar="FILE",
        type=values.read_existing_file,
        help="Nipype plugin configuration, to spread the steps over a cluster",
    )


def add_control(group: ArgumentGroup) -> None:
    """Add what changes how a run goes, and not what it finds."""
    group.add_argument(
        "--stage",
        choices=("preprocess", "reconstruct", "all"),
        help="part of the participant level to do now, so that a cluster can give CPU and GPU "
        f"steps their own jobs (default: {Settings.stage})",
    )
    group.add_argument(
        "-w",
        "--work-dir",
        metavar="FOLDER",
        type=values.read_path,
        help="folder of intermediate files, outside BIDS_DIR; a run that is started again with "
        f"the same one goes on where it stopped (default: {Settings.work_dir})",
    )
    for flag, help in (
        ("--clean-workdir", "remove first what earlier runs left in the work folder"),
        ("--stop-on-first-crash", "do not go on with the other steps after one has failed"),
        (
            "--reports-only",
            "write the reports again from the outputs that are there, and do nothing else",
        ),
        ("--dry-run", "say what would be done, and do nothing"),
        (
            "--strict",
            "let scans of doubtful quality fail (exit code 65), where a run would otherwise warn "
            "and go on",
        ),
        (
            "--notrack",
            "changes nothing, because nothing is tracked: accepted for commands written for "
            "fMRIPrep, MRIQC or QSIPrep",
        ),
    ):
        group.add_argument(flag, action="store_true", help=help)


def _add_several(
    group: ArgumentGroup,
    *flags: str,
    metavar: str,
    reader: Callable,
    dest: str,
    help: str,
    separator: str | None = ",",
) -> None:
    """Add an option that takes several values, and may be given several times."""
    group.add_argument(
        *flags,
        metavar=metavar,
        type=values.listed(reader, separator),
        dest=dest,
        nargs="+",
        action=Extend,
        help=help,
    )
