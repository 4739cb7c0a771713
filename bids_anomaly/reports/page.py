"""Fill the templates of the pages."""

import base64
import hashlib
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bids_anomaly.reports.sentences import say

ENVIRONMENT = Environment(
    loader=PackageLoader("bids_anomaly.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.globals["say"] = say


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


def _hash(script: str) -> str:
    """Return the name of a script in a content security policy."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
