"""What is said in several places is the same in all of them, and commands have their options."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUNDLES = ROOT / "bids_anomaly" / "resources" / "bundles"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Whose figures of accuracy are all from the tables.
TOLD = [
    *(ROOT / name for name in ("README.md", "docs/quickstart.md", "docs/limits.md")),
    *(
        path
        for name in ("restore", "threshold")
        for path in sorted(BUNDLES.glob(f"{name}-*/README.md"))
    ),
]
COMMANDS = {
    "bids-anomaly": "main",
    **{
        f"bids-anomaly-{name}": name
        for name in ("calibrate", "train", "evaluate", "models", "trajectories", "demo")
    },
}


@pytest.mark.parametrize("page", TOLD, ids=lambda path: str(path.relative_to(ROOT)))
def test_figures_of_accuracy_are_those_of_the_tables(page):
    tables = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
    said = re.findall(r"\b[01]\.\d{3}\b", page.read_text(encoding="utf-8"))
    assert said or page.name != "README.md"
    assert [figure for figure in said if figure not in tables] == []


@pytest.mark.parametrize("family", ["restore", "threshold"])
def test_the_changelog_and_the_tables_have_the_packaged_versions(family):
    changes, tables = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("CHANGELOG.md", "docs/accuracy.md")
    )
    for folder in BUNDLES.glob(f"{family}-*"):
        version = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))["version"]
        assert f"`{folder.name}` {version}" in changes
        assert f"{folder.name} {version} (" in tables


def commands_of(page: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield the commands of the app in the blocks of a page, with the options they are given."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for block in re.findall(r"```(?:console|bash)\n(.*?)```", text, flags=re.DOTALL):
        for line in block.splitlines():
            words = line.split("#")[0].split()
            name = next((word for word in words if word in COMMANDS), None)
            if name:
                given = words[words.index(name) + 1 :]
                run = name == "bids-anomaly" and given[:1] == ["run"]
                options = {word.strip("[]").split("=")[0] for word in given if "--" in word}
                yield f"{name} run" if run else name, {o for o in options if o.startswith("--")}


@pytest.fixture(scope="module")
def help_of() -> dict[str, str]:
    """Return the help of each command, and of what it can do."""
    asked = {name: (module, [[]]) for name, module in COMMANDS.items()}
    asked["bids-anomaly run"] = ("main", [["run"]])
    asked["bids-anomaly-models"] = ("models", [["list"], ["show"]])
    found = {}
    for name, (module, words) in asked.items():
        said = io.StringIO()
        command = import_module(f"bids_anomaly.cli.{module}").main
        for own in words:
            with redirect_stdout(said), suppress(SystemExit):
                command([*own, "--help"])
        found[name] = said.getvalue()
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_commands_have_the_options_that_pages_give_them(page, help_of):
    for command, options in commands_of(page):
        for option in options:
            assert re.search(rf"{re.escape(option)}(?![\w-])", help_of[command]), command
