"""What a release and its readers need says the same everywhere."""

import json
import re
from pathlib import Path

import pytest
import yaml

from bids_anomaly import __version__

ROOT = Path(__file__).parents[1]
IMAGE_VERSION = r'(?:bids-anomaly/bids-anomaly:|image\.version=")([0-9][0-9.]*[0-9])'
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


def read_yaml(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_zenodo_is_told_what_the_citation_says():
    citation = read_yaml(ROOT / "CITATION.cff")
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert zenodo["title"] == citation["title"]
    assert zenodo["license"] == citation["license"]
    assert zenodo["keywords"] == citation["keywords"]
    assert [one["name"] for one in zenodo["creators"]] == [
        one["name"] for one in citation["authors"]
    ]
    assert zenodo["upload_type"] == "software"


def test_the_version_is_the_same_everywhere():
    assert str(read_yaml(ROOT / "CITATION.cff")["version"]) == __version__
    told = {
        path: set(re.findall(IMAGE_VERSION, path.read_text(encoding="utf-8")))
        for path in (
            *(ROOT / name for name in ("Makefile", "Dockerfile", "README.md")),
            *(ROOT / "docs" / "containers.md", ROOT / "tests" / "containers" / "image.sh"),
            *(ROOT / "singularity").glob("*.def"),
        )
    }
    assert all(versions == {__version__} for versions in told.values()), told


def test_every_change_is_tested_as_on_a_fresh_clone():
    jobs = read_yaml(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]
    commands = {job: [step.get("run") for step in jobs[job]["steps"]] for job in jobs}
    assert ".ci/run" in commands["tests"]
    assert "make docs" in commands["documentation"]
    assert "twine check --strict dist/*" in commands["package"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_of_issues_are_ones(path):
    form = read_yaml(path)
    assert {"name", "description", "body"} <= form.keys()
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(set(ids)) == len(ids)
    for part in form["body"]:
        assert part["type"] in ("markdown", "textarea", "input", "dropdown", "checkboxes")
        assert part["attributes"].get("label") or part["type"] == "markdown"
