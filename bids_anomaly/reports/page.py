"""Fill the templates of the pages."""

import base64
import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

ENVIRONMENT = Environment(
    loader=PackageLoader("bids_anomaly.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
FAILED_STEPS = re.compile(rb'<meta name="failed-steps" content="([0-9]+)">')
# The head of a page before its style, with room to spare.
HEAD_BYTES = 4096


def render(template: str, *, scripts: Sequence[str] = (), **content: object) -> str:
    """Return an HTML page; what stands in `content` is text, and is escaped.

    Parameters
    ----------
    template : str
        File name in ``templates``; it extends ``base.html.jinja``.
    scripts : sequence of str
        File names of scripts in ``templates``. The page forbids itself to run any others.
    **content
        What the template shows; a name that it lacks is an error.
    """
    sources = [ENVIRONMENT.loader.get_source(ENVIRONMENT, name)[0] for name in scripts]
    script = "\n".join(sources)
    return ENVIRONMENT.get_template(template).render(
        script=Markup(script), script_hash=_hash(script) if script else "", **content
    )


def failed_steps(path: Path) -> int:
    """Return how many failed steps a report tells of; none if there is no report."""
    with suppress(OSError), path.open("rb") as page:
        told = FAILED_STEPS.search(page.read(HEAD_BYTES))
        return int(told[1]) if told else 0
    return 0


def _hash(script: str) -> str:
    """Return the name of a script in a content security policy."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
