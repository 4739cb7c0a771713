"""Cards of models, from Markdown to parts of a page."""

import re

import pytest
from PIL import Image

from bids_anomaly.exceptions import ModelUnavailableError
from bids_anomaly.reports.card import read_card, render_card


@pytest.fixture
def folder(tmp_path):
    """A bundle's folder with a picture, beside a picture that is none of its business."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    Image.new("RGB", (30, 20)).save(folder / "one two.png")
    Image.new("RGB", (30, 20)).save(tmp_path / "secret.png")
    (folder / "notes.txt").write_text("no picture")
    (folder / "linked.png").symlink_to(tmp_path / "secret.png")
    return folder


def html_of(text, folder):
    return "".join(section.html for section in render_card(text, folder).sections)


def test_sections_are_those_of_the_card_without_its_title(folder):
    text = "# Name 1.0\n\nFirst.\n\n## Use *it*\n\nSecond.\n\n### Below\n\n## Licence\n\nLast."
    sections = render_card(text, folder).sections
    assert [section.title for section in sections] == ["", "Use it", "Licence"]
    assert len({section.anchor for section in sections}) == 3
    assert "Name" not in html_of(text, folder)
    assert "<h3>Below</h3>" in sections[1].html
    assert render_card("", folder).sections == []


def test_html_in_a_card_is_shown_and_not_run(folder):
    evil = '<script>alert(1)</script>\n\na <img src=x onerror="alert(1)"> `<b>`'
    assert not re.findall(r"<(?!/?(p|code)>)", html_of(evil, folder))
    html = html_of("[a](javascript:alert(1)) ![x](data:text/html,x)", folder)
    assert "href" not in html
    assert "src" not in html


def test_links_lead_to_the_web_only(folder):
    html = html_of("[file](../LICENSE) [web](https://example.org/a)", folder)
    assert re.findall('href="(.*?)"', html) == ["https://example.org/a"]
    assert "file" in html


def test_a_picture_stands_inside_the_page_with_its_words_and_size(folder):
    card = render_card('![Two "cases"](one%20two.png)', folder)
    (section,) = card.sections
    assert 'src="data:image/png;base64,' in section.html
    assert 'width="30" height="20" alt="Two &#34;cases&#34;"' in section.html
    assert card.pictures == {(folder / "one two.png").resolve()}


@pytest.mark.parametrize(
    "source", ["../secret.png", "%2e%2e/secret.png", "linked.png", "/etc/passwd", "notes.txt",
               "gone.png", "."],
)  # fmt: skip
def test_nothing_but_pictures_of_the_folder_is_shown(source, folder):
    with pytest.raises(ModelUnavailableError, match=r"README\.md shows .*, which is"):
        render_card(f"![x]({source})", folder)


def test_a_picture_of_the_web_is_a_link(folder):
    html = html_of("![badge](https://example.org/a.png)", folder)
    assert "<img" not in html
    assert ">badge</a>" in html


def test_a_wide_table_scrolls_by_itself(folder):
    html = html_of("| a | b |\n| --- | --- |\n| 1 | 2 |", folder)
    assert html.startswith('<div class="scroll"')
    assert "<td>1</td>" in html


def test_a_card_that_is_no_text_is_named(folder):
    assert read_card(folder) == ""
    (folder / "README.md").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelUnavailableError, match=r"README\.md cannot be read"):
        read_card(folder)
