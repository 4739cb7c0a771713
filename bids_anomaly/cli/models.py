"""The command ``bids-anomaly-models``: which models there are, and what each one is."""

import argparse
import re
import sys
from collections.abc import Sequence

from bids_anomaly.cli import values
from bids_anomaly.cli.main import report_errors
from bids_anomaly.exceptions import ExitCode

# A card comes with a bundle from anywhere, and must not steer the terminal.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def main(argv: Sequence[str] | None = None) -> int:
    """List the models that come with the package, or show one."""
    parser = argparse.ArgumentParser(
        prog="bids-anomaly-models",
        description="List the models that come with the package, or show one: what it is for, how "
        "good it is, where it fails. The checksums of the weights are checked.",
    )
    commands = parser.add_subparsers(dest="command", metavar="{list,show}", required=True)
    commands.add_parser(
        "list",
        help="the models that come with the package",
        description="List the models that come with the package.",
    )
    show = commands.add_parser(
        "show",
        help="the card of a model",
        description="Show the card of a model and what its files say, here or as a page.",
    )
    show.add_argument(
        "name",
        metavar="NAME",
        help="such as restore-T1w, or the folder of a bundle that was trained",
    )
    show.add_argument(
        "--html",
        metavar="FILE",
        type=values.read_path,
        help="write a page with pictures instead, one file that needs nothing else",
    )
    arguments = parser.parse_args(argv)
    actions = {"list": lambda: _list(), "show": lambda: _show(arguments)}
    return report_errors(parser.prog, actions[arguments.command])


def _list() -> ExitCode:
    from bids_anomaly.reconstruction.bundle import DEFAULT_FAMILY, packaged_bundles
    from bids_anomaly.reconstruction.methods import COMPARISON, COMPARISON_IN_WORDS
    from bids_anomaly.reports.model import size_in_words

    bundles = packaged_bundles()
    families = sorted({bundle.method for bundle in bundles})
    named = [f"{name} (default)" if name == DEFAULT_FAMILY else name for name in families]
    rows = [("Name", "Modality", "Version", "Method", "Status", "Size", "Licence", "Calibrated on")]
    for bundle in bundles:
        calibration = bundle.description.get("calibration", {})
        rows.append(
            (
                bundle.name, bundle.modality, bundle.version, bundle.method, bundle.status,
                size_in_words(bundle), str(bundle.description.get("licence", "")),
                str(calibration.get("data", "")),
            )
        )  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"Families for --model: {', '.join(named)}")
    print(f"Weights of status {COMPARISON} are {COMPARISON_IN_WORDS}.\n")
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return ExitCode.OK


def _show(arguments: argparse.Namespace) -> ExitCode:
    from bids_anomaly.reconstruction.bundle import named_bundle
    from bids_anomaly.reports.model import describe_model, write_model_page

    bundle = named_bundle(arguments.name)
    if arguments.html:
        write_model_page(arguments.html, bundle)
        print(f"Wrote {arguments.html}.")
        return ExitCode.OK

    from rich.console import Console
    from rich.markdown import Markdown

    from bids_anomaly.reports.card import CARD, read_card

    facts = describe_model(bundle)
    card = read_card(bundle.folder) or f"# {bundle.name}\n\nThis bundle has no card ({CARD})."
    console = Console()
    if console.is_terminal:
        console.print(Markdown(CONTROL.sub("", card)))
    else:
        print(CONTROL.sub("", card).rstrip())
    width = max(map(len, facts.details))
    print()
    for label, text in facts.details.items():
        print(CONTROL.sub("", f"{label.ljust(width)}  {text}"))
    print()
    for cells in (facts.rates.columns, *facts.rates.rows):
        print("  ".join(cell.ljust(width) for cell in cells).rstrip())
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
