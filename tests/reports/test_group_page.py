"""The page of the group level in a real browser, with the network cut."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from bids_anomaly.preprocessing.template import OUTPUT_GRID, template_brain
from bids_anomaly.reports.burden_chart import burden_chart
from bids_anomaly.reports.group_maps import Map, map_table
from bids_anomaly.reports.group_page import (
    Finding,
    GroupPage,
    LikenessSection,
    Linked,
    People,
    Person,
    spark,
    write_group_page,
)
from bids_anomaly.reports.group_viewer import (
    MOST_GROUPS,
    GroupMaps,
    group_viewer,
    most_frequent_place,
)
from bids_anomaly.reports.quality_strips import Point, QualityStrip
from bids_anomaly.reports.tables import Table

LABEL = '"><img src=x onerror="document.title=1"><script>document.title=1</script>'


def person(number: int, group: str, flags: str = "") -> Person:
    volume = (7 * number) % 12  # ml
    link = "sub-0.html" if number == 0 else ""
    cells = [f"{volume:.2f}", "0.1"]
    return Person(f"sub-{number}", link, group, cells, spark([volume, 1], 12), f"{volume}", flags)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Write a page of twelve people, with HTML wherever data can bring it."""
    path = tmp_path_factory.mktemp("group") / "group.html"
    volume = np.zeros(OUTPUT_GRID.shape, np.float32)
    volume[40:50, 50:60, 40:50] = 0.5
    maps = map_table(
        LABEL, LABEL, [Map(LABEL, LABEL, volume, volume > 0)], signed=False, least=0.1, form=".0%"
    )
    groups = [
        GroupMaps("Everybody", volume, {"T1w": -6 * volume, LABEL: volume}),
        GroupMaps(LABEL, 0 * volume, {"T1w": volume}),
    ]
    people = [person(number, LABEL if number < 3 else "control") for number in range(11)]
    table = Table(LABEL, LABEL, [LABEL, "Value"], [["b", "1"], [LABEL, "2"]], numeric=(1,))
    points = [
        Point(20.0, 10.0, "javascript:document.title=1", LABEL, True),
        Point(200.0, 10.0, "sub-0.html", "sub-0_T1w: 0.2", False),
    ]
    strip = QualityStrip(LABEL, LABEL, LABEL, "0", "1", (10.0, 400.0), points)
    write_group_page(path, GroupPage(title=LABEL,
        summary={LABEL: LABEL},
        left_out=[Linked(LABEL, "javascript:document.title=1", LABEL)],
        notes=[LABEL],
        viewer=group_viewer(groups),
        start=most_frequent_place(volume),
        maps=[maps],
        findings=[Finding(LABEL, LABEL)],
        burden=burden_chart({LABEL: [1.0, 20.0], "$x$": [0.0, 0.1]}, LABEL),
        tables=[table],
        regions=[table._replace(places=["", "-10 -20 30"], what="region")],
        outliers=[Linked("sub-0", "sub-0.html", LABEL)],
        outlier_rule=LABEL,
        likeness=LikenessSection([Finding(LABEL, LABEL)], [table], maps),
        people=People(["Anomalous (ml)", LABEL], (0, 1), ["grey", "white"],
                      [*people, person(11, "control", LABEL)], True),
        quality=table,
            strips=[strip],
        flagged=[Linked(LABEL, "", LABEL), Linked("sub-0", "sub-0.html", LABEL)],
        methods=[LABEL],
        provenance={LABEL: LABEL},
    ))  # fmt: skip
    return path


def shown(page) -> list[str]:
    return [text.strip() for text in page.locator("#people tbody tr:visible th").all_inner_texts()]


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits(width, scheme, open_page):
    page = open_page(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert len(shown(page)) == 12


def test_html_in_the_data_is_shown_and_not_run(open_page):
    page = open_page()
    assert page.title().startswith(LABEL)
    assert page.locator("h1").inner_text() == LABEL
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("a[href^='javascript:']").count() == 0


def settled(page):
    """Wait until the viewer has drawn what was asked for."""
    page.wait_for_selector("#viewer-body.ready")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    return page.locator("#viewer-body")


def colours(page) -> np.ndarray:
    """Return the colours on the axial slice, rows by columns."""
    uri = page.locator(".plane canvas").first.evaluate("(canvas) => canvas.toDataURL()")
    content = base64.b64decode(uri.split(",")[1])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), float)


def test_the_viewer_begins_where_most_people_have_an_anomaly(open_page):
    page = open_page()
    viewer = settled(page)
    place = [int(value) for value in viewer.get_attribute("data-at").split()]
    voxel = np.rint(np.linalg.inv(OUTPUT_GRID.affine) @ [*place, 1])[:3]
    assert ((voxel >= [40, 50, 40]) & (voxel < [50, 60, 50])).all()
    assert page.locator("[data-read=frequency]").inner_text() == "50"
    assert page.locator("[data-read=zT1w]").inner_text() == "−3.00"
    assert page.locator("#viewer-outline").count() == 0


def test_maps_and_groups_can_be_chosen_in_the_viewer(open_page):
    page = open_page()
    viewer = settled(page)
    often = colours(page)
    assert (often[..., 0] - often[..., 2]).max() > 80  # orange
    page.locator(".choice label", has_text="Mean z, T1w").click()
    settled(page)
    unusual = colours(page)
    assert (unusual[..., 2] - unusual[..., 0]).max() > 80  # below 0: blue
    page.get_by_label(LABEL, exact=True).locator("xpath=..").first.click()
    settled(page)
    assert viewer.get_attribute("data-layer") == "Mean z, T1w"
    assert page.locator("[data-read=frequency]").inner_text() == "0"
    other = page.get_by_label(f"Mean z, {LABEL}")
    assert other.is_disabled()


def test_a_region_moves_the_viewer(open_page):
    page = open_page()
    viewer = settled(page)
    page.locator("#regions").get_by_role("button", name="Show region").click()
    settled(page)
    assert viewer.get_attribute("data-at") == "-10 -20 30"


def test_the_viewer_shows_a_few_groups_only():
    nothing = np.zeros(OUTPUT_GRID.shape, np.float32)
    groups = [GroupMaps(str(number), nothing, {}) for number in range(9)]
    assert len(group_viewer(groups)["subjects"]) == MOST_GROUPS
    assert most_frequent_place(nothing) == ""


def test_the_viewer_of_many_groups_leaves_room_in_15_mb():
    random = np.random.default_rng(0)
    brain = template_brain(2).get_fdata(dtype=np.float32) > 0.1
    groups = []
    for number in range(MOST_GROUPS):
        noise = random.normal(size=(4, *OUTPUT_GRID.shape)).astype(np.float32)
        smooth = brain * ndimage.gaussian_filter(noise, (0, 1, 1, 1))
        often = np.clip(np.rint(20 * smooth[0]) / 20, 0, 1)
        mean_z = dict(zip(("T1w", "T2w", "FLAIR"), smooth[1:], strict=True))
        groups.append(GroupMaps(str(number), often, mean_z))
    assert len(json.dumps(group_viewer(groups))) < 12e6


def test_doubtful_people_are_links_to_the_quality_of_their_scans(open_page, report):
    link = open_page().locator("#quality").get_by_role("link", name="sub-0", exact=True)
    assert link.evaluate("(a) => a.href") == (report.parent / "sub-0.html").as_uri() + "#quality"


def test_people_are_found_by_words_group_and_quality(open_page):
    page = open_page()
    page.get_by_label("Find").fill("SUB-1")
    assert shown(page) == ["sub-1", "sub-10", "sub-11"]
    assert page.locator("#people-count").inner_text() == "3 of 12 rows"
    page.get_by_label("Group").select_option(LABEL)
    assert shown(page) == ["sub-1"]
    page.get_by_label("Find").fill("")
    page.get_by_label("Group").select_option("")
    page.get_by_label("Only doubtful quality").check()
    assert shown(page) == ["sub-11"]


def test_people_are_sorted_by_a_click(open_page):
    page = open_page()
    page.locator("#people").get_by_role("button", name="Anomalous (ml)").click()
    volumes = [float(text) for text in page.locator("#people td:nth-child(4)").all_inner_texts()]
    assert volumes == sorted(volumes, reverse=True)


def test_a_person_is_a_link_to_the_report(open_page, report):
    page = open_page()
    link = page.locator("#people").get_by_role("link", name="sub-0", exact=True)
    assert link.evaluate("(a) => a.href") == (report.parent / "sub-0.html").as_uri()


def test_bars_of_a_sparkline_keep_small_parts_visible():
    bars = spark([0.0, 1e-6, 3.0, 12.0], 12.0)
    assert [bar.height for bar in bars] == [0.0, 1.0, 9.0, 18.0]
    assert all(bar.y + bar.height == pytest.approx(18) for bar in bars)


def test_a_point_of_a_measure_of_quality_leads_to_the_report(open_page):
    page = open_page()
    point = page.locator(".quality-strips a").nth(1)
    assert point.get_attribute("href") == "sub-0.html#quality"
    assert point.locator("title").text_content() == "sub-0_T1w: 0.2"
    assert page.locator(".quality-strips circle.flagged").count() == 1
