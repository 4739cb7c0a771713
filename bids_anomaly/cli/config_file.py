"""Settings in a TOML file: a key for each argument, by its long name."""

import argparse
import json
import os
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from bids_anomaly.cli import boutiques
from bids_anomaly.cli.arguments import StoreMemory
from bids_anomaly.exceptions import UsageError
from bids_anomaly.reconstruction.methods import METHODS
from bids_anomaly.settings import Settings

HEADER = """\
# Repeats a run of bids-anomaly {version}: bids-anomaly --config-file FILE
# What is written on the command line wins over what stands here.
"""


class ReadConfigFile(argparse.Action):
    """Store the arguments of a file; what it names need not be on the command line."""

    def __call__(self, parser, namespace, path, option_string=None):
        """Read it."""
        arguments = read_config(path, parser)
        setattr(namespace, self.dest, arguments)
        for action in _positionals(parser):
            action.required = action.dest not in arguments


def read_config(path: Path, parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Read the arguments of a file as if they stood on a command line.

    Parameters
    ----------
    path : Path
        TOML with a key for each argument, such as ``participant-label = ["01", "02"]``. Underscores
        stand for hyphens. Relative paths in it count from the current folder.
    parser : ArgumentParser
        Of the command line; arguments that are not given are absent from what it parses.

    Returns
    -------
    dict
        Values by destination, of the arguments that stand in the file.

    Raises
    ------
    UsageError
        If the file is not TOML, a key is unknown, or a value is wrong.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"The configuration {path} cannot be read: {error.strerror}. Check its rights."
        ) from error
    except ValueError as error:  # no TOML, or not even UTF-8
        raise UsageError(f"The configuration {path} is not TOML: {error}. Correct it.") from error
    known = {_key(name): action for action in _settable(parser) for name in _names(action)}
    options, positionals = [], {}
    for written, value in content.items():
        action = known.get(_key(written))
        if action is None:
            raise UsageError(
                f"The configuration {path} has the key {written!r}, and no option has that name. "
                f"See {parser.prog} --help."
            )
        if not _fits(action, value):
            raise UsageError(
                f"The configuration {path} gives {written} as {_shown(value)}, where "
                f"{_needed(action)} is needed. Correct it."
            )
        if action.option_strings:
            options += _arguments(action, f"--{_key(written)}", value)
        else:
            positionals[action.dest] = value
    lacking = [action.dest for action in _positionals(parser) if action.dest not in positionals]
    if positionals and lacking:
        raise UsageError(
            f"The configuration {path} lacks {_key(lacking[0])}. Of "
            f"{', '.join(_key(action.dest) for action in _positionals(parser))}, it has to have "
            "all or none."
        )
    if positionals:
        options += ["--", *(positionals[action.dest] for action in _positionals(parser))]
    for action in _positionals(parser):
        action.required = False
    try:
        return vars(parser.parse_args(options, argparse.Namespace()))
    except UsageError as error:
        raise UsageError(f"The configuration {path} is wrong: {error}") from error


def config_text(settings: Settings, parser: argparse.ArgumentParser, version: str) -> str:
    """Return the text of a file that repeats a run.

    Parameters
    ----------
    settings : Settings
        Of the run. What is None is left out, which stands for the default.
    parser : ArgumentParser
        Of the command line.
    version : str
        Of this program.
    """
    lines = [HEADER.format(version=version)]
    for action in _settable(parser):
        value = _in_toml(settings, action.dest)
        if value is not None:
            lines.append(f"{_key(_names(action)[0])} = {value}\n")
    return "".join(lines)


def _settable(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments that say what a run does, not those that print something."""
    settings = {field.name for field in fields(Settings)}
    return [action for action in parser._actions if action.dest in settings]


def _positionals(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if not action.option_strings]


def _names(action: argparse.Action) -> list[str]:
    """Return by which names a file can give an argument; runs write the first."""
    if not action.option_strings:
        return [action.dest]
    first = boutiques.long_name(action)
    return [first, *(name for name in action.option_strings if name.startswith("--"))]


def _key(name: str) -> str:
    return name.removeprefix("--").replace("_", "-")


def _is_list(action: argparse.Action) -> bool:
    return action.nargs == "+"


def _kind(action: argparse.Action) -> tuple[type, ...]:
    """Return the types of TOML that a value can have, or each of several."""
    if action.nargs == 0:
        return (bool,) if action.const else (int,)
    if isinstance(action, StoreMemory):
        return (str, int, float)
    is_number = boutiques.KINDS.get(action.type, {}).get("type") == "Number"
    return (int, float) if is_number else (str,)


def _fits(action: argparse.Action, value: Any) -> bool:
    if _is_list(action):
        return isinstance(value, list) and all(type(one) in _kind(action) for one in value)
    return type(value) in _kind(action)  # a bool is an int for isinstance


def _needed(action: argparse.Action) -> str:
    if _is_list(action):
        return 'a list of texts, such as ["a", "b"],'
    names = {bool: "true or false", int: "a number", str: 'a text in quotes, such as "a",'}
    return names[_kind(action)[0]]


def _arguments(action: argparse.Action, option: str, value: Any) -> list[str]:
    """Return a setting as it would stand on a command line."""
    if action.nargs == 0:
        return [option] * value
    if isinstance(value, list):
        return [f"{option}={one}" for one in value]
    return [f"{option}={value}"]


def _in_toml(settings: Settings, name: str) -> str | None:
    value = getattr(settings, name)
    if value is None:
        return None
    if name == "derivatives":
        value = [f"{key}={folder}" for key, folder in value]
    elif name == "mem_gb":
        value = f"{value}G"
    elif name == "model" and value not in METHODS:
        value = os.path.abspath(value)
    return _shown(value)


def _shown(value: Any) -> str:
    """Write a value as TOML does."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_shown, value))}]"
    # TOML's texts are those of JSON, but for DEL.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
