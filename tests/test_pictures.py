"""Pictures of the documentation are of this version, or it says that they are of an earlier one."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EARLIER = "earlier version"


@pytest.fixture(scope="module")
def make():
    """What the script that makes the pictures defines."""
    return runpy.run_path(str(IMAGES / "make.py"))


def captions(picture: str) -> dict[str, str]:
    """Return by page what stands below a picture: the paragraph after it."""
    found = {}
    for page in PAGES:
        _, is_shown, after = page.read_text().partition(f"images/{picture})")
        if is_shown:
            found[page.name] = after.strip().split("\n\n")[0]
    return found


@pytest.mark.parametrize("picture", sorted(path.name for path in IMAGES.glob("*.png")))
def test_a_picture_is_of_this_version_or_is_said_to_be_of_an_earlier_one(picture, make):
    """Run docs/images/make.py again if this fails, or say below the picture that it is older."""
    recorded = json.loads((IMAGES / "drawn.json").read_text()).get(picture)
    is_new = recorded is not None and recorded == make["drawn_with"](picture)
    shown = captions(picture)
    assert shown
    for page, caption in shown.items():
        assert (EARLIER in " ".join(caption.split())) is not is_new, page


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
