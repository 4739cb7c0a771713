"""Links between pages of the documentation lead somewhere, and the site has every page."""

import re
import runpy
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
IN_REPOSITORY = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
ELSEWHERE = ("https://", "http://", "mailto:")
MOST_WORDS_OF_THE_README = 1200


@cache
def parsed(page: str) -> list:
    """Return the pieces of a page."""
    return MarkdownIt().enable("table").parse(page)


def links(page: str, *, kinds: tuple[str, ...] = ("link_open", "image")) -> list[str]:
    """Return where links and pictures of a page lead."""
    pieces = [child for token in parsed(page) for child in token.children or ()]
    return [
        piece.attrs["href" if piece.type == "link_open" else "src"]
        for piece in pieces
        if piece.type in kinds
    ]


def anchors(page: str) -> set[str]:
    """Return the anchors of the headings of a page: lower case, words joined by hyphens."""
    tokens = parsed(page)
    headings = [
        "".join(child.content for child in text.children)
        for opening, text in pairwise(tokens)
        if opening.type == "heading_open"
    ]
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def broken(path: Path, *, within: Path) -> list[str]:
    """Return the links of a page that lead nowhere, or out of a folder."""
    wrong = []
    for link in links(path.read_text()):
        if link.startswith(ELSEWHERE):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        is_there = target.exists() and target.is_relative_to(within)
        if not is_there or (anchor and anchor not in anchors(target.read_text())):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_of_a_page_lead_to_pages_of_the_site(path):
    assert broken(path, within=ROOT / "docs") == []


@pytest.mark.parametrize("path", IN_REPOSITORY, ids=lambda path: path.name)
def test_links_of_the_repository_lead_somewhere(path):
    assert broken(path, within=ROOT) == []


@pytest.mark.parametrize(
    ("link", "is_broken"),
    [
        ("[a](other.md)", False),
        ("[a](other.md#two-words-and-code)", False),
        ("[a](#here)", False),
        ("![a](picture.png)", False),
        ("[a](https://example.org/none)", False),
        ("| [a](missing.md) |\n| --- |\n", True),
        ("[a](other.md#three)", True),
        ("[a](#there)", True),
        ("![a](other.png)", True),
        ("[a](../outside.md)", True),
    ],
)
def test_a_link_that_leads_nowhere_is_noticed(tmp_path, link, is_broken):
    folder = tmp_path / "docs"
    folder.mkdir()
    (tmp_path / "outside.md").write_text("# Outside\n")
    (folder / "other.md").write_text("# Other\n\n## Two words, and `code`\n\n```\n## Three\n```\n")
    (folder / "picture.png").write_bytes(b"")
    page = folder / "page.md"
    page.write_text(f"# Page\n\n## Here\n\n{link}\n")
    assert bool(broken(page, within=folder)) is is_broken


def test_the_site_leads_to_every_page_once():
    index = (ROOT / "docs" / "index.md").read_text()
    entries = [
        line
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", index, re.DOTALL)
        for line in tree.splitlines()
        if line and not line.startswith(":")
    ]
    pages = [re.sub(r".*<(.*)>", r"\1", entry) for entry in entries]
    assert sorted([*pages, "index"]) == [page.stem for page in PAGES]


def test_the_site_loads_nothing_from_elsewhere():
    """What pages and settings name is in the folder; the theme brings its own."""
    text = (ROOT / "docs" / "conf.py").read_text()
    assert "://" not in text
    assert not re.search(r"html_(js|css)_files|mathjax|intersphinx", text)
    for page in PAGES:
        loaded = [link for link in links(page.read_text(), kinds=("image",)) if "://" in link]
        assert loaded == []


def test_a_broken_link_or_anchor_fails_the_build_of_the_site():
    assert runpy.run_path(str(ROOT / "docs" / "conf.py"))["nitpicky"] is True
    assert "sphinx-build --fail-on-warning" in (ROOT / "Makefile").read_text()


def test_the_readme_is_for_someone_in_a_hurry():
    assert len((ROOT / "README.md").read_text().split()) <= MOST_WORDS_OF_THE_README


def test_every_test_that_a_page_names_is_there():
    named = {
        (page.name, path)
        for page in PAGES
        for path in re.findall(r"`(tests/[\w./-]+)`", page.read_text())
    }
    assert ("coming-from.md", "tests/bids/test_ratings.py") in named
    assert not [(page, path) for page, path in named if not (ROOT / path).exists()]
