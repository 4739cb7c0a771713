"""The command line as a Boutiques descriptor, for platforms that build forms from it."""

from argparse import Action, ArgumentParser
from typing import Any

from bids_anomaly.cli import values
from bids_anomaly.exceptions import ExitCode

# Readers of values that are more than text.
KINDS = {
    values.read_count: {"type": "Number", "integer": True, "minimum": 1},
    values.read_whole_number: {"type": "Number", "integer": True, "minimum": 0},
    values.read_volume: {"type": "Number", "minimum": 0},
    values.read_false_positive_rate: {
        "type": "Number",
        "minimum": 0,
        "exclusive-minimum": True,
        "maximum": 0.5,
        "exclusive-maximum": True,
    },
    values.read_input_folder: {"type": "File"},
    values.read_existing_file: {"type": "File"},
}
OUTPUT_FILES = (
    ("dataset", "BIDS derivatives", "[OUTPUT_DIR]", False),
    ("participant_reports", "Reports of the participants", "[OUTPUT_DIR]/sub-*.html", True),
    ("group_report", "Report of the group", "[OUTPUT_DIR]/group.html", True),
)


def describe(parser: ArgumentParser, version: str) -> dict[str, Any]:
    """Describe a command line in the terms of Boutiques 0.5.

    Parameters
    ----------
    parser : ArgumentParser
        The command line.
    version : str
        Version of the tool.

    Returns
    -------
    dict
        Descriptor, ready for JSON. Every argument of `parser` is in it.
    """
    inputs = [_describe_argument(parser, action) for action in parser._actions]
    keys = [entry["value-key"] for entry in inputs]
    return {
        "name": parser.prog,
        "description": parser.description,
        "tool-version": version,
        "schema-version": "0.5",
        "command-line": " ".join([parser.prog, *keys]),
        "inputs": inputs,
        "output-files": [
            {"id": name, "name": title, "path-template": path, "list": "*" in path, "optional": may}
            for name, title, path, may in OUTPUT_FILES
        ],
        "error-codes": [
            {"code": int(code), "description": code.name.replace("_", " ").capitalize()}
            for code in ExitCode
            if code is not ExitCode.OK
        ],
    }


def long_name(action: Action) -> str:
    """Return the first of the names of an option that says what it is; aliases come later."""
    return next(
        (name for name in action.option_strings if name.startswith("--")), action.option_strings[0]
    )


def _describe_argument(parser: ArgumentParser, action: Action) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": action.dest,
        "name": action.dest.replace("_", " ").capitalize(),
        "description": action.help % {"prog": parser.prog},
        "value-key": f"[{action.dest.upper()}]",
        "optional": bool(action.option_strings),
        "type": "Flag" if action.nargs == 0 else "String",
    }
    entry |= KINDS.get(action.type, {})
    if action.option_strings:
        entry["command-line-flag"] = long_name(action)
    if action.nargs == "+":
        entry |= {"list": True, "min-list-entries": 1}
    if action.choices:
        entry["value-choices"] = list(action.choices)
    return entry
