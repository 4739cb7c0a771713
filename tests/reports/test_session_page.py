"""The participant report, from phantom scans."""

import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from bids_anomaly.exceptions import CannotWriteError
from bids_anomaly.reports.finding import Finding
from bids_anomaly.reports.session_page import Failure, SessionPage, write_session_page
from bids_anomaly.reports.tables import Table

BELOW_THE_LETTERS = slice(60, None)  # rows of a picture
FAILURE = Failure("Brain extraction of sub-01_T1w", "No brain was found.", "Traceback: <here>")


@pytest.fixture(scope="module")
def healthy_page(healthy, tmp_path_factory):
    return written(tmp_path_factory.mktemp("healthy") / "sub-01.html", scans=[healthy])


@pytest.fixture(scope="module")
def lesioned_page(lesioned, tmp_path_factory):
    return written(tmp_path_factory.mktemp("lesioned") / "sub-01.html", scans=[lesioned])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sub-01.html"


def written(path, **content):
    """Write a report and return its text."""
    usual = {
        "title": "sub-01",
        "summary": {"Anomalous volume": "1.4 ml"},
        "scans": [],
        "methods": ["Scans were registered."],
        "references": ["Avants B et al. 2008. https://doi.org/10.1016/j.media.2007.06.004"],
        "failures": [FAILURE],
        "provenance": {"Version": "0.1.0"},
        "warnings": ["Look."],
    }
    write_session_page(path, SessionPage(**(usual | content)))
    return path.read_text(encoding="utf-8")


class Tags(HTMLParser):
    """The start tags of a page with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def named(self, name):
        return [attributes for tag, attributes in self.found if tag == name]


def picture(page, words):
    """Return the grey values of the only picture whose description contains `words`."""
    (found,) = [image for image in Tags(page).named("img") if words in image["alt"]]
    content = base64.b64decode(found["src"].split(",", 1)[1])
    return np.asarray(Image.open(io.BytesIO(content)).convert("L"), float)


def test_the_report_loads_nothing_and_runs_nothing_but_its_own_script(lesioned_page):
    for tag, attributes in Tags(lesioned_page).found:
        assert tag not in {"iframe", "object", "embed", "base"}
        assert attributes.get("src", "data:").startswith("data:")
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "link":
            assert attributes["href"].startswith("data:")
        if tag == "a":
            assert attributes["href"].startswith(("#", "https://doi.org/"))
    assert "@import" not in lesioned_page
    assert "url(" not in lesioned_page
    assert "default-src 'none'" in lesioned_page
    scripts = re.findall(r"<script>(.*?)</script>", lesioned_page, re.DOTALL)
    (digest,) = [hashlib.sha256(script.encode()).digest() for script in scripts]
    assert f"script-src 'sha256-{base64.b64encode(digest).decode()}'" in lesioned_page


def test_every_link_within_the_report_leads_somewhere(lesioned_page):
    tags = Tags(lesioned_page)
    anchors = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(anchors) == len(set(anchors))
    links = {link["href"][1:] for link in tags.named("a") if link["href"].startswith("#")}
    assert links <= set(anchors)
    sections = {section["id"] for section in tags.named("section")}
    assert sections <= links


def test_text_from_the_data_is_shown_not_run(path, healthy):
    evil = "<script>alert('x')</script>"
    page = written(
        path,
        title=evil,
        summary={evil: evil},
        scans=[
            replace(
                healthy,
                name=evil,
                title=evil,
                model=evil,
                numbers={evil: evil},
                finding=Finding(evil, evil, evil, {evil: evil}),
                lesions=Table(evil, evil, [evil], [[evil]]),
                regions=Table(evil, evil, [evil], [[evil]]),
            )
        ],
        methods=[evil],
        references=[evil],
        failures=[Failure(evil, evil, evil)],
        provenance={evil: evil},
        warnings=[evil],
    )
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") > 10
    (data,) = re.findall(r'id="viewer-data">(.*?)</script>', page, re.DOTALL)
    assert "<" not in data


def test_every_picture_has_a_description_and_a_size(lesioned_page):
    images = Tags(lesioned_page).named("img")
    assert len(images) > 30
    for image in images:
        assert len(image["alt"]) > 10
        content = base64.b64decode(image["src"].split(",", 1)[1])
        width, height = Image.open(io.BytesIO(content)).size
        assert (image["width"], image["height"]) == (str(width), str(height))


def test_the_slice_with_the_largest_anomaly_area_is_marked(lesioned_page):
    assert "Anomalies, axial slice at z = +4 mm" in lesioned_page
    (marked,) = re.findall(r'class="position peak">(.*?)</div>', lesioned_page)
    assert "+4" in marked
    assert "largest" in marked


def test_left_is_left(lesioned_page):
    values = picture(lesioned_page, "Residual, axial slice at z = +4 mm")
    left, right = np.array_split(values[BELOW_THE_LETTERS], 2, axis=1)
    assert left.max() > 200
    assert right.max() < 150


def test_thick_slices_keep_their_proportions(healthy_page):
    values = picture(healthy_page, "outline of the brain mask, coronal slice")
    ball = values[BELOW_THE_LETTERS] > 100
    height, width = np.ptp(np.flatnonzero(ball.any(1))), np.ptp(np.flatnonzero(ball.any(0)))
    assert height == pytest.approx(width, rel=0.15)


def test_a_scan_without_anomalies_says_so(healthy_page):
    assert "There is no finding, so none is drawn." in healthy_page
    assert "Largest anomaly" not in healthy_page
    assert 'class="position peak"' not in healthy_page


def test_a_model_without_pseudo_healthy_image_shows_the_rest(path, lesioned):
    page = written(path, scans=[replace(lesioned, pseudo_healthy=None, residual=None)])
    assert "gives no pseudo-healthy image" in page
    assert "Residual" not in page
    assert "Anomalies, axial slice" in page


def test_the_same_content_gives_the_same_file_whatever_is_outside_the_brain(
    path, lesioned, lesioned_page
):
    undefined = np.where(lesioned.brain, lesioned.zscore, np.nan)
    assert written(path, scans=[replace(lesioned, zscore=undefined)]) == lesioned_page


def test_an_empty_brain_mask_still_gives_a_report(path, healthy):
    nothing = np.zeros(healthy.scan.shape)
    native = nib.Nifti1Image(np.zeros((20, 20, 20), np.uint8), np.eye(4))
    empty = replace(healthy, scan=nothing, brain=nothing > 0, native_scan=native)
    assert "sub-01_T1w" in written(path, scans=[replace(empty, native_brain=native)])


def test_a_failed_participant_has_a_report_that_begins_with_the_failure(path):
    page = written(path, scans=[])
    body = page[page.index("<main") :]
    assert body.index("No brain was found.") < body.index("Anomalous volume")
    assert body.index("No brain was found.") < body.index("Look.")
    assert "Traceback: &lt;here&gt;" in page
    assert "not for diagnosis" in page
    assert "<img" not in page


def test_a_failure_names_its_crash_file_and_shows_what_it_holds(path):
    where = "logs/run/crash-20260101.txt"
    page = written(path, scans=[], failures=[replace(FAILURE, crash_file=where)])
    assert f"Crash file: <code>{where}</code>" in page
    assert "Crash file" not in written(path, scans=[])


def test_a_new_report_replaces_the_old_one_and_leaves_nothing_beside_it(path):
    path.write_text("old")
    assert written(path).startswith("<!DOCTYPE html>")
    assert list(path.parent.iterdir()) == [path]


def test_a_report_that_cannot_be_written_leaves_the_old_one(path, monkeypatch):
    def full_disk(source, target):
        raise OSError("No space left on device")

    path.write_text("old")
    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(CannotWriteError, match="No space"):
        written(path)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]
