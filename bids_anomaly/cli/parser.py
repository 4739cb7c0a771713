"""The command line of ``bids-anomaly``. It imports the standard library only, to answer fast."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NoReturn

from bids_anomaly import __version__
from bids_anomaly.citation import cite, works_behind
from bids_anomaly.cli import arguments, boutiques, values
from bids_anomaly.cli.config_file import ReadConfigFile, config_text
from bids_anomaly.cli.guards import check_settings
from bids_anomaly.exceptions import UsageError
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.reconstruction.methods import METHODS
from bids_anomaly.running.allocation import complete_allocation
from bids_anomaly.running.device import resolve_device
from bids_anomaly.settings import NATIVE, TEMPLATE, Settings

DESCRIPTION = (
    "Build the brain that a person would have without disease, and show where each scan of a BIDS "
    "dataset departs from it."
)
EPILOG = """\
examples:
  bids-anomaly /data /out participant --participant-label 01 02 --device cuda
  bids-anomaly /data /out participant --modalities FLAIR --dry-run
  bids-anomaly /data /out group --controls diagnosis=healthy
  bids-anomaly run --t1w T1.nii.gz --flair FLAIR.nii.gz /out     without BIDS: see run --help

An option that takes several values ends at the next option, so BIDS_DIR, OUTPUT_DIR and
{participant,group} come first. Options may be written with underscores: --participant_label.
"""


class Parser(argparse.ArgumentParser):
    """A parser that reads underscores in options, and raises UsageError instead of exiting."""

    def parse_known_args(self, args=None, namespace=None):
        """Parse arguments after turning ``--participant_label`` into ``--participant-label``."""
        args = sys.argv[1:] if args is None else list(args)
        end = args.index("--") if "--" in args else len(args)
        args[:end] = map(hyphenate, args[:end])
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong in one sentence, without the page of usage."""
        sentence = message.removeprefix("argument ")
        if sentence.startswith("the following arguments are required"):
            first = " ".join(
                action.metavar or "{" + ",".join(action.choices) + "}"
                for action in self._get_positional_actions()
            )
            sentence = f"{sentence} ({first} {values.COME_FIRST})"
        raise UsageError(f"{sentence}. See {self.prog} --help.")


class PrintAndExit(argparse.Action):
    """Print a text made from the parser, and exit with 0."""

    def __init__(self, option_strings, dest, *, text, help, default=argparse.SUPPRESS):
        super().__init__(option_strings, dest, nargs=0, default=default, help=help)
        self.text = text

    def __call__(self, parser, namespace, values, option_string=None):
        """Print and exit."""
        print(self.text(parser))
        parser.exit()


def hyphenate(argument: str) -> str:
    """Write the name of a long option with hyphens, and leave its value and all else alone.

    Parameters
    ----------
    argument : str
        One argument, such as ``--output_spaces`` or ``--output_spaces=native``.

    Returns
    -------
    str
        The argument with hyphens.
    """
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else argument


def parse_args(
    argv: Sequence[str] | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    resolve_device: Callable[..., str] = resolve_device,
) -> Settings:
    """Read the command line into settings that are complete and do not contradict each other.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the name of the command; by default those of this process.
    environ : mapping
        Environment variables, for the visible GPUs and for what SLURM granted.
    resolve_device : callable
        Turns ``--device`` into the device that will be used.

    Returns
    -------
    Settings
        Paths are absolute; device, CPUs and memory are those that will be used. The group level
        computes on the CPU, and no GPU is looked for.

    Raises
    ------
    UsageError
        If an argument is unknown or wrong, or arguments contradict each other.
    MissingInputError
        If there is no input folder.
    DeviceUnavailableError
        If ``--device`` names a GPU that is not there.
    """
    asked = vars(build_parser().parse_args(argv))
    return read_settings(asked, environ=environ, resolve_device=resolve_device)


def read_settings(
    asked: Mapping[str, Any], *, environ: Mapping[str, str], resolve_device: Callable[..., str]
) -> Settings:
    """Complete what a parser read, as :func:`parse_args` does.

    Parameters
    ----------
    asked : mapping
        Values by name, of the arguments that were given.
    environ, resolve_device
        See :func:`parse_args`.
    """
    asked = dict(asked)
    asked = {**asked.pop("config_file", {}), **asked}
    asked.pop("notrack", None)  # Nothing is tracked.
    asked = {name: _as_tuple(value) for name, value in asked.items()}
    requested_device = asked.pop("device", "auto")
    allocation = complete_allocation(
        **{name: asked.pop(name, None) for name in ("nprocs", "omp_nthreads", "mem_gb")},
        environ=environ,
    )
    work_dir = asked.pop("work_dir", values.read_path(str(Settings.work_dir)))
    spaces = asked.pop("output_spaces", Settings.output_spaces)
    if not {NATIVE, TEMPLATE}.intersection(spaces):
        # Which reports show, and comparisons of sessions are made of.
        spaces = (NATIVE, *spaces)
    settings = Settings(work_dir=work_dir, output_spaces=spaces, **asked, **asdict(allocation))
    check_settings(settings)
    if settings.analysis_level == "group":
        return settings
    return replace(settings, device=resolve_device(requested_device, environ=environ))


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of ``bids-anomaly``.

    Returns
    -------
    ArgumentParser
        Arguments that are not given are absent from what it parses, so that the defaults of
        :class:`Settings` hold. It raises :class:`UsageError` for wrong arguments.
    """
    parser = Parser(
        prog="bids-anomaly",
        usage="%(prog)s BIDS_DIR OUTPUT_DIR {participant,group} [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        add_help=False,
    )
    arguments.add_positionals(parser)
    arguments.add_selection(parser.add_argument_group("which scans"))
    add_how(parser)
    arguments.add_comparison(parser.add_argument_group("at the group level"))
    return parser


def add_how(parser: argparse.ArgumentParser, *, cited: bool = True) -> None:
    """Add what does not depend on where scans come from; `cited`: see :func:`_add_information`."""
    arguments.add_method(parser.add_argument_group("how they are processed"))
    arguments.add_findings(parser.add_argument_group("what comes out"))
    arguments.add_resources(parser.add_argument_group("what the run may use"))
    control = parser.add_argument_group("how the run goes")
    arguments.add_control(control)
    _add_config_file(control)
    _add_information(parser.add_argument_group("information"), cited=cited)


def _add_config_file(group) -> None:
    """Add the option that reads arguments from a file."""
    group.add_argument(
        "--config-file",
        metavar="FILE",
        type=values.read_existing_file,
        action=ReadConfigFile,
        help="TOML file with a key for each argument, by its name here; what is written on the "
        "command line wins. Each run writes the one that repeats it: config.toml in its folder in "
        "OUTPUT_DIR/logs",
    )


def config_that_repeats(settings: Settings) -> str:
    """Return the text of a ``--config-file`` by which a run is done again."""
    return config_text(settings, build_parser(), __version__)


def _as_tuple(value):
    return tuple(dict.fromkeys(value)) if isinstance(value, list) else value


def _citation() -> str:
    """Say how to cite a run that was left to its defaults."""
    works = works_behind(
        [METHODS[Settings.model]],
        [BRAIN_TOOLS[Settings.brain_extraction]],
        bias=True,
        deformation=True,
        denoising=True,
        templates=False,
    )
    others = "Other models and brain extractions stand on other work: each report names its own."
    return f"{cite(__version__, works)}\n\n{others}"


def _add_information(group, *, cited: bool) -> None:
    """Add what is printed; `cited`: also how to cite the app and how it is called."""
    group.add_argument(
        "-v",
        "--verbose",
        dest="verbosity",
        action="count",
        help="say more; -vv says everything",
    )
    group.add_argument("-h", "--help", action="help", help="show this help and exit")
    group.add_argument(
        "--version",
        action="version",
        version=f"bids-anomaly {__version__}",
        help="show the version and exit",
    )
    if not cited:
        return
    group.add_argument(
        "--citation",
        action=PrintAndExit,
        text=lambda parser: _citation(),
        help="show how to cite bids-anomaly, run with its defaults, and exit",
    )
    group.add_argument(
        "--bids-exec-spec",
        action=PrintAndExit,
        text=lambda parser: json.dumps(boutiques.describe(parser, __version__), indent=2),
        help="show the command line as a Boutiques descriptor (JSON) and exit",
    )
