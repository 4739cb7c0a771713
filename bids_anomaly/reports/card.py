"""Turn the card of a model, in Markdown, into parts of a page.

Raw HTML in a card is shown as text. Pictures come from the folder of the card and stand inside the
page; nothing is loaded from elsewhere.
"""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from PIL import Image, UnidentifiedImageError

from bids_anomaly.exceptions import ModelUnavailableError
from bids_anomaly.reports.figures import Picture

CARD = "README.md"
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
# Where a page may link to; other files of a bundle do not travel with its page.
LINKED = ("https://", "http://", "mailto:", "#")


class CardSection(NamedTuple):
    """A part of a card below a heading (empty before the first), and its name in the page."""

    title: str
    anchor: str
    html: Markup


class Card(NamedTuple):
    """The sections of a card, and which pictures of its folder it shows."""

    sections: Sequence[CardSection]
    pictures: frozenset[Path]


def read_card(folder: Path) -> str:
    """Return the text of the card of a bundle, empty if there is none.

    Raises
    ------
    ModelUnavailableError
        If it cannot be read.
    """
    path = folder / CARD
    if not path.exists():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelUnavailableError(
            f"The card {path} cannot be read ({error}). Write it again, in UTF-8, or remove it."
        ) from error


def render_card(text: str, folder: Path) -> Card:
    """Turn a card into sections of a page.

    Parameters
    ----------
    text : str
        CommonMark with tables. Its title, a heading of the first level, is left out: the page has
        one.
    folder : Path
        Where its pictures are.

    Raises
    ------
    ModelUnavailableError
        If a picture is not one, or not in the folder.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    for name, rule in _RULES.items():
        markdown.add_render_rule(name, rule)
    shown: set[Path] = set()
    surroundings = {"folder": folder, "pictures": shown}
    sections = []
    for number, (title, tokens) in enumerate(_by_heading(markdown.parse(text)), start=1):
        html = markdown.renderer.render(tokens, markdown.options, surroundings)
        if title or html.strip():
            sections.append(CardSection(title, f"card-{number}", Markup(html)))
    return Card(sections, frozenset(shown))


def picture_beside(folder: Path, source: str) -> tuple[Path, Picture]:
    """Read a picture that a card shows.

    Parameters
    ----------
    folder : Path
        Of the card.
    source : str
        As the card names it.

    Returns
    -------
    Path
        The file.
    Picture
        Without words.

    Raises
    ------
    ModelUnavailableError
        If it is not a picture in the folder.
    """
    home = folder.resolve()
    path = (home / unquote(source)).resolve()
    wrong = ""
    if not path.is_relative_to(home):
        wrong = "is outside of its folder"
    elif not path.is_file():
        wrong = "is not there"
    else:
        try:
            with Image.open(path) as image:
                kind, (width, height) = MEDIA_TYPES.get(image.format), image.size
            content = path.read_bytes()
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
            kind = None
        if kind is None:
            wrong = f"is not a picture ({', '.join(MEDIA_TYPES)})"
    if wrong:
        raise ModelUnavailableError(
            f"The card {folder / CARD} shows {source}, which {wrong}. Put the picture beside the "
            "card, or take it out of the card."
        )
    uri = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
    return path, Picture(uri, width, height, "")


def _by_heading(tokens: Sequence[Token]) -> Iterator[tuple[str, list[Token]]]:
    """Cut the blocks of a card at its headings of the first two levels."""
    title, part, is_first = "", [], True
    rest = iter(tokens)
    for token in rest:
        if token.type == "heading_open" and token.tag in ("h1", "h2"):
            heading = next(rest)
            next(rest)  # its end
            if token.tag == "h1" and is_first:
                is_first = False
                continue
            yield title, part
            title, part = _words(heading), []
        else:
            part.append(_without_local_links(token))
    yield title, part


def _words(inline: Token) -> str:
    return "".join(child.content for child in inline.children or () if child.content)


def _without_local_links(token: Token) -> Token:
    """Leave only the words of links to files, which a page that was sent has no more."""
    kept, dropped = [], False
    for child in token.children or ():
        if child.type == "link_open":
            dropped = not child.attrs["href"].lower().startswith(LINKED)
        if not (dropped and child.type in ("link_open", "link_close")):
            kept.append(child)
    if token.children is not None:
        token.children = kept
    return token


def _picture(renderer, tokens, position, options, surroundings) -> str:
    token = tokens[position]
    words = renderer.renderInlineAsText(token.children or [], options, surroundings)
    source = token.attrs["src"]
    if source.lower().startswith(("https://", "http://")):
        link = Markup('<a href="{}" rel="noreferrer">{}</a>')
        return link.format(source, words or source)
    path, picture = picture_beside(surroundings["folder"], source)
    surroundings["pictures"].add(path)
    image = Markup('<img src="{}" width="{}" height="{}" alt="{}">')
    return image.format(picture.uri, picture.width, picture.height, words)


def _table_open(renderer, tokens, position, options, surroundings) -> str:
    return '<div class="scroll" tabindex="0" role="region" aria-label="Table">\n<table>\n'


def _table_close(renderer, tokens, position, options, surroundings) -> str:
    return "</table>\n</div>\n"


def _link_open(renderer, tokens, position, options, surroundings) -> str:
    tokens[position].attrSet("rel", "noreferrer")
    return renderer.renderToken(tokens, position, options, surroundings)


_RULES = {
    "image": _picture,
    "table_open": _table_open,
    "table_close": _table_close,
    "link_open": _link_open,
}
