"""Pictures of the documentation are of this version."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def make():
    """What the script that makes the pictures defines."""
    return runpy.run_path(str(IMAGES / "make.py"))


@pytest.mark.parametrize("picture", sorted(path.name for path in IMAGES.glob("*.png")))
def test_a_picture_is_of_this_version_and_shown(picture, make):
    """Run docs/images/make.py again if this fails."""
    recorded = json.loads((IMAGES / "drawn.json").read_text())
    assert recorded[picture] == make["drawn_with"](picture)
    assert any(f"images/{picture})" in page.read_text() for page in PAGES)


def test_another_version_of_the_code_or_a_model_is_noticed(make, tmp_path):
    drawn_with = make["drawn_with"]
    first = drawn_with("report.png")
    files, _ = make["DRAWN_BY"]["report.png"]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes((make["PACKAGE"] / file).read_bytes())
    # A function that runpy returns looks its names up in a dict of its own.
    drawn_with.__globals__["PACKAGE"] = tmp_path
    assert drawn_with("report.png") == first
    (tmp_path / files[-1]).write_text("another")
    assert drawn_with("report.png")["code"] != first["code"]
    drawn_with.__globals__["FAMILY"] = "threshold"
    assert drawn_with("report.png")["models"] != first["models"]
