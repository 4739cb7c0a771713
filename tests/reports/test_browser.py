"""The participant report in a real browser, with the network cut."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bids_anomaly.bids.ratings import Rating, read_ratings
from bids_anomaly.reports.finding import Finding
from bids_anomaly.reports.ratings import rating_form
from bids_anomaly.reports.session_page import Failure, SessionPage, write_session_page
from bids_anomaly.reports.tables import Table, lesion_table

WIDTHS = (1280, 400)
LABEL = '"><img src=x onerror="document.title=1"><script>document.title=1</script>'
LESIONS = [
    {
        "index": str(index),
        "volume": volume,
        "region": "Putamen_L",
        "side": "left",
        "z_peak": "4",
        "confidence": "0.9",
        **dict(zip(("centroid_x", "centroid_y", "centroid_z"), map(str, centre), strict=True)),
    }
    for index, volume, centre in (
        (1, "900", (-11, -6, 8)),
        (2, "90", (9, 10, -4)),
        # As of a finding that is curved around its centre.
        (3, "80", (-11, -6, 20)),
    )
]


@pytest.fixture(scope="module")
def report(lesioned, tmp_path_factory):
    """Write a report with two scans, with HTML wherever data can bring it."""
    path = tmp_path_factory.mktemp("browser") / "sub-01.html"
    mask = lesioned.mask.copy()
    mask[19, 25, 13] = True
    first = replace(
        lesioned,
        name=LABEL,
        mask=mask,
        finding=Finding(LABEL, "", LABEL, {LABEL: LABEL}),
        lesions=lesion_table(LESIONS),
        regions=Table(LABEL, LABEL, [LABEL], [[LABEL]]),
    )
    second = replace(
        lesioned,
        name="second",
        title=LABEL,
        finding=Finding("Nothing.", "", LABEL, {LABEL: LABEL}),
        lesions=lesion_table([]),
        regions=Table(LABEL, "No regions.", [], []),
        mask=np.zeros(mask.shape, bool),
    )
    write_session_page(
        path,
        SessionPage(
            title=LABEL,
            summary={LABEL: LABEL},
            scans=[first, second],
            methods=["Scans were registered.", LABEL],
            references=[LABEL],
            failures=[Failure(LABEL, LABEL, LABEL)],
            provenance={"Command": LABEL},
            warnings=[LABEL],
            quality=Table(LABEL, LABEL, ["Scan", "Value"], [["b", "−2"], ["a", "10"], ["c", "9"]]),
            rating=rating_form("sub-01_ses-2", LABEL),
        ),
    )
    return path


@pytest.fixture(scope="module")
def finer_report(lesioned, tmp_path_factory):
    """Write a report whose scan has twice the resolution of its maps: stripes of one voxel."""
    path = tmp_path_factory.mktemp("finer") / "sub-01.html"
    twice = lesioned.scan.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    stripes = np.where(np.arange(twice.shape[0]) % 2, 1.2, 0.8)[:, np.newaxis, np.newaxis]
    finer = replace(lesioned, finer_scan=twice * stripes)
    write_session_page(path, SessionPage(title="sub-01", scans=[finer]))
    return path


@pytest.fixture
def open_page(open_page):
    """Give a function that opens the report and waits until the viewer has drawn."""

    def open_drawn(width=1280, scheme="light"):
        page = open_page(width, scheme)
        page.wait_for_selector("#viewer-body.ready")
        settle(page)
        return page

    return open_drawn


def settle(page):
    """Wait until what was asked for is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")


def pixels(page, plane) -> np.ndarray:
    """Return what is drawn on a canvas: rows, columns and colours."""
    uri = page.locator(".plane canvas").nth(plane).evaluate("(canvas) => canvas.toDataURL()")
    content = base64.b64decode(uri.split(",")[1])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), float)


def place(page) -> list[int]:
    return [int(part) for part in page.locator("#viewer-body").get_attribute("data-at").split()]


def slide(page, slider, value):
    """Move a slider as near to a value as its steps allow."""
    page.locator(slider).evaluate(
        "(slider, value) => { slider.value = value; "
        "slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )
    settle(page)


def choose(page, layer):
    page.locator(".choice label", has_text=layer).first.click()
    settle(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_viewer_draws_and_the_page_fits(width, scheme, open_page):
    page = open_page(width, scheme)
    for plane in range(3):
        values = pixels(page, plane)
        assert values.shape[1] > 100
        assert (values > 100).mean() > 0.2
        assert (values < 10).mean() > 0.05
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    hidden = page.locator("nav > div").evaluate("(bar) => bar.scrollWidth - bar.clientWidth")
    assert hidden <= 0 or width < 700  # on narrow screens the bar is scrolled
    page_colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (page_colour == "rgb(20, 24, 27)") == (scheme == "dark")


def test_html_in_the_data_is_shown_and_not_run(open_page):
    page = open_page()
    assert page.title().startswith(LABEL)
    assert page.locator("h1").inner_text() == LABEL
    assert page.locator("img[src=x]").count() == 0


def test_every_layer_looks_different(open_page):
    page = open_page()
    page.locator("#viewer-outline").uncheck()
    shown = []
    for layer in ("Scan", "Pseudo-healthy", "Residual", "z-score", "Mask"):
        choose(page, layer)
        shown.append(pixels(page, 0))
    for i, one in enumerate(shown):
        for other in shown[:i]:
            assert np.abs(one - other).max() > 20


def test_the_slider_moves_the_line_between_scan_and_pseudo_healthy_image(open_page):
    page = open_page()
    page.locator("#viewer-outline").uncheck()
    shown = {}
    for layer in ("Scan", "Pseudo-healthy"):
        choose(page, layer)
        shown[layer] = pixels(page, 0)
    slider = page.locator("#viewer-wipe")
    for value, expected in ((100, "Scan"), (0, "Pseudo-healthy")):
        slider.fill(str(value))
        settle(page)
        inner = slice(5, -5)  # beside the line
        difference = pixels(page, 0)[:, inner] - shown[expected][:, inner]
        assert np.abs(difference).max() < 5
    assert page.locator("#viewer-body").get_attribute("data-layer") == "Compare"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "1"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_line_between_the_images_can_be_dragged(width, open_page):
    page = open_page(width)
    choose(page, "Compare")
    canvas = page.locator(".plane canvas").first
    canvas.scroll_into_view_if_needed()
    box, before = canvas.bounding_box(), place(page)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20, steps=4)
    page.mouse.up()
    assert float(page.locator("#viewer-wipe").input_value()) == pytest.approx(25, abs=2)
    assert place(page) == before


@pytest.mark.parametrize("how", ["row", "button", "keyboard"])
def test_choosing_a_finding_moves_the_cross_to_its_centre(how, open_page):
    page = open_page()
    for index, centre in ((1, [-9, 10]), (0, [-11, -6, 8])):
        row = page.locator("#findings tbody tr").nth(index)
        if how == "row":
            row.locator("td").nth(2).click()
        elif how == "button":
            row.get_by_role("button").click()
        else:
            row.get_by_role("button").focus()
            page.keyboard.press("Enter")
        settle(page)
        centre = [float(LESIONS[index][f"centroid_{axis}"]) for axis in "xyz"]
        assert np.abs(np.subtract(place(page), centre)).max() <= 1  # half a voxel
        assert row.get_attribute("aria-current") == "true"
        assert page.locator("#findings [aria-current]").count() == 1
    assert page.locator("[data-read=outline]").inner_text() == "inside"


def test_the_cross_stands_on_a_finding_whose_centre_lies_beside_it(open_page):
    page = open_page()
    page.locator("#findings tbody tr").nth(2).get_by_role("button").click()
    settle(page)
    assert place(page) == [-11, -6, 12]
    assert page.locator("[data-read=outline]").inner_text() == "inside"


def test_what_is_said_outlined_and_filled_is_of_the_scan_that_is_shown(open_page):
    page = open_page()
    page.locator("#findings tbody tr").first.get_by_role("button").click()
    choose(page, "Mask")
    filled = pixels(page, 0)
    orange = (filled[..., 0] - filled[..., 2]) > 60
    assert orange.any()
    assert page.locator(".headline:visible").inner_text() == LABEL
    page.locator("input[name=viewer-subject]").nth(1).check(force=True)
    settle(page)
    assert page.locator("#viewer-body").get_attribute("data-layer") == "Mask"
    other = pixels(page, 0)
    assert not ((other[..., 0] - other[..., 2]) > 60).any()
    assert page.locator("[data-read=outline]").inner_text() == "outside"
    assert page.locator(".headline:visible").inner_text() == "Nothing."
    assert page.locator("#findings tbody tr:visible").count() == 0
    assert "No findings." in page.locator("#findings").inner_text()
    assert "No regions." in page.locator("#regions").inner_text()


def test_the_cross_reads_the_value_below_it(open_page):
    page = open_page()
    page.locator("#findings tbody tr").first.get_by_role("button").click()
    settle(page)
    assert page.locator("[data-read=scan]").inner_text().startswith("2.0")
    assert 9 < float(page.locator("[data-read=zscore]").inner_text()) < 12


def test_values_outside_the_brain_and_beyond_what_is_stored_are_told(lesioned, browser, tmp_path):
    scan = lesioned.scan.copy()
    scan[8, 16, 19] = 50
    path = tmp_path / "sub-01.html"
    write_session_page(path, SessionPage(title="sub-01", scans=[replace(lesioned, scan=scan)]))
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("#viewer-body.ready")

    def read_at(voxel):
        mm = lesioned.affine[:3] @ [*voxel, 1]
        page.evaluate(
            "(mm) => { const row = document.createElement('p'); row.dataset.mm = mm; "
            "document.body.append(row); row.click(); row.remove(); }",
            " ".join(map(str, mm)),
        )
        settle(page)
        return [page.locator(f"[data-read={name}]").inner_text() for name in ("scan", "zscore")]

    assert read_at((0, 0, 0))[1] == "–"
    beyond, inside = read_at((8, 16, 19))[0], read_at((7, 16, 19))[0]
    assert beyond.startswith("≥ ")
    assert 2 < float(beyond[2:]) < 50
    assert float(inside) == pytest.approx(2, abs=0.02)
    context.close()


def test_a_scan_is_shown_and_read_at_its_own_resolution(browser, finer_report, lesioned):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.goto(finer_report.as_uri())
    page.wait_for_selector("#viewer-body.ready")
    settle(page)
    page.locator("#viewer-outline").uncheck()
    canvas = page.locator(".plane canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.4 * box["height"])

    def read(name):
        return float(page.locator(f"[data-read={name}]").inner_text())

    read_out, healthy = [], []
    for _ in range(4):
        page.keyboard.press("ArrowRight")
        settle(page)
        read_out.append(read("scan"))
        healthy.append(read("healthy"))
        # No finding is near, so that nothing is taken away.
        assert read("residual") == pytest.approx(0, abs=0.011)
    # A step is half a voxel of the maps, and leads from a dark stripe to a bright one.
    assert np.ptp(read_out[:2]) > 0.25
    assert np.ptp(read_out[2:]) > 0.25
    np.testing.assert_allclose(healthy, read_out, atol=0.03)
    striped = pixels(page, 0)
    middle = striped[striped.shape[0] * 2 // 5, :, 0]
    inside = middle[len(middle) // 3 : 2 * len(middle) // 3]
    # Bright and dark change places about once a millimetre: 26 mm of brain are 26 stripes.
    assert np.count_nonzero(np.diff(np.sign(np.diff(inside))) != 0) >= 6
    # Maps over it stay where they are.
    page.locator("#viewer-outline").check()
    page.locator("#viewer-peak").click()
    choose(page, "Mask")
    assert page.locator("[data-read=outline]").inner_text() == "inside"
    at = page.evaluate("document.querySelector('#viewer-body').dataset.at.split(' ').map(Number)")
    voxel = np.linalg.inv(lesioned.affine)[:3] @ [*at, 1]
    assert lesioned.mask[tuple(np.rint(voxel).astype(int))]
    context.close()


def test_a_click_the_wheel_and_keys_move_the_cross(open_page):
    page = open_page()
    canvas = page.locator(".plane canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    settle(page)
    x, y, z = place(page)
    assert x < -5  # left is left
    assert y > 5
    page.mouse.wheel(0, -100)
    settle(page)
    assert place(page) == [x, y, z + 2]
    for key in ("ArrowRight", "ArrowDown", "PageDown"):
        page.keyboard.press(key)
    settle(page)
    assert place(page) == [x + 2, y - 2, z]
    slider = page.locator(".plane input").first
    slider.focus()
    page.keyboard.press("ArrowRight")
    settle(page)
    assert place(page) == [x + 2, y - 2, z + 2]


def test_the_wheel_scrolls_the_page_until_a_picture_is_clicked(open_page):
    page = open_page()
    canvas = page.locator(".plane canvas").first
    canvas.scroll_into_view_if_needed()
    canvas.hover()
    before = place(page), page.evaluate("scrollY")
    page.mouse.wheel(0, 200)
    page.wait_for_timeout(500)
    assert page.evaluate("scrollY") > before[1]
    assert place(page) == before[0]


def test_the_viewer_opens_on_the_highest_score_of_the_first_scan(lesioned, open_page):
    page = open_page()
    inside = np.where(lesioned.mask, lesioned.zscore, -np.inf)
    voxel = np.unravel_index(np.argmax(inside), inside.shape)
    peak = lesioned.affine[:3] @ [*voxel, 1]
    assert place(page) == [round(value) for value in peak]
    page.locator("#findings tbody tr").nth(1).get_by_role("button").click()
    settle(page)
    assert place(page) != [round(value) for value in peak]
    page.locator("#viewer-peak").click()
    settle(page)
    assert place(page) == [round(value) for value in peak]


def test_the_scale_fits_the_map_and_its_threshold_is_marked(lesioned, open_page):
    page = open_page()
    mark = page.locator(".viewer-mark")
    assert not mark.is_visible()
    choose(page, "z-score")
    assert mark.is_visible()
    assert mark.get_attribute("data-words") == "threshold 2.9"
    high = float(page.locator(".viewer-bar-high").inner_text())
    assert 0 <= high - lesioned.zscore.max() <= 0.5
    left = float(mark.evaluate("(mark) => parseFloat(mark.style.left)"))
    assert left == pytest.approx(100 * lesioned.z_threshold / high, abs=1)


def test_zoom_keeps_the_cross_in_sight_and_clicks_where_they_are(open_page):
    page = open_page()
    page.locator("#findings tbody tr").first.get_by_role("button").click()
    settle(page)
    whole, at = pixels(page, 0), place(page)
    for _ in range(3):
        page.get_by_label("Zoom in").click()
    settle(page)
    assert place(page) == at
    assert page.locator("#viewer-body").get_attribute("data-zoom") == "3"
    assert np.abs(pixels(page, 0) - whole).max() > 100
    canvas = page.locator(".plane canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    # A tenth of the picture is a thirtieth of the brain.
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    settle(page)
    middle = place(page)
    page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    settle(page)
    assert 0 < place(page)[0] - middle[0] <= 4
    page.keyboard.press("-")
    page.keyboard.press("-")
    page.keyboard.press("-")
    settle(page)
    assert page.locator("#viewer-body").get_attribute("data-zoom") == "1"


def test_window_and_level_change_the_greys_alone(open_page):
    page = open_page()
    page.locator("#viewer-outline").uncheck()
    before = pixels(page, 0)
    slide(page, "#viewer-level", 0.3)
    assert pixels(page, 0).mean() > before.mean() + 10
    page.locator("#viewer-reset").click()
    settle(page)
    np.testing.assert_array_equal(pixels(page, 0), before)
    choose(page, "Residual")
    residual = pixels(page, 0)
    slide(page, "#viewer-window", 0.2)
    np.testing.assert_array_equal(pixels(page, 0), residual)


def test_the_radiological_side_mirrors_pictures_letters_and_clicks(open_page):
    page = open_page()

    def letters(plane):
        return page.locator(".plane").nth(plane).locator(".picture i").all_inner_texts()

    assert [letters(plane) for plane in range(3)] == [list("LRAP"), list("LRSI"), list("PASI")]
    neurological = pixels(page, 0)
    page.locator("#viewer-side").check()
    settle(page)
    assert [letters(plane) for plane in range(3)] == [list("RLAP"), list("RLSI"), list("PASI")]
    assert np.abs(pixels(page, 0)[:, ::-1] - neurological).mean() < 3
    assert np.abs(pixels(page, 0) - neurological).max() > 100
    canvas = page.locator(".plane canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    settle(page)
    x, y, z = place(page)
    assert x > 5  # the left of the picture is the right of the person
    page.keyboard.press("ArrowRight")
    settle(page)
    assert place(page) == [x - 2, y, z]


def test_a_rating_is_saved_as_the_group_level_reads_it(open_page, tmp_path):
    page = open_page()
    form = page.locator("#rating-form")
    form.get_by_text("doubtful").click()
    form.locator("textarea").fill("=moved\tin\nthe scanner")
    with page.expect_download() as download:
        form.get_by_role("button", name="Save").click()
    assert download.value.suggested_filename == "sub-01_ses-2_rating.tsv"
    (tmp_path / "ratings").mkdir()
    download.value.save_as(tmp_path / "ratings" / download.value.suggested_filename)
    (saved,) = tmp_path.glob("ratings/*")
    assert "\t'=moved in" in saved.read_text()  # no formula to a spreadsheet
    told = []
    assert read_ratings(tmp_path, told.append) == {
        "sub-01_ses-2": Rating("doubtful", "=moved in the scanner")
    }
    assert told == []


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_fit_without_being_scrolled(width, open_page):
    page = open_page(width)
    tables = page.locator(".scroll:has(table.sortable):visible")
    assert tables.count() >= 3
    for i in range(tables.count()):
        assert tables.nth(i).evaluate("(box) => box.scrollWidth - box.clientWidth") <= 0


def test_tables_sort_by_numbers_and_words(open_page):
    page = open_page()
    headings = page.locator("#quality thead th")
    rows = page.locator("#quality tbody tr")

    def column(index):
        return [rows.nth(i).locator("td").nth(index).inner_text() for i in range(3)]

    headings.nth(1).get_by_role("button").click()
    assert column(1) == ["−2", "9", "10"]
    headings.nth(1).get_by_role("button").click()
    assert column(1) == ["10", "9", "−2"]
    assert headings.nth(1).get_attribute("aria-sort") == "descending"
    headings.nth(0).get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert column(0) == ["a", "b", "c"]


def test_the_methods_are_copied_with_their_references(open_page):
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("Scans were registered.")
    assert "References" in copied


def test_nothing_moves_after_the_page_is_laid_out(browser, report):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver((list) => list.getEntries().forEach((entry) => "
        "{ window.shift += entry.value; })).observe({ type: 'layout-shift', buffered: true });"
    )
    page.goto(report.as_uri())
    page.wait_for_selector("#viewer-body.ready")
    settle(page)
    for layer in ("Compare", "z-score", "Mask"):
        choose(page, layer)
    assert page.evaluate("window.shift") < 0.001
    context.close()


def test_without_scripts_the_page_shows_the_pictures(browser, report):
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator(".mosaic img").first.is_visible()
    # Nothing can be chosen, so that what was found in every scan is seen.
    assert page.locator(".headline:visible").count() == 2
    context.close()
