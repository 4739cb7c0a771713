"""The tree is what the documentation of its design says."""

import ast
import configparser
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bids_anomaly"
WORKFLOWS = ROOT / "workflows"
HEAVY = {"torch", "monai", "ants", "nipype", "bids", "nibabel", "numpy", "scipy", "matplotlib"}


@pytest.fixture(scope="module")
def configuration():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def modules():
    return sorted([*PACKAGE.rglob("*.py"), *WORKFLOWS.rglob("*.py")])


def imported(nodes) -> set[str]:
    """Return the first names of what is imported anywhere below some nodes."""
    names = set()
    for node in (child for top in nodes for child in ast.walk(top)):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def outside_functions(module: ast.Module) -> list[ast.stmt]:
    return [node for node in module.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]


def test_every_folder_with_code_is_listed_as_a_package(configuration):
    listed = configuration["options"]["packages"].split()
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in PACKAGE.rglob("*.py")
        if "templates" not in path.parts
    }
    folders |= {
        ".".join(["bids_anomaly", *path.parent.relative_to(ROOT).parts])
        for path in WORKFLOWS.rglob("*.py")
    }
    assert sorted(listed) == sorted(folders)
    assert listed == sorted(listed)


def test_every_package_folder_says_that_it_is_one(configuration):
    for name in configuration["options"]["packages"].split():
        inside = name.removeprefix("bids_anomaly").strip(".").replace(".", "/")
        folder = WORKFLOWS if inside == "workflows" else PACKAGE / inside
        assert (folder / "__init__.py").is_file(), name


def test_every_data_file_is_installed(configuration):
    patterns = {
        PACKAGE.joinpath(*name.split(".")[1:]): listed.split()
        for name, listed in configuration["options.package_data"].items()
    }
    installed = {path for folder in patterns for p in patterns[folder] for path in folder.glob(p)}
    data = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert sorted(data - installed) == []


def test_initialisation_files_hold_no_logic():
    for path in modules():
        if path.name == "__init__.py":
            body = ast.parse(path.read_text()).body
            assert all(
                isinstance(node, ast.Assign)
                or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
                for node in body
            ), path


def test_interfaces_import_torch_only_when_they_run():
    """What may import it at all is a contract of import-linter's, in ``setup.cfg``."""
    for path in (PACKAGE / "interfaces").glob("*.py"):
        at_import = imported(outside_functions(ast.parse(path.read_text())))
        assert not at_import & {"torch", "monai", "safetensors"}, path


@pytest.mark.parametrize(
    "module",
    [
        *(f"cli/{name}" for name in ("parser", "arguments", "main", "guards", "values")),
        "running/allocation",
        "running/device",
    ],
)
def test_the_command_line_starts_with_the_standard_library_alone(module):
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    assert not imported(outside_functions(tree)) & HEAVY


def test_no_module_has_a_name_that_says_nothing():
    empty = {"utils", "helpers", "common", "misc", "manager", "base2"}
    assert not [path for path in modules() if path.stem in empty]


def test_imports_keep_the_contracts(tmp_path):
    command = Path(sysconfig.get_path("scripts")) / "lint-imports"
    if not command.exists():
        pytest.skip("import-linter is not installed")
    # As it is installed: with the workflows inside the package.
    without_data = shutil.ignore_patterns("__pycache__", "bundles")
    shutil.copytree(PACKAGE, tmp_path / "bids_anomaly", ignore=without_data)
    shutil.copytree(WORKFLOWS, tmp_path / "bids_anomaly" / "workflows", ignore=without_data)
    done = subprocess.run(
        [command, "--config", ROOT / "setup.cfg", "--no-cache"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BROKEN" not in done.stdout


@pytest.mark.slow
def test_types_hold():
    """Those of the packages that others build on; ``setup.cfg`` says which."""
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy"]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent)
    assert finished.returncode == 0, finished.stdout
