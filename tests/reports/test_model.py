"""The page of a model, also in a real browser with the network cut."""

import json
import re
import shutil

import pytest
from PIL import Image

from bids_anomaly.exceptions import ModelUnavailableError
from bids_anomaly.reconstruction.bundle import load_bundle, named_bundle, packaged_bundles
from bids_anomaly.reports.model import RATES, describe_model, write_model_page

LABEL = '"><img src=x onerror="document.title=1"><script>document.title=1</script>'
CARD = f"""# {LABEL}

{LABEL}

## Where it fails

![Three cases](failures.png)

| data | {LABEL} |
| --- | --- |
| someone | 0.5 |
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A bundle with HTML wherever it can bring it, one picture in its card and one beside."""
    folder = tmp_path_factory.mktemp("bundles") / "mine"
    shutil.copytree(named_bundle("threshold-T1w").folder, folder)
    described = json.loads((folder / "bundle.json").read_text())
    described |= {"name": LABEL, "version": LABEL, "licence": LABEL, "metrics": {LABEL: [LABEL]}}
    described["calibration"]["data"] = LABEL
    (folder / "bundle.json").write_text(json.dumps(described))
    (folder / "README.md").write_text(CARD)
    Image.new("RGB", (900, 300), "white").save(folder / "failures.png")
    Image.new("RGB", (300, 200), "white").save(folder / "rates.png")
    return folder


@pytest.fixture(scope="module")
def report(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "model.html"
    write_model_page(path, load_bundle(folder))
    return path


@pytest.mark.parametrize("bundle", packaged_bundles(), ids=lambda bundle: bundle.name)
def test_every_packaged_bundle_has_a_page(bundle, tmp_path):
    write_model_page(tmp_path / "page.html", bundle)
    page = (tmp_path / "page.html").read_text()
    assert len(page) < 15e6
    for fact in (bundle.version, bundle.method, bundle.digest, "CC-BY-SA-4.0", "80 × 96 × 80"):
        assert fact in page
    if bundle.weights:
        assert bundle.description["sha256"] in page
    assert "Intended use" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#|https://)', page)


def test_the_same_bundle_gives_the_same_page(folder, report, tmp_path):
    write_model_page(tmp_path / "again.html", load_bundle(folder))
    assert (tmp_path / "again.html").read_bytes() == report.read_bytes()


def test_thresholds_are_those_that_make_the_mask(folder):
    facts = describe_model(load_bundle(folder))
    for rate, row in zip(RATES, facts.rates.rows, strict=True):
        score = float(row[2].replace("−", "-"))
        assert facts.calibration.zscore(score) == pytest.approx(float(row[1]), abs=0.02)
        assert row[0].startswith(f"{100 * rate:g}")


@pytest.mark.parametrize(
    "damage", [{"calibration": []}, {"training": "x"}, {"licence": None, "calibration": 3}]
)
def test_a_description_that_cannot_be_shown_is_told(damage, folder, tmp_path):
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    described = json.loads((damaged / "bundle.json").read_text())
    (damaged / "bundle.json").write_text(json.dumps(described | damage))
    with pytest.raises(ModelUnavailableError, match=r"cannot be (shown|its)"):
        write_model_page(tmp_path / "page.html", load_bundle(damaged))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_and_shows_html_in_the_bundle(width, scheme, open_page):
    page = open_page(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.title().startswith(LABEL)
    assert page.locator("img[src=x]").count() == 0
    for place in ("#card-1", "#bundle", "#summary"):
        assert LABEL in page.locator(place).inner_text()
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(20, 24, 27)") == (scheme == "dark")


def test_pictures_are_there_once_with_words(open_page):
    page = open_page()
    loaded = page.locator("main img")
    assert [loaded.nth(i).get_attribute("alt")[:11] for i in range(loaded.count())] == [
        "Three cases",
        "Nominal aga",
    ]
    assert all(page.evaluate("[...document.images].map((image) => image.naturalWidth)"))
    assert page.locator("#calibration svg").get_attribute("aria-label")


def test_links_of_the_navigation_lead_to_sections(open_page):
    page = open_page()
    links = page.locator("nav a")
    for link in [links.nth(i).get_attribute("href") for i in range(links.count())]:
        assert page.locator(link).count() == 1
