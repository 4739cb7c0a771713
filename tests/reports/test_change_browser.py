"""What changed since the session before, in a real browser."""

import numpy as np
import pytest

from bids_anomaly.reports.change import ChangeReport, ChangeSection, Later
from bids_anomaly.reports.figures import GREY, Scale, draw, strip
from bids_anomaly.reports.session_page import SessionPage, write_session_page
from bids_anomaly.reports.tables import Table
from bids_anomaly.reports.views import AXIAL, full_window, tight_view

LABEL = '"><img src=x onerror="document.title=1">'
CENTRES = ((-11.0, -6.0, 8.0), (9.0, 10.0, -4.0))


@pytest.fixture(scope="module")
def report(lesioned, tmp_path_factory):
    """Write the report of a session with change since another, and HTML in what is from data."""
    view = tight_view(AXIAL, 15, full_window(lesioned.scan.shape), lesioned.spacing)
    pictures = [
        draw([view], lesioned.scan, Scale(GREY, 0, 2), width=480, alts=[alt])[0]
        for alt in ("first", "second", "change")
    ]
    table = Table(
        "Findings over time",
        LABEL,
        ["Finding", "Verdict", "Change (mm³)", "Region"],
        [["1", "new", "+900", LABEL], ["2", "shrunk", "−90", "Putamen, left"]],
        numeric=(2,),
        places=[" ".join(map(str, centre)) for centre in CENTRES],
        what="finding",
    )
    strips = [strip(LABEL, LABEL, pictures, ["a", "b", "c"])]
    section = ChangeSection("sub-01_ses-2_T1w", LABEL, LABEL, LABEL, table, strips)
    path = tmp_path_factory.mktemp("change") / "sub-01_ses-2.html"
    write_session_page(
        path,
        SessionPage(
            title="sub-01_ses-2",
            scans=[lesioned],
            change=ChangeReport([section], [Later("sub-01_ses-3", "sub-01_ses-3.html")], []),
        ),
    )
    return path


@pytest.mark.parametrize("width", [1280, 400])
def test_the_change_fits_and_shows_what_is_from_data_as_text(width, open_page):
    page = open_page(width)
    page.wait_for_selector("#viewer-body.ready")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.title().startswith("sub-01_ses-2")
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("#change h3").first.inner_text() == LABEL
    alts = page.locator("#change img").evaluate_all("(all) => all.map((image) => image.alt)")
    assert alts == ["first", "second", "change"]
    # Both sessions have one size, side by side.
    first, second, _ = (page.locator("#change img").nth(i).bounding_box() for i in range(3))
    assert first["width"] == pytest.approx(second["width"], abs=1)
    assert first["y"] == second["y"]


def test_choosing_a_finding_moves_the_viewer_there(open_page):
    page = open_page()
    page.wait_for_selector("#viewer-body.ready")
    for index in (1, 0):
        row = page.locator("#change tbody tr").nth(index)
        row.get_by_role("button").click()
        page.wait_for_timeout(100)
        at = [float(mm) for mm in page.locator("#viewer-body").get_attribute("data-at").split()]
        assert np.abs(np.subtract(at, CENTRES[index])).max() <= 1
        assert row.get_attribute("aria-current") == "true"


def test_the_table_sorts_and_the_next_session_is_linked(open_page):
    page = open_page()
    heading = page.locator("#change thead th").nth(2)
    for expected in ("+900", "−90"):  # the largest first
        heading.get_by_role("button").click()
        first = page.locator("#change tbody tr").first.locator("td").nth(2)
        assert first.inner_text() == expected
    link = page.locator("#change a")
    assert link.get_attribute("href") == "sub-01_ses-3.html"
    assert "sub-01_ses-3" in link.inner_text()
