"""The page of the group level in a real browser, with the network cut."""

import numpy as np
import pytest

from bids_anomaly.preprocessing.template import OUTPUT_GRID
from bids_anomaly.reports.burden_chart import burden_chart
from bids_anomaly.reports.group import (
    Finding,
    Linked,
    People,
    Person,
    spark,
    write_group_report,
)
from bids_anomaly.reports.group_maps import Map, map_table
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
    people = [person(number, LABEL if number < 3 else "control") for number in range(11)]
    table = Table(LABEL, LABEL, [LABEL, "Value"], [["b", "1"], [LABEL, "2"]], numeric=(1,))
    write_group_report(
        path,
        title=LABEL,
        summary={LABEL: LABEL},
        left_out=[Linked(LABEL, "javascript:document.title=1", LABEL)],
        notes=[LABEL],
        maps=[maps],
        findings=[Finding(LABEL, LABEL)],
        burden=burden_chart({LABEL: [1.0, 20.0], "$x$": [0.0, 0.1]}, LABEL),
        tables=[table],
        regions=[table],
        outliers=[Linked("sub-0", "sub-0.html", LABEL)],
        outlier_rule=LABEL,
        people=People(["Anomalous (ml)", LABEL], (0, 1), ["grey", "white"],
                      [*people, person(11, "control", LABEL)], True),
        quality=table,
        flagged=[Linked(LABEL, "", LABEL)],
        methods=[LABEL],
        provenance={LABEL: LABEL},
    )  # fmt: skip
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
    link = page.locator("#people").get_by_role("link", name="sub-0")
    assert link.evaluate("(a) => a.href") == (report.parent / "sub-0.html").as_uri()


def test_bars_of_a_sparkline_keep_small_parts_visible():
    bars = spark([0.0, 1e-6, 3.0, 12.0], 12.0)
    assert [bar.height for bar in bars] == [0.0, 1.0, 9.0, 18.0]
    assert all(bar.y + bar.height == pytest.approx(18) for bar in bars)
